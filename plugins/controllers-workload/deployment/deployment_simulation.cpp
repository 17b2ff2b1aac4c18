// Deployments and ReplicaSets in a storm: users who scale, change, pause and undo, pods that end, faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/deployment/deployment.hpp"
#include "plugins/controllers-workload/deployment/history.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

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

constexpr char kSets[] = "replicasets.apps";
constexpr char kBroken[] = "broken";
constexpr char kBrokenAtLast[] = "broken-at-last";
constexpr int32_t kHistory = 2;

class World final : public testing::SimulatedWorld<Deployment> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, {.accidents = seed % 2 == 0}), recreate_(seed % 5 == 0) {
    cluster_.broken = [](const kube::Pod& pod) { return pod.spec().containers(0).image().starts_with(kBroken); };
    cluster_.owner_kinds = {kSets};
    controller<DeploymentController>("deployment", 1U);
    controller<ReplicaSetController>("replicaset", 1U);
    begin(first());
    users();
    checks();
    sim_.show([this] { return state(); });
  }

 private:
  Deployment first() {
    Deployment out = with_template();
    auto& spec = *out.mutable_spec();
    spec.set_replicas(static_cast<int32_t>(sim_.below(6)));
    spec.set_progressdeadlineseconds(60);
    spec.set_revisionhistorylimit(kHistory);
    spec.set_minreadyseconds(sim_.chance(0.3) ? 5 : 0);
    spec.mutable_strategy()->set_type(recreate_ ? "Recreate" : "RollingUpdate");
    if (!recreate_) set_limits(out);
    return out;
  }
  void set_limits(Deployment& object) {
    auto& rolling = *object.mutable_spec()->mutable_strategy()->mutable_rollingupdate();
    rolling.mutable_maxsurge()->set_intval(static_cast<int32_t>(sim_.below(3)));
    rolling.mutable_maxunavailable()->set_intval(static_cast<int32_t>(sim_.below(3)));
    if (rolling.maxsurge().intval() == 0 && rolling.maxunavailable().intval() == 0) {
      rolling.mutable_maxsurge()->set_intval(1);
    }
  }

  // ------------------------------------------------------------------------------------------ what is there

  std::vector<ReplicaSet> sets() {
    auto out = all<ReplicaSet>();
    std::erase_if(out, [](const ReplicaSet& set) { return kube::controller_of(set.metadata()) == nullptr; });
    return out;
  }
  bool is_available(const kube::Pod& pod) {
    const auto from = kube::available_from_s(pod, stored().spec().minreadyseconds());
    return from && *from <= sim_.now_s();
  }
  int32_t available() {
    const auto pods = cluster_.active_pods();
    return static_cast<int32_t>(
        std::count_if(pods.begin(), pods.end(), [&](const kube::Pod& pod) { return is_available(pod); }));
  }
  // How many of them stay when every set does what it was told last.
  int32_t surely_available() {
    std::map<std::string, int32_t> counts;
    for (const kube::Pod& pod : cluster_.active_pods()) {
      counts[kube::controller_of(pod.metadata())->name()] += is_available(pod) ? 1 : 0;
    }
    int32_t sum = 0;
    for (const ReplicaSet& set : sets()) sum += std::min(set.spec().replicas(), counts[set.metadata().name()]);
    return sum;
  }
  // What there may be at most when every set does what it was told last.
  int32_t possible() {
    std::map<std::string, int32_t> active;
    for (const kube::Pod& pod : cluster_.active_pods()) ++active[kube::controller_of(pod.metadata())->name()];
    int32_t sum = 0;
    for (const ReplicaSet& set : sets()) sum += std::max(set.spec().replicas(), active[set.metadata().name()]);
    return sum;
  }
  static int32_t ceiling_of(const Deployment& object) {
    const Limits limits = limits_of(object);
    return limits.replicas + limits.max_surge;
  }
  static int32_t floor_of(const Deployment& object) {
    const Limits limits = limits_of(object);
    return limits.replicas - limits.max_unavailable;
  }
  static bool is_broken(const Deployment& object) { return image_of(object).starts_with(kBroken); }
  bool scaling_is_due() {
    std::vector<Stored<ReplicaSet>> present;
    for (const ReplicaSet& set : sets()) present.push_back({set, 0});
    return is_scaling_event(stored(), {}, present);
  }

  std::string state() {
    const Deployment object = stored();
    const Limits limits = limits_of(object);
    std::string out = image_of(object) + " x" + std::to_string(limits.replicas) + " +" +
                      std::to_string(limits.max_surge) + " -" + std::to_string(limits.max_unavailable) +
                      (object.spec().paused() ? " paused" : "") + " most " + std::to_string(ceiling_);
    for (const ReplicaSet& set : sets()) {
      out += " | " + image_of(set) + " " + std::to_string(set.spec().replicas()) + ":";
      for (const kube::Pod& pod : cluster_.active_pods()) {
        if (kube::controller_of(pod.metadata())->uid() == set.metadata().uid()) out += is_available(pod) ? 'A' : 'u';
      }
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------ what users do

  void edited() override {
    ceiling_ = std::max(ceiling_, ceiling_of(stored()));
    reached_ = false;
  }
  void roll_out(const std::string& image) {
    edit("image " + image, [&](Deployment& object) {
      object.mutable_spec()->mutable_template_()->mutable_spec()->mutable_containers(0)->set_image(image);
      if (sim_.chance(0.1)) take_its_name(object);
    });
  }
  // A set of somebody else that has the name that this template's set is to get.
  void take_its_name(const Deployment& object) {
    ReplicaSet foreign;
    foreign.mutable_metadata()->set_namespace_("default");
    foreign.mutable_metadata()->set_name("web-" +
                                         template_hash(object.spec().template_(), object.status().collisioncount()));
    foreign.mutable_spec()->set_replicas(0);
    (*foreign.mutable_spec()->mutable_selector()->mutable_matchlabels())["app"] = "other";
    (*foreign.mutable_spec()->mutable_template_()->mutable_metadata()->mutable_labels())["app"] = "other";
    (void)sim_.kernel().create(kSets, foreign);
  }
  void undo() {
    const auto history = sets();
    if (history.empty()) return;
    const ReplicaSet& to = sim_.pick(history);
    edit("undo to " + to.metadata().name(), [&](Deployment& object) {
      *object.mutable_spec()->mutable_template_() = to.spec().template_();
      object.mutable_spec()->mutable_template_()->mutable_metadata()->mutable_labels()->erase(kHashLabel);
    });
  }
  void users() {
    sim_.actor("scale", 0.5, [this] {
      const auto replicas = static_cast<int32_t>(sim_.below(7));
      edit("scale to " + std::to_string(replicas),
           [&](Deployment& object) { object.mutable_spec()->set_replicas(replicas); });
    });
    sim_.actor("set image", 0.5,
               [this] { roll_out(sim_.chance(0.2) ? kBroken : "v" + std::to_string(1 + sim_.below(5))); });
    sim_.actor("undo", 0.2, [this] { undo(); });
    sim_.actor("pause or resume", 0.2, [this] {
      edit("pause or resume", [](Deployment& object) { object.mutable_spec()->set_paused(!object.spec().paused()); });
    });
    if (!recreate_) {
      sim_.actor("limits", 0.1, [this] { edit("limits", [this](Deployment& object) { set_limits(object); }); });
    }
    sim_.before_calm([this] {
      roll_out(sim_.chance(0.2) ? kBrokenAtLast : "v" + std::to_string(1 + sim_.below(5)));
      edit("resume", [](Deployment& object) { object.mutable_spec()->set_paused(false); });
    });
  }

  // ------------------------------------------------------------------------------------------ what must hold

  void checks() {
    sim_.invariant("no more than replicas and surge", [this] { return check_ceiling(); });
    // Of two ready pods a set may keep the one that is not available yet: on which node it is counts for more.
    if (!options_.accidents && !recreate_ && stored().spec().minreadyseconds() == 0) {
      sim_.invariant("no fewer available than promised", [this] { return check_floor(); });
    }
    if (recreate_) {
      sim_.invariant("never two versions at once", [this] { return check_one_version(); });
    }
    sim_.invariant("one set for each version", [this] { return check_sets(); });
    sim_.at_rest("the template's pods and no others", [this] { return check_pods_at_rest(); });
    sim_.at_rest("status", [this] { return check_status_at_rest(); });
    sim_.at_rest("history", [this] { return check_history_at_rest(); });
  }

  std::string check_ceiling() {
    const int32_t sum = possible();
    if (sum > ceiling_) return std::to_string(sum) + " pods where " + std::to_string(ceiling_) + " may be";
    ceiling_ = std::max(ceiling_of(stored()), sum);
    return "";
  }
  std::string check_floor() {
    const int32_t least = floor_of(stored());
    const int32_t count = available();
    // Scaling and lower limits in the middle of a rollout are shared out by proportion, whoever is available.
    if (scaling_is_due() || possible() > ceiling_of(stored())) reached_ = false;
    if (reached_ && count < least) {
      return std::to_string(count) + " pods are available where " + std::to_string(least) + " must be";
    }
    reached_ = reached_ || (surely_available() >= least && !scaling_is_due());
    return "";
  }
  std::string check_one_version() {
    std::set<std::string> images;
    for (const kube::Pod& pod : cluster_.pods()) {
      if (!kube::is_terminal(pod)) images.insert(pod.spec().containers(0).image());
    }
    return images.size() <= 1 ? "" : *images.begin() + " and " + *images.rbegin();
  }
  std::string check_sets() {
    std::set<std::string> images;
    std::set<std::string> revisions;
    for (const ReplicaSet& set : sets()) {
      if (!images.insert(image_of(set)).second) return "two sets of " + image_of(set);
      const auto found = set.metadata().annotations().find(kRevisionAnnotation);
      if (found == set.metadata().annotations().end()) return set.metadata().name() + " has no revision";
      if (!revisions.insert(found->second).second) return "two sets of revision " + found->second;
    }
    return "";
  }

  std::string check_pods_at_rest() {
    const Deployment object = stored();
    const int32_t wanted = object.spec().replicas();
    const auto pods = cluster_.active_pods();
    if (is_broken(object) && wanted > 0) {
      if (!options_.accidents && !recreate_ && reached_ && available() < floor_of(object))
        return "a broken image took the others";
      return "";
    }
    if (static_cast<int32_t>(pods.size()) != wanted) return std::to_string(pods.size()) + " pods";
    for (const kube::Pod& pod : pods) {
      if (image_of(pod) != image_of(object)) return "a pod of " + image_of(pod);
      if (!kube::is_ready(pod)) return "a pod that is not ready";
    }
    for (const ReplicaSet& set : sets()) {
      const int32_t due = image_of(set) == image_of(object) ? wanted : 0;
      if (set.spec().replicas() != due || set.status().replicas() != due || set.status().availablereplicas() != due) {
        return set.metadata().name() + " has " + std::to_string(set.spec().replicas()) + " replicas";
      }
    }
    return "";
  }
  std::string check_status_at_rest() {
    const Deployment object = stored();
    const auto& status = object.status();
    if (status.observedgeneration() != object.metadata().generation()) return "the generation is not observed";
    std::string progressing;
    for (const auto& condition : status.conditions()) {
      if (condition.type() == "Progressing") progressing = condition.reason();
    }
    if (is_broken(object) && object.spec().replicas() > 0) {
      return progressing == "ProgressDeadlineExceeded" ? "" : "a stuck rollout says " + progressing;
    }
    if (progressing != "NewReplicaSetAvailable") return "a finished rollout says " + progressing;
    if (status.replicas() != object.spec().replicas() || status.updatedreplicas() != object.spec().replicas() ||
        status.availablereplicas() != object.spec().replicas() || status.unavailablereplicas() != 0) {
      return status.ShortDebugString();
    }
    return "";
  }
  std::string check_history_at_rest() {
    const Deployment object = stored();
    int64_t highest = 0, newest = 0;
    int32_t old = 0;
    for (const ReplicaSet& set : sets()) {
      const int64_t revision = number_annotation(set.metadata(), kRevisionAnnotation);
      highest = std::max(highest, revision);
      if (image_of(set) == image_of(object)) {
        newest = revision;
      } else {
        ++old;
      }
    }
    if (newest != highest) return "the newest version is not the highest revision";
    if (number_annotation(object.metadata(), kRevisionAnnotation) != newest) return "the Deployment names another";
    if (!is_broken(object) && old > kHistory) return std::to_string(old) + " old sets";
    return "";
  }

  bool recreate_;
  int32_t ceiling_ = 0;
  bool reached_ = false;
};

ORLOP_SIMULATION(DeploymentSimulation, World, "deployments")

}  // namespace
}  // namespace orlop::workload
