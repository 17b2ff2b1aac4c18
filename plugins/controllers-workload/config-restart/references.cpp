#include "plugins/controllers-workload/config-restart/references.hpp"

#include <functional>
#include <utility>

namespace orlop::workload {
namespace {

constexpr char kConfigMaps[] = "configmaps";
constexpr char kSecrets[] = "secrets";

// Given the kind and the name, which it may change.
using VisitName = std::function<void(const char* kind, std::string& name)>;

void visit_reference(const char* kind, k8s::io::api::core::v1::LocalObjectReference* reference,
                     const VisitName& visit) {
  visit(kind, *reference->mutable_name());
}

void visit_container(k8s::io::api::core::v1::Container& container, const VisitName& visit) {
  for (auto& source : *container.mutable_envfrom()) {
    if (source.has_configmapref()) {
      visit_reference(kConfigMaps, source.mutable_configmapref()->mutable_localobjectreference(), visit);
    }
    if (source.has_secretref()) {
      visit_reference(kSecrets, source.mutable_secretref()->mutable_localobjectreference(), visit);
    }
  }
  for (auto& variable : *container.mutable_env()) {
    if (!variable.has_valuefrom()) continue;
    auto& from = *variable.mutable_valuefrom();
    if (from.has_configmapkeyref()) {
      visit_reference(kConfigMaps, from.mutable_configmapkeyref()->mutable_localobjectreference(), visit);
    }
    if (from.has_secretkeyref()) {
      visit_reference(kSecrets, from.mutable_secretkeyref()->mutable_localobjectreference(), visit);
    }
  }
}

void visit_volume(k8s::io::api::core::v1::Volume& volume, const VisitName& visit) {
  if (!volume.has_volumesource()) return;
  auto& source = *volume.mutable_volumesource();
  if (source.has_configmap()) {
    visit_reference(kConfigMaps, source.mutable_configmap()->mutable_localobjectreference(), visit);
  }
  if (source.has_secret()) visit(kSecrets, *source.mutable_secret()->mutable_secretname());
  if (!source.has_projected()) return;
  for (auto& part : *source.mutable_projected()->mutable_sources()) {
    if (part.has_configmap()) {
      visit_reference(kConfigMaps, part.mutable_configmap()->mutable_localobjectreference(), visit);
    }
    if (part.has_secret()) visit_reference(kSecrets, part.mutable_secret()->mutable_localobjectreference(), visit);
  }
}

void visit_spec(PodSpec& spec, const VisitName& visit) {
  for (auto& container : *spec.mutable_initcontainers()) visit_container(container, visit);
  for (auto& container : *spec.mutable_containers()) visit_container(container, visit);
  for (auto& volume : *spec.mutable_volumes()) visit_volume(volume, visit);
}

}  // namespace

std::set<ConfigName> configuration_of(const PodSpec& spec) {
  std::set<ConfigName> out;
  PodSpec copy(spec);
  visit_spec(copy, [&](const char* kind, std::string& name) {
    if (!name.empty()) out.insert({kind, name});
  });
  return out;
}

void use_snapshots(const ConfigSnapshots& snapshots, PodSpec& spec) {
  if (snapshots.empty()) return;
  visit_spec(spec, [&](const char* kind, std::string& name) {
    const auto found = snapshots.find({kind, name});
    if (found != snapshots.end()) name = found->second;
  });
}

std::string config_text(const ConfigSnapshots& snapshots) {
  std::string out;
  for (const auto& [object, snapshot] : snapshots) {
    if (!out.empty()) out += ',';
    out += object.kind + "/" + object.name + "=" + snapshot;
  }
  return out;
}

ConfigSnapshots read_config_text(std::string_view text) {
  ConfigSnapshots out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view entry = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const size_t slash = entry.find('/');
    const size_t equals = entry.find('=');
    if (slash == std::string_view::npos || equals == std::string_view::npos || slash > equals) continue;
    ConfigName object{std::string(entry.substr(0, slash)), std::string(entry.substr(slash + 1, equals - slash - 1))};
    const std::string_view snapshot = entry.substr(equals + 1);
    const bool is_known = object.kind == kConfigMaps || object.kind == kSecrets;
    if (is_known && !object.name.empty() && !snapshot.empty()) out[std::move(object)] = std::string(snapshot);
  }
  return out;
}

ConfigSnapshots snapshots_of(const PodTemplateSpec& pod_template) {
  const auto found = pod_template.metadata().annotations().find(kConfigAnnotation);
  return found == pod_template.metadata().annotations().end() ? ConfigSnapshots() : read_config_text(found->second);
}

bool wants_restart_on_config_change(const kube::ObjectMeta& workload) {
  const auto found = workload.annotations().find(kRestartOnConfigChange);
  return found != workload.annotations().end() && found->second == "true";
}

bool waits_for_config(const kube::ObjectMeta& workload, const PodTemplateSpec& pod_template) {
  return wants_restart_on_config_change(workload) && !workload.has_deletiontimestamp() &&
         !pod_template.metadata().annotations().contains(kConfigAnnotation) &&
         !configuration_of(pod_template.spec()).empty();
}

}  // namespace orlop::workload
