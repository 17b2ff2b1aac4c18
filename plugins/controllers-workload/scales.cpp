#include "plugins/controllers-workload/scales.hpp"

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/kinds.hpp"
#include "orlop/objects.hpp"

namespace orlop::workload {
namespace {

namespace apps = k8s::io::api::apps::v1;
namespace core = k8s::io::api::core::v1;

// Calls `action` with an Objects<T> of the resource's type.
template <typename Action>
auto with_kind(const Host& host, std::string_view resource, Action action) {
  if (resource == "replicasets.apps") return action(Objects<apps::ReplicaSet>(host));
  if (resource == "statefulsets.apps") return action(Objects<apps::StatefulSet>(host));
  if (resource == "replicationcontrollers") return action(Objects<core::ReplicationController>(host));
  return action(Objects<apps::Deployment>(host));
}

template <typename Workload>
kube::LabelSelector selector_of(const Workload& workload) {
  return workload.spec().selector();
}
template <>
kube::LabelSelector selector_of(const core::ReplicationController& controller) {
  kube::LabelSelector selector;
  *selector.mutable_matchlabels() = controller.spec().selector();
  return selector;
}

}  // namespace

std::string_view resource_of(std::string_view api_version, std::string_view kind) {
  const std::string_view group = kube::split_api_version(api_version).group;
  for (const kube::Kind& row : kube::kinds()) {
    if (row.group == group && row.kind == kind) return row.id;
  }
  return {};
}

bool has_scale(std::string_view resource) {
  return resource == "deployments.apps" || resource == "replicasets.apps" || resource == "statefulsets.apps" ||
         resource == "replicationcontrollers";
}

Result<std::optional<Scale>> read_scale(const Host& host, std::string_view resource, const std::string& name_space,
                                        const std::string& name) {
  return with_kind(host, resource, [&](const auto& objects) -> Result<std::optional<Scale>> {
    auto found = objects.get(name_space, name);
    if (found.code() == Code::kNotFound) return std::optional<Scale>();
    if (!found) return found.status();
    Scale scale;
    scale.metadata = found->object.metadata();
    scale.revision = found->revision;
    scale.wanted = found->object.spec().replicas();
    scale.current = found->object.status().replicas();
    scale.selector = selector_of(found->object);
    return std::optional<Scale>(std::move(scale));
  });
}

Status write_scale(const Host& host, std::string_view resource, const Scale& scale, int32_t replicas) {
  const std::string& name_space = scale.metadata.namespace_();
  const std::string& name = scale.metadata.name();
  return with_kind(host, resource, [&](const auto& objects) -> Status {
    auto found = objects.get(name_space, name);
    if (!found) return found.status();
    if (found->revision != scale.revision) {
      return {Code::kConflict, "Operation cannot be fulfilled on " + std::string(resource) + " \"" + name +
                                   "\": the object has been modified; please apply your changes to the latest version "
                                   "and try again"};
    }
    found->object.mutable_spec()->set_replicas(replicas);
    return objects.update(*found).status();
  });
}

}  // namespace orlop::workload
