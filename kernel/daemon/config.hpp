// The daemon's configuration: orlop.yaml, which is built in, with a file of the user's laid over it.
//
// Threads: values.
#pragma once

#include "kernel/lifecycle/log_book.hpp"
#include "kernel/lifecycle/prepare.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::daemon {

struct Config {
  std::string node_name;
  lifecycle::Folders folders;
  bool relaxed_durability = true;
  int64_t log_age_ms = 0;  // of the change log
  uint64_t log_bytes = 0;
  uint64_t map_bytes = 0;
  lifecycle::LogLevel level = lifecycle::LogLevel::kInfo;
  std::string log_file;
  std::vector<lifecycle::PluginSpec> plugins;
};

// What the environment adds to the files.
struct Surroundings {
  std::string host_name;
  std::string bin_folder;  // of orlopd
};

struct ConfigOutcome {
  Config config;
  lifecycle::Problems problems;  // empty: the config can be used
};

// The text of the built-in file.
std::string_view default_config_text();

// `user_text` is laid over the built-in file; `user_file` names it in what is wrong. Unknown keys, wrong types, a
// plugin twice, a relative folder are problems; so is anything wrong with the built-in file, which a test rules out.
// Settings of the plugins are not looked at here: see check_plugins.
ConfigOutcome load_config(std::string_view user_text, const std::string& user_file, const Surroundings& surroundings);

// What keeps plugins from starting, as far as it can be known without starting them: their files, manifests, settings
// and requirements.
lifecycle::Problems check_plugins(const Config& config);

}  // namespace orlop::daemon
