// Times of the data plane: net_iptables_bench [services] [endpoints of each] [services in a
// transaction of nft]. In a network namespace of its own.
#include "plugins/net-iptables/iptables.hpp"
#include "plugins/net-iptables/process_runner.hpp"
#include "plugins/net-iptables/rules.hpp"
#include "plugins/net-iptables/table.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

namespace {

using namespace orlop::net;

double children_cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

void measure(const std::string& backend, const char* what, const std::function<orlop::Status()>& body) {
  const double cpu = children_cpu_ms();
  const auto begin = std::chrono::steady_clock::now();
  const orlop::Status status = body();
  const double wall = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{:7} {:24} {:9.1f} ms wall {:9.1f} ms cpu {}\n", backend, what, wall, children_cpu_ms() - cpu,
             status.message());
  std::fflush(stdout);
}

Service service(int number) {
  Service out;
  out.id = {"default", fmt::format("service-{}", number)};
  out.cluster_ips = {fmt::format("10.96.{}.{}", number / 250, number % 250 + 1)};
  out.ports = {{"http", Protocol::kTcp, 80, 0}};
  return out;
}

EndpointSlice slice(int number, int endpoints) {
  EndpointSlice out;
  out.ports = {{"http", Protocol::kTcp, 8080}};
  for (int i = 0; i < endpoints; ++i) {
    Endpoint endpoint;
    endpoint.addresses = {fmt::format("10.244.{}.{}", number / 250, (number + i) % 250 + 1)};
    out.endpoints.push_back(std::move(endpoint));
  }
  return out;
}

ServiceRules rules(int number, int endpoints, const NodeContext& context) {
  const EndpointSlice one = slice(number, endpoints);
  const EndpointSlice* slices[] = {&one};
  return rules_of(service(number), slices, context);
}

}  // namespace

int main(int argc, char** argv) {
  const int services = argc > 1 ? std::atoi(argv[1]) : 5000;
  const int endpoints = argc > 2 ? std::atoi(argv[2]) : 3;
  const size_t chunk = argc > 3 ? static_cast<size_t>(std::atoi(argv[3])) : 250;
  if (::unshare(CLONE_NEWNET) != 0) {
    std::perror("net_iptables_bench needs root, for a network namespace");
    return 1;
  }
  NodeContext context;
  context.node = "n1";
  context.pod_cidrs = context.cluster_cidrs = {"10.244.0.0/16"};
  const auto frame = frame_of(context);
  PosixProcessRunner runner;
  for (const std::string backend : {"legacy", "nft"}) {
    Iptables iptables(runner, backend);
    std::vector<ServiceRules> all;
    measure(backend, "make all rules", [&] {
      for (int i = 0; i < services; ++i) all.push_back(rules(i, endpoints, context));
      return orlop::Status();
    });
    std::vector<const ServiceRules*> pointers;
    for (const ServiceRules& each : all) pointers.push_back(&each);
    auto apply_all = [&](const SavedTables& present) {
      const size_t each = backend == "nft" ? chunk : SIZE_MAX;
      for (const std::string& text : resync_restore(frame, pointers, present, each)) {
        const orlop::Status status = iptables.restore(text);
        if (!status.is_ok()) return status;
      }
      return orlop::Status();
    };
    measure(backend, "all Services", [&] { return apply_all({}); });
    ServiceRules current = all[services / 2];
    auto change_to = [&](ServiceRules next) {
      const ServiceChange change{&current, &next};
      const orlop::Status status = iptables.restore(delta_restore({&change, 1}));
      current = std::move(next);
      return status;
    };
    for (int round = 0; round < 2; ++round) {
      measure(backend, "one endpoint less", [&] { return change_to(rules(services / 2, endpoints - 1, context)); });
      measure(backend, "one endpoint more", [&] { return change_to(rules(services / 2, endpoints, context)); });
    }
    measure(backend, "a Service goes", [&] { return change_to({}); });
    measure(backend, "a Service comes", [&] { return change_to(rules(services / 2, endpoints, context)); });
    measure(backend, "look at all", [&] {
      auto saved = iptables.save();
      const std::string words = saved ? difference(frame, pointers, *saved) : saved.message();
      return words.empty() ? orlop::Status() : orlop::Status(orlop::Code::kInternal, words);
    });
    measure(backend, "all Services again", [&] {
      auto saved = iptables.save();
      return saved ? apply_all(*saved) : saved.status();
    });
  }
  return 0;
}
