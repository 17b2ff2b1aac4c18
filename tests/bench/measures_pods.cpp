// Pods on nodes: bound a second, and how long from the create to Running.
#include "tests/bench/measures.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

#include <fmt/format.h>

namespace orlop::bench {
namespace {

constexpr std::size_t kCreators = 64;
constexpr std::size_t kOneByOne = 20;
constexpr auto kAllAtMost = std::chrono::seconds(120);
constexpr auto kNodesAtMost = std::chrono::seconds(60);

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Pods named PREFIX0, PREFIX1, … and when each was asked for, bound and Running, told by one watch.
class PodWatch {
 public:
  struct Life {
    Clock::time_point asked;
    Clock::time_point bound;
    Clock::time_point running;
  };

  PodWatch(Client& client, std::string path, std::string prefix, std::size_t count)
      : client_(client),
        path_(std::move(path)),
        prefix_(std::move(prefix)),
        label_(R"("name":")" + prefix_),
        lives_(count) {}

  // The watch takes connection 0, creators those behind it.
  Status open(std::size_t creators);
  void create(std::size_t number, Connection& connection, const std::string& image);
  // All of `from` to `to`, by as many creators as were opened.
  void create_all(std::size_t from, std::size_t to, const std::string& image);
  // Until nothing has happened to a pod for a second, or the time is up.
  void settle();
  // False: not within the time.
  bool wait(const std::function<bool()>& done) { return client_.run(done, Clock::now() + kAllAtMost); }
  void end();

  [[nodiscard]] std::size_t bound() const { return bound_; }
  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] std::size_t failed() const { return failed_; }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] std::vector<Life>& lives() { return lives_; }

 private:
  void line(std::string_view text);

  Client& client_;
  std::string path_;
  std::string prefix_;
  std::string label_;
  std::vector<Life> lives_;
  std::string piece_;
  std::size_t next_ = 0;
  std::size_t end_ = 0;
  std::size_t bound_ = 0;
  std::size_t running_ = 0;
  std::size_t failed_ = 0;
  std::string failure_;
  Clock::time_point last_event_;
};

void PodWatch::settle() {
  wait([this] { return Clock::now() - last_event_ > std::chrono::seconds(1); });
}

Status PodWatch::open(std::size_t creators) {
  ORLOP_ASSIGN(const std::string revision, revision_of(client_, path_));
  ORLOP_TRY(client_.open(creators + 1));
  Connection& watch = *client_.connections()[0];
  watch.on_data = [this](std::string_view data) {
    for (std::size_t at = data.find('\n'); at != std::string_view::npos; at = data.find('\n')) {
      piece_.append(data.substr(0, at));
      line(piece_);
      piece_.clear();
      data.remove_prefix(at + 1);
    }
    piece_.append(data);
  };
  watch.send(client_.request("GET", path_ + "?watch=true&timeoutSeconds=600&resourceVersion=" + revision));
  return Status::ok();
}

void PodWatch::line(std::string_view text) {
  const std::size_t at = text.find(label_);
  if (at == std::string_view::npos) return;
  last_event_ = Clock::now();
  std::size_t number = 0;
  const std::string_view digits = text.substr(at + label_.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (number >= lives_.size()) return;
  Life& life = lives_[number];
  constexpr Clock::time_point kNever{};
  if (life.bound == kNever && !text_after(text, R"("nodeName":")").empty()) {
    life.bound = Clock::now();
    ++bound_;
  }
  if (life.running == kNever && text_after(text, R"("phase":")") == "Running") {
    life.running = Clock::now();
    ++running_;
  }
}

void PodWatch::create(std::size_t number, Connection& connection, const std::string& image) {
  connection.on_answer = [this, image](Connection& self, const Answer& answer) {
    if (answer.status != 201) {
      ++failed_;
      failure_ = fmt::format("HTTP {} {}", answer.status, answer.body.substr(0, 300));
    }
    if (next_ < end_ && answer.status != 0) {
      // A copy: the handler that is running is replaced by the next one.
      const std::string same_image = image;
      create(next_++, self, same_image);
    }
  };
  connection.keep_body = true;
  lives_[number].asked = Clock::now();
  connection.send(client_.request("POST", path_, pod_body(prefix_ + std::to_string(number), "", image)));
}

void PodWatch::create_all(std::size_t from, std::size_t to, const std::string& image) {
  next_ = from;
  end_ = to;
  auto& connections = client_.connections();
  for (std::size_t i = 1; i < connections.size() && next_ < end_; ++i) create(next_++, *connections[i], image);
}

void PodWatch::end() {
  for (auto& connection : client_.connections()) connection->on_answer = nullptr;
  client_.close_all();
}

std::size_t ready_nodes(std::string_view json) {
  constexpr std::string_view kReady = R"("type":"Ready")";
  std::size_t count = 0;
  for (std::size_t at = json.find(kReady); at != std::string_view::npos; at = json.find(kReady, at + 1)) {
    const std::size_t begin = json.rfind('{', at);
    const std::string_view condition = json.substr(begin, json.find('}', at) - begin);
    if (condition.find(R"("status":"True")") != std::string_view::npos) ++count;
  }
  return count;
}

Status wait_for_nodes(Client& client, std::size_t wanted) {
  std::size_t ready = 0;
  const auto deadline = Clock::now() + kNodesAtMost;
  while (Clock::now() < deadline) {
    ORLOP_ASSIGN(const auto reply, client.call("GET", "/api/v1/nodes"));
    ready = reply.status == 200 ? ready_nodes(reply.body) : 0;
    if (ready >= std::max<std::size_t>(wanted, 1)) return Status::ok();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return {Code::kTimeout, fmt::format("{} of {} nodes are Ready after 60 s", ready, wanted)};
}

// Node objects without anybody behind them.
Status make_nodes(Target& target, Client& client) {
  Load load{.clients = 16, .count_max = target.make_nodes, .expected_status = 201};
  load.request = [&](uint64_t number) {
    const std::string name = "orlop-bench-node-" + std::to_string(number);
    constexpr const char* kSize = R"({"cpu":"64","memory":"256Gi","pods":"500","ephemeral-storage":"100Gi"})";
    return client.request(
        "POST", "/api/v1/nodes",
        R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")" + name +
            R"(","labels":{"kubernetes.io/hostname":")" + name + R"("}},"status":{"capacity":)" + kSize +
            R"(,"allocatable":)" + kSize +
            R"(,"conditions":[{"type":"Ready","status":"True","reason":"Bench","message":"made by orlop-bench",)" +
            R"("lastHeartbeatTime":"2030-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z"}]}})");
  };
  ORLOP_ASSIGN(const LoadResult made, run_load(client, target.processes, load));
  for (std::size_t i = 0; i < target.make_nodes; ++i) {
    target.garbage.push_back("/api/v1/nodes/orlop-bench-node-" + std::to_string(i));
  }
  if (made.failed > 0) return {Code::kUnavailable, "nodes could not be made: " + made.first_failure};
  return wait_for_nodes(client, target.make_nodes);
}

// Pods one after the other, each waited for: create to Running, ms.
Result<std::vector<float>> one_by_one(PodWatch& pods, Client& client, std::size_t first, std::size_t count,
                                      const std::string& image) {
  std::vector<float> times;
  for (std::size_t i = first; i < first + count; ++i) {
    pods.create(i, *client.connections()[1], image);
    if (!pods.wait([&] { return pods.lives()[i].running != Clock::time_point{} || pods.failed() > 0; }) ||
        pods.failed() > 0) {
      return Status(Code::kTimeout, "a pod was not Running within 120 s " + pods.failure());
    }
    times.push_back(static_cast<float>(ms_between(pods.lives()[i].asked, pods.lives()[i].running)));
  }
  return times;
}

Status schedule_on(Target& target, std::size_t nodes, bool runs, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(make_space(target, *client));
  const std::string path = "/api/v1/namespaces/" + target.space + "/pods";
  const std::size_t count = sizes.scheduled_pods;
  PodWatch pods(*client, path, "run-", count + kOneByOne);
  ORLOP_TRY(pods.open(kCreators));
  const CpuMeter meter(target.processes);
  pods.create_all(0, count, sizes.image);
  const auto ended = [&](std::size_t done) { return done + pods.failed() >= count; };
  const bool all_bound = pods.wait([&] { return ended(pods.bound()); });
  const double client_cores = meter.client_cores();
  const double server_cores = meter.server_cores();
  const bool all_running = runs && pods.wait([&] { return ended(pods.running()); });
  if (!all_bound) {
    report.note(target.index, fmt::format("schedule: {} of {} pods bound in 120 s; {} refused, {}", pods.bound(), count,
                                          pods.failed(), pods.failure()));
  } else if (runs && !all_running) {
    report.note(target.index, fmt::format("schedule: {} of {} pods Running in 120 s more", pods.running(), count));
  }
  auto first = Clock::time_point::max();
  Clock::time_point last_bound{};
  Clock::time_point last_running{};
  std::vector<float> to_bound;
  for (std::size_t i = 0; i < count; ++i) {
    const PodWatch::Life& life = pods.lives()[i];
    if (life.asked != Clock::time_point{}) first = std::min(first, life.asked);
    if (life.bound == Clock::time_point{}) continue;
    last_bound = std::max(last_bound, life.bound);
    last_running = std::max(last_running, life.running);
    to_bound.push_back(static_cast<float>(ms_between(life.asked, life.bound)));
  }
  const std::string where = nodes > 0 ? fmt::format("{} nodes", nodes) : "the nodes there are";
  if (!to_bound.empty()) {
    report.add(target.index, "schedule.rate", fmt::format("pods bound, {}, {} pods, create to bound", where, count),
               "/s", Better::kHigher, static_cast<double>(to_bound.size()) / (ms_between(first, last_bound) / 1000));
    report.add(target.index, "schedule.p50", "create to bound, p50", "ms", Better::kLower, percentile(to_bound, 0.5));
    report.add(target.index, "schedule.p99", "create to bound, p99", "ms", Better::kLower, percentile(to_bound, 0.99));
  }
  if (pods.running() > 0) {
    report.add(target.index, "schedule.running", fmt::format("pods Running, {}", where), "/s", Better::kHigher,
               static_cast<double>(pods.running()) / (ms_between(first, last_running) / 1000));
  }
  report.add(target.index, "schedule.client", "scheduling: this client's own processors", "cores", Better::kNeither,
             client_cores);
  if (target.processes.known()) {
    report.add(target.index, "schedule.server", "scheduling: the server's processors", "cores", Better::kNeither,
               server_cores);
    report.add(target.index, "schedule.rss", fmt::format("memory with {} and {} pods: resident", where, count), "MB",
               Better::kLower, static_cast<double>(target.processes.memory().resident) / 1e6);
  }
  if (all_running && pods.failed() == 0) {
    pods.settle();
    ORLOP_ASSIGN(auto times, one_by_one(pods, *client, count, kOneByOne, sizes.image));
    report.add(target.index, "schedule.one", "create to Running, one at a time, p50", "ms", Better::kLower,
               percentile(times, 0.5));
  }
  pods.end();
  return Status::ok();
}

}  // namespace

Status start_hollow(Target& target, const Sizes& sizes) {
  ORLOP_ASSIGN(target.daemon, Daemon::make(target.options));
  ORLOP_TRY(target.daemon->start("/api/v1/nodes").status());
  target.endpoint = target.daemon->endpoint();
  target.processes = target.daemon->processes();
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  const Status nodes = wait_for_nodes(*client, sizes.hollow_nodes);
  return nodes ? nodes : Status(nodes.code(), nodes.message() + "\n" + target.daemon->log_end());
}

Status measure_schedule(Target& target, const Sizes& sizes, Report& report) {
  if (!target.own()) {
    if (target.make_nodes == 0 && !target.nodes_exist) return Status::ok();
    if (target.make_nodes > 0) {
      ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
      ORLOP_TRY(make_nodes(target, *client));
    }
    return schedule_on(target, target.make_nodes, target.make_nodes == 0, sizes, report);
  }
  Target second;
  second.name = target.name;
  second.index = target.index;
  second.options = target.options;
  second.options.hollow_nodes = sizes.hollow_nodes;
  const auto begin = Clock::now();
  ORLOP_TRY(start_hollow(second, sizes));
  report.add(target.index, "nodes.ready", fmt::format("start to {} hollow nodes Ready", sizes.hollow_nodes), "ms",
             Better::kLower, ms_between(begin, Clock::now()));
  report.add(target.index, "nodes.rss", fmt::format("memory with {} hollow nodes: resident", sizes.hollow_nodes), "MB",
             Better::kLower, static_cast<double>(second.processes.memory().resident) / 1e6);
  return schedule_on(second, sizes.hollow_nodes, true, sizes, report);
}

Status measure_real(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(wait_for_nodes(*client, 1));
  ORLOP_TRY(make_space(target, *client));
  PodWatch pods(*client, "/api/v1/namespaces/" + target.space + "/pods", "real-", 2 * sizes.real_pods + 1);
  ORLOP_TRY(pods.open(kCreators));
  // The first one pulls the image.
  ORLOP_ASSIGN(auto first, one_by_one(pods, *client, 0, 1, sizes.image));
  report.add(target.index, "real.first", "real containers: the first pod, image pulled, to Running", "ms",
             Better::kLower, first[0]);
  ORLOP_ASSIGN(auto times, one_by_one(pods, *client, 1, sizes.real_pods, sizes.image));
  report.add(target.index, "real.one", "real containers: create to Running, image there, p50", "ms", Better::kLower,
             percentile(times, 0.5));
  const std::size_t from = 1 + sizes.real_pods;
  const std::size_t to = from + sizes.real_pods;
  pods.create_all(from, to, sizes.image);
  const bool complete = pods.wait([&] { return pods.running() + pods.failed() >= to; });
  Clock::time_point last{};
  auto begin = Clock::time_point::max();
  for (std::size_t i = from; i < to; ++i) {
    begin = std::min(begin, pods.lives()[i].asked);
    last = std::max(last, pods.lives()[i].running);
  }
  if (!complete || pods.failed() > 0) {
    return {Code::kTimeout, fmt::format("{} of {} real pods Running in 120 s {}", pods.running(), to, pods.failure())};
  }
  report.add(target.index, "real.many", fmt::format("real containers: {} pods at once, all Running", sizes.real_pods),
             "ms", Better::kLower, ms_between(begin, last));
  pods.end();
  // Foreground work of the target's node, so that nothing runs on when the cluster is taken down.
  ORLOP_ASSIGN(const auto deleted, client->call("DELETE", "/api/v1/namespaces/" + target.space + "/pods"));
  if (deleted.status != 200)
    report.note(target.index, fmt::format("pods could not be deleted: HTTP {}", deleted.status));
  return Status::ok();
}

}  // namespace orlop::bench
