#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include "orlop/names.hpp"
#include "plugins/controllers-workload/ownership.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int kBurst = 500;            // pods created or deleted in one reconcile, as upstream's BurstReplicas
constexpr int kWritesPerCommit = 100;  // pods in one transaction
constexpr int64_t kSecondNs = 1'000'000'000;

std::string pod_name(const std::string& base) {
  // A generated name may hold 63 characters, of which the suffix takes five.
  return base.substr(0, 57) + "-" + random_suffix();
}

kube::Pod pod_of(const ReplicaSet& set) {
  kube::Pod pod;
  const auto& pod_template = set.spec().template_();
  *pod.mutable_spec() = pod_template.spec();
  auto& metadata = *pod.mutable_metadata();
  *metadata.mutable_labels() = pod_template.metadata().labels();
  *metadata.mutable_annotations() = pod_template.metadata().annotations();
  *metadata.mutable_finalizers() = pod_template.metadata().finalizers();
  metadata.set_namespace_(set.metadata().namespace_());
  metadata.set_generatename(set.metadata().name() + "-");
  metadata.set_name(pod_name(set.metadata().name()));
  auto& owner = *metadata.add_ownerreferences();
  owner.set_apiversion("apps/v1");
  owner.set_kind("ReplicaSet");
  owner.set_name(set.metadata().name());
  owner.set_uid(set.metadata().uid());
  owner.set_controller(true);
  owner.set_blockownerdeletion(true);
  return pod;
}

bool has_labels_of_template(const ReplicaSet& set, const kube::Pod& pod) {
  for (const auto& [key, value] : set.spec().template_().metadata().labels()) {
    const auto found = pod.metadata().labels().find(key);
    if (found == pod.metadata().labels().end() || found->second != value) return false;
  }
  return true;
}

}  // namespace

ReplicaSetController::ReplicaSetController(Host host, unsigned workers)
    : host_(host), workers_(workers), events_(host, "replicaset-controller"), sets_(host), pods_(host) {}

void ReplicaSetController::reset() {
  names_.clear();
}

void ReplicaSetController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  if (change.record.kind == "replicasets.apps") {
    const std::string name(change.record.name);
    if (change.type == ChangeType::kDeleted) {
      names_[name_space].erase(name);
    } else {
      names_[name_space].insert(name);
    }
    queue.add({name_space, name});
    return;
  }
  const bool controlled = enqueue_controllers<kube::Pod>(change, "ReplicaSet", queue);
  if (controlled || change.type == ChangeType::kDeleted) return;
  // Nobody's pod: whichever set selects it may adopt it.
  for (const std::string& name : names_[name_space]) queue.add({name_space, name});
}

Result<Outcome> ReplicaSetController::reconcile(const ObjectKey& key) {
  auto set = sets_.get(key.name_space, key.name);
  if (!set) return set.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(set.status());
  ORLOP_ASSIGN(std::vector<StoredPod> pods, claim_pods(*set));
  Status managed;
  if (!set->object.metadata().has_deletiontimestamp()) {
    std::vector<StoredPod> active;
    for (const StoredPod& pod : pods) {
      if (kube::is_active(pod.object)) active.push_back(pod);
    }
    const int missing = set->object.spec().replicas() - static_cast<int>(active.size());
    if (missing > 0) managed = create_pods(*set, std::min(missing, kBurst));
    if (missing < 0) managed = delete_pods(*set, std::move(active), std::min(-missing, kBurst));
  }
  return update_status(std::move(*set), pods, managed);
}

Result<std::vector<StoredPod>> ReplicaSetController::claim_pods(const Stored<ReplicaSet>& set) {
  const std::string& name_space = set.object.metadata().namespace_();
  const auto& selector = set.object.spec().selector();
  ORLOP_ASSIGN(auto owned, pods_.list(name_space, "owner/" + set.object.metadata().uid()));
  std::vector<StoredPod> claimed;
  for (StoredPod& pod : owned) {
    if (kube::is_terminal(pod.object)) continue;
    if (kube::matches(selector, pod.object.metadata().labels())) {
      claimed.push_back(std::move(pod));
    } else if (!set.object.metadata().has_deletiontimestamp()) {
      ORLOP_TRY(release(set, pod));
    }
  }
  if (set.object.metadata().has_deletiontimestamp() || kube::is_empty(selector)) return claimed;

  std::string term;
  for (const auto& [key, value] : selector.matchlabels()) term = "label/" + key + "=" + value;
  ORLOP_ASSIGN(auto candidates, pods_.list(name_space, term));
  for (StoredPod& pod : candidates) {
    if (!kube::is_active(pod.object) || kube::controller_of(pod.object.metadata()) != nullptr ||
        !kube::matches(selector, pod.object.metadata().labels())) {
      continue;
    }
    ORLOP_TRY(adopt(set, pod));
    claimed.push_back(std::move(pod));
  }
  return claimed;
}

Status ReplicaSetController::adopt(const Stored<ReplicaSet>& set, StoredPod& pod) {
  *pod.object.mutable_metadata()->add_ownerreferences() = pod_of(set.object).metadata().ownerreferences(0);
  ORLOP_ASSIGN(pod, pods_.update(pod));
  return Status::ok();
}

Status ReplicaSetController::release(const Stored<ReplicaSet>& set, StoredPod& pod) {
  auto* owners = pod.object.mutable_metadata()->mutable_ownerreferences();
  for (int i = owners->size() - 1; i >= 0; --i) {
    if (owners->Get(i).uid() == set.object.metadata().uid()) owners->DeleteSubrange(i, 1);
  }
  return pods_.update(pod).status();
}

Status ReplicaSetController::create_pods(const Stored<ReplicaSet>& set, int count) {
  for (int done = 0; done < count;) {
    v1::CommitRequest request;
    std::vector<std::string> names;
    for (; done < count && request.writes_size() < kWritesPerCommit; ++done) {
      const kube::Pod pod = pod_of(set.object);
      auto write = make_write<kube::Pod>(v1::CREATE, pod.metadata().namespace_(), pod.metadata().name());
      pod.SerializeToString(write.mutable_value());
      *request.add_writes() = std::move(write);
      names.push_back(pod.metadata().name());
    }
    auto result = host_.commit_wait(request);
    if (!result) {
      // Two generated names may meet: other names are tried at once.
      if (result.code() == Code::kAlreadyExists) return {Code::kConflict, result.message()};
      events_.about(set.object, EventType::kWarning, "FailedCreate", "Error creating: " + result.message());
      return result.status();
    }
    for (const std::string& name : names) {
      events_.about(set.object, EventType::kNormal, "SuccessfulCreate", "Created pod: " + name);
    }
  }
  return Status::ok();
}

Status ReplicaSetController::delete_pods(const Stored<ReplicaSet>& set, std::vector<StoredPod> pods, int count) {
  rank_for_deletion(pods);
  for (int i = 0; i < count; ++i) {
    const auto& metadata = pods[static_cast<size_t>(i)].object.metadata();
    const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), {}, metadata.uid());
    if (!removed && removed.code() != Code::kNotFound) {
      events_.about(set.object, EventType::kWarning, "FailedDelete", "Error deleting: " + removed.message());
      return removed;
    }
    events_.about(set.object, EventType::kNormal, "SuccessfulDelete", "Deleted pod: " + metadata.name());
  }
  return Status::ok();
}

Result<Outcome> ReplicaSetController::update_status(Stored<ReplicaSet> set, const std::vector<StoredPod>& pods,
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
    condition.set_reason("FailedCreate");
    condition.set_message(managed.message());
    condition.mutable_lasttransitiontime()->set_seconds(now_s);
  }
  const Status written = sets_.update_status(set).status();
  if (!managed) return managed;
  if (!written) return written.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(written);
  return Outcome{next_s == 0 ? 0 : (next_s - now_s) * kSecondNs};
}

}  // namespace orlop::workload
