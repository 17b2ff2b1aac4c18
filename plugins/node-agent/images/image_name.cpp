#include "plugins/node-agent/images/image_name.hpp"

#include <algorithm>
#include <cctype>

namespace orlop::agent {
namespace {

constexpr size_t kNameBytesMax = 255;
constexpr size_t kTagBytesMax = 128;
constexpr size_t kDigestHexMin = 32;

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

Status malformed() {
  return {Code::kInvalid, "invalid reference format"};
}

// One part of a repository between slashes: words of lower-case letters and digits, joined by ".", "_", "__" or dashes.
bool is_path_part(std::string_view part) {
  if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back())) return false;
  for (size_t i = 0; i < part.size();) {
    if (is_lower_or_digit(part[i])) {
      ++i;
      continue;
    }
    const size_t end = std::min(part.size(), part.find_first_not_of(part[i], i));
    const size_t length = end - i;
    if (part[i] == '.' ? length > 1 : part[i] == '_' ? length > 2 : part[i] != '-') return false;
    if (end < part.size() && !is_lower_or_digit(part[end])) return false;
    i = end;
  }
  return true;
}

bool is_repository(std::string_view text) {
  for (size_t begin = 0;;) {
    const size_t end = text.find('/', begin);
    if (!is_path_part(text.substr(begin, end == std::string_view::npos ? end : end - begin))) return false;
    if (end == std::string_view::npos) return true;
    begin = end + 1;
  }
}

// A host name or address, with or without a port.
bool is_registry(std::string_view text) {
  std::string_view host = text;
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos && text.back() != ']') {
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
      return false;
    host = text.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) return host.size() > 2;
  for (size_t begin = 0;;) {
    const size_t end = std::min(host.size(), host.find('.', begin));
    const std::string_view label = host.substr(begin, end - begin);
    const bool fits =
        !label.empty() && label.front() != '-' && label.back() != '-' &&
        std::all_of(label.begin(), label.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; });
    if (!fits) return false;
    if (end == host.size()) return true;
    begin = end + 1;
  }
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kTagBytesMax && is_word(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

bool is_digest(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view hex = text.substr(colon + 1);
  return std::isalpha(static_cast<unsigned char>(text.front())) != 0 && hex.size() >= kDigestHexMin &&
         std::all_of(hex.begin(), hex.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

bool is_bare_identifier(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                          [](unsigned char c) { return std::isdigit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<ImageName> parse_image_name(std::string_view text) {
  if (is_bare_identifier(text)) {
    return Status(Code::kInvalid,
                  "invalid repository name (" + std::string(text) + "), cannot specify 64-byte hexadecimal strings");
  }
  ImageName name;
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    name.digest = text.substr(at + 1);
    if (!is_digest(name.digest)) return malformed();
    text = text.substr(0, at);
  }
  const size_t slash = text.find('/');
  const std::string_view first = text.substr(0, slash == std::string_view::npos ? 0 : slash);
  const bool has_upper = std::any_of(first.begin(), first.end(), [](unsigned char c) { return std::isupper(c) != 0; });
  const bool names_registry = slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos ||
                                                                  first == "localhost" || has_upper);
  std::string_view rest = names_registry ? text.substr(slash + 1) : text;
  if (const size_t colon = rest.rfind(':');
      colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos) {
    name.tag = rest.substr(colon + 1);
    if (!is_tag(name.tag)) return malformed();
    rest = rest.substr(0, colon);
  }
  name.registry = !names_registry || first == "index.docker.io" ? "docker.io" : std::string(first);
  name.repository = rest;
  if (name.registry == "docker.io" && rest.find('/') == std::string_view::npos && !rest.empty()) {
    name.repository = "library/" + name.repository;
  }
  if (std::any_of(name.repository.begin(), name.repository.end(),
                  [](unsigned char c) { return std::isupper(c) != 0; })) {
    return Status(Code::kInvalid,
                  "invalid reference format: repository name (" + name.repository + ") must be lowercase");
  }
  if (!is_registry(name.registry) || !is_repository(name.repository)) return malformed();
  if (name.full_repository().size() > kNameBytesMax) {
    return Status(Code::kInvalid, "repository name must not be more than 255 characters");
  }
  if (name.tag.empty() && name.digest.empty()) name.tag = "latest";
  return name;
}

}  // namespace orlop::agent
