#include "orlop/kube/core_v1.hpp"
#include "orlop/rfc3339.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/node.pb.h"
#include "plugins/api-kubernetes/rest/handlers.hpp"

#include <charconv>

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace core = k8s::io::api::core::v1;

constexpr uint32_t kDeadlineMs = 20'000;

// A capability's answer without a thread that waits for it.
template <typename Response, typename Request>
Task<Result<Response>> call_node(Call& call, const std::string& node, const char* method, const Request& request) {
  http::Pending<Result<Response>> pending(call.exchange);
  orlop::call_async<Response>(call.services.host, {"node", node, kDeadlineMs}, std::string("orlop.v1.Node/") + method,
                              request, [&pending](Result<Response> result) { pending.set(std::move(result)); });
  co_return co_await pending;
}

Result<core::Pod> read_pod(const Call& call) {
  ORLOP_ASSIGN(Current current, read_current(call, *call.entry, call.info.name_space, call.info.name));
  core::Pod pod;
  if (!pod.ParseFromString(current.value)) return Status(Code::kInternal, "the stored object cannot be read");
  return pod;
}

// The container that is meant: the one asked for, the one that an annotation names, or the only one.
Result<std::string> pick_container(const core::Pod& pod, std::string_view asked) {
  auto names = [](const auto& containers) {
    std::string out;
    for (const auto& container : containers) out += (out.empty() ? "" : " ") + container.name();
    return out;
  };
  if (asked.empty()) {
    auto found = pod.metadata().annotations().find("kubectl.kubernetes.io/default-container");
    if (found != pod.metadata().annotations().end()) return found->second;
    if (pod.spec().containers_size() == 1) return pod.spec().containers(0).name();
    std::string message = "a container name must be specified for pod " + pod.metadata().name() + ", choose one of: [" +
                          names(pod.spec().containers()) + "]";
    if (!pod.spec().initcontainers().empty())
      message += " or one of the init containers: [" + names(pod.spec().initcontainers()) + "]";
    return Status(Code::kBadRequest, std::move(message));
  }
  auto has = [&](const auto& containers) {
    for (const auto& container : containers) {
      if (container.name() == asked) return true;
    }
    return false;
  };
  bool ephemeral = false;
  for (const auto& container : pod.spec().ephemeralcontainers()) {
    ephemeral = ephemeral || container.ephemeralcontainercommon().name() == asked;
  }
  if (has(pod.spec().containers()) || has(pod.spec().initcontainers()) || ephemeral) return std::string(asked);
  return Status(Code::kBadRequest,
                "container " + std::string(asked) + " is not valid for pod " + pod.metadata().name());
}

Status not_scheduled(const core::Pod& pod) {
  return {Code::kBadRequest, "pod " + pod.metadata().name() + " does not have a host assigned"};
}

v1::PodReference reference_of(const core::Pod& pod) {
  v1::PodReference reference;
  reference.set_namespace_(pod.metadata().namespace_());
  reference.set_name(pod.metadata().name());
  reference.set_uid(pod.metadata().uid());
  return reference;
}

http::BackendAddress address_of(const v1::StreamAddress& address) {
  return {address.unix_socket(), address.host(), static_cast<uint16_t>(address.port())};
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Result<v1::LogsRequest> read_log_request(const Call& call, const core::Pod& pod) {
  const http::Query& query = call.request().query;
  v1::LogsRequest request;
  *request.mutable_pod() = reference_of(pod);
  ORLOP_ASSIGN(*request.mutable_container(), pick_container(pod, query.get("container")));
  request.set_follow(query.flag("follow"));
  request.set_previous(query.flag("previous"));
  request.set_timestamps(query.flag("timestamps"));
  struct Field {
    const char* name;
    int64_t min;
    void (v1::LogsRequest::*set)(int64_t);
  };
  const Field fields[] = {{"tailLines", 0, &v1::LogsRequest::set_tail_lines},
                          {"limitBytes", 1, &v1::LogsRequest::set_limit_bytes},
                          {"sinceSeconds", 1, &v1::LogsRequest::set_since_seconds}};
  for (const Field& field : fields) {
    if (!query.has(field.name)) continue;
    int64_t value = 0;
    if (!read_number(query.get(field.name), value) || value < field.min) {
      std::string message = "Invalid value: \"" + std::string(query.get(field.name)) +
                            "\": must be greater than or equal to " + std::to_string(field.min);
      return Status(Code::kInvalid, "PodLogOptions \"\" is invalid: " + std::string(field.name) + ": " + message,
                    {{"FieldValueInvalid", message, field.name}});
    }
    (request.*field.set)(value);
  }
  std::string since(query.get("sinceTime"));
  if (!since.empty()) {
    const auto moment = parse_rfc3339_ns(since);
    if (!moment) return Status(Code::kBadRequest, "sinceTime: \"" + since + "\" is not an RFC 3339 time");
    request.set_since_unix_ns(*moment);
  }
  return request;
}

// The request line and the headers that an upgrade needs, addressed to the backend.
std::string upgrade_head(const http::Request& request, const v1::StreamAddress& address) {
  std::string head(request.method);
  head += ' ';
  head += address.path();
  head += " HTTP/1.1\r\nHost: localhost\r\n";
  static constexpr std::string_view kPassed[] = {"Connection",
                                                 "Upgrade",
                                                 "X-Stream-Protocol-Version",
                                                 "Sec-WebSocket-Key",
                                                 "Sec-WebSocket-Version",
                                                 "Sec-WebSocket-Protocol",
                                                 "Sec-WebSocket-Extensions",
                                                 "Origin"};
  for (const auto& [name, value] : request.headers) {
    for (std::string_view passed : kPassed) {
      bool same = name.size() == passed.size() &&
                  std::equal(name.begin(), name.end(), passed.begin(),
                             [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
      if (same) head += std::string(name) + ": " + std::string(value) + "\r\n";
    }
  }
  if (request.method == "POST") head += "Content-Length: 0\r\n";
  return head + "\r\n";
}

Result<std::vector<int32_t>> read_ports(const Call& call) {
  std::vector<int32_t> ports;
  for (const std::string& text : call.request().query.all("ports")) {
    int32_t port = 0;
    if (!read_number(std::string_view(text), port) || port < 1 || port > 65535) {
      return Status(Code::kBadRequest, "ports: \"" + text + "\" is not a port");
    }
    ports.push_back(port);
  }
  return ports;
}

Task<Result<v1::StreamAddress>> prepare_stream(Call& call, const core::Pod& pod) {
  const http::Query& query = call.request().query;
  std::string node = pod.spec().nodename();
  if (call.info.subresource == "portforward") {
    auto ports = read_ports(call);
    if (!ports) co_return ports.status();
    v1::PortForwardRequest request;
    *request.mutable_pod() = reference_of(pod);
    for (int32_t port : *ports) request.add_ports(port);
    co_return co_await call_node<v1::StreamAddress>(call, node, "PortForward", request);
  }
  v1::StreamRequest request;
  *request.mutable_pod() = reference_of(pod);
  auto container = pick_container(pod, query.get("container"));
  if (!container) co_return container.status();
  request.set_container(*container);
  for (std::string& argument : query.all("command")) request.add_command(std::move(argument));
  request.set_stdin(query.flag("stdin"));
  request.set_stdout(query.flag("stdout"));
  request.set_stderr(query.flag("stderr"));
  request.set_tty(query.flag("tty"));
  bool exec = call.info.subresource == "exec";
  if (exec && request.command().empty())
    co_return Status(Code::kBadRequest, "you must specify at least 1 command for the container");
  if (!request.stdin() && !request.stdout() && !request.stderr()) {
    co_return Status(Code::kBadRequest, "you must specify at least 1 of stdin, stdout, stderr");
  }
  co_return co_await call_node<v1::StreamAddress>(call, node, exec ? "Exec" : "Attach", request);
}

}  // namespace

Task<void> handle_log(Call& call) {
  auto pod = read_pod(call);
  if (!pod) co_return fail(call, pod.status());
  auto request = read_log_request(call, *pod);
  if (!request) co_return fail(call, request.status());
  // A pod that nobody has placed yet has said nothing.
  if (pod->spec().nodename().empty()) co_return call.exchange.respond(200, "text/plain", "");
  std::string node = pod->spec().nodename();
  auto address = co_await call_node<v1::StreamAddress>(call, node, "Logs", *request);
  if (!address) co_return fail(call, address.status());
  http::BackendAddress backend = address_of(*address);
  std::string ticket = address->token() + "\n";
  bool open = co_await call.exchange.open_backend(backend, ticket);
  if (!open)
    co_return fail(call, Status(Code::kUnavailable, "the node \"" + node + "\" cannot be reached for the log"));
  call.exchange.begin(200, "text/plain", request->follow());
  std::string bytes;
  bool sent = co_await call.exchange.write(bytes);
  while (sent) {
    bool more = co_await call.exchange.read_backend();
    if (!more) break;
    bytes = call.exchange.take_backend_bytes();
    sent = co_await call.exchange.write(bytes);
  }
}

Task<void> handle_upgrade(Call& call) {
  auto pod = read_pod(call);
  if (!pod) co_return fail(call, pod.status());
  if (pod->spec().nodename().empty()) co_return fail(call, not_scheduled(*pod));
  if (call.request().header("Upgrade").empty()) {
    co_return fail(call, Status(Code::kBadRequest, "Upgrade request required"));
  }
  auto address = co_await prepare_stream(call, *pod);
  if (!address) co_return fail(call, address.status());
  http::BackendAddress backend = address_of(*address);
  std::string head = upgrade_head(call.request(), *address);
  bool done = co_await call.exchange.tunnel(backend, head);
  if (!done) {
    fail(call,
         Status(Code::kInternal, "error dialing backend: the node \"" + pod->spec().nodename() + "\" does not answer"));
  }
}

}  // namespace orlop::rest
