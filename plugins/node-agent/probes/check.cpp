#include "plugins/node-agent/probes/check.hpp"

#include <charconv>

namespace orlop::agent {
namespace {

using k8s::io::apimachinery::pkg::util::intstr::IntOrString;

Result<uint16_t> port_of(const IntOrString& port, const core::Container& container) {
  int64_t number = port.intval();
  if (port.type() == 1) {
    const std::string& name = port.strval();
    bool named = false;
    for (const auto& candidate : container.ports()) {
      if (candidate.name() != name) continue;
      number = candidate.containerport();
      named = true;
      break;
    }
    if (!named) {
      const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
      if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size())
        return Status(Code::kInvalid, "strconv.Atoi: parsing \"" + name + "\": invalid syntax");
    }
  }
  if (number <= 0 || number > 65535) {
    return Status(Code::kInvalid, "invalid port number: " + std::to_string(number));
  }
  return static_cast<uint16_t>(number);
}

Result<HttpCheck> http_check(const core::HTTPGetAction& action, const core::Container& container,
                             const std::string& pod_ip, const char* user_agent) {
  HttpCheck check;
  check.tls = action.scheme() == "HTTPS";
  check.host = action.host().empty() ? pod_ip : action.host();
  ORLOP_ASSIGN(check.port, port_of(action.port(), container));
  check.path = action.path();
  if (!check.path.starts_with('/')) check.path.insert(0, 1, '/');
  for (const auto& header : action.httpheaders()) check.headers.emplace_back(header.name(), header.value());
  check.user_agent = user_agent;
  return check;
}

}  // namespace

Result<Check> make_check(const core::ProbeHandler& handler, const core::Container& container,
                         const std::string& pod_ip) {
  Check check;
  if (handler.has_exec()) {
    check.what = ExecCheck{{handler.exec().command().begin(), handler.exec().command().end()}};
  } else if (handler.has_httpget()) {
    ORLOP_ASSIGN(check.what, http_check(handler.httpget(), container, pod_ip, "kube-probe/1.32"));
  } else if (handler.has_tcpsocket()) {
    TcpCheck tcp;
    tcp.host = handler.tcpsocket().host().empty() ? pod_ip : handler.tcpsocket().host();
    ORLOP_ASSIGN(tcp.port, port_of(handler.tcpsocket().port(), container));
    check.what = std::move(tcp);
  } else if (handler.has_grpc()) {
    check.what = GrpcCheck{pod_ip, static_cast<uint16_t>(handler.grpc().port()), handler.grpc().service()};
  } else {
    return Status(Code::kInvalid, "missing probe handler for container " + container.name());
  }
  return check;
}

Result<Check> make_check(const core::LifecycleHandler& handler, const core::Container& container,
                         const std::string& pod_ip) {
  Check check;
  if (handler.has_exec()) {
    check.what = ExecCheck{{handler.exec().command().begin(), handler.exec().command().end()}};
  } else if (handler.has_httpget()) {
    ORLOP_ASSIGN(check.what, http_check(handler.httpget(), container, pod_ip, "kube-lifecycle/1.32"));
  } else {
    return Status(Code::kInvalid, "invalid handler: only exec, httpGet and sleep can be hooks");
  }
  return check;
}

}  // namespace orlop::agent
