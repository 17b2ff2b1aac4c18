#include "tests/bench/measures.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sys/resource.h>

namespace orlop::bench {
namespace {

constexpr auto kAnswerAtMost = std::chrono::seconds(60);

double own_cpu_seconds() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

CpuMeter::CpuMeter(const ProcessTree& processes)
    : processes_(processes), begin_(Clock::now()), client_(own_cpu_seconds()), server_(processes.cpu_seconds()) {}

double CpuMeter::client_cores() const {
  return (own_cpu_seconds() - client_) / std::chrono::duration<double>(Clock::now() - begin_).count();
}

double CpuMeter::server_cores() const {
  const double used = std::max(0.0, processes_.cpu_seconds() - server_);
  return used / std::chrono::duration<double>(Clock::now() - begin_).count();
}

Result<LoadResult> run_load(Client& client, const ProcessTree& processes, const Load& load) {
  ORLOP_TRY(client.open(load.clients));
  LoadResult result;
  std::vector<float> latencies;
  latencies.reserve(std::size_t{1} << 16);
  std::size_t waiting = 0;
  const CpuMeter meter(processes);
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(load.seconds > 0 ? load.seconds : 3600));
  auto last = begin;
  const auto next = [&](Connection& connection) {
    if (load.count_max != 0 && result.sent == load.count_max) return;
    ++waiting;
    connection.send(load.request(result.sent++));
  };
  const auto answered = [&](Connection& connection, const Answer& answer) {
    --waiting;
    last = Clock::now();
    if (answer.status == load.expected_status) {
      latencies.push_back(std::chrono::duration<float, std::milli>(last - connection.sent_at()).count());
      ++result.done;
    } else {
      if (result.failed++ == 0) result.first_failure = fmt::format("HTTP {}", answer.status);
      if (answer.status == 0) return;  // a connection that broke asks no more
    }
    if (last < end) next(connection);
  };
  auto& connections = client.connections();
  for (std::size_t i = 0; i < load.clients; ++i) {
    connections[i]->on_answer = answered;
    connections[i]->on_data = nullptr;
    connections[i]->keep_body = false;
  }
  for (std::size_t i = 0; i < load.clients; ++i) next(*connections[i]);
  const bool complete = client.run([&] { return waiting == 0; }, end + kAnswerAtMost);
  for (std::size_t i = 0; i < load.clients; ++i) connections[i]->on_answer = nullptr;
  result.seconds = std::chrono::duration<double>(last - begin).count();
  result.client_cores = meter.client_cores();
  result.server_cores = meter.server_cores();
  result.p50_ms = percentile(latencies, 0.5);
  result.p99_ms = percentile(latencies, 0.99);
  if (!complete) {
    client.close_all();
    return Status(Code::kTimeout, fmt::format("{} requests had no answer within 60 s", waiting));
  }
  return result;
}

std::string configmap_body(const std::string& name, const std::string& payload) {
  static const std::string kText(400, 'x');
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name +
         R"(","labels":{"app":"bench","tier":"backend"}},"data":{"at":")" + payload + R"(","text":")" + kText +
         R"("}})";
}

std::string pod_body(const std::string& name, const std::string& scheduler, const std::string& image) {
  std::string body = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
                     R"(","labels":{"app":"bench","tier":"backend","pod-template-hash":"5c689d88bb"}},"spec":{)";
  if (!scheduler.empty()) body += R"("schedulerName":")" + scheduler + R"(",)";
  return body + R"("automountServiceAccountToken":false,"terminationGracePeriodSeconds":0,)" +
         R"("containers":[{"name":"main","image":")" + image +
         R"(","imagePullPolicy":"IfNotPresent","ports":[{"name":"http","containerPort":80}],)" +
         R"("env":[{"name":"MODE","value":"bench"},{"name":"LEVEL","value":"info"}],)" +
         R"("resources":{"requests":{"cpu":"10m","memory":"16Mi"},"limits":{"memory":"64Mi"}},)" +
         R"("volumeMounts":[{"name":"scratch","mountPath":"/scratch"}]}],)" +
         R"("volumes":[{"name":"scratch","emptyDir":{}}]}})";
}

std::string_view text_after(std::string_view json, std::string_view label) {
  const std::size_t at = json.find(label);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = json.substr(at + label.size());
  return rest.substr(0, rest.find('"'));
}

Result<std::string> revision_of(Client& client, const std::string& path) {
  ORLOP_ASSIGN(auto reply, client.call("GET", path + "?limit=1"));
  const std::string_view revision = text_after(reply.body, R"("resourceVersion":")");
  if (reply.status != 200 || revision.empty()) {
    return Status(Code::kUnavailable, fmt::format("GET {}: HTTP {} {}", path, reply.status, reply.body.substr(0, 300)));
  }
  return std::string(revision);
}

}  // namespace orlop::bench
