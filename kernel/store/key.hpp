// The name of one object in the store, and its place in the order of all of them.
#pragma once

#include "orlop/result.hpp"

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

namespace orlop::store {

// The longest encoded key (kind, name space, name and two separators), in bytes. Names up to 253, name spaces up to 63
// and kinds up to 100 bytes fit with room to spare.
inline constexpr std::size_t kKeyBytesMax = 480;

// Names one object. The store gives none of the three a meaning: `kind` is whatever string the layers above sort
// objects by, `name_space` is empty for objects that live in none. Keys are ordered by kind, then name space, then
// name, byte by byte.
struct Key {
  std::string kind;
  std::string name_space;
  std::string name;

  auto operator<=>(const Key&) const = default;
  bool operator==(const Key&) const = default;
};

// The same without owning the bytes. Valid for as long as what it points into.
struct KeyView {
  std::string_view kind;
  std::string_view name_space;
  std::string_view name;

  [[nodiscard]] Key to_key() const { return {std::string(kind), std::string(name_space), std::string(name)}; }
};

// kInvalid, with the reason, when the kind or the name is empty, a component holds a NUL byte, or the whole is longer
// than kKeyBytesMax.
Status validate(const Key& key);

// kind NUL name_space NUL name: its byte order is the order of Key. The key must be valid.
std::string encode_key(const Key& key);

// The reverse. False when the bytes are no encoded key; `out` is then unspecified.
bool decode_key(std::string_view encoded, KeyView& out);

// For messages: "kind namespace/name", or "kind name" where there is no name space.
std::string describe(const Key& key);

}  // namespace orlop::store
