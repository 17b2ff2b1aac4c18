#include "kernel/lifecycle/manager.hpp"

#include "orlop/v1/api.pb.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace orlop::lifecycle {

Manager::Manager(const KernelParts& kernel, ProcessHub& processes, ManagerOptions options,
                 std::vector<PluginSpec> specs)
    : kernel_(kernel), processes_(processes), options_(std::move(options)), lane_("lifecycle") {
  uint32_t order = 1;
  for (auto& spec : specs) {
    if (!spec.enabled) continue;
    auto instance = std::make_unique<Instance>();
    instance->spec = std::move(spec);
    instance->order = order++;
    instances_.push_back(std::move(instance));
  }
}

Manager::~Manager() {
  stop();
  kernel_.timer.settle();
  lane_.stop();
}

void Manager::start() {
  lane_.post([this] {
    prepare_all();
    plan_all();
    advance();
  });
}

bool Manager::wait_settled(int64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  return settled_changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [this] { return settled_; });
}

void Manager::stop() {
  lane_.post([this] {
    if (stopping_) return;
    stopping_ = true;
    for (auto& instance : instances_) {
      instance->restart_after_stop = false;
      if (instance->hosting) continue;
      cancel_timer(*instance);
      if (instance->state != State::kFailed && instance->state != State::kQuarantined)
        instance->state = State::kStopped;
    }
    stop_next();
  });
  std::unique_lock lock(mutex_);
  settled_changed_.wait(lock, [this] { return stopped_; });
}

// ------------------------------------------------------------------------------------------------ the lane's own tools

void Manager::post(Instance& instance, std::function<void(Instance&)> function) {
  lane_.post([&instance, run = instance.run, function = std::move(function)] {
    if (instance.run == run) function(instance);
  });
}

std::function<void(Status)> Manager::later(Instance& instance, Action action) {
  return [this, &instance, run = instance.run, action](Status status) {
    lane_.post([this, &instance, run, action, status = std::move(status)] {
      if (instance.run == run) (this->*action)(instance, status);
    });
  };
}

void Manager::after(Instance& instance, int64_t ns, std::function<void(Instance&)> function) {
  cancel_timer(instance);
  instance.timer = kernel_.timer.after(ns, [this, &instance, run = instance.run, function = std::move(function)] {
    lane_.post([&instance, run, function] {
      if (instance.run == run) function(instance);
    });
  });
}

void Manager::cancel_timer(Instance& instance) {
  if (instance.timer != 0) kernel_.timer.cancel(instance.timer);
  instance.timer = 0;
}

// -------------------------------------------------------------------------------------------------------------
// starting

void Manager::prepare_all() {
  for (auto& instance : instances_) {
    auto prepared = prepare_plugin(instance->spec);
    instance->manifest = std::move(prepared.manifest);
    if (!prepared.problems.empty()) {
      std::vector<std::string> texts;
      for (const auto& problem : prepared.problems) texts.push_back(problem.text());
      fail(*instance, fmt::format("{}", fmt::join(texts, "\n")));
      if (instance->manifest) instance->manifest->provides.clear();  // so that those behind it say who is missing
      continue;
    }
    add_reserved_settings(prepared.settings, instance->spec, options_.node_name, options_.folders);
    instance->settings = prepared.settings.SerializeAsString();
    for (auto& provided : instance->manifest->provides) {
      if (provided.instance == "$node") provided.instance = options_.node_name;
      kernel_.router.declare(provided.capability, provided.instance, instance->spec.name, instance->order);
    }
  }
}

void Manager::plan_all() {
  std::vector<PlanInput> inputs;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    const auto& instance = *instances_[i];
    if (instance.state == State::kFailed) continue;
    PlanInput input{instance.spec.name, {}, {}};
    for (const auto& provided : instance.manifest->provides) input.provides.push_back(provided.capability);
    for (const auto& required : instance.manifest->requirements) {
      input.requirements.push_back({required.capability, required.optional});
    }
    inputs.push_back(std::move(input));
    index.push_back(i);
  }
  auto plan = make_plan(inputs, {"kernel"});
  for (std::size_t at = 0; at < plan.size(); ++at) {
    auto& instance = *instances_[index[at]];
    instance.plan = std::move(plan[at]);
    for (auto& need : instance.plan.needs) {
      for (auto& provider : need.providers) provider = index[provider];
    }
    for (auto& provider : instance.plan.after) provider = index[provider];
    if (!instance.plan.refusal.empty()) fail(instance, instance.plan.refusal);
  }
}

bool Manager::hopeless(const Instance& instance) const {
  switch (instance.state) {
    case State::kFailed:
    case State::kQuarantined:
    case State::kStopped:
      return true;
    case State::kWaiting:
      return instance.blocked;
    default:
      return false;
  }
}

void Manager::look_at(Instance& instance) {
  instance.blocked = false;
  for (const auto& need : instance.plan.needs) {
    const Instance* best = nullptr;
    bool met = false, all_hopeless = true;
    for (const std::size_t provider : need.providers) {
      const Instance& other = *instances_[provider];
      met = met || other.state == State::kRunning;
      all_hopeless = all_hopeless && hopeless(other);
      if (best == nullptr) best = &other;
    }
    if (met) continue;
    instance.blocked = all_hopeless;
    instance.reason =
        fmt::format("it waits for the capability {} of plugin {}, which is {}{}{}", need.capability, best->spec.name,
                    name_of(best->state), best->reason.empty() ? "" : ": ", best->reason);
    return;
  }
  for (const std::size_t provider : instance.plan.after) {
    const Instance& other = *instances_[provider];
    if (other.state == State::kStarting || (other.state == State::kWaiting && !other.blocked)) {
      instance.reason = fmt::format("it waits for plugin {} to start first", other.spec.name);
      return;
    }
  }
  begin_run(instance);
}

void Manager::advance() {
  if (stopping_) return;
  // Again while something moved: one that failed may set another free, one that is blocked may block another.
  for (bool again = true; again;) {
    again = false;
    for (auto& instance : instances_) {
      if (instance->state != State::kWaiting) continue;
      const bool was_blocked = instance->blocked;
      look_at(*instance);
      again = again || instance->state != State::kWaiting || instance->blocked != was_blocked;
    }
  }
  changed();
}

void Manager::begin_run(Instance& instance) {
  ++instance.run;
  cancel_timer(instance);
  instance.state = State::kStarting;
  instance.reason.clear();
  instance.blocked = instance.reported_ready = false;
  instance.ready_reason.clear();
  instance.health_reason.clear();
  instance.start_sequence = next_start_++;
  if (auto status = make_own_folders(instance.spec.name, options_.folders); !status.is_ok()) {
    return fail(instance, status.message());
  }
  auto actor = std::make_shared<gate::Actor>(
      gate::Actor{instance.spec.name, instance.manifest->reads, instance.manifest->writes});
  auto context =
      std::make_shared<PluginContext>(kernel_, instance.spec.name, std::move(actor),
                                      [this, &instance, run = instance.run](bool ready, std::string reason) {
                                        lane_.post([this, &instance, run, ready, reason = std::move(reason)] {
                                          if (instance.run != run) return;
                                          instance.reported_ready = ready;
                                          instance.ready_reason = reason;
                                          changed();
                                        });
                                      });
  HostingSpec spec;
  spec.plugin = instance.spec.name;
  spec.file = instance.spec.file;
  spec.host_program = options_.host_program;
  spec.socket = fmt::format("{}/host-{}.sock", options_.folders.run, instance.spec.name);
  spec.hang_ns = options_.hang_ns;
  spec.on_fault = [this, &instance, run = instance.run](const std::string& reason) {
    lane_.post([this, &instance, run, reason] {
      if (instance.run == run) fault(instance, reason);
    });
  };
  spec.on_health = [this, &instance, run = instance.run](bool, const std::string& reason) {
    lane_.post([&instance, run, reason] {
      if (instance.run == run) instance.health_reason = reason;
    });
  };
  instance.hosting = instance.spec.isolated ? make_isolated_hosting(std::move(spec), std::move(context), processes_)
                                            : make_inline_hosting(std::move(spec), std::move(context));
  if (auto status = instance.hosting->begin(); !status.is_ok()) return fail(instance, status.message());
  after(instance, options_.start_ns_max, [this](Instance& slow) {
    const std::string reason = fmt::format("it did not start within {} s", options_.start_ns_max / 1'000'000'000);
    if (slow.spec.isolated) return fault(slow, reason);
    slow.reason = reason;
    kernel_.logs.error(slow.spec.name, reason);
    changed();
  });
  instance.hosting->init(instance.settings, later(instance, &Manager::on_init));
}

void Manager::on_init(Instance& instance, const Status& status) {
  if (instance.state != State::kStarting) return;
  if (!status.is_ok()) {
    fail(instance, fmt::format("init: {}", status.message()));
    return advance();
  }
  instance.hosting->start(later(instance, &Manager::on_started));
}

void Manager::on_started(Instance& instance, const Status& status) {
  if (instance.state != State::kStarting) return;
  if (!status.is_ok()) {
    const std::string reason = fmt::format("start: {}", status.message());
    if (instance.spec.isolated) return fault(instance, reason);
    fail(instance, reason);
    return advance();
  }
  kernel_.router.attach(instance.spec.name, instance.hosting);
  if (instance.manifest->provides_capability("api")) return describe(instance);
  run_on(instance);
}

void Manager::describe(Instance& instance) {
  kernel_.router.call_plugin(instance.spec.name, "orlop.v1.Kinds/Describe", v1::DescribeRequest().SerializeAsString(),
                             10'000, [this, &instance, run = instance.run](Code code, std::string_view payload) {
                               lane_.post([this, &instance, run, code, payload = std::string(payload)] {
                                 if (instance.run == run && instance.state == State::kStarting)
                                   on_described(instance, code, payload);
                               });
                             });
}

void Manager::on_described(Instance& instance, Code code, const std::string& payload) {
  Status status = bus::decode_status(code, payload);
  if (code == Code::kOk) {
    v1::DescribeResponse response;
    if (!response.ParseFromString(payload)) {
      status = Status(Code::kInternal, "its answer cannot be read as orlop.v1.DescribeResponse");
    } else {
      status = kernel_.gate.register_kinds(instance.spec.name, {response.kinds().begin(), response.kinds().end()});
    }
  } else if (code == Code::kMethodNotAllowed || code == Code::kNotFound) {
    status = {};  // a front-end without kinds of its own
  }
  if (!status.is_ok()) {
    const std::string reason = fmt::format("Kinds/Describe: {}", status.message());
    if (instance.spec.isolated) return fault(instance, reason);
    fail(instance, reason);
    return advance();
  }
  run_on(instance);
}

void Manager::run_on(Instance& instance) {
  cancel_timer(instance);
  instance.state = State::kRunning;
  instance.reason.clear();
  instance.started_unix_ns = kernel_.clock.wall_ns();
  instance.running_since_ns = kernel_.clock.monotonic_ns();
  kernel_.logs.info("kernel", fmt::format("plugin {} {} runs ({})", instance.spec.name, instance.manifest->version,
                                          instance.spec.isolated ? "isolated" : "inline"));
  advance();
}

// ------------------------------------------------------------------------------------------------------ ends and
// faults

void Manager::release(Instance& instance, const std::string& reason) {
  cancel_timer(instance);
  kernel_.router.detach(instance.spec.name, reason);
  kernel_.gate.unregister_provider(instance.spec.name);
  if (instance.hosting) instance.hosting->close();
  instance.hosting.reset();
  ++instance.run;
}

void Manager::fail(Instance& instance, const std::string& reason) {
  if (instance.hosting && instance.spec.isolated) instance.hosting->kill();
  release(instance, fmt::format("it failed: {}", reason));
  instance.state = State::kFailed;
  instance.reason = reason;
  kernel_.logs.error("kernel", fmt::format("plugin {} failed: {}", instance.spec.name, reason));
}

void Manager::fault(Instance& instance, const std::string& reason) {
  if (!instance.hosting) return;
  const int64_t now = kernel_.clock.monotonic_ns();
  const int64_t ran = instance.state == State::kRunning ? now - instance.running_since_ns : 0;
  instance.hosting->kill();
  release(instance, reason);
  instance.reason = reason;
  const auto verdict = instance.policy.on_fault(now, ran);
  if (stopping_) {
    instance.state = State::kStopped;
    return stop_next();
  }
  if (verdict.quarantine) {
    instance.state = State::kQuarantined;
    kernel_.logs.error(
        "kernel", fmt::format("plugin {} is quarantined after {} faults within {} s, the last: {}; start it "
                              "again with `orlop plugin restart {}`",
                              instance.spec.name, RestartPolicy::kFaultsMax, RestartPolicy::kWindowNs / 1'000'000'000,
                              reason, instance.spec.name));
    return advance();
  }
  ++instance.restarts;
  instance.state = State::kBackoff;
  kernel_.logs.error("kernel", fmt::format("plugin {} faulted: {}; it is started again in {} ms", instance.spec.name,
                                           reason, verdict.delay_ns / 1'000'000));
  if (verdict.delay_ns == 0) {
    begin_run(instance);
  } else {
    after(instance, verdict.delay_ns, [this](Instance& waiting) {
      begin_run(waiting);
      changed();
    });
  }
  advance();
}

void Manager::begin_stop(Instance& instance) {
  kernel_.router.detach(instance.spec.name, "it is being stopped");
  after(instance, options_.stop_ns_max, [this](Instance& slow) {
    kernel_.logs.error(
        "kernel", fmt::format("plugin {} did not stop within {} s and is {}", slow.spec.name,
                              options_.stop_ns_max / 1'000'000'000, slow.spec.isolated ? "killed" : "left behind"));
    slow.hosting->kill();
    on_stopped(slow, {});
  });
  instance.hosting->stop(later(instance, &Manager::on_stopped));
}

void Manager::on_stopped(Instance& instance, const Status&) {
  release(instance, "it has been stopped");
  instance.state = State::kStopped;
  instance.reason = stopping_ ? "the kernel is stopping" : "";
  if (stopping_) return stop_next();
  if (std::exchange(instance.restart_after_stop, false)) {
    ++instance.restarts;
    instance.state = State::kWaiting;
  }
  advance();
}

void Manager::stop_next() {
  Instance* last = nullptr;
  for (auto& instance : instances_) {
    if (instance->hosting && (last == nullptr || instance->start_sequence > last->start_sequence))
      last = instance.get();
  }
  if (last != nullptr) return begin_stop(*last);
  {
    std::lock_guard lock(mutex_);
    stopped_ = settled_ = true;
  }
  settled_changed_.notify_all();
}

void Manager::changed() {
  const bool settled = std::all_of(instances_.begin(), instances_.end(), [this](const auto& instance) {
    return instance->state == State::kRunning || instance->state == State::kBackoff || hopeless(*instance);
  });
  {
    std::lock_guard lock(mutex_);
    if (settled_ == settled) return;
    settled_ = settled;
  }
  if (!settled) return;
  settled_changed_.notify_all();
  if (options_.on_settled) options_.on_settled();
}

void Manager::restart(std::string name, std::function<void(Status)> done) {
  lane_.post([this, name = std::move(name), done = std::move(done)] {
    auto found =
        std::find_if(instances_.begin(), instances_.end(), [&](const auto& i) { return i->spec.name == name; });
    if (found == instances_.end()) return done({Code::kNotFound, fmt::format("there is no plugin {}", name)});
    Instance& instance = **found;
    if (stopping_) return done({Code::kUnavailable, "the kernel is stopping"});
    if (!instance.manifest || !instance.plan.refusal.empty() || instance.settings.empty()) {
      return done({Code::kUnavailable, fmt::format("plugin {} cannot be started: {}; mend that, then restart orlopd",
                                                   name, instance.reason)});
    }
    kernel_.logs.info("kernel", fmt::format("plugin {} is started again by command", name));
    instance.policy.reset();
    done({});
    if (instance.hosting) {
      instance.restart_after_stop = true;
      return begin_stop(instance);
    }
    cancel_timer(instance);
    ++instance.restarts;
    instance.state = State::kWaiting;
    advance();
  });
}

}  // namespace orlop::lifecycle
