// What a node's agent costs while nothing happens to its pods.
#include "tests/bench/measures.hpp"

#include <algorithm>
#include <string>
#include <thread>

#include <fmt/format.h>

namespace orlop::bench {
namespace {

constexpr auto kReadyAtMost = std::chrono::seconds(180);
constexpr auto kSettle = std::chrono::seconds(10);
constexpr char kAgent[] = "node-agent";

// The process that hosts the agent; nothing when it is inline, in the daemon.
std::vector<pid_t> agents_of(const ProcessTree& processes) {
  std::vector<pid_t> out;
  for (const pid_t pid : processes.members()) {
    const auto arguments = read_file("/proc/" + std::to_string(pid) + "/cmdline");
    if (arguments && arguments->find(kAgent) != std::string::npos) out.push_back(pid);
  }
  return out;
}

std::size_t running_pods(std::string_view json) {
  std::size_t count = 0;
  constexpr std::string_view kRunning = R"("phase":"Running")";
  for (std::size_t at = json.find(kRunning); at != std::string_view::npos; at = json.find(kRunning, at + 1)) ++count;
  return count;
}

Status run_pods(Target& target, Client& client, const Sizes& sizes) {
  const std::string path = "/api/v1/namespaces/" + target.space + "/pods";
  for (std::size_t i = 0; i < sizes.idle_pods; ++i) {
    const std::string body = pod_body("idle-" + std::to_string(i), "", sizes.image);
    ORLOP_ASSIGN(const auto made, client.call("POST", path, body));
    if (made.status != 201) return {Code::kUnavailable, fmt::format("HTTP {} {}", made.status, made.body)};
  }
  std::size_t running = 0;
  const auto deadline = Clock::now() + kReadyAtMost;
  while (running < sizes.idle_pods && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ORLOP_ASSIGN(const auto listed, client.call("GET", path));
    running = running_pods(listed.body);
  }
  if (running < sizes.idle_pods)
    return {Code::kTimeout, fmt::format("{} of {} pods Running in 180 s", running, sizes.idle_pods)};
  return Status::ok();
}

Status measure_on(Target& target, std::size_t index, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(make_space(target, *client));
  ORLOP_TRY(run_pods(target, *client, sizes));
  std::this_thread::sleep_for(kSettle);
  const ProcessTree agent(agents_of(target.processes));
  if (!agent.known()) return {Code::kNotFound, "no process of the target is a node-agent: give --pid, isolate it"};
  const double agent_before = agent.cpu_seconds();
  const double all_before = target.processes.cpu_seconds();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(sizes.idle_seconds));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto add = [&](const char* key, const std::string& what, double used) {
    report.add(index, key, fmt::format("{}, idle with {} pods, over {:.0f} s", what, sizes.idle_pods, seconds),
               "% of a core", Better::kLower, used / seconds * 100);
  };
  add("agent.idle", "node-agent", agent.cpu_seconds() - agent_before);
  add("agent.all", "all processes of the server", target.processes.cpu_seconds() - all_before);
  report.add(index, "agent.rss", fmt::format("node-agent with {} pods: resident", sizes.idle_pods), "MB",
             Better::kLower, static_cast<double>(agent.memory().resident) / 1e6);
  // So that nothing runs on when the cluster is taken down.
  ORLOP_ASSIGN(const auto deleted, client->call("DELETE", "/api/v1/namespaces/" + target.space + "/pods"));
  if (deleted.status != 200) report.note(index, fmt::format("pods could not be deleted: HTTP {}", deleted.status));
  return Status::ok();
}

}  // namespace

Status measure_agent(Target& target, const Sizes& sizes, Report& report) {
  if (!target.own()) return measure_on(target, target.index, sizes, report);
  Target second;
  second.name = target.name;
  second.index = target.index;
  second.options = target.options;
  second.options.hollow_nodes = 1;
  second.options.agent_hosting = "isolated";
  Sizes one = sizes;
  one.hollow_nodes = 1;
  ORLOP_TRY(start_hollow(second, one));
  return measure_on(second, target.index, sizes, report);
}

}  // namespace orlop::bench
