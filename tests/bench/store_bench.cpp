// What the store does in a second: durable creates by the number of writers, gets, lists, counts by index, pulls. Plain
// timing rather than Google Benchmark: what matters is many writers at once over a wall-clock second or two.
//
//   store_bench [folder] [seconds for each]
//
// The folder is made, and removed at the end; it should be on the disk that is to be measured.
#include "kernel/store/lmdb_store.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace orlop::store;  // NOLINT: a program of its own
using Clock = std::chrono::steady_clock;

constexpr std::size_t kValueBytes = 1500;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Write create(std::string name) {
  Write write;
  write.key = {"pods", "default", std::move(name)};
  write.value.assign(kValueBytes, 'v');
  write.index_terms = {"label/app=bench",
                       "node/worker-" + std::to_string(std::hash<std::string>{}(write.key.name) % 100)};
  write.precondition = Precondition::absent();
  return write;
}

struct Latencies {
  double p50_ms = 0;
  double p99_ms = 0;
};

Latencies latencies_of(std::vector<std::vector<double>>& by_writer) {
  std::vector<double> all;
  for (auto& one : by_writer) all.insert(all.end(), one.begin(), one.end());
  if (all.empty()) return {};
  std::sort(all.begin(), all.end());
  return {all[all.size() / 2], all[all.size() * 99 / 100]};
}

void report(const char* what, std::size_t writers, uint64_t done, double seconds, Latencies latencies,
            const Stats& before, const Stats& after) {
  const uint64_t commits = std::max<uint64_t>(after.commits - before.commits, 1);
  std::printf(
      "%-24s %4zu writers  %8.0f/s  p50 %6.2f ms  p99 %6.2f ms  %6.1f to a commit, %5.2f ms each\n", what, writers,
      static_cast<double>(done) / seconds, latencies.p50_ms, latencies.p99_ms,
      static_cast<double>(done) / static_cast<double>(commits),
      static_cast<double>(after.commit_us_total - before.commit_us_total) / static_cast<double>(commits) / 1000.0);
  std::fflush(stdout);
}

// Each writer is a thread that waits for its answer.
void creates_by_threads(Store& store, std::size_t writers, double seconds) {
  std::vector<std::vector<double>> latencies(writers);
  std::atomic<uint64_t> done = 0;
  const Stats before = store.stats();
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (std::size_t w = 0; w < writers; ++w) {
    threads.emplace_back([&, w] {
      for (uint64_t i = 0; seconds_since(begin) < seconds; ++i) {
        const auto asked = Clock::now();
        Transaction transaction;
        transaction.writes.push_back(create("t" + std::to_string(writers) + "-" + std::to_string(w * 7919 % 1000) +
                                            "-" + std::to_string(w) + "-" + std::to_string(i)));
        if (!store.commit_and_wait(std::move(transaction))) std::abort();
        latencies[w].push_back(seconds_since(asked) * 1000);
        ++done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  report("creates, threads", writers, done, seconds_since(begin), latencies_of(latencies), before, store.stats());
}

// Each writer is a chain of callbacks, as coroutines in a server are: no thread is woken for an answer.
void creates_by_callbacks(Store& store, std::size_t writers, double seconds) {
  std::vector<std::vector<double>> latencies(writers);
  std::atomic<uint64_t> done = 0;
  std::atomic<std::size_t> running = writers;
  const Stats before = store.stats();
  const auto begin = Clock::now();
  std::function<void(std::size_t, uint64_t)> next = [&](std::size_t w, uint64_t i) {
    const auto asked = Clock::now();
    Transaction transaction;
    transaction.writes.push_back(
        create("c" + std::to_string(writers) + "-" + std::to_string(w) + "-" + std::to_string(i)));
    store.commit(std::move(transaction), [&, w, i, asked](const orlop::Result<CommitResult>& result) {
      if (!result) std::abort();
      latencies[w].push_back(seconds_since(asked) * 1000);
      ++done;
      if (seconds_since(begin) < seconds) {
        next(w, i + 1);
      } else if (--running == 0) {
        running.notify_one();
      }
    });
  };
  for (std::size_t w = 0; w < writers; ++w) next(w, 0);
  for (std::size_t left = running; left != 0; left = running) running.wait(left);
  report("creates, callbacks", writers, done, seconds_since(begin), latencies_of(latencies), before, store.stats());
}

void updates_by_callbacks(Store& store, std::size_t writers, double seconds) {
  std::vector<std::vector<double>> latencies(writers);
  std::atomic<uint64_t> done = 0;
  std::atomic<std::size_t> running = writers;
  const Stats before = store.stats();
  const auto begin = Clock::now();
  std::function<void(std::size_t)> next = [&](std::size_t w) {
    const auto asked = Clock::now();
    Transaction transaction;
    transaction.writes.push_back(create("c256-" + std::to_string(w) + "-" + std::to_string(done % 7)));
    transaction.writes.back().precondition = Precondition::none();
    store.commit(std::move(transaction), [&, w, asked](const orlop::Result<CommitResult>& result) {
      if (!result) std::abort();
      latencies[w].push_back(seconds_since(asked) * 1000);
      ++done;
      if (seconds_since(begin) < seconds) {
        next(w);
      } else if (--running == 0) {
        running.notify_one();
      }
    });
  };
  for (std::size_t w = 0; w < writers; ++w) next(w);
  for (std::size_t left = running; left != 0; left = running) running.wait(left);
  report("updates, callbacks", writers, done, seconds_since(begin), latencies_of(latencies), before, store.stats());
}

void reads(Store& store, double seconds) {
  uint64_t done = 0;
  auto begin = Clock::now();
  for (; seconds_since(begin) < seconds; ++done) {
    const Key key{"pods", "default", "c256-" + std::to_string(done % 256) + "-1"};
    if (!store.get(std::span(&key, 1), 0, [](std::size_t, const RecordView*) { return true; })) std::abort();
  }
  std::printf("%-24s               %8.0f/s\n", "gets, one thread", static_cast<double>(done) / seconds_since(begin));

  const auto list = [&](const char* what, ListRequest request) {
    uint64_t bytes = 0;
    uint64_t count = 0;
    uint64_t rounds = 0;
    const auto started = Clock::now();
    for (; rounds < 5 || seconds_since(started) < seconds; ++rounds) {
      auto result = store.list(request, [&](const RecordView& view) { return bytes += view.value.size(), true; });
      if (!result) std::abort();
      count = result->count;
    }
    std::printf("%-24s %8llu found  %8.2f ms\n", what, static_cast<unsigned long long>(count),
                seconds_since(started) / static_cast<double>(rounds) * 1000);
  };
  list("list", {.kind = "pods", .limit = 10000});
  list("list by term", {.kind = "pods", .index_term = "node/worker-7"});
  list("list by term, no match", {.kind = "pods", .index_term = "node/none"});
  list("list at older revision", {.kind = "pods", .limit = 10000, .at_revision = store.current_revision() - 1000});

  begin = Clock::now();
  uint64_t changes = 0;
  PullRequest request{.cursor = store.compacted_revision()};
  for (bool end = false; !end;) {
    auto result = store.pull(request, [](const ChangeView&) { return true; });
    if (!result) std::abort();
    changes += result->changes;
    request.cursor = result->next_cursor;
    end = result->reached_end;
  }
  std::printf("%-24s               %8.0f/s\n", "changes pulled", static_cast<double>(changes) / seconds_since(begin));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder =
      argc > 1 ? argv[1]
               : (std::filesystem::temp_directory_path() / ("store-bench-" + std::to_string(::getpid()))).string();
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2.0;
  LmdbOptions options;
  options.folder = folder;
  auto store = open_lmdb_store(std::move(options));
  if (!store) {
    std::fprintf(stderr, "%s\n", store.message().c_str());
    return 1;
  }
  for (const std::size_t writers : {1u, 64u, 256u}) creates_by_threads(**store, writers, seconds);
  for (const std::size_t writers : {1u, 64u, 256u}) creates_by_callbacks(**store, writers, seconds);
  updates_by_callbacks(**store, 256, seconds);
  reads(**store, seconds);
  const Stats stats = (*store)->stats();
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "%llu records, %.0f MB file, %.0f MB in use, %llu map growths, %.0f MB resident at most (the map included)\n",
      static_cast<unsigned long long>(stats.records), static_cast<double>(stats.file_bytes) / 1e6,
      static_cast<double>(stats.used_bytes) / 1e6, static_cast<unsigned long long>(stats.map_growths),
      static_cast<double>(usage.ru_maxrss) / 1e3);
  store.value().reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}
