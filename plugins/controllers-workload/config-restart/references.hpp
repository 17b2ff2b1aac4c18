// Which ConfigMaps and Secrets a pod template uses, and which snapshot stands for each. Pure.
#pragma once

#include "orlop/kube/core_v1.hpp"
#include "orlop/pods.hpp"

#include <compare>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace orlop::workload {

using PodSpec = k8s::io::api::core::v1::PodSpec;
using PodTemplateSpec = k8s::io::api::core::v1::PodTemplateSpec;

// On a workload: "true" asks for rollouts when its configuration changes.
inline constexpr char kRestartOnConfigChange[] = "orlop.dev/restart-on-config-change";
// On its pod template: which snapshot stands for which object.
inline constexpr char kConfigAnnotation[] = "orlop.dev/config";

struct ConfigName {
  std::string kind;  // "configmaps" or "secrets"
  std::string name;
  auto operator<=>(const ConfigName&) const = default;
};
// The snapshot's name for each object that has one.
using ConfigSnapshots = std::map<ConfigName, std::string>;

std::set<ConfigName> configuration_of(const PodSpec& spec);

// The names in `snapshots` in place of those that the spec uses.
void use_snapshots(const ConfigSnapshots& snapshots, PodSpec& spec);

// "configmaps/app=app-x7k2pq4d,secrets/db=db-q9z4mw8c" and back; what cannot be read is left out.
std::string config_text(const ConfigSnapshots& snapshots);
ConfigSnapshots read_config_text(std::string_view text);
// What the template's annotation says.
ConfigSnapshots snapshots_of(const PodTemplateSpec& pod_template);

bool wants_restart_on_config_change(const kube::ObjectMeta& workload);

// Whether the workload's controller has to wait with a new revision until the template is annotated.
bool waits_for_config(const kube::ObjectMeta& workload, const PodTemplateSpec& pod_template);

}  // namespace orlop::workload
