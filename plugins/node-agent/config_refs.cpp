#include "plugins/node-agent/config_refs.hpp"

#include <utility>

namespace orlop::agent {

std::set<std::string> config_of(const kube::Pod& pod) {
  std::set<std::string> out;
  const auto map = [&](const std::string& name) { out.insert("configmaps/" + name); };
  const auto secret = [&](const std::string& name) { out.insert("secrets/" + name); };
  const auto look = [&](const Container& container) {
    for (const auto& from : container.envfrom()) {
      if (from.has_configmapref()) map(from.configmapref().localobjectreference().name());
      if (from.has_secretref()) secret(from.secretref().localobjectreference().name());
    }
    for (const auto& variable : container.env()) {
      const auto& from = variable.valuefrom();
      if (from.has_configmapkeyref()) map(from.configmapkeyref().localobjectreference().name());
      if (from.has_secretkeyref()) secret(from.secretkeyref().localobjectreference().name());
    }
  };
  for (const Container& container : pod.spec().initcontainers()) look(container);
  for (const Container& container : pod.spec().containers()) look(container);
  for (const auto& volume : pod.spec().volumes()) {
    const auto& source = volume.volumesource();
    if (source.has_configmap()) map(source.configmap().localobjectreference().name());
    if (source.has_secret()) secret(source.secret().secretname());
    for (const auto& part : source.projected().sources()) {
      if (part.has_configmap()) map(part.configmap().localobjectreference().name());
      if (part.has_secret()) secret(part.secret().localobjectreference().name());
    }
  }
  return out;
}

void wait_for_config(AgentContext& context, Pass& pass) {
  std::set<std::string> objects = config_of(pass.pod());
  context.registry.with([&] { pass.memory->waits_for = std::move(objects); });
}

}  // namespace orlop::agent
