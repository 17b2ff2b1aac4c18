// A HorizontalPodAutoscaler of a ReplicaSet in a storm: load that comes and goes, nodes that do not answer, users who
// scale and change the bounds, accidents, faults of every kind.
#include "orlop/testing/simulated_world.hpp"
#include "orlop/v1/node.pb.h"
#include "plugins/controllers-workload/autoscaling/autoscaler.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

namespace orlop::workload {
namespace {

constexpr char kAutoscalers[] = "horizontalpodautoscalers.autoscaling";
constexpr int kPercent = 50;  // of the 100m that each pod asks for

// What the pods of a node use: an equal share of the load.
class FakeNode final : public v1::Node {
 public:
  void Stats(google::protobuf::RpcController* controller, const v1::StatsRequest* request, v1::StatsResponse* response,
             google::protobuf::Closure* done) override {
    if (fails) CallController::of(controller).fail(Status(Code::kUnavailable, "no answer"));
    for (const auto& pod : request->pods()) {
      auto& stats = *response->add_pods();
      *stats.mutable_pod() = pod;
      auto& container = *stats.add_containers();
      container.set_name("web");
      container.mutable_usage()->set_at_unix_ns(now_ns());
      container.mutable_usage()->set_window_ns(10'000'000'000);
      container.mutable_usage()->set_cpu_nano_cores(share_milli() * 1'000'000);
      container.mutable_usage()->set_memory_working_set_bytes(64 << 20);
    }
    done->Run();
  }
  std::function<int64_t()> now_ns;
  std::function<uint64_t()> share_milli;
  bool fails = false;
};

class World final : public testing::SimulatedWorld<ReplicaSet> {
 public:
  explicit World(uint64_t seed) : SimulatedWorld(seed, {.steps = 200, .accidents = seed % 2 == 0}) {
    AutoscalerOptions options;
    options.workers = 1;
    controller<ReplicaSetController>("replicaset", 1U);
    controller<AutoscalerController>("autoscaler", options);
    node_.now_ns = [this] { return sim_.kernel().wall_now_ns(); };
    node_.share_milli = [this] { return load_ / std::max<size_t>(1, cluster_.active_pods().size()); };
    sim_.kernel().provide("node", node_);
    begin(first());
    last_ = stored().spec().replicas();
    (void)sim_.kernel().create(kAutoscalers, autoscaler());
    note_bounds();
    users();
    sim_.invariant("between minimum and maximum", [this] { return check_bounds(); });
    sim_.at_rest("as many as the load asks for", [this] { return check_at_rest(); });
    sim_.show([this] {
      std::string out = "x" + std::to_string(stored().spec().replicas()) + " load " + std::to_string(load_);
      const Autoscaler object = stored_autoscaler();
      for (const auto& condition : object.status().conditions()) {
        out +=
            ", " + condition.type() + " " + condition.status() + " " + condition.reason() + ": " + condition.message();
      }
      return out;
    });
  }

 private:
  ReplicaSet first() {
    ReplicaSet out = with_template();
    auto& container = *out.mutable_spec()->mutable_template_()->mutable_spec()->mutable_containers(0);
    (*container.mutable_resources()->mutable_requests())["cpu"].set_string("100m");
    out.mutable_spec()->set_replicas(static_cast<int32_t>(1 + sim_.below(4)));
    return out;
  }
  void set_bounds(Autoscaler& object) {
    const auto least = static_cast<int32_t>(1 + sim_.below(3));
    object.mutable_spec()->set_minreplicas(least);
    object.mutable_spec()->set_maxreplicas(least + static_cast<int32_t>(sim_.below(6)));
  }
  Autoscaler autoscaler() {
    Autoscaler out;
    out.mutable_metadata()->set_name("web");
    out.mutable_metadata()->set_namespace_("default");
    auto& spec = *out.mutable_spec();
    spec.mutable_scaletargetref()->set_apiversion("apps/v1");
    spec.mutable_scaletargetref()->set_kind("ReplicaSet");
    spec.mutable_scaletargetref()->set_name("web");
    // All of them at once, up and down: as the API sets its defaults, but for the wait before shrinking.
    for (auto* rules : {spec.mutable_behavior()->mutable_scaleup(), spec.mutable_behavior()->mutable_scaledown()}) {
      rules->set_stabilizationwindowseconds(0);
      rules->set_selectpolicy("Max");
      auto& policy = *rules->add_policies();
      policy.set_type("Percent");
      policy.set_value(100);
      policy.set_periodseconds(15);
    }
    auto& metric = *spec.add_metrics();
    metric.set_type("Resource");
    metric.mutable_resource()->set_name("cpu");
    metric.mutable_resource()->mutable_target()->set_type("Utilization");
    metric.mutable_resource()->mutable_target()->set_averageutilization(kPercent);
    set_bounds(out);
    return out;
  }
  Autoscaler stored_autoscaler() { return *sim_.kernel().get<Autoscaler>(kAutoscalers, "default", "web"); }
  void note_bounds() {
    const auto spec = stored_autoscaler().spec();
    least_ = std::min(least_, spec.minreplicas());
    most_ = std::max(most_, spec.maxreplicas());
  }
  void users() {
    sim_.actor("load", 0.8, [this] {
      load_ = 25 * sim_.below(17);
      sim_.note("load " + std::to_string(load_));
    });
    sim_.actor("no answer", 0.2, [this] { node_.fails = !node_.fails; });
    sim_.actor("scale", 0.2, [this] {
      const auto replicas = static_cast<int32_t>(sim_.below(10));
      edit_spec("scale to " + std::to_string(replicas), [&](auto& spec) { spec.set_replicas(replicas); });
      by_user_ = true;
    });
    sim_.actor("bounds", 0.2, [this] {
      Autoscaler object = stored_autoscaler();
      set_bounds(object);
      sim_.note("user: bounds");
      (void)sim_.kernel().update(kAutoscalers, object);
      note_bounds();
    });
    sim_.before_calm([this] { node_.fails = false; });
  }

  // ------------------------------------------------------------------------------------------ what must hold

  std::string check_bounds() {
    const int32_t now = stored().spec().replicas();
    std::string wrong;
    if (now != last_ && !by_user_) {
      if (now < least_ || now > most_) {
        wrong = std::to_string(now) + " where " + std::to_string(least_) + " to " + std::to_string(most_) + " may be";
      }
      if (last_ == 0) wrong = "scaled from nothing, where it is switched off";
    }
    last_ = now;
    by_user_ = false;
    least_ = INT32_MAX;
    most_ = 0;
    note_bounds();
    return wrong;
  }
  std::string check_at_rest() {
    const auto spec = stored_autoscaler().spec();
    const int32_t now = stored().spec().replicas();
    if (now == 0) return "";
    if (now < spec.minreplicas() || now > spec.maxreplicas()) return std::to_string(now) + " replicas";
    const auto each = static_cast<int32_t>(load_ / static_cast<uint64_t>(now));
    // A tenth more or less than the target is near enough.
    if (each > kPercent * 11 / 10 && now < spec.maxreplicas()) return std::to_string(now) + " are too few";
    const auto fewer = now - 1;
    if (fewer >= spec.minreplicas() && static_cast<int32_t>(load_) < fewer * kPercent * 9 / 10) {
      return std::to_string(now) + " are too many";
    }
    return "";
  }

  FakeNode node_;
  uint64_t load_ = 100;
  bool by_user_ = false;
  int32_t last_ = 0;
  int32_t least_ = INT32_MAX;
  int32_t most_ = 0;
};

ORLOP_SIMULATION(AutoscalerSimulation, World, "autoscalers")

}  // namespace
}  // namespace orlop::workload
