#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"

#include <string_view>
#include <vector>

namespace orlop::apikube {
namespace {

constexpr int64_t kTerminationGraceSeconds = 30;
constexpr int32_t kFileMode = 0644;
constexpr int64_t kTokenSeconds = 3600;

// "latest" when the reference names neither tag nor digest; "" when it names a digest alone.
std::string_view image_tag(std::string_view image) {
  const size_t digest = image.find('@');
  const std::string_view name = image.substr(0, digest);
  const size_t slash = name.rfind('/');
  const size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) return name.substr(colon + 1);
  return digest == std::string_view::npos ? "latest" : "";
}

const char* pull_policy(std::string_view image) {
  return image_tag(image) == "latest" ? "Always" : "IfNotPresent";
}

void set_handler_defaults(corev1::HTTPGetAction* get) {
  if (get->path().empty()) get->set_path("/");
  if (get->scheme().empty()) get->set_scheme("HTTP");
}

void set_probe_defaults(corev1::Probe* probe) {
  if (probe->timeoutseconds() == 0) probe->set_timeoutseconds(1);
  if (probe->periodseconds() == 0) probe->set_periodseconds(10);
  if (probe->successthreshold() == 0) probe->set_successthreshold(1);
  if (probe->failurethreshold() == 0) probe->set_failurethreshold(3);
  if (!probe->has_handler()) return;
  auto* handler = probe->mutable_handler();
  if (handler->has_httpget()) set_handler_defaults(handler->mutable_httpget());
  if (handler->has_grpc() && !handler->grpc().has_service()) handler->mutable_grpc()->set_service("");
}

void set_env_defaults(corev1::EnvVar* variable) {
  if (!variable->has_valuefrom() || !variable->valuefrom().has_fieldref()) return;
  auto* reference = variable->mutable_valuefrom()->mutable_fieldref();
  if (reference->apiversion().empty()) reference->set_apiversion("v1");
}

// Container and EphemeralContainerCommon have the same fields in two types.
template <typename Container>
void set_container_defaults(Container* container) {
  if (container->imagepullpolicy().empty()) container->set_imagepullpolicy(pull_policy(container->image()));
  if (container->terminationmessagepath().empty()) container->set_terminationmessagepath("/dev/termination-log");
  if (container->terminationmessagepolicy().empty()) container->set_terminationmessagepolicy("File");
  for (auto& port : *container->mutable_ports()) {
    if (port.protocol().empty()) port.set_protocol("TCP");
  }
  for (auto& variable : *container->mutable_env()) set_env_defaults(&variable);
  if (container->has_livenessprobe()) set_probe_defaults(container->mutable_livenessprobe());
  if (container->has_readinessprobe()) set_probe_defaults(container->mutable_readinessprobe());
  if (container->has_startupprobe()) set_probe_defaults(container->mutable_startupprobe());
  if (!container->has_lifecycle()) return;
  auto* lifecycle = container->mutable_lifecycle();
  if (lifecycle->has_poststart() && lifecycle->poststart().has_httpget()) {
    set_handler_defaults(lifecycle->mutable_poststart()->mutable_httpget());
  }
  if (lifecycle->has_prestop() && lifecycle->prestop().has_httpget()) {
    set_handler_defaults(lifecycle->mutable_prestop()->mutable_httpget());
  }
}

template <typename Items>
void set_downward_defaults(Items* items) {
  for (auto& item : *items) {
    if (item.has_fieldref() && item.fieldref().apiversion().empty()) item.mutable_fieldref()->set_apiversion("v1");
  }
}

void set_projected_defaults(corev1::ProjectedVolumeSource* projected) {
  if (!projected->has_defaultmode()) projected->set_defaultmode(kFileMode);
  for (auto& source : *projected->mutable_sources()) {
    if (source.has_downwardapi()) set_downward_defaults(source.mutable_downwardapi()->mutable_items());
    if (source.has_serviceaccounttoken() && !source.serviceaccounttoken().has_expirationseconds()) {
      source.mutable_serviceaccounttoken()->set_expirationseconds(kTokenSeconds);
    }
  }
}

bool has_source(const corev1::VolumeSource& source) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  source.GetReflection()->ListFields(source, &fields);
  return !fields.empty();
}

void set_network_volume_defaults(corev1::VolumeSource* source) {
  if (source->has_iscsi() && source->iscsi().iscsiinterface().empty())
    source->mutable_iscsi()->set_iscsiinterface("default");
  if (source->has_rbd()) {
    auto* rbd = source->mutable_rbd();
    if (rbd->pool().empty()) rbd->set_pool("rbd");
    if (rbd->user().empty()) rbd->set_user("admin");
    if (rbd->keyring().empty()) rbd->set_keyring("/etc/ceph/keyring");
  }
  if (source->has_azuredisk()) {
    auto* disk = source->mutable_azuredisk();
    if (!disk->has_cachingmode()) disk->set_cachingmode("ReadWrite");
    if (!disk->has_kind()) disk->set_kind("Shared");
    if (!disk->has_fstype()) disk->set_fstype("ext4");
    if (!disk->has_readonly()) disk->set_readonly(false);
  }
  if (source->has_scaleio()) {
    auto* scale = source->mutable_scaleio();
    if (scale->storagemode().empty()) scale->set_storagemode("ThinProvisioned");
    if (scale->fstype().empty()) scale->set_fstype("xfs");
  }
}

void set_volume_defaults(corev1::Volume* volume) {
  auto* source = volume->mutable_volumesource();
  if (!has_source(*source)) source->mutable_emptydir();
  if (source->has_secret() && !source->secret().has_defaultmode()) source->mutable_secret()->set_defaultmode(kFileMode);
  if (source->has_configmap() && !source->configmap().has_defaultmode()) {
    source->mutable_configmap()->set_defaultmode(kFileMode);
  }
  if (source->has_downwardapi()) {
    if (!source->downwardapi().has_defaultmode()) source->mutable_downwardapi()->set_defaultmode(kFileMode);
    set_downward_defaults(source->mutable_downwardapi()->mutable_items());
  }
  if (source->has_projected()) set_projected_defaults(source->mutable_projected());
  if (source->has_hostpath() && !source->hostpath().has_type()) source->mutable_hostpath()->set_type("");
  if (source->has_ephemeral() && source->ephemeral().has_volumeclaimtemplate()) {
    auto* claim = source->mutable_ephemeral()->mutable_volumeclaimtemplate()->mutable_spec();
    if (!claim->has_volumemode()) claim->set_volumemode("Filesystem");
  }
  set_network_volume_defaults(source);
}

template <typename Containers>
void requests_from_limits(Containers* containers) {
  for (auto& container : *containers) {
    if (!container.has_resources() || container.resources().limits().empty()) continue;
    auto* resources = container.mutable_resources();
    for (const auto& [name, limit] : resources->limits()) {
      if (resources->requests().find(name) == resources->requests().end())
        (*resources->mutable_requests())[name] = limit;
    }
  }
}

template <typename Containers>
void host_ports_from_container_ports(Containers* containers) {
  for (auto& container : *containers) {
    for (auto& port : *container.mutable_ports()) {
      if (port.hostport() == 0) port.set_hostport(port.containerport());
    }
  }
}

struct QosState {
  bool guaranteed = true;
  bool any = false;
};

// Only cpu and memory count, and only amounts above zero.
void count_qos(const corev1::Container& container, QosState* state) {
  const auto& resources = container.resources();
  for (const char* name : {"cpu", "memory"}) {
    auto amount = [&](const auto& list) {
      auto found = list.find(name);
      return found == list.end() ? kube::Quantity() : quantity_or_zero(found->second.string());
    };
    const auto request = amount(resources.requests());
    const auto limit = amount(resources.limits());
    state->any = state->any || request.sign() > 0 || limit.sign() > 0;
    if (limit.sign() <= 0 || (request.sign() > 0 && request != limit)) state->guaranteed = false;
  }
}

}  // namespace

void set_pod_spec_defaults(corev1::PodSpec* spec) {
  for (auto& container : *spec->mutable_initcontainers()) set_container_defaults(&container);
  for (auto& container : *spec->mutable_containers()) set_container_defaults(&container);
  for (auto& container : *spec->mutable_ephemeralcontainers()) {
    set_container_defaults(container.mutable_ephemeralcontainercommon());
  }
  for (auto& volume : *spec->mutable_volumes()) set_volume_defaults(&volume);
  if (spec->dnspolicy().empty()) spec->set_dnspolicy("ClusterFirst");
  if (spec->restartpolicy().empty()) spec->set_restartpolicy("Always");
  spec->mutable_securitycontext();
  if (!spec->has_terminationgraceperiodseconds()) spec->set_terminationgraceperiodseconds(kTerminationGraceSeconds);
  if (spec->schedulername().empty()) spec->set_schedulername("default-scheduler");
  // The field's older name says the same; both are always served.
  if (spec->serviceaccountname().empty() && !spec->serviceaccount().empty()) {
    spec->set_serviceaccountname(spec->serviceaccount());
  }
  if (!spec->serviceaccountname().empty()) spec->set_serviceaccount(spec->serviceaccountname());
}

void set_pod_defaults(corev1::Pod* pod) {
  auto* spec = pod->mutable_spec();
  requests_from_limits(spec->mutable_containers());
  requests_from_limits(spec->mutable_initcontainers());
  if (!spec->has_enableservicelinks()) spec->set_enableservicelinks(true);
  if (spec->hostnetwork()) {
    host_ports_from_container_ports(spec->mutable_containers());
    host_ports_from_container_ports(spec->mutable_initcontainers());
  }
}

std::string_view pod_qos_class(const corev1::PodSpec& spec) {
  QosState state;
  for (const auto& container : spec.containers()) count_qos(container, &state);
  for (const auto& container : spec.initcontainers()) count_qos(container, &state);
  if (!state.any) return "BestEffort";
  return state.guaranteed ? "Guaranteed" : "Burstable";
}

void prepare_new_pod(corev1::Pod* pod) {
  auto* status = pod->mutable_status();
  status->Clear();
  status->set_phase("Pending");
  status->set_qosclass(std::string(pod_qos_class(pod->spec())));
  if (pod->spec().schedulinggates().empty()) return;
  auto* condition = status->add_conditions();
  condition->set_type("PodScheduled");
  condition->set_status("False");
  condition->set_reason("SchedulingGated");
  condition->set_message("Scheduling is blocked due to non-empty scheduling gates");
}

std::optional<int64_t> pod_grace_seconds(const corev1::Pod& pod, std::optional<int64_t> asked) {
  if (pod.spec().nodename().empty()) return 0;
  if (pod.status().phase() == "Failed" || pod.status().phase() == "Succeeded") return 0;
  if (asked) return *asked < 0 ? 1 : *asked;
  if (!pod.spec().has_terminationgraceperiodseconds()) return 0;
  const int64_t seconds = pod.spec().terminationgraceperiodseconds();
  return seconds < 0 ? 1 : seconds;
}

std::string random_suffix(const std::function<uint64_t()>& random) {
  // No vowels and nothing that looks like another: no words by chance.
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < 5; ++i) suffix += kAlphabet[random() % kAlphabet.size()];
  return suffix;
}

}  // namespace orlop::apikube
