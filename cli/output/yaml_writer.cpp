#include "cli/output/yaml_writer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <vector>

namespace orlop::cli {
namespace {

namespace json = boost::json;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool all_of(std::string_view text, bool (*test)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), test);
}

bool looks_like_integer(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  std::string plain;
  std::copy_if(text.begin(), text.end(), std::back_inserter(plain), [](char c) { return c != '_'; });
  if (plain.starts_with("0x")) return all_of(plain.substr(2), [](char c) { return std::isxdigit(c & 0x7f) != 0; });
  if (plain.starts_with("0b")) return all_of(plain.substr(2), [](char c) { return c == '0' || c == '1'; });
  if (plain.starts_with("0o")) return all_of(plain.substr(2), is_digit);
  return !text.starts_with('_') && all_of(plain, is_digit);
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  size_t at = 0;
  size_t digits = 0;
  while (at < text.size() && is_digit(text[at])) ++at, ++digits;
  if (at < text.size() && text[at] == '.') {
    ++at;
    size_t fraction = 0;
    while (at < text.size() && is_digit(text[at])) ++at, ++fraction;
    if (digits == 0 && fraction == 0) return false;
  } else if (digits == 0) {
    return false;
  }
  if (at == text.size()) return true;
  if (text[at] != 'e' && text[at] != 'E') return false;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  return all_of(text.substr(std::min(at, text.size())), is_digit);
}

// Sexagesimal numbers of YAML 1.1: 20:30:15
bool looks_like_base60(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || !is_digit(text.front()) || text.find(':') == std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == ':' || c == '_' || c == '.'; });
}

bool looks_like_time(std::string_view text) {
  if (text.size() < 8 || text[4] != '-' || !all_of(text.substr(0, 4), is_digit)) return false;
  return std::all_of(text.begin() + 5, text.end(),
                     [](char c) { return is_digit(c) || std::strchr("-:.TtZz+ ", c) != nullptr; });
}

bool is_other_type(std::string_view text) {
  static constexpr std::array<std::string_view, 41> kWords = {
      "",      "~",     "null",  "Null",  "NULL",  "y",     "Y",    "yes",  "Yes",  "YES",  "true",
      "True",  "TRUE",  "on",    "On",    "ON",    "n",     "N",    "no",   "No",   "NO",   "false",
      "False", "FALSE", "off",   "Off",   "OFF",   ".nan",  ".NaN", ".NAN", ".inf", ".Inf", ".INF",
      "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", "<<",   "="};
  if (text != "=" && std::find(kWords.begin(), kWords.end(), text) != kWords.end()) return true;
  return looks_like_integer(text) || looks_like_float(text) || looks_like_base60(text) || looks_like_time(text);
}

// Whether a reader in block context gives the same text back when it stands without quotes.
bool plain_allowed(std::string_view text, bool as_key) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return false;
  if (text.starts_with("---") || text.starts_with("...")) return false;
  if (std::strchr("#,[]{}&*!|>'\"%@`", text.front()) != nullptr) return false;
  const auto blank_after = [&](size_t i) { return i + 1 == text.size() || text[i + 1] == ' '; };
  if (std::strchr("?:-", text.front()) != nullptr && blank_after(0)) return false;
  if (as_key && text.front() == '?') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':' && blank_after(i)) return false;
    if (text[i] == '#' && i > 0 && text[i - 1] == ' ') return false;
  }
  return true;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte == 0x7f;
  });
}

// A block literal keeps no blanks before a line end, and cannot begin with a blank without a hint.
bool literal_allowed(std::string_view text) {
  if (has_control(text) || text.back() == ' ') return false;
  return text.find(" \n") == std::string_view::npos;
}

std::string double_quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string one_line_string(std::string_view text, bool as_key) {
  if (is_other_type(text) || has_control(text) || text.find('\n') != std::string_view::npos) return double_quoted(text);
  if (plain_allowed(text, as_key)) return std::string(text);
  return single_quoted(text);
}

struct Writer {
  std::string out;

  void indent(int depth) { out.append(static_cast<size_t>(depth) * 2, ' '); }

  void literal(std::string_view text, int depth) {
    out += " |";
    if (text.front() == ' ' || text.front() == '\n') out += '2';
    if (!text.ends_with('\n')) {
      out += '-';
    } else if (text.size() == 1 || text.ends_with("\n\n")) {
      out += '+';
    }
    out += '\n';
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      if (end > 0) indent(depth);
      out.append(text.substr(0, end)).append("\n");
      text = end < text.size() ? text.substr(end + 1) : std::string_view{};
    }
  }

  // What stands behind "key:" or "-"; begins with a blank or a line end.
  void write_value(const json::value& value, int depth, bool in_list) {
    if (value.is_object() && !value.get_object().empty()) {
      if (in_list) {
        out += ' ';
        write_map(value.get_object(), depth, true);
      } else {
        out += '\n';
        write_map(value.get_object(), depth, false);
      }
    } else if (value.is_array() && !value.get_array().empty()) {
      if (in_list) {
        out += ' ';
        write_list(value.get_array(), depth, true);
      } else {
        out += '\n';
        write_list(value.get_array(), depth - 1, false);
      }
    } else if (value.is_string() && value.get_string().find('\n') != json::string::npos &&
               literal_allowed(std::string_view(value.get_string()))) {
      literal(std::string_view(value.get_string()), depth);
    } else {
      out += ' ';
      out += scalar(value);
      out += '\n';
    }
  }

  static std::string scalar(const json::value& value) {
    if (value.is_string()) return one_line_string(std::string_view(value.get_string()), false);
    return client::compact_json(value);
  }

  void write_map(const json::object& object, int depth, bool first_in_line) {
    std::vector<const json::key_value_pair*> members;
    for (const auto& member : object) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->key() < b->key(); });
    for (const auto* member : members) {
      if (!first_in_line) indent(depth);
      first_in_line = false;
      out += one_line_string(std::string_view(member->key()), true);
      out += ':';
      write_value(member->value(), depth + 1, false);
    }
  }

  void write_list(const json::array& array, int depth, bool first_in_line) {
    for (const auto& item : array) {
      if (!first_in_line) indent(depth);
      first_in_line = false;
      out += '-';
      write_value(item, depth + 1, true);
    }
  }
};

}  // namespace

std::string to_yaml(const json::value& value) {
  Writer writer;
  if (value.is_object() && !value.get_object().empty()) {
    writer.write_map(value.get_object(), 0, false);
  } else if (value.is_array() && !value.get_array().empty()) {
    writer.write_list(value.get_array(), 0, false);
  } else {
    writer.out = Writer::scalar(value) + "\n";
  }
  return std::move(writer.out);
}

}  // namespace orlop::cli
