#include "plugins/controllers-cluster/pod-garbage/pod_garbage.hpp"

#include "plugins/controllers-cluster/pod-garbage/rules.hpp"

#include <utility>

namespace orlop::cluster {
namespace {

using Node = k8s::io::api::core::v1::Node;

constexpr int64_t kSecondNs = 1'000'000'000;
// A node may only be late with its registration.
constexpr int64_t kQuarantineNs = 40 * kSecondNs;

template <typename T>
bool read(const ChangeView& change, T& object) {
  return change.type != ChangeType::kDeleted &&
         object.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()));
}

}  // namespace

PodGarbageCollector::PodGarbageCollector(Host host, int64_t ended_kept)
    : host_(host), ended_kept_(ended_kept), nodes_(host), pods_(host) {}

void PodGarbageCollector::reset() {
  known_nodes_.clear();
  on_node_.clear();
  node_of_.clear();
  ended_.clear();
}

void PodGarbageCollector::observe(const ChangeView& change, KeyQueue& queue) {
  if (change.record.kind == "nodes") {
    observe_node(change, queue);
  } else {
    observe_pod(change, queue);
  }
}

void PodGarbageCollector::observe_node(const ChangeView& change, KeyQueue& queue) {
  const std::string name(change.record.name);
  Node node;
  const bool exists = read(change, node);
  if (exists) {
    known_nodes_.insert(name);
    const std::lock_guard lock(mutex_);
    missed_.erase(name);
  } else {
    known_nodes_.erase(name);
  }
  if (exists && !is_out_of_service(node)) return;
  const auto found = on_node_.find(name);
  if (found == on_node_.end()) return;
  for (const ObjectKey& pod : found->second) queue.add(pod);
}

void PodGarbageCollector::observe_pod(const ChangeView& change, KeyQueue& queue) {
  const ObjectKey key{std::string(change.record.name_space), std::string(change.record.name)};
  forget(key);
  kube::Pod pod;
  if (!read(change, pod)) return;
  const std::string& node = pod.spec().nodename();
  if (!node.empty()) {
    on_node_[node].insert(key);
    node_of_[key] = node;
  }
  if (kube::is_terminal(pod)) {
    ended_.insert(key);
    if (ended_kept_ > 0 && static_cast<int64_t>(ended_.size()) > ended_kept_) queue.add({});
  }
  if (kube::is_terminating(pod) || (!node.empty() && !known_nodes_.contains(node))) queue.add(key);
}

void PodGarbageCollector::forget(const ObjectKey& pod) {
  ended_.erase(pod);
  const auto node = node_of_.find(pod);
  if (node == node_of_.end()) return;
  const auto found = on_node_.find(node->second);
  found->second.erase(pod);
  if (found->second.empty()) on_node_.erase(found);
  node_of_.erase(node);
}

Result<Outcome> PodGarbageCollector::reconcile(const ObjectKey& key) {
  if (key.name.empty()) return reconcile_ended();
  auto pod = pods_.get(key.name_space, key.name);
  if (!pod) return pod.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(pod.status());
  const std::string node_name = pod->object.spec().nodename();
  const bool terminating = kube::is_terminating(pod->object);
  if (node_name.empty()) {
    if (terminating) ORLOP_TRY(remove(std::move(*pod), false));
    return Outcome{};
  }
  const auto node = nodes_.get("", node_name);
  if (node) {
    if (terminating && is_out_of_service(node->object)) ORLOP_TRY(remove(std::move(*pod), false));
    return Outcome{};
  }
  if (node.code() != Code::kNotFound) return node.status();
  const int64_t left_ns = missed_since_ns(node_name) + kQuarantineNs - host_.monotonic_now_ns();
  if (left_ns > 0) return Outcome{left_ns};
  ORLOP_TRY(remove(std::move(*pod), true));
  return Outcome{};
}

Result<Outcome> PodGarbageCollector::reconcile_ended() {
  std::vector<Stored<kube::Pod>> ended;
  ORLOP_TRY(pods_.each("", "", [&](const RecordView& record, kube::Pod& pod) {
    if (kube::is_terminal(pod)) ended.push_back({pod, record.revision});
    return true;
  }));
  for (Stored<kube::Pod>& pod : surplus(std::move(ended), static_cast<size_t>(ended_kept_))) {
    ORLOP_TRY(remove(std::move(pod), false));
  }
  return Outcome{};
}

int64_t PodGarbageCollector::missed_since_ns(const std::string& node) {
  const std::lock_guard lock(mutex_);
  return missed_.try_emplace(node, host_.monotonic_now_ns()).first->second;
}

Status PodGarbageCollector::remove(Stored<kube::Pod> pod, bool node_is_gone) {
  if (mark_failed(pod.object, node_is_gone, host_.wall_now_ns() / kSecondNs)) {
    const Status marked = pods_.update_status(pod).status();
    if (!marked) return marked.code() == Code::kNotFound ? Status::ok() : marked;
  }
  v1::DeleteOptions now;
  now.set_grace_period_seconds(0);
  const auto& metadata = pod.object.metadata();
  const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), now, metadata.uid());
  return removed.code() == Code::kNotFound ? Status::ok() : removed;
}

}  // namespace orlop::cluster
