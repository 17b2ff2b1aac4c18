#include "cli/client/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include <boost/json/parse.hpp>

namespace orlop::client {
namespace {

void append_string(std::string& out, std::string_view text, bool html_safe) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (unsigned char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (c < 0x20 || (html_safe && (c == '<' || c == '>' || c == '&'))) {
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  out += '"';
}

struct Writer {
  std::string out;
  bool html_safe = false;
  bool pretty = false;

  void line(int depth) {
    if (!pretty) return;
    out += '\n';
    out.append(static_cast<size_t>(depth) * 4, ' ');
  }

  void write(const json::value& value, int depth) {
    switch (value.kind()) {
      case json::kind::null:
        out += "null";
        break;
      case json::kind::bool_:
        out += value.get_bool() ? "true" : "false";
        break;
      case json::kind::int64:
        out += std::to_string(value.get_int64());
        break;
      case json::kind::uint64:
        out += std::to_string(value.get_uint64());
        break;
      case json::kind::double_:
        out += number_text(value.get_double());
        break;
      case json::kind::string:
        append_string(out, value.get_string(), html_safe);
        break;
      case json::kind::array:
        write_array(value.get_array(), depth);
        break;
      case json::kind::object:
        write_object(value.get_object(), depth);
        break;
    }
  }

  void write_array(const json::array& array, int depth) {
    if (array.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    bool first = true;
    for (const auto& item : array) {
      if (!first) out += ',';
      first = false;
      line(depth + 1);
      write(item, depth + 1);
    }
    line(depth);
    out += ']';
  }

  void write_object(const json::object& object, int depth) {
    if (object.empty()) {
      out += "{}";
      return;
    }
    std::vector<const json::key_value_pair*> members;
    members.reserve(object.size());
    for (const auto& member : object) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->key() < b->key(); });
    out += '{';
    bool first = true;
    for (const auto* member : members) {
      if (!first) out += ',';
      first = false;
      line(depth + 1);
      append_string(out, member->key(), html_safe);
      out += pretty ? ": " : ":";
      write(member->value(), depth + 1);
    }
    line(depth);
    out += '}';
  }
};

}  // namespace

const json::value* pick(const json::value& value, std::string_view dotted) {
  const json::value* at = &value;
  while (!dotted.empty()) {
    const auto dot = dotted.find('.');
    const auto name = dotted.substr(0, dot);
    dotted = dot == std::string_view::npos ? std::string_view{} : dotted.substr(dot + 1);
    if (!at->is_object()) return nullptr;
    at = at->get_object().if_contains(name);
    if (at == nullptr) return nullptr;
  }
  return at->is_null() ? nullptr : at;
}

std::string text_of(const json::value& value, std::string_view dotted) {
  const auto* at = pick(value, dotted);
  return at == nullptr || !at->is_string() ? std::string() : std::string(at->get_string());
}

int64_t number_of(const json::value& value, std::string_view dotted, int64_t absent) {
  const auto* at = pick(value, dotted);
  if (at == nullptr) return absent;
  if (at->is_int64()) return at->get_int64();
  if (at->is_uint64()) return static_cast<int64_t>(at->get_uint64());
  if (at->is_double()) return static_cast<int64_t>(at->get_double());
  return absent;
}

bool flag_of(const json::value& value, std::string_view dotted) {
  const auto* at = pick(value, dotted);
  return at != nullptr && at->is_bool() && at->get_bool();
}

const json::array& list_of(const json::value& value, std::string_view dotted) {
  static const json::array empty;
  const auto* at = pick(value, dotted);
  return at == nullptr || !at->is_array() ? empty : at->get_array();
}

const json::object& map_of(const json::value& value, std::string_view dotted) {
  static const json::object empty;
  const auto* at = pick(value, dotted);
  return at == nullptr || !at->is_object() ? empty : at->get_object();
}

std::string scalar_text(const json::value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return std::string(value.get_string());
  return compact_json(value);
}

json::object& make_map(json::value& value, std::string_view dotted) {
  if (!value.is_object()) value.emplace_object();
  json::object* at = &value.get_object();
  while (!dotted.empty()) {
    const auto dot = dotted.find('.');
    auto& next = (*at)[dotted.substr(0, dot)];
    dotted = dot == std::string_view::npos ? std::string_view{} : dotted.substr(dot + 1);
    if (!next.is_object()) next.emplace_object();
    at = &next.get_object();
  }
  return *at;
}

std::string compact_json(const json::value& value, bool html_safe) {
  Writer writer;
  writer.html_safe = html_safe;
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string pretty_json(const json::value& value) {
  Writer writer;
  writer.pretty = true;
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string number_text(double number) {
  if (number == std::floor(number) && std::fabs(number) < 1e21) {
    char fixed[64];
    const auto end = std::to_chars(fixed, fixed + sizeof fixed, number, std::chars_format::fixed);
    return {fixed, end.ptr};
  }
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, number);
  return {text, end.ptr};
}

bool parse_json(std::string_view text, json::value& out) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 512;
  out = json::parse({text.data(), text.size()}, error, {}, options);
  return !error;
}

}  // namespace orlop::client
