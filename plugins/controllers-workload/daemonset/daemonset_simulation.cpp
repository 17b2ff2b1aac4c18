// DaemonSets in a storm: users who change template, selector and limits, nodes that join, go, and change, pods that
// end, faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "plugins/controllers-workload/daemonset/daemonset.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"

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

constexpr char kRevisions[] = "controllerrevisions.apps";
constexpr char kBroken[] = "broken";
constexpr int32_t kHistory = 2;

class World final : public testing::SimulatedWorld<DaemonSet> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, options(seed % 2 == 0)), surges_(seed % 3 == 0) {
    cluster_.broken = [](const kube::Pod& pod) { return image_of(pod) == kBroken; };
    controller<DaemonSetController>("daemonset", 1U);
    begin(first());
    before_ = look();
    users();
    checks();
    sim_.show([this] { return state(); });
  }

 private:
  static testing::SimulatedWorldOptions options(bool accidents) {
    testing::SimulatedWorldOptions out{.name = "agent", .steps = 200, .accidents = accidents};
    out.cluster.nodes = 4;
    out.cluster.nodes_lost = accidents ? 0.5 : 0;
    return out;
  }

  DaemonSet first() {
    DaemonSet out = with_template();
    auto& spec = *out.mutable_spec();
    spec.set_revisionhistorylimit(kHistory);
    spec.set_minreadyseconds(sim_.chance(0.3) ? 5 : 0);
    set_limits(spec);
    return out;
  }
  void set_limits(k8s::io::api::apps::v1::DaemonSetSpec& spec) {
    auto& strategy = *spec.mutable_updatestrategy();
    strategy.set_type("RollingUpdate");
    auto& rolling = *strategy.mutable_rollingupdate();
    rolling.mutable_maxsurge()->set_intval(surges_ ? static_cast<int32_t>(1 + sim_.below(3)) : 0);
    rolling.mutable_maxunavailable()->set_intval(surges_ ? 0 : static_cast<int32_t>(1 + sim_.below(3)));
  }

  // ------------------------------------------------------------------------------------------ what is there

  static bool is_rolling(const DaemonSet& set) { return set.spec().updatestrategy().type() == "RollingUpdate"; }

  struct Look {
    DaemonSet set;
    std::map<std::string, NodeView> nodes;
    std::map<std::string, kube::Pod> pods;  // by uid
    [[nodiscard]] bool wants(const std::string& node) const {
      const auto found = nodes.find(node);
      return found != nodes.end() && Eligibility(set).on(found->second).should_run;
    }
  };
  Look look() {
    Look out{stored(), {}, {}};
    for (const Node& node : sim_.kernel().list<Node>("nodes")) out.nodes[node.metadata().name()] = view_of(node);
    for (kube::Pod& pod : cluster_.pods()) out.pods[pod.metadata().uid()] = std::move(pod);
    return out;
  }
  bool is_available(const Look& at, const kube::Pod& pod) {
    const auto from = kube::available_from_s(pod, at.set.spec().minreadyseconds());
    return kube::is_active(pod) && from && *from <= sim_.now_s();
  }

  std::string state() {
    const Look now = look();
    const auto& rolling = now.set.spec().updatestrategy().rollingupdate();
    std::string out = image_of(now.set) + " " + now.set.spec().updatestrategy().type() + " -" +
                      std::to_string(rolling.maxunavailable().intval()) + " +" +
                      std::to_string(rolling.maxsurge().intval());
    for (const auto& [name, node] : now.nodes) {
      out += " | " + name + (now.wants(name) ? "" : " no") + ":";
      for (const auto& [uid, pod] : now.pods) {
        if (target_node(pod) != name) continue;
        out += " " + image_of(pod) + mark_of(pod);
      }
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------ what users do

  std::string some_image() { return "v" + std::to_string(1 + sim_.below(5)); }
  void edit_node(const std::string& what, const std::function<void(Node&)>& change) {
    const auto nodes = sim_.kernel().list<Node>("nodes");
    if (nodes.empty()) return;
    Node node = sim_.pick(nodes);
    change(node);
    sim_.note(what + " " + node.metadata().name());
    (void)sim_.kernel().update("nodes", node);
    reached_ = false;
  }
  void set_taint(const std::string& effect) {
    edit_node(effect, [&](Node& node) {
      node.mutable_spec()->clear_taints();
      if (effect.empty()) return;
      auto& taint = *node.mutable_spec()->add_taints();
      taint.set_key(sim_.chance(0.2) ? "node.kubernetes.io/disk-pressure" : "special");
      taint.set_effect(effect);
    });
  }
  void users() {
    sim_.actor("set image", 0.4, [this] { set_image(sim_.chance(0.15) ? kBroken : some_image()); });
    sim_.actor("limits", 0.2, [this] { edit_spec("limits", [this](auto& spec) { set_limits(spec); }); });
    sim_.actor("on delete", 0.05, [this] {
      edit_spec("on delete", [](auto& spec) { spec.mutable_updatestrategy()->set_type("OnDelete"); });
      reached_ = false;  // of two pods on a node the older stays, available or not
    });
    sim_.actor("selector", 0.15, [this] {
      edit_spec("selector", [this](auto& spec) {
        auto& selector = *spec.mutable_template_()->mutable_spec()->mutable_nodeselector();
        selector.clear();
        if (sim_.chance(0.5)) selector["zone"] = "a";
      });
      reached_ = false;
    });
    sim_.actor("zone", 0.3, [this] {
      edit_node("zone", [this](Node& node) {
        (*node.mutable_metadata()->mutable_labels())["zone"] = sim_.chance(0.6) ? "a" : "b";
      });
    });
    sim_.actor("taint", 0.3, [this] { set_taint(sim_.chance(0.5) ? "NoSchedule" : "NoExecute"); });
    sim_.actor("no taint", 0.4, [this] { set_taint(""); });
    sim_.actor("undo", 0.1, [this] { undo(); });
    sim_.before_calm([this] {
      set_image(some_image());
      edit_spec("limits", [this](auto& spec) { set_limits(spec); });
    });
  }
  void undo() {
    const auto revisions = sim_.kernel().list<ControllerRevision>(kRevisions, "default");
    if (revisions.empty()) return;
    const ControllerRevision& to = sim_.pick(revisions);
    const auto pod_template = template_of(to);
    if (!pod_template) return;
    edit_spec("undo to " + to.metadata().name(), [&](auto& spec) { *spec.mutable_template_() = *pod_template; });
    reached_ = false;  // the selector may be another
  }

  // ------------------------------------------------------------------------------------------ what must hold

  void checks() {
    sim_.invariant("one to a node", [this] { return check_step(); });
    sim_.at_rest("exactly one where one belongs", [this] { return check_pods_at_rest(); });
    sim_.at_rest("status", [this] { return check_status_at_rest(); });
    sim_.at_rest("history", [this] { return check_history_at_rest(); });
  }

  std::string check_step() {
    Look now = look();
    std::string wrong = check_counts(now);
    for (const auto& [uid, pod] : now.pods) {
      if (!wrong.empty() || before_.pods.contains(uid)) continue;
      const std::string node = target_node(pod);
      // Set or node may have changed while the step was under way.
      const bool wanted = now.wants(node) || before_.wants(node) || Look{now.set, before_.nodes, {}}.wants(node) ||
                          Look{before_.set, now.nodes, {}}.wants(node);
      if (!wanted) wrong = pod.metadata().name() + " was made for " + node;
    }
    if (wrong.empty() && !options_.accidents) wrong = check_availability(now);
    before_ = std::move(now);
    return wrong;
  }
  std::string check_counts(const Look& now) {
    std::map<std::string, int> counts;
    for (const auto& [uid, pod] : now.pods) {
      if (!kube::is_active(pod)) continue;
      if (++counts[target_node(pod)] > (surges_ ? 2 : 1)) return "too many on " + target_node(pod);
    }
    return "";
  }
  // Once every node has its pod an update takes away no more than it may.
  std::string check_availability(const Look& now) {
    int32_t without = 0;
    for (const auto& [name, node] : now.nodes) {
      if (!now.wants(name)) continue;
      const bool served = std::any_of(now.pods.begin(), now.pods.end(), [&](const auto& each) {
        return target_node(each.second) == name && is_available(now, each.second);
      });
      without += served ? 0 : 1;
    }
    const auto most = [](const DaemonSet& set) {
      return set.spec().updatestrategy().rollingupdate().maxunavailable().intval();
    };
    most_ = std::max({most(now.set), most(before_.set), std::min(most_, without)});
    if (reached_ && without > most_) return std::to_string(without) + " nodes without a pod that serves";
    reached_ = reached_ || without == 0;
    return "";
  }

  std::string check_pods_at_rest() {
    const Look now = look();
    const Eligibility eligibility(now.set);
    std::map<std::string, int> counts;
    for (const auto& [uid, pod] : now.pods) {
      const std::string node = target_node(pod);
      if (!now.nodes.contains(node)) return pod.metadata().name() + " is for " + node + ", which is gone";
      ++counts[node];
      if (now.wants(node) && (!is_available(now, pod) || image_of(pod) != image_of(now.set))) {
        return pod.metadata().name() + " does not serve or is outdated";
      }
    }
    for (const auto& [name, node] : now.nodes) {
      const Fit fit = eligibility.on(node);
      if (fit.should_run && counts[name] != 1) return std::to_string(counts[name]) + " on " + name;
      if (!fit.may_stay && counts[name] != 0) return std::to_string(counts[name]) + " stayed on " + name;
    }
    return "";
  }
  std::string check_status_at_rest() {
    const Look now = look();
    int32_t wanted = 0, stray = 0;
    for (const auto& [name, node] : now.nodes) wanted += now.wants(name) ? 1 : 0;
    for (const auto& [uid, pod] : now.pods) stray += now.wants(target_node(pod)) ? 0 : 1;
    const auto& status = now.set.status();
    const bool counts = status.desirednumberscheduled() == wanted && status.currentnumberscheduled() == wanted &&
                        status.numberready() == wanted && status.numberavailable() == wanted &&
                        status.updatednumberscheduled() == wanted && status.numberunavailable() == 0 &&
                        status.numbermisscheduled() == stray;
    if (!counts || status.observedgeneration() != now.set.metadata().generation()) return status.ShortDebugString();
    return "";
  }
  std::string check_history_at_rest() {
    const DaemonSet set = stored();
    const std::string present = template_patch(set.spec().template_());
    int64_t highest = 0, newest = 0;
    int32_t old = 0;
    for (const auto& revision : sim_.kernel().list<ControllerRevision>(kRevisions, "default")) {
      highest = std::max(highest, revision.revision());
      if (revision.data().raw() != present) {
        ++old;
      } else if (newest != 0) {
        return "two revisions of the present template";
      } else {
        newest = revision.revision();
      }
    }
    if (newest == 0 || newest != highest) return "the present template has not the highest number";
    return old > kHistory + 1 ? std::to_string(old) + " old revisions" : "";
  }

  bool surges_;
  Look before_;
  bool reached_ = false;
  int32_t most_ = 0;
};

ORLOP_SIMULATION(DaemonSetSimulation, World, "daemonsets")

}  // namespace
}  // namespace orlop::workload
