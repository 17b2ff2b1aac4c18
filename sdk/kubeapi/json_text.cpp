#include "sdk/kubeapi/json_values.hpp"

#include <array>
#include <string>
#include <string_view>

namespace orlop::kube {
namespace {

// What Go's encoder does not copy as it is: control bytes, quote, backslash, <, >, &, and everything beyond ASCII,
// which is looked at more closely.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x80; ++c) plain[static_cast<size_t>(c)] = true;
  for (const char c : {'"', '\\', '<', '>', '&'}) plain[static_cast<unsigned char>(c)] = false;
  return plain;
}();

// The length of the UTF-8 sequence at the front, 0 when it is none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first >= 0xf0 && first < 0xf5 ? 4 : (first >= 0xe0 ? 3 : (first >= 0xc2 ? 2 : 0));
  if (first >= 0xf5 || length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool outside = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || outside ? 0 : length;
}

// Appends the escape for what stands at the front; the number of bytes that it stands for.
size_t append_escaped(std::string_view text, std::string& out) {
  const auto c = static_cast<unsigned char>(text[0]);
  switch (c) {
    case '"':
      out += "\\\"";
      return 1;
    case '\\':
      out += "\\\\";
      return 1;
    case '\b':
      out += "\\b";
      return 1;
    case '\f':
      out += "\\f";
      return 1;
    case '\n':
      out += "\\n";
      return 1;
    case '\r':
      out += "\\r";
      return 1;
    case '\t':
      out += "\\t";
      return 1;
    default:
      break;
  }
  if (c < 0x80) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += "\\u00";
    out += kHex[c >> 4];
    out += kHex[c & 15];
    return 1;
  }
  const size_t length = sequence_length(text);
  if (length == 0) {
    out += "\\ufffd";
    return 1;
  }
  // The line separators of JavaScript.
  if (text.starts_with("\xe2\x80\xa8") || text.starts_with("\xe2\x80\xa9")) {
    out += text[2] == '\xa8' ? "\\u2028" : "\\u2029";
  } else {
    out += text.substr(0, length);
  }
  return length;
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  size_t start = 0;
  size_t at = 0;
  while (at < text.size()) {
    if (kPlain[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    out.append(text, start, at - start);
    at += append_escaped(text.substr(at), out);
    start = at;
  }
  out.append(text, start);
  out += '"';
}

}  // namespace orlop::kube
