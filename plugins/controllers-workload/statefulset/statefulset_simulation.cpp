// StatefulSets in a storm: users who scale, change, hold back and undo, pods that end, claims that are collected,
// faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"
#include "plugins/controllers-workload/statefulset/retention.hpp"
#include "plugins/controllers-workload/statefulset/statefulset.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

constexpr char kClaims[] = "persistentvolumeclaims";
constexpr char kRevisions[] = "controllerrevisions.apps";
constexpr char kBroken[] = "broken";
constexpr int32_t kHistory = 2;

class World final : public testing::SimulatedWorld<StatefulSet> {
 public:
  explicit World(uint64_t seed)
      : SimulatedWorld(seed, {.steps = 200, .accidents = seed % 2 == 0}),
        ordered_(seed % 3 != 0),
        claims_(seed % 4 < 2) {
    cluster_.broken = [](const kube::Pod& pod) { return pod.spec().containers(0).image() == kBroken; };
    controller<StatefulSetController>("statefulset", 1U);
    begin(first());
    before_ = look();
    users();
    checks();
    sim_.show([this] { return state(); });
  }

 private:
  StatefulSet first() {
    StatefulSet out = with_template();
    auto& spec = *out.mutable_spec();
    spec.set_replicas(static_cast<int32_t>(sim_.below(5)));
    spec.set_servicename("headless");
    spec.set_podmanagementpolicy(ordered_ ? "OrderedReady" : "Parallel");
    spec.set_revisionhistorylimit(kHistory);
    spec.set_minreadyseconds(sim_.chance(0.3) ? 5 : 0);
    set_strategy(spec);
    if (claims_) {
      spec.add_volumeclaimtemplates()->mutable_metadata()->set_name("data");
      set_retention(spec);
    }
    return out;
  }
  void set_strategy(k8s::io::api::apps::v1::StatefulSetSpec& spec) {
    auto& strategy = *spec.mutable_updatestrategy();
    strategy.Clear();
    strategy.set_type(sim_.chance(0.1) ? "OnDelete" : "RollingUpdate");
    if (strategy.type() == "OnDelete" || sim_.chance(0.2)) return;
    strategy.mutable_rollingupdate()->set_partition(static_cast<int32_t>(sim_.chance(0.5) ? 0 : sim_.below(4)));
  }
  void set_retention(k8s::io::api::apps::v1::StatefulSetSpec& spec) {
    auto& policy = *spec.mutable_persistentvolumeclaimretentionpolicy();
    policy.set_whendeleted(sim_.chance(0.5) ? "Delete" : "Retain");
    policy.set_whenscaled(sim_.chance(0.5) ? "Delete" : "Retain");
  }

  // ------------------------------------------------------------------------------------------ what is there

  static int ordinal_in(const kube::Pod& pod) { return ordinal_of(pod.metadata().name(), "web"); }
  static int partition_of(const StatefulSet& set) { return set.spec().updatestrategy().rollingupdate().partition(); }

  struct Look {
    StatefulSet set;
    std::map<int, kube::Pod> pods;
    int64_t now_s = 0;
    [[nodiscard]] bool available(int ordinal) const {
      const auto found = pods.find(ordinal);
      if (found == pods.end() || kube::is_terminating(found->second)) return false;
      const auto from = kube::available_from_s(found->second, set.spec().minreadyseconds());
      return from && *from <= now_s;
    }
  };
  Look look() {
    Look out{stored(), {}, sim_.now_s()};
    for (kube::Pod& pod : cluster_.pods()) out.pods[ordinal_in(pod)] = std::move(pod);
    return out;
  }

  std::string state() {
    const StatefulSet set = stored();
    std::string out = image_of(set) + " x" + std::to_string(set.spec().replicas()) + " from " +
                      std::to_string(first_ordinal(set)) + " " + set.spec().updatestrategy().type() + " " +
                      std::to_string(partition_of(set)) + " |";
    for (const auto& [ordinal, pod] : look().pods) {
      out += " " + std::to_string(ordinal) + ":" + image_of(pod) + mark_of(pod);
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------ what users do

  std::string some_image() { return "v" + std::to_string(1 + sim_.below(5)); }
  void users() {
    sim_.actor("scale", 0.5, [this] {
      const auto replicas = static_cast<int32_t>(sim_.below(6));
      edit_spec("scale to " + std::to_string(replicas), [&](auto& spec) { spec.set_replicas(replicas); });
    });
    sim_.actor("set image", 0.4, [this] { set_image(sim_.chance(0.15) ? kBroken : some_image()); });
    sim_.actor("strategy", 0.2, [this] { edit_spec("strategy", [this](auto& spec) { set_strategy(spec); }); });
    sim_.actor("undo", 0.2, [this] { undo(); });
    if (claims_) {
      sim_.actor("retention", 0.05, [this] {
        edit_spec("retention", [this](auto& spec) { set_retention(spec); });
        retention_changed_ = true;
      });
      sim_.actor("claims are collected", 1, [this] { collect_claims(); });
    }
    if (options_.accidents) {
      sim_.actor("start", 0.1, [this] {
        const auto start = static_cast<int32_t>(sim_.below(3));
        edit_spec("start " + std::to_string(start), [&](auto& spec) { spec.mutable_ordinals()->set_start(start); });
      });
    }
    sim_.world("user", [this] {
      collect_claims();
      remove_broken();
    });
    sim_.before_calm([this] {
      set_image(some_image());
      // Behind a partition pods come back as they were, broken ones too.
      edit_spec("no partition", [this](auto& spec) {
        auto& strategy = *spec.mutable_updatestrategy();
        if (is_current_broken() && strategy.has_rollingupdate()) strategy.mutable_rollingupdate()->set_partition(0);
      });
    });
  }
  bool is_current_broken() {
    const auto current =
        sim_.kernel().get<ControllerRevision>(kRevisions, "default", stored().status().currentrevision());
    return current && current->data().raw().find(kBroken) != std::string::npos;
  }
  void undo() {
    const auto revisions = sim_.kernel().list<ControllerRevision>(kRevisions, "default");
    if (revisions.empty()) return;
    const ControllerRevision& to = sim_.pick(revisions);
    const auto pod_template = template_of(to);
    if (!pod_template) return;
    edit_spec("undo to " + to.metadata().name(), [&](auto& spec) { *spec.mutable_template_() = *pod_template; });
  }
  // What the garbage collector does: a claim goes when all its owners are gone.
  void collect_claims() {
    std::set<std::string> uids{stored().metadata().uid()};
    for (const kube::Pod& pod : cluster_.pods()) uids.insert(pod.metadata().uid());
    for (const Claim& claim : sim_.kernel().list<Claim>(kClaims, "default")) {
      const auto& owners = claim.metadata().ownerreferences();
      if (owners.empty()) continue;
      if (std::any_of(owners.begin(), owners.end(), [&](const auto& owner) { return uids.contains(owner.uid()); })) {
        continue;
      }
      sim_.note("collected: " + claim.metadata().name());
      (void)sim_.kernel().remove(kClaims, "default", claim.metadata().name());
    }
  }
  // In order, a pod that never gets ready holds up its own mending, upstream as here: its user deletes it.
  void remove_broken() {
    for (const kube::Pod& pod : cluster_.pods()) {
      if (image_of(pod) == kBroken && !kube::is_terminating(pod)) cluster_.remove(pod);
    }
  }

  // ------------------------------------------------------------------------------------------ what must hold

  void checks() {
    sim_.invariant("names, order, claims", [this] { return check_step(); });
    sim_.at_rest("the pods that are asked for", [this] { return check_pods_at_rest(); });
    sim_.at_rest("status", [this] { return check_status_at_rest(); });
    sim_.at_rest("history", [this] { return check_history_at_rest(); });
    sim_.at_rest("claims", [this] { return check_claims_at_rest(); });
  }

  std::string check_step() {
    Look now = look();
    std::string wrong;
    for (const auto& [ordinal, pod] : now.pods) {
      if (wrong.empty()) wrong = check_identity(ordinal, pod);
      const auto was = before_.pods.find(ordinal);
      const bool is_new = was == before_.pods.end() || was->second.metadata().uid() != pod.metadata().uid();
      // What happens while a step is under way must not look like its fault.
      if (wrong.empty() && is_new && !options_.accidents) wrong = check_made(ordinal, now);
      const bool goes = kube::is_terminating(pod) && !is_new && !kube::is_terminating(was->second);
      if (wrong.empty() && goes && !options_.accidents && !sim_.is_calm()) wrong = check_removed(ordinal, pod, now);
    }
    before_ = std::move(now);
    return wrong;
  }
  std::string check_identity(int ordinal, const kube::Pod& pod) {
    const std::string name = pod.metadata().name();
    if (ordinal < 0) return name + " is no member";
    if (pod.metadata().labels().at("statefulset.kubernetes.io/pod-name") != name) return name + " has another's name";
    if (pod.spec().hostname() != name || pod.spec().subdomain() != "headless") return name + " has no host name";
    if (!claims_ || !kube::is_active(pod)) return "";
    const auto claim = sim_.kernel().get<Claim>(kClaims, "default", "data-" + name);
    // Upstream as here, a claim that was to go with a former pod is used again when the policy changes meanwhile.
    if (retention_changed_) return "";
    if (!claim) return name + " has no claim";
    for (const auto& owner : claim->metadata().ownerreferences()) {
      if (owner.kind() == "Pod" && owner.uid() != pod.metadata().uid()) return name + " has a former pod's claim";
    }
    return "";
  }
  // In order: a pod comes when all before it are available.
  std::string check_made(int ordinal, const Look& now) {
    if (!ordered_) return "";
    for (int lower = first_ordinal(now.set); lower < ordinal && in_range(now.set, lower); ++lower) {
      if (!now.available(lower)) return std::to_string(ordinal) + " was made before " + std::to_string(lower);
    }
    return "";
  }
  // A pod goes because it is beyond the range, the last first; or because it is outdated, when all behind it are well.
  std::string check_removed(int ordinal, const kube::Pod& pod, const Look& now) {
    const std::string name = pod.metadata().name();
    const bool in_both = in_range(now.set, ordinal) && in_range(before_.set, ordinal);
    if (in_both) return check_outdated(ordinal, pod, now, now.set, before_.set);
    if (!ordered_ || now.pods.rbegin()->first <= ordinal) return "";
    // The user may have changed the range a moment after an update had taken it.
    const StatefulSet* const sets[] = {&now.set, &before_.set};
    for (const StatefulSet* set : sets) {
      if (in_range(*set, ordinal) && check_outdated(ordinal, pod, now, *set, *set).empty()) return "";
    }
    return name + " went before the last";
  }
  std::string check_outdated(int ordinal, const kube::Pod& pod, const Look& now, const StatefulSet& a,
                             const StatefulSet& b) {
    const std::string name = pod.metadata().name();
    const bool on_delete =
        a.spec().updatestrategy().type() == "OnDelete" && b.spec().updatestrategy().type() == "OnDelete";
    if (on_delete) return name + " was removed though updates wait for its deletion";
    if (image_of(pod) == image_of(a) && image_of(pod) == image_of(b)) return name + " is not outdated";
    const int index = ordinal - first_ordinal(a);
    if (index < partition_of(a) && index < partition_of(b)) return name + " is before the partition";
    for (int higher = ordinal + 1; in_range(a, higher) && in_range(b, higher); ++higher) {
      if (!now.available(higher)) return name + " went while " + std::to_string(higher) + " is not available";
    }
    return "";
  }

  std::string check_pods_at_rest() {
    const Look now = look();
    const auto& spec = now.set.spec();
    if (static_cast<int>(now.pods.size()) != spec.replicas()) return std::to_string(now.pods.size()) + " pods";
    for (const auto& [ordinal, pod] : now.pods) {
      if (!in_range(now.set, ordinal)) return pod.metadata().name() + " is too many";
      if (!now.available(ordinal)) return pod.metadata().name() + " is not available";
      const bool to_update =
          spec.updatestrategy().type() == "RollingUpdate" && ordinal - first_ordinal(now.set) >= partition_of(now.set);
      if (to_update && image_of(pod) != image_of(now.set)) return pod.metadata().name() + " is outdated";
    }
    return "";
  }
  std::string check_status_at_rest() {
    const StatefulSet set = stored();
    const auto& status = set.status();
    const int32_t wanted = set.spec().replicas();
    int32_t updated = 0;
    for (const auto& pod : cluster_.pods()) updated += image_of(pod) == image_of(set) ? 1 : 0;
    const bool counts = status.replicas() == wanted && status.readyreplicas() == wanted &&
                        status.availablereplicas() == wanted && status.updatedreplicas() == updated;
    if (!counts || status.observedgeneration() != set.metadata().generation()) return status.ShortDebugString();
    const bool complete = set.spec().updatestrategy().type() == "RollingUpdate" && updated == wanted;
    if (complete && status.currentrevision() != status.updaterevision())
      return "an update that is done is not complete";
    return "";
  }
  std::string check_history_at_rest() {
    const StatefulSet set = stored();
    std::set<std::string> live{set.status().currentrevision(), set.status().updaterevision()};
    for (const auto& pod : cluster_.pods()) live.insert(revision_of(pod));
    std::set<int64_t> numbers;
    int32_t idle = 0;
    std::string newest;
    for (const auto& revision : sim_.kernel().list<ControllerRevision>(kRevisions, "default")) {
      if (!numbers.insert(revision.revision()).second) return "two revisions of one number";
      idle += live.contains(revision.metadata().name()) ? 0 : 1;
      if (revision.revision() == *numbers.rbegin()) newest = revision.metadata().name();
      const bool present = revision.data().raw() == template_patch(set.spec().template_());
      if (present != (revision.metadata().name() == set.status().updaterevision()))
        return "the wrong one is the newest";
    }
    if (newest != set.status().updaterevision()) return "the present template has not the highest number";
    return idle > kHistory ? std::to_string(idle) + " old revisions" : "";
  }
  std::string check_claims_at_rest() {
    if (!claims_ || retention_changed_) return "";
    const Look now = look();
    for (const auto& [ordinal, pod] : now.pods) {
      const auto claim = sim_.kernel().get<Claim>(kClaims, "default", "data-" + pod.metadata().name());
      if (!claim) return pod.metadata().name() + " has no claim";
      if (!has_right_owners(*claim, now.set, pod)) return claim->metadata().name() + " has the wrong owner";
    }
    return "";
  }

  bool ordered_;
  bool claims_;
  Look before_;
  bool retention_changed_ = false;
};

ORLOP_SIMULATION(StatefulSetSimulation, World, "statefulsets")

}  // namespace
}  // namespace orlop::workload
