// Controllers in a storm, from a seed: their steps, what happens outside, the passing of time and every kind of fault
// in a random order, with what must always hold checked after each; then a calm in which the faults end and everything
// has to come to the state that the objects ask for.
//
//   std::optional<std::string> simulate(uint64_t seed) {
//     Simulation sim(seed);
//     SimulatedCluster cluster(sim);                       // nodes, a scheduler, kubelets (simulated_cluster.hpp)
//     sim.controller("replicaset", [](Host host) { return std::make_unique<ReplicaSetController>(host, 1); });
//     sim.actor("scale", 1, [&] { … sim.kernel().update(…) … });
//     sim.invariant("no orphans", [&] { return orphans() == 0 ? "" : "a pod without an owner"; });
//     sim.at_rest("as many as asked for", [&] { … });
//     return sim.run(150);
//   }
//   TEST(ReplicaSetSimulation, Seeds) {
//     const std::string wrong = run_seeds("replicasets", simulate);
//     EXPECT_TRUE(wrong.empty()) << wrong;
//   }
//
// What is random, all of it drawn from the seed: which controller takes its next step (one look at the change log and
// one key); which of them hears of a change, late, twice or not at all; what the actors do; how much time passes;
// commits that conflict, fail, or are carried out while their answer is lost; reads that fail; a compacted change log;
// a controller that starts anew; and what another does between a controller's reads and its commit.
//
// Threads: one. A simulation is deterministic as long as its controllers take no time, randomness or order from
// elsewhere.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/testing/fake_kernel.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace orlop::testing {

// How often what happens, against a weight of 10 for a controller's step (of all together).
struct StormWeights {
  double time = 2;
  double conflict = 0.4;
  double failed_commit = 0.2;
  double lost_answer = 0.2;
  double failed_read = 0.2;
  double compaction = 0.1;
  double restart = 0.2;
  // Chances, for each controller and change: it hears of it only by a later one, or by chance.
  double lost_wake = 0.1;
  // For each commit: something else happens just before it.
  double between = 0.15;
};

class Simulation {
 public:
  using MakeReconciler = std::function<std::unique_ptr<Reconciler>(Host)>;
  using Act = std::function<void()>;
  // What is wrong, in words; empty: nothing.
  using Check = std::function<std::string()>;

  explicit Simulation(uint64_t seed, StormWeights weights = {});
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  [[nodiscard]] FakeKernel& kernel() { return kernel_; }
  [[nodiscard]] bool is_calm() const { return calm_; }
  [[nodiscard]] int64_t now_s() const { return kernel_.wall_now_ns() / 1'000'000'000; }

  // Draws. `below(0)` is 0.
  [[nodiscard]] size_t below(size_t count);
  [[nodiscard]] bool chance(double probability);
  template <typename T>
  [[nodiscard]] const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

  // `make` is called for each of its lives.
  void controller(std::string name, MakeReconciler make);
  // Something that happens in the storm, as often as `weight` says.
  void actor(std::string name, double weight, Act act);
  // Part of a world that works: runs in each round of the calm (the storm has its actors for the same).
  void world(std::string name, Act act);
  // Runs once, between storm and calm: the last word of the user.
  void before_calm(Act act) { before_calm_ = std::move(act); }
  // Checked after every step, in the storm and in the calm.
  void invariant(std::string name, Check check);
  // Checked once, when nothing moves any more.
  void at_rest(std::string name, Check check);

  // A line for the trace that a failure prints; what actors do is worth one.
  void note(std::string line);
  // The state in a line, for the trace: asked for after each step when a single seed is run (ORLOP_SIM_SEED).
  void show(std::function<std::string()> state) { show_ = std::move(state); }

  // The storm of so many steps, then the calm, until nothing has been written for longer than the longest back-off.
  // Nothing: all held. Else what did not, with the last lines of the trace.
  std::optional<std::string> run(unsigned steps);

 private:
  struct Named {
    std::string name;
    double weight = 0;
    Act act;
  };
  struct NamedCheck {
    std::string name;
    Check check;
  };
  struct Life {
    std::string name;
    MakeReconciler make;
    std::unique_ptr<ControllerSet> set;
    bool woken = true;
    bool busy = false;  // in the middle of a step: it waits for its commit
  };

  void choices();
  void start(Life& life);
  void step(Life& life);
  void step_some();
  void happen(bool may_restart);
  void spread_wakes();
  void note_state();
  void pass_time();
  void between();
  void calm_round();
  bool come_to_rest();
  bool holds(const std::vector<NamedCheck>& checks);
  [[nodiscard]] std::string report() const;

  FakeKernel kernel_;
  StormWeights weights_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Life>> lives_;
  std::vector<Named> actors_;
  std::vector<Named> world_;
  std::vector<Named> storm_;  // all choices
  double storm_weight_ = 0;
  std::vector<NamedCheck> invariants_;
  std::vector<NamedCheck> at_rest_;
  Act before_calm_;
  std::function<std::string()> show_;
  std::string shown_;
  bool calm_ = false;
  bool nested_ = false;
  uint64_t revision_seen_ = 0;
  std::deque<std::string> trace_;
  std::string failure_;
};

// Runs `simulate` for the seeds 1 to 200, or to ORLOP_SIM_SEEDS; with ORLOP_SIM_SEED for that one alone. Empty: all
// held. Else the first failures, each with its seed, and how to run it again.
std::string run_seeds(const std::string& name, const std::function<std::optional<std::string>(uint64_t)>& simulate);

}  // namespace orlop::testing
