// Watchers, and how long after a write each of them has its event.
#include "tests/bench/measures.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace orlop::bench {
namespace {

constexpr std::size_t kWriters = 32;
constexpr auto kLastEventAtMost = std::chrono::seconds(10);
constexpr std::string_view kName = R"("name":"evt-)";

struct Event {
  Clock::time_point sent;
  bool written = false;
};

// One watcher: its lines, put together where they came in pieces, and which events it has had.
struct Watcher {
  std::string piece;
  std::vector<uint8_t> seen;
  uint64_t count = 0;
  uint64_t doubled = 0;
  uint64_t out_of_order = 0;
  uint64_t last_revision = 0;
  bool ended = false;

  template <typename Take>
  void feed(std::string_view data, const Take& take) {
    for (std::size_t end = data.find('\n'); end != std::string_view::npos; end = data.find('\n')) {
      if (piece.empty()) {
        take(*this, data.substr(0, end));
      } else {
        piece.append(data.substr(0, end));
        take(*this, std::string_view(piece));
        piece.clear();
      }
      data.remove_prefix(end + 1);
    }
    piece.append(data);
  }
};

uint64_t number_in(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class WatchRun {
 public:
  WatchRun(Client& client, const Target& target, const Sizes& sizes, std::string path)
      : client_(client),
        target_(target),
        path_(std::move(path)),
        watchers_(sizes.watchers),
        rate_(static_cast<double>(sizes.events_per_second)),
        events_(static_cast<std::size_t>(rate_ * std::max(sizes.seconds, 1.0))) {
    for (Watcher& watcher : watchers_) watcher.seen.resize(events_.size());
    latencies_.reserve(watchers_.size() * events_.size());
  }

  Status run();
  void report(Report& report) const;

 private:
  void event(Watcher& watcher, std::string_view line);
  void write(Connection& connection);
  [[nodiscard]] bool all_seen() const;

  Client& client_;
  const Target& target_;
  std::string path_;
  std::vector<Watcher> watchers_;
  double rate_;
  std::vector<Event> events_;
  std::vector<float> latencies_;  // from the request's sending to the event, ms: not less than commit to client
  std::size_t written_ = 0;
  std::size_t answered_ = 0;
  std::size_t failed_ = 0;
  double seconds_ = 0;
  double client_cores_ = 0;
  double server_cores_ = 0;
};

void WatchRun::event(Watcher& watcher, std::string_view line) {
  const std::size_t at = line.find(kName);
  if (at == std::string_view::npos) return;
  const uint64_t number = number_in(line.substr(at + kName.size()));
  if (number >= events_.size()) return;
  const uint64_t revision = number_in(text_after(line, R"("resourceVersion":")"));
  if (revision <= watcher.last_revision) ++watcher.out_of_order;
  watcher.last_revision = revision;
  if (watcher.seen[number]++ != 0) {
    ++watcher.doubled;
    return;
  }
  ++watcher.count;
  latencies_.push_back(std::chrono::duration<float, std::milli>(Clock::now() - events_[number].sent).count());
}

void WatchRun::write(Connection& connection) {
  const std::size_t number = written_++;
  connection.on_answer = [this, number](Connection& self, const Answer& answer) {
    ++answered_;
    events_[number].written = answer.status == 201;
    if (answer.status != 201) ++failed_;
    self.on_answer = nullptr;
  };
  events_[number].sent = Clock::now();
  connection.send(
      client_.request("POST", path_, configmap_body("evt-" + std::to_string(number), std::to_string(number))));
}

bool WatchRun::all_seen() const {
  const std::size_t expected = events_.size() - failed_;
  return std::all_of(watchers_.begin(), watchers_.end(),
                     [&](const Watcher& watcher) { return watcher.count >= expected || watcher.ended; });
}

Status WatchRun::run() {
  ORLOP_ASSIGN(const std::string revision, revision_of(client_, path_));
  ORLOP_TRY(client_.open(watchers_.size() + kWriters));
  auto& connections = client_.connections();
  const std::string watch =
      client_.request("GET", path_ + "?watch=true&timeoutSeconds=600&resourceVersion=" + revision);
  for (std::size_t i = 0; i < watchers_.size(); ++i) {
    Watcher& watcher = watchers_[i];
    connections[i]->on_data = [this, &watcher](std::string_view data) {
      watcher.feed(data, [this](Watcher& self, std::string_view line) { event(self, line); });
    };
    connections[i]->on_answer = [&watcher](Connection&, const Answer&) { watcher.ended = true; };
    connections[i]->send(watch);
  }
  const CpuMeter meter(target_.processes);
  const auto begin = Clock::now();
  const auto done = [&] {
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    const auto due = std::min(events_.size(), static_cast<std::size_t>(elapsed * rate_));
    for (std::size_t i = watchers_.size(); written_ < due && i < connections.size(); ++i) {
      if (!connections[i]->busy()) write(*connections[i]);
    }
    if (answered_ == events_.size() && seconds_ == 0) seconds_ = elapsed;
    return seconds_ > 0;
  };
  const auto limit = std::chrono::seconds(60);
  const bool complete = client_.run(done, begin + limit);
  client_cores_ = meter.client_cores();
  server_cores_ = meter.server_cores();
  if (complete) client_.run([&] { return all_seen(); }, Clock::now() + kLastEventAtMost);
  for (auto& connection : connections) connection->on_answer = nullptr;
  if (!complete) return {Code::kTimeout, fmt::format("{} of {} writes answered in 60 s", answered_, events_.size())};
  return Status::ok();
}

void WatchRun::report(Report& report) const {
  uint64_t lost = 0;
  uint64_t doubled = 0;
  uint64_t out_of_order = 0;
  std::size_t ended = 0;
  for (const Watcher& watcher : watchers_) {
    for (std::size_t i = 0; i < events_.size(); ++i) lost += events_[i].written && watcher.seen[i] == 0 ? 1 : 0;
    doubled += watcher.doubled;
    out_of_order += watcher.out_of_order;
    ended += watcher.ended ? 1 : 0;
  }
  const std::string what = fmt::format("{} watchers, {:.0f} events/s", watchers_.size(), rate_);
  const std::size_t at = target_.index;
  std::vector<float> latencies = latencies_;
  report.add(at, "watch.rate", what + ": writes reached", "/s", Better::kHigher,
             static_cast<double>(answered_ - failed_) / seconds_);
  report.add(at, "watch.p50", what + ": request to event, p50", "ms", Better::kLower, percentile(latencies, 0.5));
  report.add(at, "watch.p99", what + ": request to event, p99", "ms", Better::kLower, percentile(latencies, 0.99));
  report.add(at, "watch.lost", what + ": lost", "", Better::kLower, static_cast<double>(lost));
  report.add(at, "watch.doubled", what + ": doubled", "", Better::kLower, static_cast<double>(doubled));
  report.add(at, "watch.disorder", what + ": out of order", "", Better::kLower, static_cast<double>(out_of_order));
  report.add(at, "watch.client", what + ": this client's own processors", "cores", Better::kNeither, client_cores_);
  if (target_.processes.known()) {
    report.add(at, "watch.server", what + ": the server's processors", "cores", Better::kNeither, server_cores_);
  }
  if (failed_ > 0) report.note(at, fmt::format("watch: {} writes failed", failed_));
  if (ended > 0) report.note(at, fmt::format("watch: the server ended {} of the watches", ended));
}

}  // namespace

Status measure_watch(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  const std::string space = fmt::format("orlop-watch-{}", Clock::now().time_since_epoch().count() / 1000000);
  ORLOP_ASSIGN(const auto made,
               client->call("POST", "/api/v1/namespaces",
                            R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + space + R"("}})"));
  if (made.status != 201) return {Code::kUnavailable, fmt::format("namespace {}: HTTP {}", space, made.status)};
  target.garbage.push_back("/api/v1/namespaces/" + space);
  WatchRun run(*client, target, sizes, "/api/v1/namespaces/" + space + "/configmaps");
  ORLOP_TRY(run.run());
  run.report(report);
  return Status::ok();
}

}  // namespace orlop::bench
