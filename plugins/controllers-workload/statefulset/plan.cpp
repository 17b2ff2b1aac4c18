#include "plugins/controllers-workload/statefulset/plan.hpp"

#include "plugins/controllers-workload/statefulset/retention.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace orlop::workload {
namespace {

using Action = Step::Action;

bool is_running_ready(const kube::Pod& pod) {
  return pod.status().phase() == "Running" && kube::is_ready(pod);
}

class Planner {
 public:
  explicit Planner(const Members& members)
      : members_(members),
        set_(*members.set),
        ordered_(set_.spec().podmanagementpolicy() != "Parallel"),
        replicas_(static_cast<size_t>(std::max(0, set_.spec().replicas()))) {
    for (const kube::Pod* pod : members.pods) {
      const int ordinal = ordinal_in_set(*pod);
      if (ordinal < 0) continue;
      if (in_range(set_, ordinal)) {
        replicas_[static_cast<size_t>(ordinal - first_ordinal(set_))] = pod;
      } else {
        condemned_.push_back(pod);
      }
    }
    std::sort(condemned_.begin(), condemned_.end(),
              [this](const kube::Pod* a, const kube::Pod* b) { return ordinal_in_set(*a) > ordinal_in_set(*b); });
  }

  std::vector<Step> plan() {
    if (set_.metadata().has_deletiontimestamp()) return {};
    if (!keep_replicas()) return std::move(steps_);
    mend_condemned();
    if (!scale_away()) return std::move(steps_);
    if (set_.spec().updatestrategy().type() != "OnDelete") update_one();
    return std::move(steps_);
  }

 private:
  [[nodiscard]] int ordinal_in_set(const kube::Pod& pod) const {
    return ordinal_of(pod.metadata().name(), set_.metadata().name());
  }
  [[nodiscard]] bool is_available(const kube::Pod& pod) const {
    const auto from = kube::available_from_s(pod, set_.spec().minreadyseconds());
    return is_running_ready(pod) && from && *from <= members_.now_s;
  }
  // Not there yet, not available, or on its way out.
  [[nodiscard]] bool is_unavailable(const kube::Pod* pod) const {
    return pod == nullptr || !is_available(*pod) || kube::is_terminating(*pod) || deleted_.contains(pod);
  }
  [[nodiscard]] bool claims_have_right_owners(const kube::Pod& pod) const {
    for (const Claim& claim_template : set_.spec().volumeclaimtemplates()) {
      const auto found = members_.claims.find(claim_name(set_, claim_template, ordinal_in_set(pod)));
      if (found != members_.claims.end() && !has_right_owners(*found->second, set_, pod)) return false;
    }
    return true;
  }

  void remove(const kube::Pod* pod) {
    if (!deleted_.insert(pod).second) return;
    steps_.push_back({Action::kDelete, ordinal_in_set(*pod), pod});
  }

  // By the current revision, if the update has not come so far; what an update has replaced comes back updated.
  [[nodiscard]] bool is_of_update(int ordinal) const {
    const auto& strategy = set_.spec().updatestrategy();
    const int index = ordinal - first_ordinal(set_);
    if (strategy.has_rollingupdate()) return index >= strategy.rollingupdate().partition();
    return strategy.type() != "RollingUpdate" || index >= set_.status().currentreplicas();
  }

  // Returns whether a new pod must wait for the claims of a former one to go.
  [[nodiscard]] bool waits_for_claims(int ordinal) const {
    kube::Pod pod;
    pod.mutable_metadata()->set_name(member_name(set_, ordinal));
    for (const Claim& claim_template : set_.spec().volumeclaimtemplates()) {
      const auto found = members_.claims.find(claim_name(set_, claim_template, ordinal));
      if (found != members_.claims.end() && is_stale(*found->second, set_, pod)) return true;
    }
    return false;
  }
  [[nodiscard]] bool misses_claims(int ordinal) const {
    const auto& templates = set_.spec().volumeclaimtemplates();
    return std::any_of(templates.begin(), templates.end(), [&](const Claim& claim_template) {
      return !members_.claims.contains(claim_name(set_, claim_template, ordinal));
    });
  }

  // Returns whether the next one may be looked at, were the set ordered.
  bool keep_one(size_t index) {
    const int ordinal = first_ordinal(set_) + static_cast<int>(index);
    const kube::Pod* pod = replicas_[index];
    if (pod == nullptr) {
      if (!waits_for_claims(ordinal)) steps_.push_back({Action::kCreate, ordinal, nullptr, is_of_update(ordinal)});
      return false;
    }
    if (kube::is_terminal(*pod)) {
      if (!kube::is_terminating(*pod)) remove(pod);
      return false;
    }
    const bool pending = pod->status().phase().empty() || pod->status().phase() == "Pending";
    if (pending && misses_claims(ordinal)) steps_.push_back({Action::kMakeClaims, ordinal, pod});
    if (kube::is_terminating(*pod)) return false;
    if (ordered_ && !is_available(*pod)) return false;
    if (!has_identity(set_, *pod) || !has_storage(set_, *pod) || !claims_have_right_owners(*pod)) {
      steps_.push_back({Action::kMend, ordinal, pod});
    }
    return true;
  }

  // Returns whether the rest may follow.
  bool keep_replicas() {
    for (size_t i = 0; i < replicas_.size(); ++i) {
      if (!keep_one(i) && ordered_) return false;
    }
    return true;
  }

  void mend_condemned() {
    for (const kube::Pod* pod : condemned_) {
      if (!claims_have_right_owners(*pod)) steps_.push_back({Action::kMendClaims, ordinal_in_set(*pod), pod});
    }
  }

  // The lowest ordinal that is not available; nothing may go before it but itself.
  [[nodiscard]] const kube::Pod* first_unavailable() const {
    for (auto pod = condemned_.rbegin(); pod != condemned_.rend(); ++pod) {
      if (is_unavailable(*pod)) return *pod;
    }
    return nullptr;
  }

  bool scale_away() {
    // When an ordered set comes here, all that are to stay are available.
    const kube::Pod* first = first_unavailable();
    for (const kube::Pod* pod : condemned_) {
      if (kube::is_terminating(*pod)) {
        if (ordered_) return false;
        continue;
      }
      // One that ended serves nobody and never will: upstream would wait for it to become ready.
      if (ordered_ && !kube::is_terminal(*pod) && !is_available(*pod) && pod != first) return false;
      remove(pod);
      if (ordered_) return false;
    }
    return true;
  }

  // From the last ordinal down to the partition: the first that is of another revision goes, if all behind it are well.
  void update_one() {
    const int partition = std::max(0, set_.spec().updatestrategy().rollingupdate().partition());
    for (int index = static_cast<int>(replicas_.size()) - 1; index >= partition; --index) {
      const kube::Pod* pod = replicas_[static_cast<size_t>(index)];
      const bool outdated = pod != nullptr && revision_of(*pod) != members_.update_revision;
      if (outdated && !kube::is_terminating(*pod) && !deleted_.contains(pod)) {
        remove(pod);
        return;
      }
      if (is_unavailable(pod)) return;
    }
  }

  const Members& members_;
  const StatefulSet& set_;
  const bool ordered_;
  std::vector<const kube::Pod*> replicas_;   // by ordinal, from the first; none where there is no pod
  std::vector<const kube::Pod*> condemned_;  // outside the range, the highest ordinal first
  std::vector<Step> steps_;
  std::set<const kube::Pod*> deleted_;  // by these steps
};

}  // namespace

std::vector<Step> plan_members(const Members& members) {
  return Planner(members).plan();
}

StatefulSetStatus status_of(const Members& members, int32_t collisions) {
  const StatefulSet& set = *members.set;
  StatefulSetStatus status = set.status();
  int32_t replicas = 0, ready = 0, available = 0, current = 0, updated = 0;
  for (const kube::Pod* pod : members.pods) {
    ++replicas;
    if (is_running_ready(*pod)) {
      ++ready;
      const auto from = kube::available_from_s(*pod, set.spec().minreadyseconds());
      available += from && *from <= members.now_s ? 1 : 0;
    }
    if (kube::is_terminating(*pod)) continue;
    const std::string revision = revision_of(*pod);
    current += revision == members.current_revision ? 1 : 0;
    updated += revision == members.update_revision ? 1 : 0;
  }
  status.set_observedgeneration(set.metadata().generation());
  status.set_replicas(replicas);
  status.set_readyreplicas(ready);
  status.set_availablereplicas(available);
  status.set_currentreplicas(current);
  status.set_updatedreplicas(updated);
  status.set_currentrevision(members.current_revision);
  status.set_updaterevision(members.update_revision);
  status.set_collisioncount(collisions);
  const int32_t wanted = set.spec().replicas();
  if (set.spec().updatestrategy().type() == "RollingUpdate" && updated == wanted && ready == wanted &&
      replicas == wanted) {
    status.set_currentreplicas(updated);
    status.set_currentrevision(members.update_revision);
  }
  return status;
}

int64_t next_look_s(const Members& members) {
  int64_t next = 0;
  for (const kube::Pod* pod : members.pods) {
    const auto from = kube::available_from_s(*pod, members.set->spec().minreadyseconds());
    if (!from || *from <= members.now_s) continue;
    next = next == 0 ? *from : std::min(next, *from);
  }
  return next;
}

}  // namespace orlop::workload
