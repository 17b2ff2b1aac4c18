// Start, memory, creates, reads.
#include "tests/bench/measures.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace orlop::bench {
namespace {

constexpr double kMega = 1e6;
// Whoever is named so schedules nothing: these pods stay as they are.
constexpr const char* kNobody = "orlop-bench-nobody";
constexpr std::size_t kFillClients = 64;
constexpr std::size_t kGrowthOver = 2000;
constexpr std::size_t kGetClients = 64;
constexpr std::size_t kListClients = 16;
constexpr std::size_t kPage = 500;
constexpr std::size_t kRepeats = 7;

std::string in_space(const Target& target, const char* resource) {
  return "/api/v1/namespaces/" + target.space + "/" + resource;
}

void add_memory(Report& report, const Target& target, const std::string& key, const std::string& label) {
  const Memory memory = target.processes.memory();
  const auto row = [&](const char* part, const char* what, uint64_t bytes) {
    report.add(target.index, key + part, label + what, "MB", Better::kLower, static_cast<double>(bytes) / kMega);
  };
  row(".rss", ": resident (RSS)", memory.resident);
  row(".anon", ": of it anonymous (RssAnon)", memory.anonymous);
  row(".pss", ": shared pages once (PSS)", memory.share);
}

void add_load(Report& report, const Target& target, const std::string& key, const std::string& label,
              const LoadResult& result) {
  report.add(target.index, key + ".rate", label, "/s", Better::kHigher, result.per_second());
  report.add(target.index, key + ".p50", label + ": p50", "ms", Better::kLower, result.p50_ms);
  report.add(target.index, key + ".p99", label + ": p99", "ms", Better::kLower, result.p99_ms);
  report.add(target.index, key + ".client", label + ": this client's own processors", "cores", Better::kNeither,
             result.client_cores);
  if (target.processes.known()) {
    report.add(target.index, key + ".server", label + ": the server's processors", "cores", Better::kNeither,
               result.server_cores);
    // Says something even on a machine that does other work at the same time.
    report.add(target.index, key + ".each", label + ": the server's processor time for each", "us", Better::kLower,
               result.server_cores / std::max(result.per_second(), 1.0) * 1e6);
  }
  if (result.failed > 0) {
    report.note(target.index, fmt::format("{}: {} of {} failed, the first with {}", label, result.failed, result.sent,
                                          result.first_failure));
  }
}

// Answers to one request, one after the other: the median time in ms. `expected` items must be in the last one, told
// by their uids.
Result<double> list_latency(Client& client, const std::string& path, std::size_t expected) {
  std::vector<float> times;
  Client::Reply reply;
  for (std::size_t i = 0; i < kRepeats; ++i) {
    const auto begin = Clock::now();
    ORLOP_ASSIGN(reply, client.call("GET", path));
    times.push_back(std::chrono::duration<float, std::milli>(Clock::now() - begin).count());
    if (reply.status != 200) {
      return Status(Code::kUnavailable,
                    fmt::format("GET {}: HTTP {} {}", path, reply.status, reply.body.substr(0, 200)));
    }
  }
  std::size_t items = 0;
  constexpr std::string_view kUid = R"("uid":")";
  for (std::size_t at = reply.body.find(kUid); at != std::string::npos; at = reply.body.find(kUid, at + 1)) ++items;
  if (items != expected) {
    return Status(Code::kInternal, fmt::format("GET {}: {} items, {} expected", path, items, expected));
  }
  return percentile(times, 0.5);
}

Result<LoadResult> create(Client& client, Target& target, bool pods, Load load) {
  std::size_t& made = pods ? target.pods : target.configmaps;
  const std::string path = in_space(target, pods ? "pods" : "configmaps");
  load.expected_status = 201;
  load.request = [&, first = made](uint64_t number) {
    const std::string name = (pods ? "pod-" : "cm-") + std::to_string(first + number);
    return client.request("POST", path, pods ? pod_body(name, kNobody, "nginx") : configmap_body(name, "0"));
  };
  ORLOP_ASSIGN(LoadResult result, run_load(client, target.processes, load));
  made += result.sent;
  return result;
}

}  // namespace

Status make_space(Target& target, Client& client) {
  if (!target.space.empty()) return Status::ok();
  const std::string name = fmt::format("orlop-bench-{}", ::getpid());
  const std::string body = R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + name + R"("}})";
  ORLOP_ASSIGN(auto reply, client.call("POST", "/api/v1/namespaces", body));
  if (reply.status != 201 && reply.status != 409) {
    return {Code::kUnavailable, fmt::format("namespace {}: HTTP {} {}", name, reply.status, reply.body.substr(0, 300))};
  }
  target.space = name;
  target.garbage.push_back("/api/v1/namespaces/" + name);
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  do {
    ORLOP_ASSIGN(reply, client.call("GET", in_space(target, "serviceaccounts/default")));
    if (reply.status == 200) return Status::ok();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  } while (Clock::now() < deadline);
  return Status::ok();  // without a service account pods may be refused, and that is told then
}

Status measure_start(Target& target, const Sizes& sizes, Report& report) {
  if (!target.own()) return Status::ok();
  if (target.daemon == nullptr) {
    ORLOP_ASSIGN(target.daemon, Daemon::make(target.options));
    ORLOP_ASSIGN(const double seconds, target.daemon->start("/api/v1/pods"));
    report.add(target.index, "start.first", "first start, certificates made, to first list", "ms", Better::kLower,
               seconds * 1000);
  }
  std::vector<float> times;
  for (std::size_t i = 0; i < sizes.starts; ++i) {
    target.daemon->stop();
    ORLOP_ASSIGN(const double seconds, target.daemon->start("/api/v1/pods"));
    times.push_back(static_cast<float>(seconds * 1000));
  }
  target.endpoint = target.daemon->endpoint();
  target.processes = target.daemon->processes();
  if (times.empty()) return Status::ok();
  report.add(target.index, "start.empty", "start to first served list, empty", "ms", Better::kLower,
             percentile(times, 0.5));
  return Status::ok();
}

Status measure_idle(Target& target, const Sizes&, Report& report) {
  if (!target.processes.known()) return Status::ok();
  constexpr auto kSettle = std::chrono::seconds(2);
  const CpuMeter meter(target.processes);
  std::this_thread::sleep_for(kSettle);
  const double cores = meter.server_cores();
  add_memory(report, target, "memory.idle", "memory idle");
  report.add(target.index, "memory.processes", "processes", "", Better::kLower,
             static_cast<double>(target.processes.memory().processes));
  report.add(target.index, "idle.cpu", "processors used when idle", "cores", Better::kLower, cores);
  return Status::ok();
}

Status measure_creates(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(make_space(target, *client));
  for (const bool pods : {false, true}) {
    for (const std::size_t clients : sizes.clients) {
      ORLOP_ASSIGN(const LoadResult result,
                   create(*client, target, pods, Load{.clients = clients, .seconds = sizes.seconds}));
      add_load(report, target, fmt::format("creates.{}.{}", pods ? "pods" : "configmaps", clients),
               fmt::format("{} creates, {} client{}", pods ? "pod" : "ConfigMap", clients, clients == 1 ? "" : "s"),
               result);
    }
  }
  return Status::ok();
}

Status measure_fill(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(make_space(target, *client));
  for (const bool pods : {false, true}) {
    const std::size_t have = pods ? target.pods : target.configmaps;
    // What section creates made may be more already; the growth for each is measured all the same.
    const std::size_t wanted = std::max(pods ? sizes.pods : sizes.configmaps, have + kGrowthOver);
    const Memory before = target.processes.memory();
    ORLOP_ASSIGN(const LoadResult result,
                 create(*client, target, pods, Load{.clients = kFillClients, .count_max = wanted - have}));
    if (result.failed > 0) {
      report.note(target.index,
                  fmt::format("fill: {} creates failed, the first with {}", result.failed, result.first_failure));
    }
    if (!target.processes.known() || result.done == 0) continue;
    const Memory after = target.processes.memory();
    const double made = static_cast<double>(result.done);
    const std::string what = pods ? "pod" : "ConfigMap";
    report.add(target.index, "memory.per_" + what, "memory for each further " + what + " (RSS)", "KB", Better::kLower,
               (static_cast<double>(after.resident) - static_cast<double>(before.resident)) / made / 1000);
    report.add(target.index, "memory.per_" + what + ".anon", "memory for each further " + what + " (RssAnon)", "KB",
               Better::kLower,
               (static_cast<double>(after.anonymous) - static_cast<double>(before.anonymous)) / made / 1000);
  }
  if (target.processes.known()) {
    add_memory(report, target, "memory.full", "memory, filled");
    report.add(target.index, "memory.configmaps", "ConfigMaps in it", "", Better::kNeither,
               static_cast<double>(target.configmaps));
    report.add(target.index, "memory.pods", "pods in it", "", Better::kNeither, static_cast<double>(target.pods));
  }
  return Status::ok();
}

Status measure_reads(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  if (target.pods == 0) return {Code::kBadRequest, "reads need pods: add the sections creates or fill"};
  const std::string pods = in_space(target, "pods");
  for (const std::size_t clients : {std::size_t{1}, kGetClients}) {
    Load load{.clients = clients, .seconds = sizes.seconds};
    load.request = [&](uint64_t number) {
      return client->request("GET", pods + "/pod-" + std::to_string(number * 7919 % target.pods));
    };
    ORLOP_ASSIGN(const LoadResult result, run_load(*client, target.processes, load));
    add_load(report, target, fmt::format("get.{}", clients),
             fmt::format("GET pod, {} client{}", clients, clients == 1 ? "" : "s"), result);
  }
  Load load{.clients = kListClients, .seconds = sizes.seconds};
  const std::string page = client->request("GET", pods + "?limit=" + std::to_string(kPage));
  load.request = [&](uint64_t) { return page; };
  ORLOP_ASSIGN(const LoadResult result, run_load(*client, target.processes, load));
  add_load(report, target, "list.page", fmt::format("lists of {} pods, {} clients", kPage, kListClients), result);

  ORLOP_ASSIGN(const double whole, list_latency(*client, pods, target.pods));
  report.add(target.index, "list.all", fmt::format("list of all pods ({})", target.pods), "ms", Better::kLower, whole);
  constexpr std::size_t kTenThousand = 10000;
  if (target.pods >= kTenThousand) {
    ORLOP_ASSIGN(const double some, list_latency(*client, pods + "?limit=10000", kTenThousand));
    report.add(target.index, "list.10000", "list of 10,000 pods", "ms", Better::kLower, some);
  }
  for (const char* resource : {"pods", "configmaps"}) {
    ORLOP_ASSIGN(const double none,
                 list_latency(*client, std::string("/api/v1/") + resource + "?labelSelector=orlop-bench%3Dnobody", 0));
    report.add(target.index, std::string("list.none.") + resource,
               fmt::format("list of all {} by a selector that matches none", resource), "ms", Better::kLower, none);
  }
  return Status::ok();
}

Status measure_restart(Target& target, const Sizes& sizes, Report& report) {
  if (!target.own() || target.daemon == nullptr) return Status::ok();
  std::vector<float> times;
  for (std::size_t i = 0; i < std::max<std::size_t>(sizes.starts / 2, 1); ++i) {
    target.daemon->stop();
    ORLOP_ASSIGN(const double seconds, target.daemon->start("/api/v1/pods?limit=500"));
    times.push_back(static_cast<float>(seconds * 1000));
  }
  target.endpoint = target.daemon->endpoint();
  target.processes = target.daemon->processes();
  report.add(target.index, "start.full",
             fmt::format("start to first served list, {} objects", target.configmaps + target.pods), "ms",
             Better::kLower, percentile(times, 0.5));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  add_memory(report, target, "memory.restarted", "memory, filled, after a restart");
  return Status::ok();
}

void clean(Target& target, Report& report) {
  if (target.own()) {
    target.daemon.reset();
    return;
  }
  if (target.garbage.empty()) return;
  auto client = Client::make(target.endpoint);
  for (const std::string& path : target.garbage) {
    if (!client) break;
    const auto reply = (*client)->call("DELETE", path);
    if (!reply || (reply->status != 200 && reply->status != 202 && reply->status != 404)) {
      report.note(target.index, "could not delete " + path + "; delete it by hand");
    }
  }
}

}  // namespace orlop::bench
