#include "plugins/net-iptables/proxy.hpp"

#include "plugins/net-iptables/decode.hpp"

#include <algorithm>
#include <cstdint>

namespace orlop::net {

namespace {

constexpr std::string_view kServices = "services";
constexpr std::string_view kSlices = "endpointslices.discovery.k8s.io";
constexpr std::string_view kNodes = "nodes";
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kRetryFirstNs = 100'000'000;
constexpr int64_t kRetryMostNs = 10 * kSecondNs;
constexpr size_t kServicesEach = 250;  // in one transaction of the nft backend, when all are applied
constexpr std::chrono::seconds kConntrackTime(5);

ObjectName name_of(const RecordView& record) {
  return {std::string(record.name_space), std::string(record.name)};
}

}  // namespace

Proxy::Proxy(Host host, ProxySettings settings, ProcessRunner& runner, Iptables& iptables, OnNodes on_nodes)
    : host_(host),
      settings_(std::move(settings)),
      runner_(runner),
      iptables_(iptables),
      on_nodes_(std::move(on_nodes)),
      watch_(
          host, WatchOptions{{std::string(kNodes), std::string(kServices), std::string(kSlices)}},
          [this](const ChangeView& change) { observe(change); }, [this] { forget_all(); }) {}

Status Proxy::start() {
  ORLOP_TRY(host_.subscribe(watch_.kinds()));
  running_ = true;
  woken_ = true;
  thread_ = std::thread([this] { run(); });
  return Status::ok();
}

void Proxy::stop() {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Proxy::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Proxy::set_pod_cidrs(const std::string& node, std::vector<std::string> cidrs) {
  {
    const std::lock_guard lock(mutex_);
    if (prepared_.first == node && prepared_.second == cidrs) return;
    prepared_ = {node, std::move(cidrs)};
    prepared_changed_ = true;
  }
  wake();
}

ProxyState Proxy::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Proxy::run() {
  std::unique_lock lock(mutex_);
  while (running_) {
    changed_.wait(lock, [this] { return woken_ || !running_; });
    if (!running_) return;
    // A rollout changes a Service several times in a moment: its changes make one transaction.
    changed_.wait_for(lock, settings_.debounce, [this] { return !running_; });
    if (!running_) return;
    woken_ = false;
    lock.unlock();
    step();
    lock.lock();
  }
}

bool Proxy::step() {
  auto drained = watch_.drain();
  if (!drained) {
    report(drained.status(), {});
    host_.wake_at(host_.monotonic_now_ns() + kRetryFirstNs);
    return false;
  }
  const int64_t now = host_.monotonic_now_ns();
  refresh_context();
  if (now < retry_at_ns_) {
    host_.wake_at(retry_at_ns_);
    return false;
  }
  if (!resync_ && dirty_.empty()) {
    verify_when_due();
    if (!resync_) {
      const std::lock_guard lock(mutex_);
      state_.revision = watch_.cursor();
      return true;
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  const Status status = apply();
  report(status, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin));
  if (status.is_ok()) {
    retry_delay_ns_ = 0;
    retry_at_ns_ = 0;
    if (verify_at_ns_ == 0) verify_at_ns_ = host_.monotonic_now_ns() + settings_.verify_every.count() * kSecondNs;
    host_.wake_at(verify_at_ns_);
    return true;
  }
  retry_delay_ns_ = std::clamp(retry_delay_ns_ * 2, kRetryFirstNs, kRetryMostNs);
  retry_at_ns_ = host_.monotonic_now_ns() + retry_delay_ns_;
  host_.wake_at(retry_at_ns_);
  return false;
}

void Proxy::observe(const ChangeView& change) {
  if (change.record.kind == kServices) {
    observe_service(change);
  } else if (change.record.kind == kSlices) {
    observe_slice(change);
  } else {
    observe_node(change);
  }
}

void Proxy::observe_service(const ChangeView& change) {
  const ObjectName id = name_of(change.record);
  dirty_.insert(id);
  services_.erase(id);
  if (change.type == ChangeType::kDeleted) return;
  auto service = decode_service(change.record.value);
  if (!service) {
    host_.log_warn(id.text() + ": " + service.message());
    return;
  }
  service->id = id;
  services_.emplace(id, std::move(*service));
}

void Proxy::observe_slice(const ChangeView& change) {
  const ObjectName id = name_of(change.record);
  if (const auto old = slices_.find(id); old != slices_.end()) {
    dirty_.insert(old->second.service);
    auto& siblings = slices_of_[old->second.service];
    siblings.erase(id);
    if (siblings.empty()) slices_of_.erase(old->second.service);
    slices_.erase(old);
  }
  if (change.type == ChangeType::kDeleted) return;
  auto slice = decode_endpoint_slice(change.record.value);
  if (!slice) {
    host_.log_warn(id.text() + ": " + slice.message());
    return;
  }
  if (slice->service.name.empty()) return;
  slice->service.name_space = id.name_space;
  dirty_.insert(slice->service);
  slices_of_[slice->service].insert(id);
  slices_.emplace(id, std::move(*slice));
}

void Proxy::observe_node(const ChangeView& change) {
  const std::string name(change.record.name);
  const auto old = nodes_.find(name);
  if (change.type == ChangeType::kDeleted) {
    nodes_changed_ = nodes_.erase(name) > 0 || nodes_changed_;
    return;
  }
  auto node = decode_node(change.record.value);
  if (!node) {
    host_.log_warn(name + ": " + node.message());
    return;
  }
  node->name = name;
  if (old != nodes_.end() && old->second == *node) return;
  nodes_[name] = std::move(*node);
  nodes_changed_ = true;
}

void Proxy::forget_all() {
  // What is applied stays known: whatever does not come again is dirty and goes.
  for (const auto& [id, service] : services_) dirty_.insert(id);
  for (const auto& [id, rules] : applied_) dirty_.insert(id);
  services_.clear();
  slices_.clear();
  slices_of_.clear();
  nodes_.clear();
  nodes_changed_ = true;
}

void Proxy::refresh_context() {
  std::pair<std::string, std::vector<std::string>> prepared;
  {
    const std::lock_guard lock(mutex_);
    if (!nodes_changed_ && !prepared_changed_) return;
    prepared_changed_ = false;
    prepared = prepared_;
  }
  if (nodes_changed_ && on_nodes_) {
    std::vector<Node> nodes;
    for (const auto& [name, node] : nodes_) nodes.push_back(node);
    on_nodes_(nodes);
  }
  nodes_changed_ = false;
  NodeContext context;
  context.node = settings_.node;
  context.mark = settings_.mark;
  context.localhost_node_ports = settings_.localhost_node_ports;
  const auto self = nodes_.find(settings_.node);
  if (self != nodes_.end()) context.pod_cidrs = self->second.pod_cidrs;
  if (!prepared.second.empty()) context.pod_cidrs = prepared.second;
  std::set<std::string> all(settings_.cluster_cidrs.begin(), settings_.cluster_cidrs.end());
  if (all.empty()) {
    for (const auto& [name, node] : nodes_) all.insert(node.pod_cidrs.begin(), node.pod_cidrs.end());
    all.insert(context.pod_cidrs.begin(), context.pod_cidrs.end());
  }
  context.cluster_cidrs.assign(all.begin(), all.end());
  if (context == context_ && !frame_.empty()) return;
  context_ = std::move(context);
  frame_ = frame_of(context_);
  resync_ = true;
}

ServiceRules Proxy::rules_for(const ObjectName& id) const {
  const auto service = services_.find(id);
  if (service == services_.end()) return {};
  std::vector<const EndpointSlice*> slices;
  if (const auto names = slices_of_.find(id); names != slices_of_.end()) {
    for (const ObjectName& name : names->second) slices.push_back(&slices_.at(name));
  }
  return rules_of(service->second, slices, context_);
}

std::vector<const ServiceRules*> Proxy::applied_rules() const {
  std::vector<const ServiceRules*> out;
  out.reserve(applied_.size());
  for (const auto& [id, rules] : applied_) out.push_back(&rules);
  return out;
}

Status Proxy::apply() {
  // Very many at once are cheaper compared with what is there, and in pieces.
  if (!resync_ && dirty_.size() <= kServicesEach) {
    const Status status = apply_changes();
    if (status.is_ok()) return status;
    host_.log_warn("a change was refused, so all rules are applied anew: " + status.message());
    resync_ = true;
  }
  return apply_all();
}

Status Proxy::apply_all() {
  ORLOP_ASSIGN(const SavedTables present, iptables_.save());
  std::map<ObjectName, ServiceRules> wanted;
  for (const auto& [id, service] : services_) {
    if (service.proxied) wanted.emplace(id, rules_for(id));
  }
  std::vector<const ServiceRules*> all;
  for (const auto& [id, rules] : wanted) all.push_back(&rules);
  const size_t each = iptables_.backend() == "nft" ? kServicesEach : SIZE_MAX;
  for (const std::string& text : resync_restore(frame_, all, present, each)) ORLOP_TRY(iptables_.restore(text));
  for (const auto& [id, rules] : wanted) {
    const auto before = applied_.find(id);
    flush_udp(before == applied_.end() ? nullptr : &before->second, rules);
  }
  applied_ = std::move(wanted);
  dirty_.clear();
  resync_ = false;
  return Status::ok();
}

Status Proxy::apply_changes() {
  std::map<ObjectName, ServiceRules> fresh;
  std::vector<ServiceChange> changes;
  for (const ObjectName& id : dirty_) {
    const auto before = applied_.find(id);
    const auto service = services_.find(id);
    const bool stays = service != services_.end() && service->second.proxied;
    if (!stays && before == applied_.end()) continue;
    ServiceChange change;
    if (before != applied_.end()) change.before = &before->second;
    change.after = &fresh.emplace(id, rules_for(id)).first->second;
    changes.push_back(change);
  }
  const std::string text = delta_restore(changes);
  if (!text.empty()) ORLOP_TRY(iptables_.restore(text));
  for (auto& [id, rules] : fresh) {
    const auto before = applied_.find(id);
    flush_udp(before == applied_.end() ? nullptr : &before->second, rules);
    const auto service = services_.find(id);
    if (service != services_.end() && service->second.proxied) {
      applied_[id] = std::move(rules);
    } else {
      applied_.erase(id);
    }
  }
  dirty_.clear();
  return Status::ok();
}

void Proxy::verify_when_due() {
  const int64_t now = host_.monotonic_now_ns();
  if (verify_at_ns_ == 0 || now < verify_at_ns_) {
    if (verify_at_ns_ != 0) host_.wake_at(verify_at_ns_);
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  auto present = iptables_.save();
  if (!present) {
    host_.log_warn("the rules cannot be looked at: " + present.message());
  } else {
    const std::string missing = difference(frame_, applied_rules(), *present);
    if (!missing.empty()) {
      host_.log_warn("somebody changed the rules of Services, all are applied anew: " + missing);
      resync_ = true;
    }
  }
  // With very many Services looking takes seconds of a processor: then it happens less often, a hundredth of the time.
  const int64_t took = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
  verify_at_ns_ = now + std::max<int64_t>(settings_.verify_every.count() * kSecondNs, took * 100);
  host_.wake_at(verify_at_ns_);
}

// The kernel remembers where a flow of UDP goes and does not ask the rules again: what led to an endpoint that is no
// more, and what was let through untranslated while there was none, is forgotten.
void Proxy::flush_udp(const ServiceRules* before, const ServiceRules& after) {
  auto forget = [this](const UdpFront& front, const std::string& endpoint) {
    std::vector<std::string> arguments{"conntrack", "-D", "-p", "udp"};
    if (front.address.empty()) {
      arguments.insert(arguments.end(), {"--dport", std::to_string(front.node_port)});
    } else {
      arguments.insert(arguments.end(), {"--orig-dst", front.address});
    }
    if (!endpoint.empty()) arguments.insert(arguments.end(), {"--dst-nat", endpoint});
    // It ends with 1 when there was no such flow.
    auto outcome = runner_.run(arguments, "", kConntrackTime);
    if (!outcome && outcome.code() != Code::kNotFound) host_.log_warn("conntrack: " + outcome.message());
  };
  auto same = [](const UdpFront& a, const UdpFront& b) { return a.address == b.address && a.node_port == b.node_port; };
  if (before == nullptr) return;
  for (const UdpFront& old_front : before->udp) {
    const auto now =
        std::find_if(after.udp.begin(), after.udp.end(), [&](const auto& each) { return same(each, old_front); });
    if (now != after.udp.end() && *now == old_front) continue;
    for (const std::string& endpoint : old_front.endpoints) {
      const bool kept = now != after.udp.end() &&
                        std::find(now->endpoints.begin(), now->endpoints.end(), endpoint) != now->endpoints.end();
      if (!kept) forget(old_front, endpoint);
    }
    if (old_front.endpoints.empty() && now != after.udp.end() && !now->endpoints.empty()) forget(old_front, "");
  }
}

void Proxy::report(const Status& status, std::chrono::microseconds took) {
  std::string was;
  {
    const std::lock_guard lock(mutex_);
    was = state_.failure;
    state_.failure = status.is_ok() ? "" : status.message();
    if (status.is_ok()) {
      state_.revision = watch_.cursor();
      state_.services = static_cast<uint32_t>(applied_.size());
      state_.endpoints = 0;
      for (const auto& [id, rules] : applied_) state_.endpoints += rules.endpoints;
      state_.last_apply_us = took.count();
    }
  }
  if (!status.is_ok() && was != status.message()) {
    host_.log_error("the rules of Services cannot be applied: " + status.message());
  }
  if (status.is_ok() && !was.empty()) host_.log_info("the rules of Services are applied again");
}

}  // namespace orlop::net
