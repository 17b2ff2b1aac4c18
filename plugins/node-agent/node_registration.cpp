#include "plugins/node-agent/node_registration.hpp"

#include "orlop/kube/coordination_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/v1/network.pb.h"
#include "plugins/node-agent/cgroups/node_resources.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

namespace orlop::agent {
namespace {

using NodeCondition = k8s::io::api::core::v1::NodeCondition;
using Lease = k8s::io::api::coordination::v1::Lease;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kStatusEveryS = 300;
constexpr int64_t kHollowCpuMilli = 64'000;
constexpr int64_t kHollowMemoryBytes = 256ll << 30;
constexpr int kWritesPerCommit = 200;

// As the kubelet words them.
struct ConditionWords {
  const char* type;
  const char* reason;
  const char* message;
  const char* no_reason;
  const char* no_message;
};
constexpr ConditionWords kPressures[] = {
    {"MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
     "KubeletHasSufficientMemory", "kubelet has sufficient memory available"},
    {"DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure",
     "kubelet has no disk pressure"},
    {"PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available", "KubeletHasSufficientPID",
     "kubelet has sufficient PID available"}};

constexpr char kVersion[] = "v1.32.0-orlop";

void set_condition(k8s::io::api::core::v1::Node& node, const std::string& type, const std::string& truth,
                   const std::string& reason, const std::string& message, int64_t now_s) {
  NodeCondition* found = nullptr;
  for (NodeCondition& condition : *node.mutable_status()->mutable_conditions()) {
    if (condition.type() == type) found = &condition;
  }
  if (found == nullptr) {
    found = node.mutable_status()->add_conditions();
    found->set_type(type);
  }
  if (found->status() != truth) found->mutable_lasttransitiontime()->set_seconds(now_s);
  found->set_status(truth);
  found->set_reason(reason);
  found->set_message(message);
  found->mutable_lastheartbeattime()->set_seconds(now_s);
}

void fill_labels(k8s::io::api::core::v1::Node& node, const AgentConfig& config, const Machine& machine) {
  auto& labels = *node.mutable_metadata()->mutable_labels();
  labels["kubernetes.io/hostname"] = node.metadata().name();
  labels["kubernetes.io/os"] = "linux";
  labels["kubernetes.io/arch"] = machine.architecture;
  labels["beta.kubernetes.io/os"] = "linux";
  labels["beta.kubernetes.io/arch"] = machine.architecture;
  if (config.hollow) labels["orlop.dev/hollow"] = "true";
  for (const std::string& entry : config.labels) {
    const auto split = entry.find('=');
    labels[entry.substr(0, split)] = split == std::string::npos ? "" : entry.substr(split + 1);
  }
}

void fill_taints(k8s::io::api::core::v1::Node& node, const AgentConfig& config) {
  for (const std::string& entry : config.taints) {
    const auto effect = entry.rfind(':');
    const auto equals = entry.find('=');
    auto& taint = *node.mutable_spec()->add_taints();
    taint.set_key(entry.substr(0, std::min(equals, effect)));
    if (equals != std::string::npos && equals < effect) taint.set_value(entry.substr(equals + 1, effect - equals - 1));
    if (effect != std::string::npos) taint.set_effect(entry.substr(effect + 1));
  }
}

void fill_resources(k8s::io::api::core::v1::Node& node, const AgentConfig& config, const Machine& machine) {
  NodeResources capacity;
  capacity.amounts = machine.capacity();
  capacity.pods = config.pods_max;
  NodeResources allocatable = capacity;
  if (config.hollow) {
    capacity.amounts.cpu_milli = kHollowCpuMilli;
    capacity.amounts.memory = kHollowMemoryBytes;
    allocatable = capacity;
  } else {
    const ResourcesConfig& resources = config.resources;
    allocatable = allocatable_of(capacity, resources.system_reserved, resources.own_reserved,
                                 kept_free(resources.eviction, machine.memory_bytes, machine.disk_bytes));
  }
  for (const auto& [name, amount] : to_quantities(capacity))
    (*node.mutable_status()->mutable_capacity())[name].set_string(amount);
  for (const auto& [name, amount] : to_quantities(allocatable))
    (*node.mutable_status()->mutable_allocatable())[name].set_string(amount);
}

}  // namespace

NodeRegistration::NodeRegistration(Host host, const AgentConfig& config, const RuntimeClient& runtime,
                                   const Machine& machine, const NodeConditions& conditions)
    : host_(host), config_(config), runtime_(runtime), machine_(machine), conditions_(conditions) {}

void NodeRegistration::start() {
  running_ = true;
  thread_ = std::thread([this] { loop(); });
}

void NodeRegistration::stop() {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    woken_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void NodeRegistration::set_images(NodeImages images) {
  const std::lock_guard lock(mutex_);
  images_ = std::move(images);
  images_changed_ = true;
}

void NodeRegistration::loop() {
  bool announced = false;
  bool was_ready = false;
  int64_t status_due_ns = 0, lease_due_ns = 0;
  std::set<std::string> told_conditions;
  std::unique_lock lock(mutex_);
  while (running_) {
    const bool images_due = std::exchange(images_changed_, false);
    lock.unlock();
    const int64_t now = host_.monotonic_now_ns();
    Status failure;
    const Readiness readiness = ask_runtime();
    // The Lease first: who sees it old may take the node for lost, whatever its status says.
    const bool lease_due = now >= lease_due_ns;
    if (lease_due) {
      failure = renew_leases();
      if (failure) lease_due_ns = now + config_.lease_s * kSecondNs;
    }
    const std::set<std::string> conditions = conditions_.get();
    const bool all_due =
        now >= status_due_ns || readiness.ready != was_ready || conditions != told_conditions || images_due;
    std::vector<std::string> due;
    for (const std::string& name : config_.node_names) {
      if (!all_due && config_.hollow && !lease_due) break;  // of many nodes, now and then
      if (all_due || !stands_as_told(name, readiness)) due.push_back(name);
    }
    const Status registered = register_nodes(due, readiness);
    if (!registered) failure = registered;
    if (failure && all_due) status_due_ns = now + kStatusEveryS * kSecondNs;
    was_ready = readiness.ready;
    if (failure) told_conditions = conditions;
    if (!config_.hollow) prepare_network(config_.node_names.front());
    if (failure && !announced) {
      host_.set_ready(true);
      announced = true;
    } else if (!failure && !announced) {
      host_.set_ready(false, failure.message());
    }
    const bool settled = failure && readiness.ready;
    lock.lock();
    const auto pause = settled ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(50);
    woken_.wait_for(lock, pause, [this] { return !running_; });
  }
}

NodeRegistration::Readiness NodeRegistration::ask_runtime() const {
  Readiness out;
  auto status = runtime_.invoke<cri::StatusResponse>("RuntimeService/Status", cri::StatusRequest(), 3000);
  if (!status) {
    out.reason = "KubeletNotReady";
    out.message = "container runtime is down: " + status.message();
    return out;
  }
  out.ready = true;
  for (const auto& condition : status->status().conditions()) {
    if (condition.status()) continue;
    out.ready = false;
    out.message += (out.message.empty() ? "" : "; ");
    out.message += "container runtime " + std::string(condition.type() == "NetworkReady" ? "network" : "") +
                   " not ready: " + condition.type() + "=false reason:" + condition.reason() +
                   " message:" + condition.message();
  }
  out.reason = out.ready ? "KubeletReady" : "KubeletNotReady";
  if (out.ready) out.message = "kubelet is posting ready status";
  auto version = runtime_.invoke<cri::VersionResponse>("RuntimeService/Version", cri::VersionRequest(), 3000);
  if (version) out.version = version->runtime_name() + "://" + version->runtime_version();
  return out;
}

// Somebody else may have written otherwise meanwhile: a controller that took the node for lost, a person who deleted
// it.
bool NodeRegistration::stands_as_told(const std::string& name, const Readiness& readiness) const {
  auto stored = Objects<Node>(host_).get("", name);
  if (!stored) return stored.code() != Code::kNotFound;
  for (const NodeCondition& condition : stored->object.status().conditions()) {
    if (condition.type() == "Ready") return condition.status() == (readiness.ready ? "True" : "False");
  }
  return false;
}

Status NodeRegistration::commit(v1::CommitRequest& request) const {
  if (request.writes_size() == 0) return Status::ok();
  auto result = host_.commit_wait(request);
  request.Clear();
  return result.status();
}

// Makes the Nodes that are not there, then tells the status of all: many to a transaction, since a machine may be many
// nodes.
Status NodeRegistration::register_nodes(const std::vector<std::string>& names, const Readiness& readiness) {
  const Objects<Node> nodes(host_);
  v1::CommitRequest request;
  for (const std::string& name : names) {
    auto stored = nodes.get("", name);
    if (stored) continue;
    if (stored.code() != Code::kNotFound) return stored.status();
    Node fresh;
    fresh.mutable_metadata()->set_name(name);
    fill_labels(fresh, config_, machine_);
    fill_taints(fresh, config_);
    auto write = make_write<Node>(v1::CREATE, "", name);
    fresh.SerializeToString(write.mutable_value());
    *request.add_writes() = std::move(write);
    if (request.writes_size() >= kWritesPerCommit) ORLOP_TRY(commit(request));
  }
  ORLOP_TRY(commit(request));
  for (const std::string& name : names) {
    ORLOP_ASSIGN(auto stored, nodes.get("", name));
    fill_status(stored.object, readiness);
    auto write = make_write<Node>(v1::UPDATE, "", name);
    write.set_subresource("status");
    write.set_if_revision(stored.revision);
    stored.object.SerializeToString(write.mutable_value());
    *request.add_writes() = std::move(write);
    if (request.writes_size() >= kWritesPerCommit) ORLOP_TRY(commit(request));
  }
  return commit(request);
}

void NodeRegistration::fill_status(Node& node, const Readiness& readiness) {
  const int64_t now_s = host_.wall_now_ns() / kSecondNs;
  fill_resources(node, config_, machine_);
  auto& status = *node.mutable_status();
  status.clear_addresses();
  for (const auto& [type, address] :
       {std::pair("InternalIP", machine_.ip), std::pair("Hostname", node.metadata().name())}) {
    auto& entry = *status.add_addresses();
    entry.set_type(type);
    entry.set_address(address);
  }
  auto& info = *status.mutable_nodeinfo();
  info.set_machineid(machine_.machine_id);
  info.set_systemuuid(machine_.system_uuid);
  info.set_bootid(machine_.boot_id);
  info.set_kernelversion(machine_.kernel);
  info.set_osimage(machine_.os_image);
  info.set_containerruntimeversion(readiness.version);
  info.set_kubeletversion(kVersion);
  info.set_kubeproxyversion(kVersion);
  info.set_operatingsystem("linux");
  info.set_architecture(machine_.architecture);
  {
    const std::lock_guard lock(mutex_);
    status.mutable_images()->Assign(images_.begin(), images_.end());
  }
  const std::set<std::string> pressed = conditions_.get();
  for (const ConditionWords& words : kPressures) {
    const bool is_pressed = pressed.contains(words.type);
    set_condition(node, words.type, is_pressed ? "True" : "False", is_pressed ? words.reason : words.no_reason,
                  is_pressed ? words.message : words.no_message, now_s);
  }
  set_condition(node, "Ready", readiness.ready ? "True" : "False", readiness.reason, readiness.message, now_s);
}

Status NodeRegistration::renew_leases() {
  const int64_t now_ns = host_.wall_now_ns();
  v1::CommitRequest request;
  const Objects<Lease> leases(host_);
  for (const std::string& name : config_.node_names) {
    auto stored = leases.get("kube-node-lease", name);
    if (!stored && stored.code() != Code::kNotFound) return stored.status();
    Lease lease = stored ? stored->object : Lease();
    lease.mutable_metadata()->set_name(name);
    lease.mutable_metadata()->set_namespace_("kube-node-lease");
    lease.mutable_spec()->set_holderidentity(name);
    lease.mutable_spec()->set_leasedurationseconds(static_cast<int32_t>(config_.lease_s * 4));
    lease.mutable_spec()->mutable_renewtime()->set_seconds(now_ns / kSecondNs);
    lease.mutable_spec()->mutable_renewtime()->set_nanos(static_cast<int32_t>(now_ns % kSecondNs));
    auto write = make_write<Lease>(stored ? v1::UPDATE : v1::CREATE, "kube-node-lease", name);
    lease.SerializeToString(write.mutable_value());
    *request.add_writes() = std::move(write);
    if (request.writes_size() >= kWritesPerCommit) ORLOP_TRY(commit(request));
  }
  return commit(request);
}

void NodeRegistration::prepare_network(const std::string& node) {
  auto stored = Objects<Node>(host_).get("", node);
  if (!stored || stored->object.spec().podcidr().empty() || stored->object.spec().podcidr() == prepared_cidr_) return;
  v1::NetworkPrepareRequest request;
  request.set_node(node);
  request.add_pod_cidrs(stored->object.spec().podcidr());
  auto prepared = call<v1::NetworkPrepareResponse>(host_, {"network", "", 10'000}, "orlop.v1.Network/Prepare", request);
  if (prepared) {
    prepared_cidr_ = stored->object.spec().podcidr();
  } else {
    host_.log_warn("the pod network is not ready: " + prepared.message());
  }
}

}  // namespace orlop::agent
