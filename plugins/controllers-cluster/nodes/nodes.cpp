#include "plugins/controllers-cluster/nodes/nodes.hpp"

#include "orlop/kube/coordination_v1.hpp"

#include <algorithm>
#include <utility>

namespace orlop::cluster {
namespace {

namespace core = k8s::io::api::core::v1;
using Lease = k8s::io::api::coordination::v1::Lease;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr char kUnreachable[] = "node.kubernetes.io/unreachable";
constexpr char kNotReady[] = "node.kubernetes.io/not-ready";
// By condition, as upstream taints them.
constexpr std::pair<const char*, const char*> kPressures[] = {
    {"MemoryPressure", "node.kubernetes.io/memory-pressure"},
    {"DiskPressure", "node.kubernetes.io/disk-pressure"},
    {"PIDPressure", "node.kubernetes.io/pid-pressure"},
    {"NetworkUnavailable", "node.kubernetes.io/network-unavailable"}};
constexpr char kUnschedulable[] = "node.kubernetes.io/unschedulable";

core::NodeCondition* ready_condition(core::Node& node) {
  for (auto& condition : *node.mutable_status()->mutable_conditions()) {
    if (condition.type() == "Ready") return &condition;
  }
  return nullptr;
}

bool set_taint(core::Node& node, const std::string& key, const std::string& effect, bool wanted, int64_t now_s) {
  auto* taints = node.mutable_spec()->mutable_taints();
  for (int i = 0; i < taints->size(); ++i) {
    if (taints->Get(i).key() != key || taints->Get(i).effect() != effect) continue;
    if (wanted) return false;
    taints->DeleteSubrange(i, 1);
    return true;
  }
  if (!wanted) return false;
  auto& taint = *taints->Add();
  taint.set_key(key);
  taint.set_effect(effect);
  if (effect == "NoExecute") taint.mutable_timeadded()->set_seconds(now_s);
  return true;
}

bool has_condition(const core::Node& node, std::string_view type) {
  const auto& conditions = node.status().conditions();
  return std::any_of(conditions.begin(), conditions.end(), [&](const core::NodeCondition& condition) {
    return condition.type() == type && condition.status() == "True";
  });
}

// For how many seconds the pod bears the taint; nothing: for ever.
std::optional<int64_t> bears_for_s(const kube::Pod& pod, const core::Taint& taint) {
  bool borne = false;
  std::optional<int64_t> least;
  for (const auto& toleration : pod.spec().tolerations()) {
    if (!kube::tolerates(toleration, taint)) continue;
    borne = true;
    if (!toleration.has_tolerationseconds()) continue;
    const int64_t seconds = std::max<int64_t>(0, toleration.tolerationseconds());
    least = least ? std::min(*least, seconds) : seconds;
  }
  if (!borne) return 0;
  return least;
}

}  // namespace

Status check(const NodeSettings& settings) {
  return PodCidrs::parse(settings.pod_cidr, settings.node_mask_bits).status();
}

NodeController::NodeController(Host host, NodeSettings settings)
    : host_(host),
      settings_(std::move(settings)),
      events_(host, "node-controller"),
      nodes_(host),
      pods_(host),
      cidrs_(*PodCidrs::parse(settings_.pod_cidr, settings_.node_mask_bits)) {}

void NodeController::reset() {
  const std::lock_guard lock(mutex_);
  cidrs_ = *PodCidrs::parse(settings_.pod_cidr, settings_.node_mask_bits);
  assigned_.clear();
}

void NodeController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name(change.record.name);
  {
    const std::lock_guard lock(mutex_);
    Node node;
    if (change.type == ChangeType::kDeleted) {
      const auto found = assigned_.find(name);
      if (found != assigned_.end()) {
        cidrs_.release(found->second);
        assigned_.erase(found);
      }
    } else if (node.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size())) &&
               !node.spec().podcidr().empty()) {
      cidrs_.take(node.spec().podcidr());
      assigned_[name] = node.spec().podcidr();
    }
  }
  queue.add({"", name});
}

Result<Outcome> NodeController::reconcile(const ObjectKey& key) {
  auto node = nodes_.get("", key.name);
  if (!node) return node.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(node.status());
  ORLOP_TRY(assign_cidr(*node));
  const int64_t now_ns = host_.wall_now_ns();
  const int64_t now_s = now_ns / kSecondNs;
  int64_t heard_ns =
      last_heard_ns(key.name).value_or(node->object.metadata().creationtimestamp().seconds() * kSecondNs);
  // A Lease from the future (a clock that was set back) counts as fresh.
  const int64_t lost_at_ns = std::min(heard_ns, now_ns) + settings_.lost_after_s * kSecondNs;
  if (now_ns >= lost_at_ns) {
    ORLOP_TRY(mark_lost(*node, now_s));
    ORLOP_TRY(mark_pods_unready(node->object, now_s));
  }
  ORLOP_TRY(taint(*node, now_s));
  ORLOP_ASSIGN(const int64_t next_eviction_s, evict(node->object, now_s));
  int64_t again_ns = now_ns < lost_at_ns ? lost_at_ns - now_ns : 5 * kSecondNs;
  if (next_eviction_s > 0) again_ns = std::min(again_ns, next_eviction_s * kSecondNs);
  return Outcome{again_ns};
}

Status NodeController::assign_cidr(Stored<Node>& node) {
  if (!node.object.spec().podcidr().empty()) return Status::ok();
  std::optional<std::string> cidr;
  {
    const std::lock_guard lock(mutex_);
    cidr = cidrs_.allocate();
  }
  if (!cidr) {
    events_.about(node.object, EventType::kWarning, "CIDRNotAvailable",
                  "Node " + node.object.metadata().name() + " status is now: CIDRNotAvailable");
    return Status::ok();
  }
  node.object.mutable_spec()->set_podcidr(*cidr);
  node.object.mutable_spec()->add_podcidrs(*cidr);
  auto written = nodes_.update(node);
  if (!written) {
    const std::lock_guard lock(mutex_);
    cidrs_.release(*cidr);
    return written.status();
  }
  node = std::move(*written);
  return Status::ok();
}

std::optional<int64_t> NodeController::last_heard_ns(const std::string& node) const {
  auto lease = Objects<Lease>(host_).get("kube-node-lease", node);
  if (!lease || !lease->object.spec().has_renewtime()) return std::nullopt;
  const auto& renewed = lease->object.spec().renewtime();
  return renewed.seconds() * kSecondNs + renewed.nanos();
}

Status NodeController::mark_lost(Stored<Node>& node, int64_t now_s) {
  core::NodeCondition* ready = ready_condition(node.object);
  if (ready != nullptr && ready->status() == "Unknown") return Status::ok();
  const bool never_heard = ready == nullptr;
  for (const char* type : {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"}) {
    core::NodeCondition* found = nullptr;
    for (auto& condition : *node.object.mutable_status()->mutable_conditions()) {
      if (condition.type() == type) found = &condition;
    }
    if (found == nullptr) {
      found = node.object.mutable_status()->add_conditions();
      found->set_type(type);
    }
    found->set_status("Unknown");
    found->set_reason(never_heard ? "NodeStatusNeverUpdated" : "NodeStatusUnknown");
    found->set_message(never_heard ? "Kubelet never posted node status." : "Kubelet stopped posting node status.");
    found->mutable_lasttransitiontime()->set_seconds(now_s);
  }
  ORLOP_ASSIGN(node, nodes_.update_status(node));
  events_.about(node.object, EventType::kNormal, "NodeNotReady",
                "Node " + node.object.metadata().name() + " status is now: NodeNotReady");
  return Status::ok();
}

Status NodeController::taint(Stored<Node>& node, int64_t now_s) {
  const core::NodeCondition* ready = ready_condition(node.object);
  const bool lost = ready != nullptr && ready->status() == "Unknown";
  const bool not_ready = ready == nullptr || ready->status() == "False";
  bool changed = false;
  for (const char* effect : {"NoSchedule", "NoExecute"}) {
    // A node that has just registered has not failed yet: its pods, if any, stay.
    const bool execute = std::string_view(effect) == "NoExecute";
    changed = set_taint(node.object, kUnreachable, effect, lost, now_s) || changed;
    changed = set_taint(node.object, kNotReady, effect, not_ready && !(execute && ready == nullptr), now_s) || changed;
  }
  for (const auto& [condition, key] : kPressures) {
    changed = set_taint(node.object, key, "NoSchedule", has_condition(node.object, condition), now_s) || changed;
  }
  changed = set_taint(node.object, kUnschedulable, "NoSchedule", node.object.spec().unschedulable(), now_s) || changed;
  // A taint by somebody's hand has no moment from which its tolerations run: they run from now.
  for (auto& taint : *node.object.mutable_spec()->mutable_taints()) {
    if (taint.effect() != "NoExecute" || taint.has_timeadded()) continue;
    taint.mutable_timeadded()->set_seconds(now_s);
    changed = true;
  }
  if (!changed) return Status::ok();
  ORLOP_ASSIGN(node, nodes_.update(node));
  return Status::ok();
}

Result<int64_t> NodeController::evict(const Node& node, int64_t now_s) {
  std::vector<core::Taint> taints;
  for (const auto& taint : node.spec().taints()) {
    if (taint.effect() == "NoExecute") taints.push_back(taint);
  }
  if (taints.empty()) return 0;
  ORLOP_ASSIGN(const auto pods, pods_.list("", "node/" + node.metadata().name()));
  int64_t next_s = 0;
  for (const auto& pod : pods) {
    if (kube::is_terminating(pod.object)) continue;
    std::optional<int64_t> due_s;
    for (const core::Taint& taint : taints) {
      const auto borne = bears_for_s(pod.object, taint);
      if (!borne) continue;
      // A pod that came after the taint bears it from then on.
      const int64_t since_s =
          std::max(taint.timeadded().seconds(), pod.object.metadata().creationtimestamp().seconds());
      const int64_t at_s = since_s + *borne;
      due_s = due_s ? std::min(*due_s, at_s) : at_s;
    }
    if (!due_s) continue;
    if (*due_s > now_s) {
      next_s = next_s == 0 ? *due_s - now_s : std::min(next_s, *due_s - now_s);
      continue;
    }
    const auto& metadata = pod.object.metadata();
    events_.about(pod.object, EventType::kNormal, "TaintManagerEviction",
                  "Marking for deletion Pod " + metadata.namespace_() + "/" + metadata.name());
    const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), {}, metadata.uid());
    if (!removed && removed.code() != Code::kNotFound) return removed;
  }
  return next_s;
}

Status NodeController::mark_pods_unready(const Node& node, int64_t now_s) {
  ORLOP_ASSIGN(auto pods, pods_.list("", "node/" + node.metadata().name()));
  for (auto& pod : pods) {
    for (auto& condition : *pod.object.mutable_status()->mutable_conditions()) {
      if (condition.type() != "Ready" || condition.status() == "False") continue;
      condition.set_status("False");
      condition.set_reason("NodeNotReady");
      condition.set_message("Node is not ready");
      condition.mutable_lasttransitiontime()->set_seconds(now_s);
      const Status written = pods_.update_status(pod).status();
      if (!written && written.code() != Code::kNotFound) return written;
      break;
    }
  }
  return Status::ok();
}

}  // namespace orlop::cluster
