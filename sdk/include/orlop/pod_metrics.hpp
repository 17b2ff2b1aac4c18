// What pods and machines use now, from the nodes' agents (capability `node`, method Stats), in the terms of
// metrics.k8s.io: CPU as an average over a window, memory as the working set at its end.
//
// Who has no two readings yet has no metrics: a pod is left out until all of its containers have a rate, as
// metrics-server does it.
//
// Threads: pure functions from any thread; read_pod_metrics() blocks until every node asked has answered or its
// deadline has passed, so never from Plugin::wake() or handle_call().
#pragma once

#include "orlop/host.hpp"
#include "orlop/pods.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/node.pb.h"

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orlop {

struct ResourceUsage {
  uint64_t cpu_nano_cores = 0;
  uint64_t memory_bytes = 0;
};

struct ContainerMetrics {
  std::string name;
  ResourceUsage usage;
};

struct PodMetrics {
  std::string name_space;
  std::string name;
  std::string uid;
  int64_t at_unix_ns = 0;
  int64_t window_ns = 0;
  std::vector<ContainerMetrics> containers;
};

struct NodeMetrics {
  std::string name;
  int64_t at_unix_ns = 0;
  int64_t window_ns = 0;
  ResourceUsage usage;
};

inline constexpr const char* kStatsMethod = "orlop.v1.Node/Stats";
inline constexpr uint32_t kStatsDeadlineMs = 5000;

inline ResourceUsage usage_of(const v1::Usage& usage) {
  return {usage.cpu_nano_cores(), usage.memory_working_set_bytes()};
}

// Nothing: a container has no rate yet, or none is known.
inline std::optional<PodMetrics> pod_metrics(const v1::PodStats& stats) {
  PodMetrics out;
  out.name_space = stats.pod().namespace_();
  out.name = stats.pod().name();
  out.uid = stats.pod().uid();
  for (const v1::ContainerStats& container : stats.containers()) {
    const v1::Usage& usage = container.usage();
    if (usage.window_ns() <= 0) return std::nullopt;
    if (out.at_unix_ns == 0 || usage.at_unix_ns() < out.at_unix_ns) {
      out.at_unix_ns = usage.at_unix_ns();
      out.window_ns = usage.window_ns();
    }
    out.containers.push_back({container.name(), usage_of(usage)});
  }
  if (out.containers.empty()) return std::nullopt;
  return out;
}

// Of the machine. Nothing: it has no rate yet.
inline std::optional<NodeMetrics> node_metrics(const std::string& node, const v1::StatsResponse& stats) {
  const v1::Usage& usage = stats.usage();
  if (usage.window_ns() <= 0) return std::nullopt;
  return NodeMetrics{node, usage.at_unix_ns(), usage.window_ns(), usage_of(usage)};
}

using NodeRequests = std::map<std::string, v1::StatsRequest>;        // by node
using NodeStats = std::map<std::string, Result<v1::StatsResponse>>;  // the same

// Asks all nodes at the same time. `done` is told once all have answered or failed: on a thread of the kernel, or on
// the caller's when there is nobody to ask; it must not block.
inline void ask_stats(const Host& host, const NodeRequests& requests, std::function<void(NodeStats)> done) {
  struct Gathered {
    std::mutex mutex;
    size_t left = 0;  // guarded by mutex
    NodeStats stats;  // guarded by mutex
    std::function<void(NodeStats)> done;
  };
  if (requests.empty()) return done({});
  const auto gathered = std::make_shared<Gathered>();
  gathered->left = requests.size();
  gathered->done = std::move(done);
  for (const auto& [node, request] : requests) {
    call_async<v1::StatsResponse>(host, {"node", node, kStatsDeadlineMs}, kStatsMethod, request,
                                  [gathered, name = node](Result<v1::StatsResponse> stats) {
                                    {
                                      const std::lock_guard lock(gathered->mutex);
                                      gathered->stats.emplace(name, std::move(stats));
                                      if (--gathered->left > 0) return;
                                    }
                                    gathered->done(std::move(gathered->stats));
                                  });
  }
}

// The metrics of pods of one namespace, by the pods' names. Those that have no node or no metrics yet are left out. The
// failure of one node, when no node answers.
inline Result<std::map<std::string, PodMetrics>> read_pod_metrics(const Host& host,
                                                                  const std::vector<const kube::Pod*>& pods) {
  NodeRequests requests;
  for (const kube::Pod* pod : pods) {
    if (pod->spec().nodename().empty() || pod->status().phase() != "Running") continue;
    v1::PodReference* reference = requests[pod->spec().nodename()].add_pods();
    reference->set_namespace_(pod->metadata().namespace_());
    reference->set_name(pod->metadata().name());
    reference->set_uid(pod->metadata().uid());
  }
  auto promise = std::make_shared<std::promise<NodeStats>>();
  auto future = promise->get_future();
  ask_stats(host, requests, [promise](NodeStats stats) { promise->set_value(std::move(stats)); });
  const NodeStats answers = future.get();
  std::map<std::string, PodMetrics> metrics;
  Status failure;
  bool answered = false;
  for (const auto& [node, stats] : answers) {
    if (!stats) {
      failure = stats.status();
      continue;
    }
    answered = true;
    for (const v1::PodStats& pod : stats->pods()) {
      if (auto one = pod_metrics(pod)) metrics[one->name] = std::move(*one);
    }
  }
  if (!answered && !failure.is_ok()) return failure;
  return metrics;
}

}  // namespace orlop
