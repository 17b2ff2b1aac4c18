#include "plugins/api-kubernetes/rest/yaml_writer.hpp"

#include <algorithm>

#include <boost/json.hpp>

namespace orlop::rest {
namespace {

namespace json = boost::json;

// Plain only where nobody could take it for anything but a string.
bool is_plain(std::string_view text) {
  if (text.empty()) return false;
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(text.front()) && text.front() != '/') return false;
  bool harmless = std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  });
  if (!harmless) return false;
  static constexpr std::string_view kWords[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords);
}

void append_scalar(const json::value& value, std::string& out) {
  if (value.is_string() && is_plain(value.as_string())) {
    out += std::string_view(value.as_string());
  } else {
    out += json::serialize(value);
  }
}

bool is_nested(const json::value& value) {
  return (value.is_object() && !value.as_object().empty()) || (value.is_array() && !value.as_array().empty());
}

void append_value(const json::value& value, size_t indent, bool in_list, std::string& out);

void append_object(const json::object& object, size_t indent, bool in_list, std::string& out) {
  bool first = true;
  for (const auto& [key, value] : object) {
    if (!(first && in_list)) out.append(indent, ' ');
    first = false;
    append_scalar(json::value(key), out);
    out += ':';
    if (is_nested(value)) {
      out += '\n';
      append_value(value, value.is_array() ? indent : indent + 2, false, out);
    } else {
      out += ' ';
      append_scalar(value, out);
      out += '\n';
    }
  }
}

void append_value(const json::value& value, size_t indent, bool in_list, std::string& out) {
  if (value.is_object()) return append_object(value.as_object(), indent, in_list, out);
  bool first = true;
  for (const json::value& item : value.as_array()) {
    if (!(first && in_list)) out.append(indent, ' ');
    first = false;
    out += "- ";
    if (is_nested(item)) {
      append_value(item, indent + 2, true, out);
    } else {
      append_scalar(item, out);
      out += '\n';
    }
  }
}

}  // namespace

std::optional<std::string> json_to_yaml(std::string_view text) {
  json::parse_options options;
  options.max_depth = 600;
  boost::system::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error) return std::nullopt;
  std::string out;
  if (is_nested(value)) {
    append_value(value, 0, false, out);
  } else {
    append_scalar(value, out);
    out += '\n';
  }
  return out;
}

}  // namespace orlop::rest
