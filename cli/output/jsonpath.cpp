#include "cli/output/jsonpath.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace orlop::cli {
namespace {

namespace json = boost::json;
using Nodes = std::vector<const json::value*>;

Status broken(std::string_view what) {
  return {Code::kBadRequest, "error: error parsing jsonpath: " + std::string(what)};
}

// Where the bracket opened just before `at` closes; quotes and inner brackets are passed over.
size_t closing(std::string_view text, size_t at, char open, char close) {
  int depth = 1;
  char quote = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != 0) {
      if (c == '\\') {
        ++at;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == open) {
      ++depth;
    } else if (c == close && --depth == 0) {
      return at;
    }
  }
  return std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char c = text[++i];
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
    } else {
      out += text[i];
    }
  }
  return out;
}

void descend(const json::value& value, Nodes& out) {
  out.push_back(&value);
  if (value.is_object()) {
    for (const auto& member : value.get_object()) descend(member.value(), out);
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) descend(item, out);
  }
}

void children(const json::value& value, Nodes& out) {
  if (value.is_object()) {
    for (const auto& member : value.get_object()) out.push_back(&member.value());
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) out.push_back(&item);
  }
}

Nodes members(const Nodes& nodes, std::string_view name) {
  Nodes out;
  for (const auto* node : nodes) {
    if (!node->is_object()) continue;
    if (const auto* found = node->get_object().if_contains(name)) out.push_back(found);
  }
  return out;
}

class Evaluator {
 public:
  explicit Evaluator(const json::value& root) : root_(root) {}

  Result<Nodes> evaluate(std::string_view path, const json::value& current) {
    Nodes nodes{&current};
    path = trimmed(path);
    if (path.starts_with('$')) {
      nodes = {&root_};
      path.remove_prefix(1);
    } else if (path.starts_with('@')) {
      path.remove_prefix(1);
    }
    size_t at = 0;
    while (at < path.size()) {
      ORLOP_TRY(step(path, at, nodes));
    }
    return nodes;
  }

 private:
  Status step(std::string_view path, size_t& at, Nodes& nodes) {
    if (path[at] == '[') {
      const auto end = closing(path, at + 1, '[', ']');
      if (end == std::string_view::npos) return broken("unterminated array");
      const auto inside = trimmed(path.substr(at + 1, end - at - 1));
      at = end + 1;
      return bracket(inside, nodes);
    }
    if (path[at] == '.') {
      if (++at < path.size() && path[at] == '.') {
        ++at;
        Nodes deep;
        for (const auto* node : nodes) descend(*node, deep);
        nodes = std::move(deep);
      }
      if (at >= path.size() || path[at] == '[') return {};
    }
    std::string name;
    while (at < path.size() && path[at] != '.' && path[at] != '[') {
      if (path[at] == '\\' && at + 1 < path.size()) ++at;
      name += path[at++];
    }
    if (name == "*") {
      Nodes out;
      for (const auto* node : nodes) children(*node, out);
      nodes = std::move(out);
    } else {
      nodes = members(nodes, name);
    }
    return {};
  }

  Status bracket(std::string_view inside, Nodes& nodes) {
    if (inside.starts_with("?(") && inside.ends_with(')')) return filter(inside.substr(2, inside.size() - 3), nodes);
    Nodes out;
    if (inside == "*") {
      for (const auto* node : nodes) children(*node, out);
    } else if (inside.starts_with('\'') || inside.starts_with('"')) {
      out = members(nodes, unescaped(inside.substr(1, inside.size() - 2)));
    } else {
      for (const auto* node : nodes) {
        if (node->is_array()) ORLOP_TRY(pick_indexes(inside, node->get_array(), out));
      }
    }
    nodes = std::move(out);
    return {};
  }

  static Status pick_indexes(std::string_view inside, const json::array& array, Nodes& out) {
    const auto size = static_cast<int64_t>(array.size());
    while (!inside.empty()) {
      const auto comma = inside.find(',');
      const std::string part(trimmed(inside.substr(0, comma)));
      inside = comma == std::string_view::npos ? std::string_view{} : inside.substr(comma + 1);
      if (part.find_first_not_of("0123456789:-") != std::string::npos) return broken("invalid array index " + part);
      const auto colon = part.find(':');
      if (colon == std::string::npos) {
        int64_t index = std::strtoll(part.c_str(), nullptr, 10);
        if (index < 0) index += size;
        if (index < 0 || index >= size) {
          return broken("array index out of bounds: index " + part + ", length " + std::to_string(size));
        }
        out.push_back(&array[static_cast<size_t>(index)]);
        continue;
      }
      int64_t begin = colon == 0 ? 0 : std::strtoll(part.c_str(), nullptr, 10);
      int64_t end = colon + 1 == part.size() ? size : std::strtoll(part.c_str() + colon + 1, nullptr, 10);
      if (begin < 0) begin += size;
      if (end < 0) end += size;
      for (auto i = std::max<int64_t>(begin, 0); i < std::min(end, size); ++i)
        out.push_back(&array[static_cast<size_t>(i)]);
    }
    return {};
  }

  Status filter(std::string_view condition, Nodes& nodes) {
    static constexpr std::string_view kOperators[] = {"==", "!=", "<=", ">=", "<", ">"};
    std::string_view found;
    size_t at = std::string_view::npos;
    for (const auto name : kOperators) {
      const auto here = condition.find(name);
      if (here < at) at = here, found = name;
    }
    Nodes out;
    for (const auto* node : nodes) {
      Nodes items;
      children(*node, items);
      for (const auto* item : items) {
        ORLOP_ASSIGN(const auto left, operand(condition.substr(0, at), *item));
        if (found.empty()) {
          if (left) out.push_back(item);
          continue;
        }
        ORLOP_ASSIGN(const auto right, operand(condition.substr(at + found.size()), *item));
        if (left && right && compare(*left, found, *right)) out.push_back(item);
      }
    }
    nodes = std::move(out);
    return {};
  }

  Result<std::optional<json::value>> operand(std::string_view text, const json::value& item) {
    text = trimmed(text);
    if (text.starts_with('@') || text.starts_with('$')) {
      ORLOP_ASSIGN(const auto nodes, evaluate(text, item));
      if (nodes.empty()) return std::optional<json::value>();
      return std::optional<json::value>(*nodes.front());
    }
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'')) {
      return std::optional<json::value>(json::value(unescaped(text.substr(1, text.size() - 2))));
    }
    json::value value;
    if (!client::parse_json(text, value)) return broken("unrecognized value in a filter: " + std::string(text));
    return std::optional<json::value>(std::move(value));
  }

  static bool compare(const json::value& left, std::string_view name, const json::value& right) {
    int order = 0;
    if (left.is_number() && right.is_number()) {
      const auto a = left.to_number<double>();
      const auto b = right.to_number<double>();
      order = a < b ? -1 : a > b ? 1 : 0;
    } else {
      order = client::scalar_text(left).compare(client::scalar_text(right));
    }
    if (name == "==") return order == 0;
    if (name == "!=") return order != 0;
    if (name == "<") return order < 0;
    if (name == ">") return order > 0;
    return name == "<=" ? order <= 0 : order >= 0;
  }

  const json::value& root_;
};

// One template between `begin` and its end (or the {end} that belongs to it).
class Template {
 public:
  Template(const json::value& root, std::string_view text) : evaluator_(root), text_(text) {}

  Result<std::string> expand(size_t begin, size_t end, const json::value& current) {
    std::string out;
    size_t at = begin;
    while (at < end) {
      if (text_[at] != '{') {
        out += text_[at++];
        continue;
      }
      const auto close = closing(text_, at + 1, '{', '}');
      if (close == std::string_view::npos) return broken("unclosed action");
      const auto inside = trimmed(text_.substr(at + 1, close - at - 1));
      at = close + 1;
      if (inside.starts_with('"') || inside.starts_with('\'')) {
        out += unescaped(inside.substr(1, inside.size() - 2));
      } else if (inside.starts_with("range ")) {
        const auto stop = matching_end(at, end);
        if (stop == std::string_view::npos) return broken("unclosed range");
        ORLOP_ASSIGN(const auto nodes, evaluator_.evaluate(inside.substr(6), current));
        for (const auto* node : nodes) {
          ORLOP_ASSIGN(const auto part, expand(at, stop, *node));
          out += part;
        }
        at = text_.find('}', stop) + 1;
      } else if (inside == "end") {
        return broken("not in range, nothing to end");
      } else {
        ORLOP_ASSIGN(const auto nodes, evaluator_.evaluate(inside, current));
        for (size_t i = 0; i < nodes.size(); ++i) out += (i == 0 ? "" : " ") + client::scalar_text(*nodes[i]);
      }
    }
    return out;
  }

 private:
  size_t matching_end(size_t at, size_t end) const {
    int depth = 1;
    while (at < end) {
      const auto open = text_.find('{', at);
      if (open == std::string_view::npos || open >= end) break;
      const auto close = closing(text_, open + 1, '{', '}');
      if (close == std::string_view::npos) break;
      const auto inside = trimmed(text_.substr(open + 1, close - open - 1));
      if (inside.starts_with("range ")) ++depth;
      if (inside == "end" && --depth == 0) return open;
      at = close + 1;
    }
    return std::string_view::npos;
  }

  Evaluator evaluator_;
  std::string_view text_;
};

}  // namespace

Result<std::vector<json::value>> find_path(const json::value& root, std::string_view path) {
  if (path.starts_with('{') && path.ends_with('}')) path = path.substr(1, path.size() - 2);
  Evaluator evaluator(root);
  ORLOP_ASSIGN(const auto nodes, evaluator.evaluate(path, root));
  std::vector<json::value> out;
  for (const auto* node : nodes) out.push_back(*node);
  return out;
}

Result<std::string> expand_jsonpath(const json::value& root, std::string_view text) {
  return Template(root, text).expand(0, text.size(), root);
}

}  // namespace orlop::cli
