#include "plugins/node-agent/probes/prober.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// Where in its period an adopted container's probe begins, so that not all begin at once.
int64_t phase_of(const std::string& id, ProbeKind kind, int64_t period_ns) {
  const size_t hash = std::hash<std::string>()(id + name_of(kind));
  return static_cast<int64_t>(hash % static_cast<size_t>(period_ns / kMillisecond)) * kMillisecond;
}

}  // namespace

Prober::Followed Prober::begin(const ObjectKey& key, const kube::Pod& pod, const std::string& pod_ip,
                               const Probed& probed) {
  Followed followed;
  followed.key = key;
  followed.reference.set_kind("Pod");
  followed.reference.set_apiversion("v1");
  followed.reference.set_namespace_(key.name_space);
  followed.reference.set_name(key.name);
  followed.reference.set_uid(pod.metadata().uid());
  followed.reference.set_fieldpath(probed.field_path);
  followed.started_at_ns = probed.started_at_ns;
  followed.serial = ++serials_;
  followed.started = !probed.container->has_startupprobe() || probed.was_started;
  const int64_t now = host_.monotonic_now_ns();
  const int64_t age = std::max<int64_t>(0, host_.wall_now_ns() - probed.started_at_ns);
  for (const ProbeKind kind : kProbeKinds) {
    const core::Probe* spec = probe_of(*probed.container, kind);
    if (spec == nullptr) continue;
    const bool passed = kind == ProbeKind::kLiveness || (kind == ProbeKind::kReadiness && probed.was_ready);
    Probe probe{kind, ProbeState(kind, *spec, passed), 0, 0, false, std::nullopt, ""};
    probe.due_ns = now + std::max<int64_t>(0, probe.state.initial_delay_ns() - age);
    if (probed.was_started) probe.due_ns += phase_of(probed.id, kind, probe.state.period_ns());
    auto check = make_check(spec->handler(), *probed.container, pod_ip);
    if (check) {
      check->container_id = probed.id;
      check->timeout_ms = std::max(1, spec->timeoutseconds()) * 1000LL;
      probe.check = std::move(*check);
    } else {
      probe.refusal = check.message();
    }
    followed.probes.push_back(std::move(probe));
  }
  return followed;
}

void Prober::follow(const ObjectKey& key, const kube::Pod& pod, const std::string& pod_ip,
                    const std::vector<Probed>& running, bool ending) {
  std::optional<int64_t> alarm;
  {
    const std::lock_guard lock(mutex_);
    std::set<std::string> gone;
    if (const auto known = by_pod_.find(key); known != by_pod_.end()) gone = known->second;
    for (const Probed& probed : running) {
      gone.erase(probed.id);
      auto found = followed_.find(probed.id);
      if (found == followed_.end()) {
        Followed fresh = begin(key, pod, pod_ip, probed);
        if (fresh.probes.empty()) continue;
        found = followed_.emplace(probed.id, std::move(fresh)).first;
        by_pod_[key].insert(probed.id);
      }
      found->second.ending = ending;
      schedule(probed.id, found->second);
      const int64_t due = found->second.scheduled_ns;
      if (due != 0 && (!alarm || due < *alarm)) alarm = due;
    }
    for (const std::string& id : gone) forget_one(id);
  }
  if (alarm) hooks_.alarm(*alarm);
}

void Prober::forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto known = by_pod_.find(key);
  if (known == by_pod_.end()) return;
  const std::set<std::string> ids = known->second;
  for (const std::string& id : ids) forget_one(id);
}

void Prober::forget_one(const std::string& id) {
  const auto found = followed_.find(id);
  if (found == followed_.end()) return;
  schedule_.erase({found->second.scheduled_ns, id});
  const auto pod = by_pod_.find(found->second.key);
  pod->second.erase(id);
  if (pod->second.empty()) by_pod_.erase(pod);
  followed_.erase(found);
}

ProbeVerdict Prober::verdict(const std::string& container_id) const {
  const std::lock_guard lock(mutex_);
  ProbeVerdict verdict;
  const auto found = followed_.find(container_id);
  if (found == followed_.end()) return verdict;
  verdict.started = found->second.started;
  verdict.ready = verdict.started;
  for (const Probe& probe : found->second.probes) {
    if (probe.kind == ProbeKind::kReadiness) verdict.ready = verdict.ready && probe.state.passed();
    if (probe.state.has_failed() && !found->second.ending) verdict.failed = probe.kind;
  }
  return verdict;
}

// Startup gates the others and is over once it has passed; what has failed for good waits for another container.
bool Prober::is_asleep(const Followed& followed, const Probe& probe) {
  const bool is_startup = probe.kind == ProbeKind::kStartup;
  if (probe.running || probe.state.has_failed() || is_startup == followed.started) return true;
  return followed.ending && probe.kind != ProbeKind::kReadiness;
}

void Prober::schedule(const std::string& id, Followed& followed) {
  int64_t due = 0;
  for (const Probe& probe : followed.probes) {
    if (!is_asleep(followed, probe) && (due == 0 || probe.due_ns < due)) due = probe.due_ns;
  }
  if (due == followed.scheduled_ns) return;
  if (followed.scheduled_ns != 0) schedule_.erase({followed.scheduled_ns, id});
  if (due != 0) schedule_.insert({due, id});
  followed.scheduled_ns = due;
}

std::optional<int64_t> Prober::tick() {
  std::vector<Due> due;
  std::optional<int64_t> next;
  std::vector<std::pair<EventRecorder::ObjectReference, std::pair<ProbeKind, std::string>>> refused;
  {
    const std::lock_guard lock(mutex_);
    const int64_t now = host_.monotonic_now_ns();
    while (!schedule_.empty() && schedule_.begin()->first <= now) {
      const std::string id = schedule_.begin()->second;
      Followed& followed = followed_.at(id);
      for (Probe& probe : followed.probes) {
        if (is_asleep(followed, probe) || probe.due_ns > now) continue;
        if (probe.check) {
          probe.running = true;
          due.push_back({id, followed.serial, probe.kind, *probe.check});
        } else {
          refused.push_back({followed.reference, {probe.kind, probe.refusal}});
          probe.due_ns = now + probe.state.period_ns();
        }
      }
      schedule(id, followed);
    }
    if (!schedule_.empty()) next = schedule_.begin()->first;
  }
  for (const auto& [reference, what] : refused) tell(reference, what.first, {CheckOutcome::kUnknown, what.second});
  for (Due& item : due) {
    runner_.run(item.check, [this, id = item.id, serial = item.serial, kind = item.kind](const CheckResult& result) {
      answered(id, serial, kind, result);
    });
  }
  return next;
}

void Prober::answered(const std::string& id, uint64_t serial, ProbeKind kind, const CheckResult& result) {
  bool changed = false;
  bool telling = false;
  int64_t alarm = 0;
  ObjectKey key;
  EventRecorder::ObjectReference reference;
  {
    const std::lock_guard lock(mutex_);
    const auto found = followed_.find(id);
    if (found == followed_.end() || found->second.serial != serial) return;
    Followed& followed = found->second;
    key = followed.key;
    reference = followed.reference;
    const int64_t now = host_.monotonic_now_ns();
    const int64_t age = host_.wall_now_ns() - followed.started_at_ns;
    for (Probe& probe : followed.probes) {
      if (probe.kind != kind) continue;
      probe.running = false;
      changed = probe.state.record(result.outcome);
      // From the moment at which it was due, as a ticker: a slow answer does not stretch the period.
      probe.due_ns = std::max(probe.due_ns + probe.state.next_after_ns(age), now);
      // What is asked more often while it is young is not told more often for that.
      telling = result.outcome != CheckOutcome::kSuccess &&
                (probe.told_ns == 0 || changed || now - probe.told_ns >= probe.state.period_ns() - kMillisecond * 100);
      if (telling) probe.told_ns = now;
    }
    if (changed && kind == ProbeKind::kStartup && result.outcome != CheckOutcome::kFailure) {
      followed.started = true;
      for (Probe& probe : followed.probes) {
        // At once, unless their own initial delay is not over yet.
        if (probe.kind != ProbeKind::kStartup)
          probe.due_ns = now + std::max<int64_t>(0, probe.state.initial_delay_ns() - age);
      }
    }
    schedule(id, followed);
    alarm = followed.scheduled_ns;
  }
  if (telling) tell(reference, kind, result);
  if (changed) hooks_.changed(key);
  if (alarm != 0) hooks_.alarm(alarm);
}

void Prober::tell(const EventRecorder::ObjectReference& reference, ProbeKind kind, const CheckResult& result) {
  const std::string name = name_of(kind);
  switch (result.outcome) {
    case CheckOutcome::kSuccess:
      return;
    case CheckOutcome::kFailure:
      events_.record(reference, EventType::kWarning, "Unhealthy", name + " probe failed: " + result.output);
      return;
    case CheckOutcome::kWarning:
      events_.record(reference, EventType::kWarning, "ProbeWarning", name + " probe warning: " + result.output);
      return;
    case CheckOutcome::kUnknown:
      events_.record(reference, EventType::kWarning, "Unhealthy",
                     name + " probe errored and resulted in unknown state: " + result.output);
      return;
  }
}

}  // namespace orlop::agent
