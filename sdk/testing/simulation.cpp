#include "orlop/testing/simulation.hpp"

#include "orlop/names.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <utility>

namespace orlop::testing {
namespace {

using namespace std::chrono_literals;

constexpr size_t kTraceLines = 120;
constexpr double kStepsWeight = 10;
constexpr std::chrono::seconds kRest = 90s;  // longer than a work queue's longest back-off
constexpr int kRoundsMax = 3000;
constexpr int kFailuresShown = 3;

FakeKernelOptions options_of(uint64_t seed) {
  FakeKernelOptions options;
  options.seed = seed;
  return options;
}

}  // namespace

Simulation::Simulation(uint64_t seed, StormWeights weights)
    : kernel_(options_of(seed)), weights_(weights), random_(seed) {
  seed_names(seed);
  kernel_.before_commit([this] { between(); });
}

Simulation::~Simulation() {
  kernel_.before_commit({});
}

size_t Simulation::below(size_t count) {
  // The distributions of the standard library differ between libraries; a remainder does not.
  return count == 0 ? 0 : random_() % count;
}

bool Simulation::chance(double probability) {
  return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
}

void Simulation::controller(std::string name, MakeReconciler make) {
  auto life = std::make_unique<Life>();
  life->name = std::move(name);
  life->make = std::move(make);
  start(*life);
  lives_.push_back(std::move(life));
}

void Simulation::actor(std::string name, double weight, Act act) {
  actors_.push_back({std::move(name), weight, std::move(act)});
}

void Simulation::world(std::string name, Act act) {
  world_.push_back({std::move(name), 0, std::move(act)});
}

void Simulation::invariant(std::string name, Check check) {
  invariants_.push_back({std::move(name), std::move(check)});
}

void Simulation::at_rest(std::string name, Check check) {
  at_rest_.push_back({std::move(name), std::move(check)});
}

void Simulation::note(std::string line) {
  trace_.push_back(std::to_string(kernel_.revision()) + " " + std::move(line));
  if (trace_.size() > kTraceLines) trace_.pop_front();
}

void Simulation::start(Life& life) {
  life.set = std::make_unique<ControllerSet>(kernel_.host());
  life.set->add(life.make(kernel_.host()));
  life.woken = true;
}

void Simulation::step(Life& life) {
  life.busy = true;
  life.woken = life.set->run_until_idle(1) != 0;
  life.busy = false;
}

void Simulation::step_some() {
  std::vector<Life*> able;
  for (const auto& life : lives_) {
    if (!life->busy && (life->woken || chance(0.02))) able.push_back(life.get());
  }
  if (able.empty()) return;
  Life& life = *pick(able);
  note("step of " + life.name);
  step(life);
}

// What can happen, and how often.
void Simulation::choices() {
  storm_ = actors_;
  storm_.push_back({"step", kStepsWeight, [this] { step_some(); }});
  storm_.push_back({"time", weights_.time, [this] { pass_time(); }});
  storm_.push_back({"a conflict to come", weights_.conflict, [this] { kernel_.conflict_commits(1); }});
  storm_.push_back({"a commit that fails to come", weights_.failed_commit,
                    [this] { kernel_.fail_commits(Status(Code::kUnavailable, "the store is away")); }});
  storm_.push_back({"a lost answer to come", weights_.lost_answer,
                    [this] { kernel_.lose_answers(Status(Code::kUnavailable, "the answer was lost")); }});
  storm_.push_back({"a read that fails to come", weights_.failed_read,
                    [this] { kernel_.fail_reads(Status(Code::kUnavailable, "the store is away")); }});
  storm_.push_back({"compaction", weights_.compaction, [this] { kernel_.compact(); }});
  storm_.push_back({"restart", weights_.restart, [this] {
                      if (lives_.empty()) return;
                      Life& life = *lives_[below(lives_.size())];
                      if (life.busy) return;
                      note("restart of " + life.name);
                      start(life);
                    }});
  storm_weight_ = 0;
  for (const Named& each : storm_) storm_weight_ += each.weight;
}

void Simulation::happen(bool may_restart) {
  double drawn = static_cast<double>(random_() >> 11) * 0x1.0p-53 * storm_weight_;
  for (const Named& each : storm_) {
    drawn -= each.weight;
    if (drawn >= 0) continue;
    if (!may_restart && each.name == "restart") return;
    if (each.name != "step" && each.name != "time" && each.name != "restart") note(each.name);
    each.act();
    note_state();
    spread_wakes();
    return;
  }
}

void Simulation::spread_wakes() {
  const uint64_t revision = kernel_.revision();
  if (revision == revision_seen_) return;
  revision_seen_ = revision;
  for (const auto& life : lives_) life->woken = life->woken || !chance(weights_.lost_wake);
}

void Simulation::note_state() {
  static const bool kWanted = std::getenv("ORLOP_SIM_SEED") != nullptr;
  if (!kWanted || !show_) return;
  std::string state = show_();
  if (state == shown_) return;
  shown_ = std::move(state);
  note("    " + shown_);
}

void Simulation::pass_time() {
  static constexpr std::chrono::milliseconds kSpans[] = {5ms, 50ms, 500ms, 1s, 3s, 10s, 70s};
  const auto span = kSpans[below(std::size(kSpans))];
  note("time: " + std::to_string(span.count()) + " ms");
  kernel_.advance(span);
  for (const auto& life : lives_) life->woken = true;
}

// Something else happens between a controller's reads and its commit.
void Simulation::between() {
  if (calm_ || nested_ || !chance(weights_.between)) return;
  nested_ = true;
  note("(before a commit:");
  happen(false);
  note(")");
  nested_ = false;
}

void Simulation::calm_round() {
  for (const auto& life : lives_) life->set->run_until_idle();
  for (const Named& each : world_) each.act();
}

bool Simulation::come_to_rest() {
  auto span = std::chrono::nanoseconds(100ms);
  std::chrono::nanoseconds quiet{0};
  uint64_t before = kernel_.revision();
  for (int round = 0; round < kRoundsMax; ++round) {
    calm_round();
    if (!holds(invariants_)) return false;
    const uint64_t after = kernel_.revision();
    if (after == before) {
      if (quiet >= kRest) return true;
      span = std::min(span * 2, std::chrono::nanoseconds(20s));
      quiet += span;
    } else {
      note("calm: " + std::to_string(after - before) + " changes");
      note_state();
      span = 100ms;
      quiet = 0ns;
    }
    before = after;
    kernel_.advance(span);
  }
  failure_ = "does not come to rest: something is written again and again";
  return false;
}

bool Simulation::holds(const std::vector<NamedCheck>& checks) {
  for (const NamedCheck& each : checks) {
    const std::string wrong = each.check();
    if (wrong.empty()) continue;
    failure_ = each.name + ": " + wrong;
    return false;
  }
  return true;
}

std::optional<std::string> Simulation::run(unsigned steps) {
  choices();
  spread_wakes();
  for (unsigned i = 0; i < steps; ++i) {
    happen(true);
    if (!holds(invariants_)) return report();
  }
  note("calm");
  calm_ = true;
  kernel_.clear_faults();
  if (before_calm_) before_calm_();
  note_state();
  if (!come_to_rest() || !holds(at_rest_)) return report();
  return std::nullopt;
}

std::string Simulation::report() const {
  std::string out = failure_ + "\n";
  for (const std::string& line : trace_) out += "    " + line + "\n";
  return out;
}

std::string run_seeds(const std::string& name, const std::function<std::optional<std::string>(uint64_t)>& simulate) {
  const char* one = std::getenv("ORLOP_SIM_SEED");
  const char* many = std::getenv("ORLOP_SIM_SEEDS");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const uint64_t last = one != nullptr ? first : many != nullptr ? std::strtoull(many, nullptr, 10) : 200;
  std::string failures;
  int failed = 0;
  uint64_t ran = 0;
  for (uint64_t seed = first; seed <= last; ++seed, ++ran) {
    const auto wrong = simulate(seed);
    if (!wrong) continue;
    if (++failed <= kFailuresShown) {
      failures +=
          "seed " + std::to_string(seed) + ": " + *wrong + "  again: ORLOP_SIM_SEED=" + std::to_string(seed) + "\n";
    }
  }
  std::cout << name << ": seeds " << first << " to " << first + ran - 1 << ", " << failed << " failed" << std::endl;
  return failures;
}

}  // namespace orlop::testing
