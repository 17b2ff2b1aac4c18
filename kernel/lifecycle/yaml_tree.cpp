#include "kernel/lifecycle/yaml_tree.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace orlop::lifecycle {
namespace {

constexpr std::size_t kBytesMax = 4u << 20;
constexpr int kDepthMax = 64;
constexpr int kValuesMax = 100'000;

struct Converter {
  std::shared_ptr<const std::string> file;
  Problems problems;
  int values = 0;
  bool stop = false;

  void complain(int line, std::string what, std::string mend = {}) {
    problems.push_back({*file, line, std::move(what), std::move(mend)});
  }

  Tree convert(const YAML::Node& node, int depth) {
    Tree tree;
    tree.file = file;
    tree.line = node.Mark().line + 1;
    if (stop) return tree;
    if (depth > kDepthMax || ++values > kValuesMax) {
      stop = true;
      complain(tree.line,
               depth > kDepthMax ? fmt::format("nested deeper than {} levels", kDepthMax)
                                 : fmt::format("more than {} values, aliases included", kValuesMax),
               "write it flatter");
      return tree;
    }
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        break;
      case YAML::NodeType::Scalar:
        tree.kind = Tree::Kind::kScalar;
        tree.scalar = node.Scalar();
        tree.quoted = node.Tag() == "!";
        break;
      case YAML::NodeType::Sequence:
        tree.kind = Tree::Kind::kList;
        for (const auto& item : node) tree.items.push_back(convert(item, depth + 1));
        break;
      case YAML::NodeType::Map:
        tree.kind = Tree::Kind::kMap;
        for (const auto& entry : node) add_entry(tree, entry.first, entry.second, depth);
        break;
    }
    return tree;
  }

  void add_entry(Tree& tree, const YAML::Node& key, const YAML::Node& value, int depth) {
    const int line = key.Mark().line + 1;
    if (!key.IsScalar()) return complain(line, "a key that is not a word", "write `word: value`");
    if (tree.find(key.Scalar()) != nullptr) {
      return complain(line, fmt::format("the key {} stands here twice", key.Scalar()), "keep one of the two");
    }
    Tree child = convert(value, depth + 1);
    if (child.is_null() || child.line < line) child.line = line;  // a null has no place of its own
    tree.entries.emplace_back(key.Scalar(), std::move(child));
  }
};

}  // namespace

std::string Problem::text() const {
  std::string out = line > 0 ? fmt::format("{}:{}: {}", file, line, what) : fmt::format("{}: {}", file, what);
  if (!mend.empty()) out += "; " + mend;
  return out;
}

const Tree* Tree::find(std::string_view key) const {
  for (const auto& [name, child] : entries) {
    if (name == key) return &child;
  }
  return nullptr;
}

std::string Tree::describe() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return fmt::format("\"{}\"", scalar.substr(0, 80));
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "";
}

Problem Tree::problem(std::string what, std::string mend) const {
  return {file ? *file : std::string(), line, std::move(what), std::move(mend)};
}

YamlOutcome parse_yaml(std::string_view text, const std::string& file) {
  YamlOutcome outcome;
  Converter converter{std::make_shared<const std::string>(file), {}, 0, false};
  if (text.size() > kBytesMax) {
    converter.complain(0, fmt::format("larger than {} bytes", kBytesMax));
  } else {
    try {
      const auto documents = YAML::LoadAll(std::string(text));
      if (documents.size() > 1) {
        converter.complain(documents[1].Mark().line + 1, "a second document", "keep one, without `---` between");
      }
      if (!documents.empty()) outcome.tree = converter.convert(documents.front(), 0);
    } catch (const YAML::Exception& error) {
      converter.complain(error.mark.line + 1, fmt::format("this is not YAML: {}", error.msg),
                         "look at the indentation and the quotes of this line and the one above");
    }
  }
  if (outcome.tree.is_null()) {
    outcome.tree.kind = Tree::Kind::kMap;
    outcome.tree.file = converter.file;
    outcome.tree.line = 1;
  }
  outcome.problems = std::move(converter.problems);
  return outcome;
}

void overlay(Tree& base, const Tree& over) {
  if (!base.is_map() || !over.is_map()) {
    base = over;
    return;
  }
  for (const auto& [key, value] : over.entries) {
    if (auto* mine = base.find(key)) {
      overlay(*mine, value);
    } else {
      base.entries.emplace_back(key, value);
    }
  }
  base.file = over.file;
  base.line = over.line;
}

bool read_boolean(const Tree& tree, bool& value) {
  if (!tree.is_scalar() || tree.quoted) return false;
  if (tree.scalar != "true" && tree.scalar != "false") return false;
  value = tree.scalar == "true";
  return true;
}

bool read_integer(const Tree& tree, int64_t& value) {
  if (!tree.is_scalar() || tree.quoted || tree.scalar.empty()) return false;
  const auto* end = tree.scalar.data() + tree.scalar.size();
  auto [at, error] = std::from_chars(tree.scalar.data(), end, value);
  return error == std::errc() && at == end;
}

bool read_number(const Tree& tree, double& value) {
  if (!tree.is_scalar() || tree.quoted || tree.scalar.empty()) return false;
  const auto* end = tree.scalar.data() + tree.scalar.size();
  auto [at, error] = std::from_chars(tree.scalar.data(), end, value);
  return error == std::errc() && at == end && std::isfinite(value);
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t above = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace orlop::lifecycle
