// The measurements. Each takes one target as it is left by those before it, and adds rows to the report.
//
// Threads: one. Failures: a Status says why a section could not be measured; what it had measured until then stays.
#pragma once

#include "tests/bench/report.hpp"
#include "tests/bench/target.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orlop::bench {

struct Sizes {
  double seconds = 2;  // of each measurement that has no end of its own
  std::vector<std::size_t> clients{1, 64, 256};
  std::size_t configmaps = 10000;
  std::size_t pods = 10000;
  std::size_t watchers = 100;
  std::size_t events_per_second = 2000;
  std::size_t hollow_nodes = 1000;
  std::size_t scheduled_pods = 5000;
  std::size_t starts = 5;
  std::size_t real_pods = 10;
  std::size_t many_pods = 100;
  std::size_t rolled_pods = 10000;
  std::size_t idle_pods = 50;
  double idle_seconds = 30;
  std::string image = "nginx";
};

struct Target {
  std::string name;
  std::size_t index = 0;
  Endpoint endpoint;
  ProcessTree processes;
  DaemonOptions options;           // with a program: an orlopd of our own
  std::unique_ptr<Daemon> daemon;  // that one
  bool nodes_exist = false;        // pods may be scheduled on what is there
  std::size_t make_nodes = 0;      // Node objects without an agent, to schedule on
  std::string space;               // our namespace there; empty until it is made
  std::size_t configmaps = 0;      // made so far, cm-0, cm-1, …
  std::size_t pods = 0;
  std::vector<std::string> garbage;  // paths to delete at the end, where the server is not ours

  [[nodiscard]] bool own() const { return !options.program.empty(); }
};

// Many connections that each ask again as soon as they are answered.
struct Load {
  std::size_t clients = 1;
  double seconds = 0;      // 0: no limit
  uint64_t count_max = 0;  // requests; 0: no limit
  int expected_status = 200;
  std::function<std::string(uint64_t number)> request;  // number: 0, 1, … in the order in which they are sent
};
struct LoadResult {
  uint64_t done = 0;
  uint64_t failed = 0;  // other status, or none
  uint64_t sent = 0;
  double seconds = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double client_cores = 0;  // processor time by wall time
  double server_cores = 0;  // 0 when its processes are not known
  std::string first_failure;

  [[nodiscard]] double per_second() const { return seconds > 0 ? static_cast<double>(done) / seconds : 0; }
};
Result<LoadResult> run_load(Client& client, const ProcessTree& processes, const Load& load);

// Processor time that this process and the server's take while it lives.
class CpuMeter {
 public:
  explicit CpuMeter(const ProcessTree& processes);
  [[nodiscard]] double client_cores() const;
  [[nodiscard]] double server_cores() const;

 private:
  const ProcessTree& processes_;
  Clock::time_point begin_;
  double client_;
  double server_;
};

std::string configmap_body(const std::string& name, const std::string& payload);
// `scheduler` empty: the default one.
std::string pod_body(const std::string& name, const std::string& scheduler, const std::string& image);
// What stands between `label` and the next quote; empty when the label is not there.
std::string_view text_after(std::string_view json, std::string_view label);
// The revision of a list, to watch from. kUnavailable: the list was not answered with one.
Result<std::string> revision_of(Client& client, const std::string& path);

// Makes the namespace that everything is made in, and waits for its service account where one comes.
Status make_space(Target& target, Client& client);

Status measure_start(Target& target, const Sizes& sizes, Report& report);
Status measure_idle(Target& target, const Sizes& sizes, Report& report);
Status measure_creates(Target& target, const Sizes& sizes, Report& report);
Status measure_fill(Target& target, const Sizes& sizes, Report& report);
Status measure_reads(Target& target, const Sizes& sizes, Report& report);
Status measure_watch(Target& target, const Sizes& sizes, Report& report);
Status measure_restart(Target& target, const Sizes& sizes, Report& report);
// With an orlopd of our own: in a second one, with hollow nodes.
Status measure_schedule(Target& target, const Sizes& sizes, Report& report);
// Pods with containers, on nodes that are there.
Status measure_real(Target& target, const Sizes& sizes, Report& report);
// A hundred of them at once, and gone again.
Status measure_hundred(Target& target, const Sizes& sizes, Report& report);
// A Deployment of many pods gets another template; on hollow nodes as measure_schedule.
Status measure_roll(Target& target, const Sizes& sizes, Report& report);
// What the agent of a node takes while its pods just run; with an orlopd of our own on a hollow node.
Status measure_agent(Target& target, const Sizes& sizes, Report& report);
// Starts the target's daemon with so many hollow nodes and waits until they are Ready.
Status start_hollow(Target& target, const Sizes& sizes);
// Deletes what was made on a server that is not ours.
void clean(Target& target, Report& report);

}  // namespace orlop::bench
