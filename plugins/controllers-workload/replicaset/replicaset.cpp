#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include "plugins/controllers-workload/ownership.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int kBurst = 500;  // pods created or deleted in one reconcile, as upstream's BurstReplicas
constexpr int64_t kSecondNs = 1'000'000'000;

template <typename Set>
bool has_labels_of_template(const Set& set, const kube::Pod& pod) {
  for (const auto& [key, value] : set.spec().template_().metadata().labels()) {
    const auto found = pod.metadata().labels().find(key);
    if (found == pod.metadata().labels().end() || found->second != value) return false;
  }
  return true;
}

std::string_view name_of(const ReplicaSet&) {
  return "replicaset-controller";
}
std::string_view name_of(const ReplicationController&) {
  return "replication-controller";
}

kube::LabelSelector selector_of(const ReplicaSet& set) {
  return set.spec().selector();
}
kube::LabelSelector selector_of(const ReplicationController& set) {
  kube::LabelSelector selector;
  *selector.mutable_matchlabels() = set.spec().selector();
  return selector;
}

}  // namespace

template <typename Set>
ReplicaController<Set>::ReplicaController(Host host, unsigned workers)
    : host_(host), workers_(workers), events_(host, std::string(name_of(Set()))), sets_(host), pods_(host) {}

template <typename Set>
std::string_view ReplicaController<Set>::name() const {
  return name_of(Set());
}

template <typename Set>
void ReplicaController<Set>::reset() {
  names_.clear();
}

template <typename Set>
void ReplicaController<Set>::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  if (change.record.kind == kube::KindOf<Set>::id) {
    const std::string name(change.record.name);
    if (change.type == ChangeType::kDeleted) {
      names_[name_space].erase(name);
    } else {
      names_[name_space].insert(name);
    }
    queue.add({name_space, name});
    return;
  }
  const bool controlled = enqueue_controllers<kube::Pod>(change, kube::KindOf<Set>::kind, queue);
  if (controlled || change.type == ChangeType::kDeleted) return;
  // Nobody's pod: whichever set selects it may adopt it.
  for (const std::string& name : names_[name_space]) queue.add({name_space, name});
}

template <typename Set>
Result<Outcome> ReplicaController<Set>::reconcile(const ObjectKey& key) {
  auto set = sets_.get(key.name_space, key.name);
  if (!set) return set.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(set.status());
  ORLOP_ASSIGN(std::vector<StoredPod> pods, claim(*set));
  Status managed;
  if (!set->object.metadata().has_deletiontimestamp()) {
    std::vector<StoredPod> active;
    for (const StoredPod& pod : pods) {
      if (kube::is_active(pod.object)) active.push_back(pod);
    }
    const int missing = set->object.spec().replicas() - static_cast<int>(active.size());
    if (missing > 0) managed = create(*set, std::min(missing, kBurst));
    if (missing < 0) managed = remove(*set, std::move(active), std::min(-missing, kBurst));
  }
  return update_status(std::move(*set), pods, managed);
}

template <typename Set>
Result<std::vector<StoredPod>> ReplicaController<Set>::claim(const Stored<Set>& set) {
  const auto& metadata = set.object.metadata();
  const kube::LabelSelector selector = selector_of(set.object);
  ORLOP_ASSIGN(auto claimed, claim_pods(pods_, {metadata.namespace_(), controller_reference(set.object), &selector,
                                                metadata.has_deletiontimestamp()}));
  std::erase_if(claimed, [](const StoredPod& pod) { return kube::is_terminal(pod.object); });
  return claimed;
}

template <typename Set>
Status ReplicaController<Set>::create(const Stored<Set>& set, int count) {
  const auto& metadata = set.object.metadata();
  std::vector<kube::Pod> pods;
  for (int i = 0; i < count; ++i) {
    pods.push_back(
        pod_from_template(set.object.spec().template_(), metadata.namespace_(), controller_reference(set.object)));
    name_after(pods.back(), metadata.name());
  }
  const Status created = create_pods(
      host_, pods,
      [&](const std::string& name) {
        events_.about(set.object, EventType::kNormal, "SuccessfulCreate", "Created pod: " + name);
      },
      unchanged(set));
  if (!created && created.code() != Code::kConflict) {
    events_.about(set.object, EventType::kWarning, "FailedCreate", "Error creating: " + created.message());
  }
  return created;
}

// All versions of a Deployment count: a node that runs a pod of the next version as well can do without this one.
template <typename Set>
Result<std::map<std::string, int>> ReplicaController<Set>::related_on_node(const Set& set) const {
  std::vector<std::string> uids{set.metadata().uid()};
  const auto* owner = kube::controller_of(set.metadata());
  if (owner != nullptr) {
    ORLOP_TRY(
        sets_.each(set.metadata().namespace_(), "owner/" + owner->uid(), [&](const RecordView&, const Set& related) {
          if (related.metadata().uid() != set.metadata().uid()) uids.push_back(related.metadata().uid());
          return true;
        }));
  }
  std::map<std::string, int> on_node;
  for (const std::string& uid : uids) {
    ORLOP_TRY(pods_.each(set.metadata().namespace_(), "owner/" + uid, [&](const RecordView&, const kube::Pod& pod) {
      if (kube::is_active(pod)) ++on_node[pod.spec().nodename()];
      return true;
    }));
  }
  return on_node;
}

template <typename Set>
Status ReplicaController<Set>::remove(const Stored<Set>& set, std::vector<StoredPod> pods, int count) {
  ORLOP_ASSIGN(const auto on_node, related_on_node(set.object));
  rank_for_deletion(pods, on_node);
  pods.resize(static_cast<size_t>(count));
  const Status removed = delete_pods(
      host_, pods,
      [&](const std::string& name) {
        events_.about(set.object, EventType::kNormal, "SuccessfulDelete", "Deleted pod: " + name);
      },
      unchanged(set));
  if (!removed && removed.code() != Code::kConflict) {
    events_.about(set.object, EventType::kWarning, "FailedDelete", "Error deleting: " + removed.message());
  }
  return removed;
}

template <typename Set>
Result<Outcome> ReplicaController<Set>::update_status(Stored<Set> set, const std::vector<StoredPod>& pods,
                                                      const Status& managed) {
  auto& status = *set.object.mutable_status();
  const int64_t now_s = host_.wall_now_ns() / kSecondNs;
  int32_t active = 0, labeled = 0, ready = 0, available = 0;
  int64_t next_s = 0;
  for (const StoredPod& stored : pods) {
    const kube::Pod& pod = stored.object;
    if (!kube::is_active(pod)) continue;
    ++active;
    labeled += has_labels_of_template(set.object, pod) ? 1 : 0;
    const auto from = kube::available_from_s(pod, set.object.spec().minreadyseconds());
    if (!from) continue;
    ++ready;
    if (*from <= now_s) {
      ++available;
    } else {
      next_s = next_s == 0 ? *from : std::min(next_s, *from);
    }
  }
  status.set_replicas(active);
  status.set_fullylabeledreplicas(labeled);
  status.set_readyreplicas(ready);
  status.set_availablereplicas(available);
  status.set_observedgeneration(set.object.metadata().generation());
  auto* conditions = status.mutable_conditions();
  for (int i = conditions->size() - 1; i >= 0; --i) {
    if (conditions->Get(i).type() == "ReplicaFailure" && managed) conditions->DeleteSubrange(i, 1);
  }
  if (!managed && managed.code() != Code::kConflict && conditions->empty()) {
    auto& condition = *conditions->Add();
    condition.set_type("ReplicaFailure");
    condition.set_status("True");
    condition.set_reason(active > set.object.spec().replicas() ? "FailedDelete" : "FailedCreate");
    condition.set_message(managed.message());
    condition.mutable_lasttransitiontime()->set_seconds(now_s);
  }
  const Status written = sets_.update_status(set).status();
  if (!managed) return managed;
  if (!written) return written.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(written);
  return Outcome{next_s == 0 ? 0 : (next_s - now_s) * kSecondNs};
}

template class ReplicaController<ReplicaSet>;
template class ReplicaController<ReplicationController>;

}  // namespace orlop::workload
