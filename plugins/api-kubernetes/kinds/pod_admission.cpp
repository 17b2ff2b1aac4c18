// What Kubernetes' built-in admission plugins do to a new pod: ServiceAccount, Priority, DefaultTolerationSeconds,
// RuntimeClass.
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/node_v1.hpp"
#include "orlop/kube/quantity.hpp"
#include "orlop/kube/scheduling_v1.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace nodev1 = k8s::io::api::node::v1;
namespace schedulingv1 = k8s::io::api::scheduling::v1;

constexpr std::string_view kTokenMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr int64_t kTokenSeconds = 3600 + 7;  // the odd seconds tell these tokens from those that a user asked for
constexpr int64_t kTolerationSeconds = 300;

Status forbidden(const corev1::Pod& pod, std::string_view why) {
  return {Code::kForbidden, fmt::format("pods {} is forbidden: {}", in_quotes(pod.metadata().name()), why)};
}

corev1::Volume token_volume(const std::string& name, const std::string& root_ca_configmap) {
  corev1::Volume volume;
  volume.set_name(name);
  auto* projected = volume.mutable_volumesource()->mutable_projected();
  projected->set_defaultmode(0644);
  auto* token = projected->add_sources()->mutable_serviceaccounttoken();
  token->set_path("token");
  token->set_expirationseconds(kTokenSeconds);
  auto* certificate = projected->add_sources()->mutable_configmap();
  certificate->mutable_localobjectreference()->set_name(root_ca_configmap);
  auto* item = certificate->add_items();
  item->set_key("ca.crt");
  item->set_path("ca.crt");
  auto* file = projected->add_sources()->mutable_downwardapi()->add_items();
  file->set_path("namespace");
  file->mutable_fieldref()->set_apiversion("v1");
  file->mutable_fieldref()->set_fieldpath("metadata.namespace");
  return volume;
}

// Whether a container wanted the mount.
template <typename Containers>
bool mount_token(Containers* containers, const std::string& volume_name) {
  bool mounted = false;
  for (auto& container : *containers) {
    const auto& mounts = container.volumemounts();
    const bool has = std::any_of(mounts.begin(), mounts.end(),
                                 [](const auto& mount) { return mount.mountpath() == kTokenMountPath; });
    if (has) continue;
    auto* mount = container.add_volumemounts();
    mount->set_name(volume_name);
    mount->set_readonly(true);
    mount->set_mountpath(std::string(kTokenMountPath));
    mounted = true;
  }
  return mounted;
}

std::string token_volume_name(const corev1::PodSpec& spec, const std::function<uint64_t()>& random) {
  while (true) {
    std::string name = "kube-api-access-" + random_suffix(random);
    const bool taken = std::any_of(spec.volumes().begin(), spec.volumes().end(),
                                   [&](const auto& volume) { return volume.name() == name; });
    if (!taken) return name;
  }
}

Status admit_service_account(corev1::Pod* pod, std::string_view name_space, const ObjectReader& reader,
                             const std::string& root_ca_configmap, const std::function<uint64_t()>& random) {
  // Mirror pods stand for what a node runs anyway.
  if (pod->metadata().annotations().contains("kubernetes.io/config.mirror")) return Status::ok();
  auto* spec = pod->mutable_spec();
  if (spec->serviceaccountname().empty()) spec->set_serviceaccountname("default");
  spec->set_serviceaccount(spec->serviceaccountname());
  const std::string& name = spec->serviceaccountname();

  ORLOP_ASSIGN(auto stored, reader.get("serviceaccounts", name_space, name));
  corev1::ServiceAccount account;
  if (!stored || !account.ParseFromString(*stored)) {
    return forbidden(*pod, fmt::format("error looking up service account {}/{}: serviceaccount {} not found",
                                       name_space, name, in_quotes(name)));
  }
  bool automount = true;
  if (spec->has_automountserviceaccounttoken()) {
    automount = spec->automountserviceaccounttoken();
  } else if (account.has_automountserviceaccounttoken()) {
    automount = account.automountserviceaccounttoken();
  }
  if (automount) {
    const std::string volume_name = token_volume_name(*spec, random);
    const bool init = mount_token(spec->mutable_initcontainers(), volume_name);
    const bool main = mount_token(spec->mutable_containers(), volume_name);
    if (init || main) *spec->add_volumes() = token_volume(volume_name, root_ca_configmap);
  }
  if (spec->imagepullsecrets().empty()) *spec->mutable_imagepullsecrets() = account.imagepullsecrets();
  return Status::ok();
}

// The two classes that every cluster has, whether their objects are stored yet or not.
std::optional<int32_t> system_priority(std::string_view name) {
  if (name == "system-node-critical") return 2'000'001'000;
  if (name == "system-cluster-critical") return 2'000'000'000;
  return std::nullopt;
}

Status admit_priority(corev1::Pod* pod, const ObjectReader& reader) {
  auto* spec = pod->mutable_spec();
  schedulingv1::PriorityClass chosen;
  chosen.set_value(0);
  if (spec->priorityclassname().empty()) {
    ORLOP_TRY(reader.list("priorityclasses.scheduling.k8s.io", "", [&](std::string_view value) {
      schedulingv1::PriorityClass candidate;
      if (!candidate.ParseFromArray(value.data(), static_cast<int>(value.size())) || !candidate.globaldefault()) return;
      // Of several defaults the lowest counts.
      if (spec->priorityclassname().empty() || candidate.value() < chosen.value()) {
        spec->set_priorityclassname(candidate.metadata().name());
        chosen = candidate;
      }
    }));
  } else {
    ORLOP_ASSIGN(auto stored, reader.get("priorityclasses.scheduling.k8s.io", "", spec->priorityclassname()));
    const auto system = system_priority(spec->priorityclassname());
    if (stored && chosen.ParseFromString(*stored)) {
      // As stored.
    } else if (system) {
      chosen.set_value(*system);
    } else {
      return forbidden(*pod, fmt::format("no PriorityClass with name {} was found", spec->priorityclassname()));
    }
  }
  if (spec->has_priority() && spec->priority() != chosen.value()) {
    return forbidden(
        *pod, fmt::format("the integer value of priority ({}) must not be provided in pod spec; priority admission "
                          "controller computed {} from the given PriorityClass name",
                          spec->priority(), chosen.value()));
  }
  spec->set_priority(chosen.value());
  const std::string preemption = chosen.has_preemptionpolicy() ? chosen.preemptionpolicy() : "PreemptLowerPriority";
  if (spec->has_preemptionpolicy() && spec->preemptionpolicy() != preemption) {
    return forbidden(*pod,
                     fmt::format("the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority "
                                 "admission controller computed {} from the given PriorityClass name",
                                 spec->preemptionpolicy(), preemption));
  }
  spec->set_preemptionpolicy(preemption);
  return Status::ok();
}

void add_default_tolerations(corev1::PodSpec* spec) {
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    const bool tolerated =
        std::any_of(spec->tolerations().begin(), spec->tolerations().end(), [&](const auto& toleration) {
          return (toleration.key().empty() || toleration.key() == key) &&
                 (toleration.effect().empty() || toleration.effect() == "NoExecute");
        });
    if (tolerated) continue;
    auto* toleration = spec->add_tolerations();
    toleration->set_key(key);
    toleration->set_operator_("Exists");
    toleration->set_effect("NoExecute");
    toleration->set_tolerationseconds(kTolerationSeconds);
  }
}

template <typename Resources>
bool same_resources(const Resources& a, const Resources& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& entry) {
           const auto found = b.find(entry.first);
           return found != b.end() &&
                  kube::quantity_milli(found->second.string()) == kube::quantity_milli(entry.second.string());
         });
}

Status admit_runtime_class(corev1::Pod* pod, const ObjectReader& reader) {
  auto* spec = pod->mutable_spec();
  if (spec->runtimeclassname().empty()) {
    if (!spec->overhead().empty())
      return forbidden(*pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    return Status::ok();
  }
  ORLOP_ASSIGN(auto stored, reader.get("runtimeclasses.node.k8s.io", "", spec->runtimeclassname()));
  nodev1::RuntimeClass runtime;
  if (!stored || !runtime.ParseFromString(*stored)) {
    return forbidden(*pod, fmt::format("pod rejected: RuntimeClass {} not found", in_quotes(spec->runtimeclassname())));
  }
  if (!spec->overhead().empty() && !same_resources(spec->overhead(), runtime.overhead().podfixed())) {
    return forbidden(*pod, runtime.overhead().podfixed().empty()
                               ? "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                               : "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
  }
  if (runtime.has_overhead()) *spec->mutable_overhead() = runtime.overhead().podfixed();
  if (!runtime.has_scheduling()) return Status::ok();
  for (const auto& [key, value] : runtime.scheduling().nodeselector()) {
    auto found = spec->nodeselector().find(key);
    if (found != spec->nodeselector().end() && found->second != value) {
      return forbidden(*pod, fmt::format("pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{}] = {}; "
                                         "pod.spec.nodeSelector[{}] = {}",
                                         key, value, key, found->second));
    }
    (*spec->mutable_nodeselector())[key] = value;
  }
  for (const auto& toleration : runtime.scheduling().tolerations()) {
    const bool has = std::any_of(spec->tolerations().begin(), spec->tolerations().end(), [&](const auto& known) {
      return known.SerializeAsString() == toleration.SerializeAsString();
    });
    if (!has) *spec->add_tolerations() = toleration;
  }
  return Status::ok();
}

}  // namespace

Status admit_new_pod(corev1::Pod* pod, std::string_view name_space, const ObjectReader& reader,
                     const std::string& root_ca_configmap, const std::function<uint64_t()>& random) {
  ORLOP_TRY(admit_service_account(pod, name_space, reader, root_ca_configmap, random));
  ORLOP_TRY(admit_priority(pod, reader));
  add_default_tolerations(pod->mutable_spec());
  return admit_runtime_class(pod, reader);
}

}  // namespace orlop::apikube
