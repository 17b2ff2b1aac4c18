#include "sdk/kubeapi/json_syntax.hpp"

#include <cstdint>
#include <vector>

namespace orlop::kube {
namespace {

std::string in_quotes(char c) {
  switch (c) {
    case '\'':
      return "'\\''";
    case '"':
      return "'\"'";
    case '\n':
      return "'\\n'";
    case '\t':
      return "'\\t'";
    case '\r':
      return "'\\r'";
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  static constexpr char kHex[] = "0123456789abcdef";
  if (byte < 0x20 || byte == 0x7f) return std::string("'\\x") + kHex[byte >> 4] + kHex[byte & 15] + "'";
  if (byte < 0x80) return std::string("'") + c + "'";
  // Go shows the byte as the code point of that number.
  return std::string("'") + static_cast<char>(0xc0 | byte >> 6) + static_cast<char>(0x80 | (byte & 0x3f)) + "'";
}

// Walks a text without recursion: `open_` holds the brackets that are open, so depth costs a byte each.
class Scanner {
 public:
  explicit Scanner(std::string_view json) : json_(json) {}

  std::string explain() {
    if (scan_value() && expect_end()) return "the text is not valid JSON: it is not UTF-8, or a number is out of range";
    return message_;
  }

 private:
  bool wrong(std::string_view context) {
    message_ = at_ >= json_.size() ? std::string("unexpected end of JSON input")
                                   : "invalid character " + in_quotes(json_[at_]) + " " + std::string(context);
    return false;
  }

  void skip_space() {
    while (at_ < json_.size() && std::string_view(" \t\r\n").find(json_[at_]) != std::string_view::npos) ++at_;
  }

  bool expect_end() {
    skip_space();
    return at_ == json_.size() || wrong("after top-level value");
  }

  bool literal(std::string_view word) {
    for (size_t i = 1; i < word.size(); ++i) {
      ++at_;
      if (at_ >= json_.size() || json_[at_] != word[i]) {
        return wrong("in literal " + std::string(word) + " (expecting " + in_quotes(word[i]) + ")");
      }
    }
    ++at_;
    return true;
  }

  bool digits(std::string_view context) {
    const size_t start = at_;
    while (at_ < json_.size() && json_[at_] >= '0' && json_[at_] <= '9') ++at_;
    return at_ > start || wrong(context);
  }

  bool number() {
    if (json_[at_] == '-') ++at_;
    if (at_ < json_.size() && json_[at_] == '0') {
      ++at_;
    } else if (!digits("in numeric literal")) {
      return false;
    }
    if (at_ < json_.size() && json_[at_] == '.') {
      ++at_;
      if (!digits("after decimal point in numeric literal")) return false;
    }
    if (at_ < json_.size() && (json_[at_] == 'e' || json_[at_] == 'E')) {
      ++at_;
      if (at_ < json_.size() && (json_[at_] == '+' || json_[at_] == '-')) ++at_;
      return digits("in exponent of numeric literal");
    }
    return true;
  }

  bool string() {
    ++at_;
    while (at_ < json_.size()) {
      const char c = json_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return wrong("in string literal");
      ++at_;
      if (c != '\\') continue;
      if (at_ >= json_.size() || std::string_view("bfnrt\\/\"u").find(json_[at_]) == std::string_view::npos) {
        return wrong("in string escape code");
      }
      if (json_[at_++] != 'u') continue;
      for (int i = 0; i < 4; ++i, ++at_) {
        if (at_ >= json_.size() ||
            std::string_view("0123456789abcdefABCDEF").find(json_[at_]) == std::string_view::npos) {
          return wrong("in \\u hexadecimal character escape");
        }
      }
    }
    return wrong("");
  }

  bool key() {
    skip_space();
    if (at_ >= json_.size() || json_[at_] != '"') return wrong("looking for beginning of object key string");
    if (!string()) return false;
    skip_space();
    if (at_ >= json_.size() || json_[at_] != ':') return wrong("after object key");
    ++at_;
    return true;
  }

  // One token that begins a value; containers are left open.
  bool begin_value() {
    skip_space();
    if (at_ >= json_.size()) return wrong("");
    switch (json_[at_]) {
      case '{':
      case '[':
        open_.push_back(json_[at_++]);
        return true;
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        break;
    }
    const char c = json_[at_];
    if (c == '-' || (c >= '0' && c <= '9')) return number();
    return wrong("looking for beginning of value");
  }

  bool scan_value() {
    if (!begin_value()) return false;
    bool opened = !open_.empty();
    while (!open_.empty()) {
      const bool object = open_.back() == '{';
      skip_space();
      if (at_ < json_.size() && json_[at_] == (object ? '}' : ']')) {
        ++at_;
        open_.pop_back();
        opened = false;
        continue;
      }
      if (!opened) {
        if (at_ >= json_.size() || json_[at_] != ',')
          return wrong(object ? "after object key:value pair" : "after array element");
        ++at_;
      }
      if (object && !key()) return false;
      const size_t depth = open_.size();
      if (!begin_value()) return false;
      opened = open_.size() > depth;
    }
    return true;
  }

  std::string_view json_;
  size_t at_ = 0;
  std::vector<char> open_;
  std::string message_;
};

}  // namespace

std::string explain_json_error(std::string_view json) {
  return Scanner(json).explain();
}

}  // namespace orlop::kube
