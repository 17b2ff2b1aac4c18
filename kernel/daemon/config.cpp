#include "kernel/daemon/config.hpp"

#include "kernel/lifecycle/plan.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

#include <fmt/format.h>

extern "C" {
extern const char orlop_default_config_begin[];
extern const char orlop_default_config_end[];
}

namespace orlop::daemon {
namespace {

using lifecycle::Problems;
using lifecycle::Tree;

constexpr const char* kBuiltIn = "orlop.yaml (built in)";

// What may stand in the file, in the words that manifests use.
constexpr const char* kSchema = R"(
type: object
properties:
  node:
    type: object
    properties:
      name:
        type: string
        pattern: '([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?'
        description: "small letters, digits, hyphens and dots"
  folders:
    type: object
    properties:
      config: {type: string, pattern: '/.*', description: an absolute path}
      data: {type: string, pattern: '/.*', description: an absolute path}
      run: {type: string, pattern: '/.*', description: an absolute path}
      plugins: {type: string, pattern: '(/.*)?', description: an absolute path or nothing}
  store:
    type: object
    properties:
      relaxed_durability: {type: boolean}
      compaction:
        type: object
        properties:
          age: {type: string, pattern: '[1-9][0-9]{0,8}(s|m|h)', description: "a number and s, m or h"}
          size: {type: string, pattern: '[1-9][0-9]{0,8}(KiB|MiB|GiB)', description: "a number and KiB, MiB or GiB"}
      map_size: {type: string, pattern: '[1-9][0-9]{0,8}(KiB|MiB|GiB)', description: "a number and KiB, MiB or GiB"}
  log:
    type: object
    properties:
      level: {type: string, enum: [trace, debug, info, warn, error]}
      file: {type: string, pattern: '(/.*)?', description: an absolute path or nothing}
  plugins:
    type: array
    items:
      type: object
      required: [name]
      properties:
        name:
          type: string
          pattern: '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
          description: "small letters, digits and hyphens"
        file: {type: string}
        hosted: {type: string, enum: [inline, isolated]}
        enabled: {type: boolean}
        instance: {type: string}
        config: {type: object, additionalProperties: true}
)";

const lifecycle::Schema& schema() {
  static const auto parsed = [] {
    auto outcome = lifecycle::parse_yaml(kSchema, "the schema of orlop.yaml");
    Problems problems = std::move(outcome.problems);
    return lifecycle::parse_schema(outcome.tree, problems);
  }();
  return *parsed;
}

// Reads and checks one file by itself, so that each complaint is about the file that it names.
Tree read_file(std::string_view text, const std::string& file, Problems& problems) {
  auto outcome = lifecycle::parse_yaml(text, file);
  if (!outcome.problems.empty()) {
    problems.insert(problems.end(), outcome.problems.begin(), outcome.problems.end());
    return outcome.tree;
  }
  lifecycle::check_settings(schema(), outcome.tree, "the configuration", problems);
  std::map<std::string, int> lines;
  if (const Tree* plugins = outcome.tree.find("plugins")) {
    for (const auto& item : plugins->items) {
      const Tree* name = item.find("name");
      if (name == nullptr) continue;
      auto [first, fresh] = lines.emplace(name->scalar, name->line);
      if (fresh) continue;
      problems.push_back(
          name->problem(fmt::format("the plugin {} stands here and in line {}", name->scalar, first->second),
                        "keep one, or give one of them another name and `file: …`"));
    }
  }
  return outcome.tree;
}

void overlay_plugins(Tree& base, const Tree& over) {
  for (const auto& item : over.items) {
    const Tree* name = item.find("name");
    if (name == nullptr) continue;
    auto mine = std::find_if(base.items.begin(), base.items.end(), [&](const Tree& other) {
      const Tree* other_name = other.find("name");
      return other_name != nullptr && other_name->scalar == name->scalar;
    });
    if (mine == base.items.end()) {
      base.items.push_back(item);
    } else {
      lifecycle::overlay(*mine, item);
    }
  }
}

void overlay_files(Tree& base, const Tree& over) {
  for (const auto& [key, value] : over.entries) {
    Tree* mine = base.find(key);
    if (key == "plugins" && mine != nullptr) {
      overlay_plugins(*mine, value);
    } else if (mine != nullptr) {
      if (!value.is_null()) lifecycle::overlay(*mine, value);
    } else {
      base.entries.emplace_back(key, value);
    }
  }
}

const std::string& text_at(const Tree& tree, std::initializer_list<std::string_view> path) {
  static const std::string empty;
  const Tree* at = &tree;
  for (const auto key : path) {
    at = at->find(key);
    if (at == nullptr) return empty;
  }
  return at->scalar;
}

// A number and a unit that the schema's pattern has checked.
uint64_t with_unit(const std::string& text) {
  static const std::map<std::string_view, uint64_t> units{
      {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}};
  uint64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
  return number * units.at(std::string_view(end, static_cast<std::size_t>(text.data() + text.size() - end)));
}

bool flag(const Tree& item, std::string_view key, bool fallback) {
  if (const Tree* value = item.find(key)) lifecycle::read_boolean(*value, fallback);
  return fallback;
}

lifecycle::PluginSpec read_plugin(const Tree& item, const lifecycle::Folders& folders) {
  lifecycle::PluginSpec spec;
  spec.name = text_at(item, {"name"});
  spec.file = text_at(item, {"file"});
  if (spec.file.empty()) spec.file = spec.name + ".so";
  if (spec.file.front() != '/') spec.file = folders.plugins + "/" + spec.file;
  spec.isolated = text_at(item, {"hosted"}) != "inline";
  spec.enabled = flag(item, "enabled", true);
  if (const Tree* instance = item.find("instance")) spec.instance = instance->scalar;
  if (const Tree* config = item.find("config")) spec.config = *config;
  spec.place.file = item.file;
  spec.place.line = item.line;
  return spec;
}

}  // namespace

std::string_view default_config_text() {
  return {orlop_default_config_begin, static_cast<std::size_t>(orlop_default_config_end - orlop_default_config_begin)};
}

ConfigOutcome load_config(std::string_view user_text, const std::string& user_file, const Surroundings& surroundings) {
  ConfigOutcome outcome;
  Tree tree = read_file(default_config_text(), kBuiltIn, outcome.problems);
  const Tree user = read_file(user_text, user_file, outcome.problems);
  if (!outcome.problems.empty()) return outcome;
  overlay_files(tree, user);

  Config& config = outcome.config;
  config.node_name = text_at(tree, {"node", "name"});
  if (config.node_name.empty()) {
    for (const char c : surroundings.host_name) {
      config.node_name.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    }
  }
  config.folders.config = text_at(tree, {"folders", "config"});
  config.folders.data = text_at(tree, {"folders", "data"});
  config.folders.run = text_at(tree, {"folders", "run"});
  config.folders.plugins = text_at(tree, {"folders", "plugins"});
  config.folders.bin = surroundings.bin_folder;
  if (config.folders.plugins.empty()) {
    const auto slash = surroundings.bin_folder.rfind('/');
    config.folders.plugins = surroundings.bin_folder.substr(0, slash) + "/lib/orlop/plugins";
  }
  config.relaxed_durability = flag(*tree.find("store"), "relaxed_durability", true);
  config.log_age_ms = static_cast<int64_t>(with_unit(text_at(tree, {"store", "compaction", "age"})));
  config.log_bytes = with_unit(text_at(tree, {"store", "compaction", "size"}));
  config.map_bytes = with_unit(text_at(tree, {"store", "map_size"}));
  if (auto level = lifecycle::log_level_of(text_at(tree, {"log", "level"}))) config.level = *level;
  config.log_file = text_at(tree, {"log", "file"});
  for (const auto& item : tree.find("plugins")->items) config.plugins.push_back(read_plugin(item, config.folders));
  return outcome;
}

Problems check_plugins(const Config& config) {
  Problems problems;
  std::vector<lifecycle::PlanInput> inputs;
  std::vector<const lifecycle::PluginSpec*> specs;
  for (const auto& spec : config.plugins) {
    if (!spec.enabled) continue;
    auto prepared = lifecycle::prepare_plugin(spec);
    problems.insert(problems.end(), prepared.problems.begin(), prepared.problems.end());
    if (!prepared.manifest) continue;
    lifecycle::PlanInput input{spec.name, {}, {}};
    for (const auto& provided : prepared.manifest->provides) input.provides.push_back(provided.capability);
    for (const auto& required : prepared.manifest->requirements) {
      input.requirements.push_back({required.capability, required.optional});
    }
    inputs.push_back(std::move(input));
    specs.push_back(&spec);
  }
  const auto plan = lifecycle::make_plan(inputs, {"kernel"});
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (!plan[i].refusal.empty()) problems.push_back(specs[i]->place.problem(plan[i].refusal));
  }
  return problems;
}

}  // namespace orlop::daemon
