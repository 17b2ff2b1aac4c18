#include "kernel/lifecycle/prepare.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/stat.h>

namespace orlop::lifecycle {
namespace {

Status make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return {Code::kUnavailable, fmt::format("cannot make the folder {}: {}", path, std::strerror(errno))};
}

}  // namespace

Prepared prepare_plugin(const PluginSpec& spec) {
  Prepared prepared;
  auto manifest = read_manifest(spec.file);
  if (!manifest) {
    const bool absent = manifest.code() == Code::kNotFound;
    prepared.problems.push_back(
        spec.place.problem(fmt::format("plugin {}: {}", spec.name, manifest.message()),
                           absent ? "build or install it, or write `enabled: false` for it" : std::string()));
    return prepared;
  }
  prepared.manifest = std::move(*manifest);
  if (spec.instance) {
    for (auto& provided : prepared.manifest->provides) provided.instance = *spec.instance;
  }
  Tree config = spec.config;
  if (!config.file) {
    config.file = spec.place.file;
    config.line = spec.place.line;
  }
  if (const Tree* reserved = config.find("orlop")) {
    prepared.problems.push_back(reserved->problem("the key orlop is the kernel's own", "remove it"));
    return prepared;
  }
  prepared.settings =
      check_settings(*prepared.manifest->config, config, fmt::format("the config of {}", spec.name), prepared.problems);
  return prepared;
}

std::string own_folder(const std::string& parent, const std::string& plugin) {
  return parent + "/plugins/" + plugin;
}

void add_reserved_settings(google::protobuf::Struct& settings, const PluginSpec& spec, const std::string& node_name,
                           const Folders& folders) {
  auto& fields = *(*settings.mutable_fields())["orlop"].mutable_struct_value()->mutable_fields();
  fields["node"].set_string_value(node_name);
  fields["name"].set_string_value(spec.name);
  fields["instance"].set_string_value(spec.instance.value_or(""));
  auto& paths = *fields["folders"].mutable_struct_value()->mutable_fields();
  paths["config"].set_string_value(folders.config);
  paths["data"].set_string_value(folders.data);
  paths["run"].set_string_value(folders.run);
  paths["plugins"].set_string_value(folders.plugins);
  paths["bin"].set_string_value(folders.bin);
  paths["own_data"].set_string_value(own_folder(folders.data, spec.name));
  paths["own_run"].set_string_value(own_folder(folders.run, spec.name));
}

Status make_own_folders(const std::string& plugin, const Folders& folders) {
  for (const auto& parent : {folders.data, folders.run}) {
    ORLOP_TRY(make_folder(parent + "/plugins", 0755));
    ORLOP_TRY(make_folder(own_folder(parent, plugin), 0700));
  }
  return {};
}

}  // namespace orlop::lifecycle
