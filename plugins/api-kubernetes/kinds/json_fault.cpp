#include "plugins/api-kubernetes/kinds/json_fault.hpp"

#include <cctype>
#include <cstdio>

namespace orlop::apikube {
namespace {

constexpr int kDepthMax = 10'000;

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::string document() {
    skip();
    const char first = peek();
    if (!value(0)) return fault_;
    skip();
    if (at_ < text_.size()) return wrong("after top-level value"), fault_;
    const std::string_view shape = first == '['                   ? "array"
                                   : first == '"'                 ? "string"
                                   : first == 't' || first == 'f' ? "bool"
                                   : first == '{' || first == 'n' ? ""
                                                                  : "number";
    if (shape.empty()) return {};
    return "json: cannot unmarshal " + std::string(shape) + " into Go value of type map[string]interface {}";
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  // Sets the fault for the character that stands here; always false.
  bool wrong(std::string_view where) {
    if (at_ >= text_.size()) {
      fault_ = "unexpected end of JSON input";
      return false;
    }
    const char c = text_[at_];
    std::string shown = c == '\''   ? "\\'"
                        : c == '\\' ? "\\\\"
                        : c == '\n' ? "\\n"
                        : c == '\t' ? "\\t"
                                    : std::string(1, c);
    if (static_cast<unsigned char>(c) >= 0x80 ||
        (std::iscntrl(static_cast<unsigned char>(c)) != 0 && shown.size() == 1)) {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
      shown = code;
    }
    fault_ = "invalid character '" + shown + "' " + std::string(where);
    return false;
  }

  bool value(int depth) {
    if (depth > kDepthMax) {
      fault_ = "exceeded max depth";
      return false;
    }
    skip();
    const char c = peek();
    if (c == '{') return object(depth);
    if (c == '[') return array(depth);
    if (c == '"') return string();
    if (c == 't') return literal("true");
    if (c == 'f') return literal("false");
    if (c == 'n') return literal("null");
    if (c == '-' || std::isdigit(static_cast<unsigned char>(c)) != 0) return number();
    return wrong("looking for beginning of value");
  }

  bool object(int depth) {
    ++at_;
    skip();
    if (peek() == '}' && at_ < text_.size()) return ++at_, true;
    for (;;) {
      skip();
      if (peek() != '"') return wrong("looking for beginning of object key string");
      if (!string()) return false;
      skip();
      if (peek() != ':') return wrong("after object key");
      ++at_;
      if (!value(depth + 1)) return false;
      skip();
      if (peek() == '}') return ++at_, true;
      if (peek() != ',') return wrong("after object key:value pair");
      ++at_;
    }
  }

  bool array(int depth) {
    ++at_;
    skip();
    if (peek() == ']') return ++at_, true;
    for (;;) {
      if (!value(depth + 1)) return false;
      skip();
      if (peek() == ']') return ++at_, true;
      if (peek() != ',') return wrong("after array element");
      ++at_;
    }
  }

  bool string() {
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return wrong("in string literal");
      if (text_[at_++] != '\\') continue;
      const char c = peek();
      if (c == 'u') {
        for (int i = 0; i < 4; ++i) {
          ++at_;
          if (std::isxdigit(static_cast<unsigned char>(peek())) == 0)
            return wrong("in \\u hexadecimal character escape");
        }
      } else if (at_ >= text_.size() || std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) {
        return wrong("in string escape code");
      }
      ++at_;
    }
    if (at_ >= text_.size()) return wrong("");
    ++at_;
    return true;
  }

  bool literal(std::string_view word) {
    for (size_t i = 0; i < word.size(); ++i, ++at_) {
      if (peek() != word[i]) {
        return wrong("in literal " + std::string(word) + " (expecting '" + std::string(1, word[i]) + "')");
      }
    }
    return true;
  }

  bool digits(std::string_view where) {
    if (std::isdigit(static_cast<unsigned char>(peek())) == 0) return wrong(where);
    while (std::isdigit(static_cast<unsigned char>(peek())) != 0) ++at_;
    return true;
  }

  bool number() {
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else if (!digits("in numeric literal")) {
      return false;
    }
    if (peek() == '.') {
      ++at_;
      if (!digits("after decimal point in numeric literal")) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits("in exponent of numeric literal")) return false;
    }
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string fault_;
};

}  // namespace

std::string json_object_fault(std::string_view text) {
  return Scanner(text).document();
}

}  // namespace orlop::apikube
