#include "plugins/api-kubernetes/selector/names.hpp"

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

constexpr size_t kLabelLengthMax = 63;
constexpr size_t kSubdomainLengthMax = 253;

constexpr std::string_view kLabelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kSubdomainPattern = R"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)";
constexpr std::string_view kQualifiedNamePattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

constexpr bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_lower_alnum(char c) {
  return is_lower(c) || is_digit(c);
}
constexpr bool is_alnum(char c) {
  return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

bool is_label_shape(std::string_view value) {
  if (value.empty() || !is_lower_alnum(value.front()) || !is_lower_alnum(value.back())) return false;
  for (char c : value) {
    if (!is_lower_alnum(c) && c != '-') return false;
  }
  return true;
}

bool is_subdomain_shape(std::string_view value) {
  while (true) {
    const size_t dot = value.find('.');
    if (!is_label_shape(value.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    value.remove_prefix(dot + 1);
  }
}

bool is_qualified_name_shape(std::string_view value) {
  if (value.empty() || !is_alnum(value.front()) || !is_alnum(value.back())) return false;
  for (char c : value) {
    if (!is_alnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

std::string too_long(size_t length) {
  return fmt::format("must be no more than {} characters", length);
}

std::string pattern_fault(std::string_view message, std::string_view pattern,
                          std::initializer_list<std::string_view> examples) {
  std::string text(message);
  text += " (";
  const char* lead = "e.g. ";
  // Two spaces before "or", as the original says it: tools match on it.
  for (auto example : examples) {
    text += fmt::format("{}'{}', ", lead, example);
    lead = " or ";
  }
  text += fmt::format("regex used for validation is '{}')", pattern);
  return text;
}

std::string qualified_name_fault() {
  return pattern_fault(
      "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      kQualifiedNamePattern, {"MyName", "my.name", "123-abc"});
}

void add_parent_path_faults(std::string_view value, Faults* faults) {
  if (value == ".") {
    faults->emplace_back("must not be '.'");
  } else if (value == "..") {
    faults->emplace_back("must not be '..'");
  } else if (value.starts_with("..")) {
    faults->emplace_back("must not start with '..'");
  }
}

}  // namespace

Faults dns1123_label_faults(std::string_view value) {
  Faults faults;
  if (value.size() > kLabelLengthMax) faults.push_back(too_long(kLabelLengthMax));
  if (!is_label_shape(value)) {
    if (is_subdomain_shape(value)) {
      faults.emplace_back("must not contain dots");
    } else {
      faults.push_back(
          pattern_fault("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
                        "must start and end "
                        "with an alphanumeric character",
                        kLabelPattern, {"my-name", "123-abc"}));
    }
  }
  return faults;
}

Faults dns1123_subdomain_faults(std::string_view value) {
  Faults faults;
  if (value.size() > kSubdomainLengthMax) faults.push_back(too_long(kSubdomainLengthMax));
  if (!is_subdomain_shape(value)) {
    faults.push_back(pattern_fault(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character",
        kSubdomainPattern, {"example.com"}));
  }
  return faults;
}

Faults dns1035_label_faults(std::string_view value) {
  Faults faults;
  if (value.size() > kLabelLengthMax) faults.push_back(too_long(kLabelLengthMax));
  if (!is_label_shape(value) || !is_lower(value.front())) {
    faults.push_back(pattern_fault(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character",
        "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  }
  return faults;
}

Faults wildcard_dns1123_subdomain_faults(std::string_view value) {
  Faults faults;
  if (value.size() > kSubdomainLengthMax) faults.push_back(too_long(kSubdomainLengthMax));
  if (!value.starts_with("*.") || !is_subdomain_shape(value.substr(2))) {
    faults.push_back(pattern_fault(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        fmt::format(R"(\*\.{})", kSubdomainPattern), {"*.example.com"}));
  }
  return faults;
}

Faults qualified_name_faults(std::string_view value) {
  Faults faults;
  std::string_view name = value;
  const size_t slash = value.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      faults.push_back("a qualified name " + qualified_name_fault() +
                       " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
      return faults;
    }
    if (prefix.empty()) {
      faults.emplace_back("prefix part must be non-empty");
    } else {
      for (auto& fault : dns1123_subdomain_faults(prefix)) faults.push_back("prefix part " + fault);
    }
  }
  if (name.empty()) {
    faults.emplace_back("name part must be non-empty");
  } else if (name.size() > kLabelLengthMax) {
    faults.push_back("name part " + too_long(kLabelLengthMax));
  }
  if (!is_qualified_name_shape(name)) faults.push_back("name part " + qualified_name_fault());
  return faults;
}

Faults label_value_faults(std::string_view value) {
  Faults faults;
  if (value.size() > kLabelLengthMax) faults.push_back(too_long(kLabelLengthMax));
  if (!value.empty() && !is_qualified_name_shape(value)) {
    faults.push_back(pattern_fault(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character",
        "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", {"MyValue", "my_value", "12345"}));
  }
  return faults;
}

Faults port_name_faults(std::string_view value) {
  Faults faults;
  if (value.size() > 15) faults.push_back(too_long(15));
  bool charset = !value.empty();
  bool letter = false;
  for (char c : value) {
    charset = charset && (is_lower_alnum(c) || c == '-');
    letter = letter || is_lower(c);
  }
  if (!charset) faults.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!letter) faults.emplace_back("must contain at least one letter (a-z)");
  if (value.find("--") != std::string_view::npos) faults.emplace_back("must not contain consecutive hyphens");
  if (!value.empty() && (value.front() == '-' || value.back() == '-')) {
    faults.emplace_back("must not begin or end with a hyphen");
  }
  return faults;
}

Faults in_range_faults(int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return {fmt::format("must be between {} and {}, inclusive", low, high)};
}

Faults port_number_faults(int64_t value) {
  return in_range_faults(value, 1, 65535);
}

Faults config_map_key_faults(std::string_view value) {
  Faults faults;
  if (value.size() > kSubdomainLengthMax) faults.push_back(too_long(kSubdomainLengthMax));
  bool fine = !value.empty();
  for (char c : value) fine = fine && (is_alnum(c) || c == '-' || c == '_' || c == '.');
  if (!fine) {
    faults.push_back(pattern_fault("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                                   "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  }
  add_parent_path_faults(value, &faults);
  return faults;
}

Faults env_var_name_faults(std::string_view value) {
  if (value.empty()) return {"environment variable name must be non-empty"};
  for (char c : value) {
    if (c < 0x20 || c > 0x7e || c == '=') {
      return {"a valid environment variable name must consist only of printable ASCII characters other than '='"};
    }
  }
  return {};
}

Faults percent_faults(std::string_view value) {
  bool fine = value.size() > 1 && value.back() == '%';
  for (size_t i = 0; fine && i + 1 < value.size(); ++i) fine = is_digit(value[i]);
  if (fine) return {};
  return {pattern_fault("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%",
                        {"1%", "93%"})};
}

Faults http_header_name_faults(std::string_view value) {
  bool fine = !value.empty();
  for (char c : value) fine = fine && (is_alnum(c) || c == '-');
  if (fine) return {};
  return {pattern_fault("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                        {"X-Header-Name"})};
}

Faults path_segment_faults(std::string_view value) {
  if (value == "." || value == "..") return {fmt::format("may not be '{}'", value)};
  Faults faults;
  for (std::string_view bad : {"/", "%"}) {
    if (value.find(bad) != std::string_view::npos) faults.push_back(fmt::format("may not contain '{}'", bad));
  }
  return faults;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
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
      case '\v':
        out += "\\v";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
  return out;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) text += separator;
    text += parts[i];
  }
  return text;
}

}  // namespace orlop::apikube
