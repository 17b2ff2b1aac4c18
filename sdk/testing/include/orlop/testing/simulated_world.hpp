// One object of a workload's kind in a storm: what every controller's simulation sets up in the same way. A simulation
// derives from it and states its controllers, its object, its moves and what must hold:
//
//   class World : public testing::SimulatedWorld<ReplicaSet> {
//    public:
//     explicit World(uint64_t seed) : SimulatedWorld(seed, {.accidents = seed % 2 == 0}) {
//       controller<ReplicaSetController>("replicaset", 1);
//       begin(first());
//       sim_.actor("scale", 0.5, [this] { edit("scale", [this](ReplicaSet& set) { … }); });
//       sim_.invariant("no more than replicas", [this] { return check_count(); });
//     }
//   };
//   ORLOP_SIMULATION(ReplicaSetSimulation, World, "replicasets")
//
// Threads: one, as the Simulation.
#pragma once

#include "orlop/kube/kinds_traits.hpp"
#include "orlop/testing/simulated_cluster.hpp"
#include "orlop/testing/simulation.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::testing {

struct SimulatedWorldOptions {
  std::string name = "web";              // of the object, and of its label "app"
  unsigned steps = 150;                  // how long the storm lasts
  bool accidents = false;                // pods are deleted, fail and are not ready for a while, nodes are lost
  SimulatedClusterOptions cluster = {};  // its accidents count where they are more than these
};

template <typename Workload>
class SimulatedWorld {
 public:
  SimulatedWorld(const SimulatedWorld&) = delete;
  SimulatedWorld& operator=(const SimulatedWorld&) = delete;
  virtual ~SimulatedWorld() = default;

  // Nothing: all held. Else what did not.
  std::optional<std::string> run() { return sim_.run(options_.steps); }

 protected:
  static inline const std::string kKind{kube::KindOf<Workload>::id};

  SimulatedWorld(uint64_t seed, SimulatedWorldOptions options)
      : sim_(seed), options_(with_accidents(std::move(options))), cluster_(sim_, options_.cluster) {
    cluster_.owner_kinds = {kKind};
  }

  // One that is made anew, with the host and these arguments, for each of its lives.
  template <typename Controller, typename... Args>
  void controller(std::string name, Args... args) {
    sim_.controller(std::move(name), [args...](Host host) { return std::make_unique<Controller>(host, args...); });
  }
  // The object is there from here on.
  void begin(const Workload& first) {
    (void)sim_.kernel().create(kKind, first);
    edited();
  }
  // A new object of the world's name, with nothing but its metadata.
  [[nodiscard]] Workload named() const {
    Workload out;
    out.mutable_metadata()->set_name(options_.name);
    out.mutable_metadata()->set_namespace_(options_.cluster.name_space);
    return out;
  }
  // The same with a selector of its label "app" and a template of one container, image "v1", that always restarts.
  [[nodiscard]] Workload with_template() const {
    Workload out = named();
    auto& spec = *out.mutable_spec();
    (*spec.mutable_selector()->mutable_matchlabels())["app"] = options_.name;
    (*spec.mutable_template_()->mutable_metadata()->mutable_labels())["app"] = options_.name;
    auto& container = *spec.mutable_template_()->mutable_spec()->add_containers();
    container.set_name(options_.name);
    container.set_image("v1");
    spec.mutable_template_()->mutable_spec()->set_restartpolicy("Always");
    return out;
  }

  [[nodiscard]] std::optional<Workload> find() {
    auto found = sim_.kernel().template get<Workload>(kKind, options_.cluster.name_space, options_.name);
    return found ? std::optional<Workload>(std::move(*found)) : std::nullopt;
  }
  // Only where nobody deletes it.
  [[nodiscard]] Workload stored() { return *find(); }
  // All objects of another kind in the world's namespace.
  template <typename T>
  [[nodiscard]] std::vector<T> all() {
    return sim_.kernel().template list<T>(std::string(kube::KindOf<T>::id), options_.cluster.name_space);
  }

  // As a user who reads it, changes it and writes it whatever has become of it; not when it is gone.
  void edit(const std::string& what, const std::function<void(Workload&)>& change) {
    auto found = find();
    if (!found) return;
    change(*found);
    sim_.note("user: " + what);
    (void)sim_.kernel().update(kKind, *found);
    edited();
  }
  // `change` of the spec alone.
  template <typename Change>
  void edit_spec(const std::string& what, const Change& change) {
    edit(what, [&](Workload& object) { change(*object.mutable_spec()); });
  }
  // After each edit, and once at the beginning.
  virtual void edited() {}

  static std::string image_of(const kube::Pod& pod) { return pod.spec().containers(0).image(); }
  static std::string image_of(const auto& workload) { return image_of_spec(workload.spec().template_().spec()); }
  void set_image(const std::string& image) {
    edit("image " + image, [&](Workload& object) {
      object.mutable_spec()->mutable_template_()->mutable_spec()->mutable_containers(0)->set_image(image);
    });
  }
  // A pod in a trace: its mark says terminating, ended, ready, none of these.
  static std::string mark_of(const kube::Pod& pod) {
    return std::string(kube::is_terminating(pod) ? "-" : "") + (kube::is_terminal(pod) ? "!"
                                                                : kube::is_ready(pod)  ? "+"
                                                                                       : "?");
  }

  Simulation sim_;
  const SimulatedWorldOptions options_;
  SimulatedCluster cluster_;

 private:
  static std::string image_of_spec(const auto& spec) { return spec.containers(0).image(); }
  static SimulatedWorldOptions with_accidents(SimulatedWorldOptions options) {
    if (!options.accidents) return options;
    SimulatedClusterOptions& cluster = options.cluster;
    for (double* weight : {&cluster.pods_deleted, &cluster.pods_fail, &cluster.pods_unready}) {
      *weight = std::max(*weight, 0.5);
    }
    cluster.nodes_lost = std::max(cluster.nodes_lost, 0.2);
    return options;
  }
};

}  // namespace orlop::testing

// The test of a simulation: `World` with each seed, told as `what`.
#define ORLOP_SIMULATION(Suite, World, what)                                                             \
  TEST(Suite, Seeds) {                                                                                   \
    const auto wrong = orlop::testing::run_seeds(what, [](uint64_t seed) { return World(seed).run(); }); \
    EXPECT_TRUE(wrong.empty()) << wrong;                                                                 \
  }
