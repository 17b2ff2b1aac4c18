#include "orlop/kube/yaml.hpp"

#include "sdk/kubeapi/json_values.hpp"
#include "sdk/kubeapi/yaml_scalar.hpp"
#include "sdk/kubeapi/yaml_tree.hpp"

#include <algorithm>
#include <array>
#include <istream>
#include <streambuf>
#include <unordered_map>
#include <unordered_set>

#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace orlop::kube {
namespace {

constexpr std::string_view kPrefix = "error converting YAML to JSON: yaml: ";

constexpr size_t kBytesForAliases = 4 * 1024 * 1024;

// Reads the caller's bytes in place.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // never written through
    setg(begin, begin, begin + text.size());
  }
};

struct Excessive {};  // thrown when aliases grow the document beyond the limit

class Writer {
 public:
  Writer(size_t& alias_nodes, size_t& bytes_left, const YamlLimits& limits)
      : alias_nodes_(alias_nodes), bytes_left_(bytes_left), limits_(limits) {}

  std::string write(const YamlNode& root) {
    value(root);
    spend();
    if (!duplicates_.empty()) throw YamlError{0, "unmarshal errors:" + duplicates_};
    return std::move(out_);
  }

 private:
  void value(const YamlNode& node) {
    // A node that was written before comes from an alias, and so does all that is below it.
    const bool again = node.type != YamlNode::Type::kScalar && !written_.insert(&node).second;
    if (again) ++alias_depth_;
    if (alias_depth_ > 0 && ++alias_nodes_ > limits_.alias_nodes_max) throw Excessive{};
    switch (node.type) {
      case YamlNode::Type::kScalar:
        append_yaml_scalar(node, out_);
        break;
      case YamlNode::Type::kSequence:
        sequence(node);
        break;
      case YamlNode::Type::kMap:
        map(node);
        break;
    }
    if (again) --alias_depth_;
    spend();
  }

  // Takes what was written since the last time from the budget that all documents share.
  void spend() {
    const size_t written = out_.size() - spent_;
    spent_ = out_.size();
    if (written > bytes_left_) throw Excessive{};
    bytes_left_ -= written;
  }

  void sequence(const YamlNode& node) {
    out_ += '[';
    bool first = true;
    for (const YamlNode* child : node.children) {
      if (!first) out_ += ',';
      first = false;
      value(*child);
    }
    out_ += ']';
  }

  struct Member {
    std::string key;
    const YamlNode* value;
  };

  void map(const YamlNode& node) {
    std::vector<Member> members;
    std::unordered_map<std::string, size_t> places;
    collect(node, members, places, true);
    out_ += '{';
    bool first = true;
    for (const Member& member : members) {
      if (!first) out_ += ',';
      first = false;
      append_json_string(member.key, out_);
      out_ += ':';
      value(*member.value);
    }
    out_ += '}';
  }

  // A map's own keys win over merged ones, and of merged maps the first wins.
  void collect(const YamlNode& node, std::vector<Member>& members, std::unordered_map<std::string, size_t>& places,
               bool own) {
    if (!own && ++merged_keys_ > limits_.alias_nodes_max) throw Excessive{};
    std::vector<const YamlNode*> merged;
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      if (!own && ++merged_keys_ > limits_.alias_nodes_max) throw Excessive{};
      const YamlNode& key_node = *node.children[i];
      if (key_node.plain && key_node.text == "<<") {
        merged.push_back(node.children[i + 1]);
        continue;
      }
      std::string key = yaml_key(key_node);
      const auto [place, inserted] = places.emplace(key, members.size());
      if (inserted) {
        members.push_back({std::move(key), node.children[i + 1]});
      } else if (own) {
        std::string quoted;
        append_json_string(key, quoted);
        duplicates_ += "\n  line " + std::to_string(key_node.line) + ": key " + quoted + " already set in map";
      }
    }
    for (const YamlNode* source : merged) merge(*source, node, members, places);
  }

  void merge(const YamlNode& source, const YamlNode& into, std::vector<Member>& members,
             std::unordered_map<std::string, size_t>& places) {
    if (source.type == YamlNode::Type::kMap) return collect(source, members, places, false);
    const bool maps = source.type == YamlNode::Type::kSequence &&
                      std::all_of(source.children.begin(), source.children.end(),
                                  [](const YamlNode* child) { return child->type == YamlNode::Type::kMap; });
    if (!maps) throw YamlError{into.line, "map merge requires map or sequence of maps as the value"};
    for (const YamlNode* child : source.children) collect(*child, members, places, false);
  }

  size_t& alias_nodes_;
  size_t& bytes_left_;
  const YamlLimits& limits_;
  std::string out_;
  std::string duplicates_;
  std::unordered_set<const YamlNode*> written_;
  int alias_depth_ = 0;
  size_t spent_ = 0;
  size_t merged_keys_ = 0;
};

Status wrong(int line, const std::string& message) {
  std::string text(kPrefix);
  if (line > 0) text += "line " + std::to_string(line) + ": ";
  return {Code::kBadRequest, text + message};
}

bool is_nothing(const YamlNode* root) {
  return root == nullptr || (root->type == YamlNode::Type::kScalar && root->plain && is_yaml_null(root->text));
}

}  // namespace

Result<std::vector<YamlDocument>> yaml_documents(std::string_view yaml, const YamlLimits& limits) {
  if (yaml.size() > limits.bytes_max) {
    return Status(Code::kTooLarge, "the YAML text is " + std::to_string(yaml.size()) + " bytes; the limit is " +
                                       std::to_string(limits.bytes_max));
  }
  std::vector<YamlDocument> documents;
  size_t alias_nodes = 0;
  // An escape is six bytes for one: without aliases no text exceeds this.
  size_t bytes_left = 6 * yaml.size() + kBytesForAliases;
  try {
    ViewBuffer buffer(yaml);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    YamlTree tree(limits.depth_max);
    while (parser.HandleNextDocument(tree)) {
      if (is_nothing(tree.root())) continue;
      documents.push_back({Writer(alias_nodes, bytes_left, limits).write(*tree.root()), tree.root()->line});
    }
  } catch (const YamlError& error) {
    return wrong(error.line, error.message);
  } catch (const Excessive&) {
    return wrong(0, "document contains excessive aliasing");
  } catch (const YAML::Exception& error) {
    return wrong(error.mark.is_null() ? 0 : error.mark.line + 1, error.msg);
  }
  return documents;
}

Result<std::vector<std::string>> yaml_to_json(std::string_view yaml) {
  ORLOP_ASSIGN(std::vector<YamlDocument> documents, yaml_documents(yaml));
  std::vector<std::string> out;
  out.reserve(documents.size());
  for (YamlDocument& document : documents) out.push_back(std::move(document.json));
  return out;
}

bool looks_like_json(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

}  // namespace orlop::kube
