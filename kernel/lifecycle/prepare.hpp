// From an entry of the configuration to a plugin that can be started: its manifest read, its settings checked.
//
// Threads: any.
#pragma once

#include "kernel/lifecycle/manifest.hpp"
#include "kernel/lifecycle/yaml_tree.hpp"

#include <optional>
#include <string>

namespace orlop::lifecycle {

// One entry of the configuration's list of plugins.
struct PluginSpec {
  std::string name;
  std::string file;  // absolute
  bool isolated = true;
  bool enabled = true;
  std::optional<std::string> instance;  // in place of what the manifest says, for all that it provides
  Tree config;                          // kNull: none was written
  Tree place;                           // where the entry stands, for complaints
};

// Absolute paths.
struct Folders {
  std::string config;
  std::string data;
  std::string run;
  std::string plugins;
  std::string bin;
};

struct Prepared {
  std::optional<Manifest> manifest;  // unset: it could not be read, see problems
  google::protobuf::Struct settings;
  Problems problems;  // each names the file to mend: the configuration, or the plugin
};

Prepared prepare_plugin(const PluginSpec& spec);

// What the kernel adds to every plugin's settings, under the reserved key "orlop": node, name, instance, folders
// (config, data, run, plugins, bin; own_data and own_run: the plugin's alone).
void add_reserved_settings(google::protobuf::Struct& settings, const PluginSpec& spec, const std::string& node_name,
                           const Folders& folders);

// Makes own_data and own_run, mode 0700. kUnavailable: it cannot be done, with the path and the reason.
Status make_own_folders(const std::string& plugin, const Folders& folders);

std::string own_folder(const std::string& parent, const std::string& plugin);

}  // namespace orlop::lifecycle
