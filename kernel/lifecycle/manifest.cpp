#include "kernel/lifecycle/manifest.hpp"

#include "kernel/lifecycle/elf_section.hpp"
#include "orlop/abi/types.h"

#include <algorithm>
#include <charconv>
#include <regex>

#include <fmt/format.h>

namespace orlop::lifecycle {
namespace {

constexpr std::size_t kManifestBytesMax = 256u << 10;

class ManifestParser {
 public:
  ManifestParser(const Tree& tree, Problems& problems) : tree_(tree), problems_(problems) {}

  bool read_abi(Manifest& manifest) {
    const Tree* abi = tree_.find("abi");
    if (abi == nullptr) {
      missing("abi", "\"1.0\"");
      return false;
    }
    const std::string& text = abi->scalar;
    const auto dot = text.find('.');
    auto number = [&](std::size_t from, std::size_t to, uint32_t& out) {
      auto [at, error] = std::from_chars(text.data() + from, text.data() + to, out);
      return error == std::errc() && at == text.data() + to;
    };
    if (dot == std::string::npos || !number(0, dot, manifest.abi_major) ||
        !number(dot + 1, text.size(), manifest.abi_minor)) {
      bad(*abi, fmt::format("abi is {}", abi->describe()), "write \"MAJOR.MINOR\", as in \"1.0\"");
      return false;
    }
    return true;
  }

  void read(Manifest& manifest) {
    static const std::vector<std::string> known{"name",     "version",     "abi",   "description", "provides",
                                                "requires", "permissions", "ready", "config"};
    for (const auto& [key, value] : tree_.entries) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string meant = nearest(key, known);
      bad(value, fmt::format("the manifest has no key {}", key),
          meant.empty() ? "remove it" : fmt::format("did you mean {}?", meant));
    }
    manifest.name = word("name", R"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)", "small letters, digits and hyphens");
    manifest.version = word("version", R"(\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?)", "a semantic version, as in 0.1.0");
    manifest.description = word("description", "", "one sentence");
    read_provides(manifest);
    read_requires(manifest);
    if (const Tree* permissions = tree_.find("permissions")) {
      only(*permissions, {"read", "write"}, "permissions");
      words(*permissions, "read", manifest.reads);
      words(*permissions, "write", manifest.writes);
    }
    if (const Tree* ready = tree_.find("ready")) {
      if (ready->scalar != "reported" && ready->scalar != "started") {
        bad(*ready, fmt::format("ready is {}", ready->describe()), "write reported, or leave it out");
      }
      manifest.reports_readiness = ready->scalar == "reported";
    }
    if (const Tree* config = tree_.find("config")) {
      manifest.config = parse_schema(*config, problems_);
      if (manifest.config->type != Schema::Type::kObject) bad(*config, "config is not of the type object");
      if (manifest.config->property("orlop") != nullptr) {
        bad(*config, "config has a property orlop, which the kernel keeps for itself", "choose another name");
      }
    } else {
      manifest.config = std::make_shared<const Schema>();
    }
  }

 private:
  void bad(const Tree& tree, std::string what, std::string mend = {}) {
    problems_.push_back(tree.problem(std::move(what), std::move(mend)));
  }
  void missing(const std::string& key, const std::string& example) {
    bad(tree_, fmt::format("the manifest lacks the field {}", key), fmt::format("add `{}: {}`", key, example));
  }

  std::string word(const std::string& key, const char* pattern, const char* form) {
    const Tree* value = tree_.find(key);
    if (value == nullptr || !value->is_scalar() || value->scalar.empty()) {
      missing(key, form);
      return {};
    }
    if (*pattern != '\0' && (value->scalar.size() > 200 || !std::regex_match(value->scalar, std::regex(pattern)))) {
      bad(*value, fmt::format("{} is {}", key, value->describe()), fmt::format("write {}", form));
    }
    return value->scalar;
  }

  void only(const Tree& tree, const std::vector<std::string>& known, const std::string& where) {
    for (const auto& [key, value] : tree.entries) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string meant = nearest(key, known);
      bad(value, fmt::format("{} has no key {}", where, key),
          meant.empty() ? "remove it" : fmt::format("did you mean {}?", meant));
    }
  }

  void words(const Tree& tree, const std::string& key, std::vector<std::string>& out) {
    const Tree* list = tree.find(key);
    if (list == nullptr || list->is_null()) return;
    if (!list->is_list()) return bad(*list, fmt::format("permissions.{} is not a list", key), "write [a, b]");
    for (const auto& item : list->items) out.push_back(item.scalar);
  }

  std::string capability_of(const Tree& item, const std::string& where) {
    const Tree* capability = item.find("capability");
    if (capability != nullptr && capability->is_scalar() && !capability->scalar.empty()) return capability->scalar;
    bad(item, fmt::format("an entry of {} without a capability", where), "write {capability: NAME}");
    return {};
  }

  void read_provides(Manifest& manifest) {
    const Tree* list = tree_.find("provides");
    if (list == nullptr || list->is_null()) return;
    if (!list->is_list()) return bad(*list, "provides is not a list", "write [{capability: NAME}]");
    for (const auto& item : list->items) {
      only(item, {"capability", "instance"}, "provides");
      const Tree* instance = item.find("instance");
      manifest.provides.push_back({capability_of(item, "provides"), instance != nullptr ? instance->scalar : ""});
      if (manifest.provides.back().capability == "kernel") {
        bad(item, "only the kernel provides the capability kernel", "choose another name");
      }
    }
  }

  void read_requires(Manifest& manifest) {
    const Tree* list = tree_.find("requires");
    if (list == nullptr || list->is_null()) return;
    if (!list->is_list()) return bad(*list, "requires is not a list", "write [{capability: NAME}]");
    for (const auto& item : list->items) {
      only(item, {"capability", "optional"}, "requires");
      Manifest::Required required{capability_of(item, "requires"), false};
      if (const Tree* optional = item.find("optional");
          optional != nullptr && !read_boolean(*optional, required.optional)) {
        bad(*optional, "optional is neither true nor false");
      }
      manifest.requirements.push_back(std::move(required));
    }
  }

  const Tree& tree_;
  Problems& problems_;
};

Status as_status(const Problems& problems) {
  std::string text;
  for (const auto& problem : problems) {
    if (!text.empty()) text += '\n';
    text += problem.text();
  }
  return {Code::kInvalid, text};
}

}  // namespace

bool Manifest::provides_capability(std::string_view capability) const {
  return std::any_of(provides.begin(), provides.end(), [&](const Provided& p) { return p.capability == capability; });
}

std::string Manifest::abi() const {
  return fmt::format("{}.{}", abi_major, abi_minor);
}

Status check_abi(uint32_t major, uint32_t minor, const std::string& file) {
  if (major != ORLOP_ABI_MAJOR) {
    return {Code::kInvalid,
            fmt::format("{} is built for the plugin ABI {}.{}; this kernel has {}.{}: build it again with "
                        "this kernel's sdk",
                        file, major, minor, ORLOP_ABI_MAJOR, ORLOP_ABI_MINOR)};
  }
  if (minor > ORLOP_ABI_MINOR) {
    return {Code::kInvalid, fmt::format("{} needs the plugin ABI {}.{}, which is newer than this kernel's {}.{}: use a "
                                        "newer orlopd, or build the plugin with an older sdk",
                                        file, major, minor, ORLOP_ABI_MAJOR, ORLOP_ABI_MINOR)};
  }
  return {};
}

Result<Manifest> parse_manifest(std::string_view yaml, const std::string& origin) {
  auto [tree, problems] = parse_yaml(yaml, origin);
  Manifest manifest;
  if (problems.empty() && !tree.is_map()) problems.push_back(tree.problem("a manifest is a map"));
  if (!problems.empty()) return as_status(problems);
  ManifestParser parser(tree, problems);
  if (!parser.read_abi(manifest)) return as_status(problems);
  ORLOP_TRY(check_abi(manifest.abi_major, manifest.abi_minor, origin));
  parser.read(manifest);
  if (!problems.empty()) return as_status(problems);
  return manifest;
}

Result<Manifest> read_manifest(const std::string& path) {
  ORLOP_ASSIGN(std::string yaml, read_elf_section(path, "orlop_manifest", kManifestBytesMax));
  while (!yaml.empty() && yaml.back() == '\0') yaml.pop_back();
  return parse_manifest(yaml, path + " (manifest)");
}

}  // namespace orlop::lifecycle
