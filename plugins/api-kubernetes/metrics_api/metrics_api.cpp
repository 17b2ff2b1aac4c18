#include "plugins/api-kubernetes/metrics_api/metrics_api.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/object_meta.hpp"
#include "plugins/api-kubernetes/metrics_api/objects.hpp"
#include "plugins/api-kubernetes/rest/selection.hpp"

#include <chrono>
#include <utility>

#include <google/protobuf/message.h>

namespace orlop::metrics_api {
namespace {

namespace core = k8s::io::api::core::v1;
using rest::Call;
using rest::Task;

// A node or a pod that metrics are wanted of.
struct Wanted {
  Subject subject;
  std::string node;  // where it runs; a node: its own name
  std::string uid;
};

template <typename Metadata>
Subject subject_of(const Metadata& metadata) {
  Subject out{metadata.namespace_(), metadata.name(), {}};
  for (const auto& [key, value] : metadata.labels()) out.labels[key] = value;
  return out;
}

// Nothing in `node`: it runs nowhere.
bool read_wanted(bool pods, std::string_view value, Wanted& out) {
  const auto size = static_cast<int>(value.size());
  if (!pods) {
    core::Node node;
    if (!node.ParseFromArray(value.data(), size)) return false;
    out = {subject_of(node.metadata()), node.metadata().name(), {}};
    return true;
  }
  core::Pod pod;
  if (!pod.ParseFromArray(value.data(), size)) return false;
  const bool runs = pod.status().phase() == "Running";
  out = {subject_of(pod.metadata()), runs ? pod.spec().nodename() : std::string(), pod.metadata().uid()};
  return true;
}

Result<std::vector<Wanted>> list_wanted(const Call& call, const rest::KindEntry& entry) {
  ORLOP_ASSIGN(const rest::Selection selection, rest::Selection::read(entry, call.request().query));
  v1::ListRequest request;
  request.set_kind(std::string(entry.id()));
  request.set_namespace_(std::string(call.info.name_space));
  if (auto term = selection.index_term()) request.set_index_term(*term);
  const bool pods = entry.id() == "pods";
  std::vector<Wanted> wanted;
  auto listed = call.services.host.list(request, [&](const RecordView& record) {
    Wanted one;
    if (selection.matches(record.name_space, record.name, record.value) && read_wanted(pods, record.value, one)) {
      wanted.push_back(std::move(one));
    }
    return true;
  });
  if (!listed) return listed.status();
  return wanted;
}

Result<std::vector<Wanted>> find_wanted(const Call& call, const rest::KindEntry& entry) {
  ORLOP_ASSIGN(const rest::Current current, rest::read_current(call, entry, call.info.name_space, call.info.name));
  Wanted one;
  if (!read_wanted(entry.id() == "pods", current.value, one)) {
    return Status(Code::kInternal, "the stored object cannot be read");
  }
  return std::vector<Wanted>{std::move(one)};
}

NodeRequests requests_for(bool pods, const std::vector<Wanted>& wanted) {
  NodeRequests requests;
  for (const Wanted& one : wanted) {
    if (one.node.empty()) continue;
    v1::StatsRequest& request = requests[one.node];
    if (!pods) continue;
    v1::PodReference* reference = request.add_pods();
    reference->set_namespace_(one.subject.name_space);
    reference->set_name(one.subject.name);
    reference->set_uid(one.uid);
  }
  return requests;
}

Task<NodeStats> ask(Call& call, const NodeRequests& requests) {
  http::Pending<NodeStats> pending(call.exchange);
  ask_stats(call.services.host, requests, [&pending](NodeStats stats) { pending.set(std::move(stats)); });
  co_return co_await pending;
}

// Agents measure only while somebody asks: whoever has one reading has a second one, and so rates, a moment later.
constexpr auto kSecondReading = std::chrono::milliseconds(1100);

bool has_no_rate_yet(const NodeStats& stats) {
  for (const auto& [node, answer] : stats) {
    if (answer && answer->usage().at_unix_ns() != 0 && answer->usage().window_ns() == 0) return true;
  }
  return false;
}

Task<NodeStats> ask_for_rates(Call& call, const NodeRequests& requests) {
  NodeStats stats = co_await ask(call, requests);
  if (!has_no_rate_yet(stats)) co_return stats;
  const auto until = http::Exchange::Clock::now() + kSecondReading;
  while (http::Exchange::Clock::now() < until && !call.exchange.gone()) co_await call.exchange.wait_until(until);
  co_return co_await ask(call, requests);
}

// Each an object in the answer's encoding, the list's items.
std::vector<std::string> node_objects(const std::vector<Wanted>& wanted, const NodeStats& stats, bool protobuf,
                                      int64_t now_ns) {
  std::vector<std::string> out;
  for (const Wanted& one : wanted) {
    const auto found = stats.find(one.node);
    if (found == stats.end() || !found->second) continue;
    const auto metrics = node_metrics(one.node, *found->second);
    if (!metrics) continue;
    out.push_back(protobuf ? node_bytes(one.subject, *metrics, now_ns) : node_json(one.subject, *metrics, now_ns));
  }
  return out;
}

std::vector<std::string> pod_objects(const std::vector<Wanted>& wanted, const NodeStats& stats, bool protobuf,
                                     int64_t now_ns) {
  std::map<std::pair<std::string, std::string>, PodMetrics> by_name;
  for (const auto& [node, answer] : stats) {
    if (!answer) continue;
    for (const v1::PodStats& pod : answer->pods()) {
      if (auto metrics = pod_metrics(pod)) by_name[{metrics->name_space, metrics->name}] = std::move(*metrics);
    }
  }
  std::vector<std::string> out;
  for (const Wanted& one : wanted) {
    const auto found = by_name.find({one.subject.name_space, one.subject.name});
    if (found == by_name.end()) continue;
    out.push_back(protobuf ? pod_bytes(one.subject, found->second, now_ns)
                           : pod_json(one.subject, found->second, now_ns));
  }
  return out;
}

void respond(Call& call, const std::string& kind, std::string body) {
  if (call.format.encoding != rest::Encoding::kProtobuf) return rest::answer_json(call, 200, std::move(body));
  std::string out;
  rest::append_envelope(out, kApiVersion, kind, body);
  call.exchange.respond(200, call.format.content_type(), std::move(out));
}

Status no_metrics(const Call& call, bool pods) {
  const std::string name(call.info.name);
  if (!pods) return {Code::kNotFound, "nodemetrics.metrics.k8s.io \"" + name + "\" not found"};
  return {Code::kNotFound,
          "podmetrics.metrics.k8s.io \"" + std::string(call.info.name_space) + "/" + name + "\" not found"};
}

Status check(const Call& call, bool pods) {
  const rest::RequestInfo& info = call.info;
  const Status not_found(Code::kNotFound, "the server could not find the requested resource");
  if (info.too_long || !info.subresource.empty()) return not_found;
  if (pods ? !info.name.empty() && info.name_space.empty() : !info.name_space.empty()) return not_found;
  if (info.verb != "get" && info.verb != "list") {
    return {Code::kMethodNotAllowed, "the server does not allow this method on the requested resource"};
  }
  return Status::ok();
}

}  // namespace

bool serves(const rest::RequestInfo& info) {
  return info.group == "metrics.k8s.io" && info.version == "v1beta1" &&
         (info.resource == "nodes" || info.resource == "pods");
}

Task<void> answer(Call& call) {
  const bool pods = call.info.resource == "pods";
  Status status = check(call, pods);
  if (!status) co_return rest::fail(call, status);
  auto format = rest::negotiate_output(call.request().header("Accept"));
  if (!format) co_return rest::fail(call, format.status());
  call.format = *format;
  const rest::KindEntry& entry = *rest::registry().find_storage(pods ? "pods" : "nodes");
  const bool one = !call.info.name.empty();
  auto wanted = one ? find_wanted(call, entry) : list_wanted(call, entry);
  if (!wanted) co_return rest::fail(call, wanted.status());
  const NodeRequests requests = requests_for(pods, *wanted);
  const NodeStats stats = co_await ask_for_rates(call, requests);
  const int64_t now_ns = call.services.host.wall_now_ns();
  const bool protobuf = call.format.encoding == rest::Encoding::kProtobuf;
  const std::vector<std::string> items =
      pods ? pod_objects(*wanted, stats, protobuf, now_ns) : node_objects(*wanted, stats, protobuf, now_ns);
  if (one && items.empty()) co_return rest::fail(call, no_metrics(call, pods));
  const std::string kind = pods ? "PodMetrics" : "NodeMetrics";
  if (one) co_return respond(call, kind, items.front() + (protobuf ? "" : "\n"));
  respond(call, kind + "List", protobuf ? list_bytes(items) : list_json(kind + "List", items));
}

}  // namespace orlop::metrics_api
