#include "sdk/kubeapi/yaml_scalar.hpp"

#include "sdk/kubeapi/json_values.hpp"
#include "sdk/kubeapi/yaml_tree.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <variant>

namespace orlop::kube {
namespace {

struct Null {};
using Scalar = std::variant<Null, bool, int64_t, uint64_t, double, std::string_view>;

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

template <size_t Count>
bool is_one_of(std::string_view text, const std::string_view (&words)[Count]) {
  return std::find(std::begin(words), std::end(words), text) != std::end(words);
}

std::optional<bool> as_bool(std::string_view text) {
  static constexpr std::string_view kTrue[] = {"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"};
  static constexpr std::string_view kFalse[] = {"false", "False", "FALSE", "n",   "N",  "no",
                                                "No",    "NO",    "off",   "Off", "OFF"};
  if (is_one_of(text, kTrue)) return true;
  if (is_one_of(text, kFalse)) return false;
  return std::nullopt;
}

// Go's prefixes: 0x, 0o, 0b, and a bare 0 for octal.
std::optional<Scalar> as_integer(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : (mark == 'o' ? 8 : (mark == 'b' ? 2 : 8));
    text.remove_prefix(mark == 'x' || mark == 'o' || mark == 'b' ? 2 : 1);
  }
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  constexpr uint64_t kLimit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (negative) {
    if (magnitude > kLimit + 1) return std::nullopt;
    return Scalar(static_cast<int64_t>(0 - magnitude));
  }
  if (magnitude <= kLimit) return Scalar(static_cast<int64_t>(magnitude));
  return Scalar(magnitude);
}

// [-+]? ( .digits | digits [.digits] ) [ e [-+]? digits ]
bool is_float(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - start;
  };
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  const size_t whole = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::optional<Scalar> as_float(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Scalar(number);
}

std::optional<Scalar> as_special_float(std::string_view text) {
  static constexpr std::string_view kNan[] = {".nan", ".NaN", ".NAN"};
  static constexpr std::string_view kInfinite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"};
  static constexpr std::string_view kMinusInfinite[] = {"-.inf", "-.Inf", "-.INF"};
  if (is_one_of(text, kNan)) return Scalar(std::numeric_limits<double>::quiet_NaN());
  if (is_one_of(text, kInfinite)) return Scalar(std::numeric_limits<double>::infinity());
  if (is_one_of(text, kMinusInfinite)) return Scalar(-std::numeric_limits<double>::infinity());
  return std::nullopt;
}

// 2001-12-14, 2001-12-14T21:59:43Z, …: digits and a dash in the fifth place. They stay text.
bool is_timestamp(std::string_view text) {
  return text.size() >= 8 && text[4] == '-' &&
         std::all_of(text.begin(), text.begin() + 4, [](char c) { return c >= '0' && c <= '9'; });
}

Scalar resolve_plain(std::string_view text) {
  if (is_yaml_null(text)) return Null{};
  if (const auto truth = as_bool(text)) return *truth;
  if (const auto special = as_special_float(text)) return *special;
  const char first = text[0];
  const bool numeric = (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.';
  if (!numeric || is_timestamp(text)) return text;
  std::string plain(text);
  if (first != '.') plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  if (const auto integer = as_integer(plain)) return *integer;
  if (is_float(plain)) {
    if (const auto number = as_float(plain)) return *number;
  }
  return text;
}

Scalar resolve(const YamlNode& node) {
  std::string_view tag = node.tag;
  if (tag.starts_with(kTagPrefix)) tag.remove_prefix(kTagPrefix.size());
  if (tag == "str" || tag == "binary") return std::string_view(node.text);
  if (tag.empty()) return node.plain ? resolve_plain(node.text) : Scalar(std::string_view(node.text));
  const Scalar resolved = resolve_plain(node.text);
  const bool integer = std::holds_alternative<int64_t>(resolved) || std::holds_alternative<uint64_t>(resolved);
  const bool fits = (tag == "int" && integer) ||
                    (tag == "float" && (integer || std::holds_alternative<double>(resolved))) ||
                    (tag == "bool" && std::holds_alternative<bool>(resolved)) ||
                    (tag == "null" && std::holds_alternative<Null>(resolved)) || tag == "timestamp";
  const bool known = tag == "int" || tag == "float" || tag == "bool" || tag == "null" || tag == "timestamp";
  if (known && !fits) throw YamlError{node.line, "cannot decode `" + node.text + "` as a !!" + std::string(tag)};
  return known ? resolved : Scalar(std::string_view(node.text));
}

template <typename Integer>
std::string decimal(Integer value) {
  return std::to_string(value);
}

}  // namespace

bool is_yaml_null(std::string_view plain) {
  static constexpr std::string_view kNull[] = {"", "~", "null", "Null", "NULL"};
  return is_one_of(plain, kNull);
}

void append_yaml_scalar(const YamlNode& node, std::string& out) {
  const Scalar scalar = resolve(node);
  if (std::holds_alternative<Null>(scalar)) {
    out += "null";
  } else if (const auto* truth = std::get_if<bool>(&scalar)) {
    out += *truth ? "true" : "false";
  } else if (const auto* integer = std::get_if<int64_t>(&scalar)) {
    out += decimal(*integer);
  } else if (const auto* large = std::get_if<uint64_t>(&scalar)) {
    out += decimal(*large);
  } else if (const auto* number = std::get_if<double>(&scalar)) {
    if (!std::isfinite(*number)) throw YamlError{node.line, "json: unsupported value: " + node.text};
    append_double(*number, out);
  } else {
    append_json_string(std::get<std::string_view>(scalar), out);
  }
}

std::string yaml_key(const YamlNode& node) {
  if (node.type != YamlNode::Type::kScalar) throw YamlError{node.line, "invalid map key: a key must be a scalar"};
  const Scalar scalar = resolve(node);
  if (std::holds_alternative<Null>(scalar)) throw YamlError{node.line, "unsupported map key of type: null"};
  if (const auto* truth = std::get_if<bool>(&scalar)) return *truth ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&scalar)) return decimal(*integer);
  if (const auto* large = std::get_if<uint64_t>(&scalar)) return decimal(*large);
  if (const auto* number = std::get_if<double>(&scalar)) {
    std::string out;
    append_double(*number, out);
    return out;
  }
  return std::string(std::get<std::string_view>(scalar));
}

}  // namespace orlop::kube
