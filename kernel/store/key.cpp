#include "kernel/store/key.hpp"

namespace orlop::store {

Status validate(const Key& key) {
  if (key.kind.empty()) return {Code::kInvalid, "a key needs a kind"};
  if (key.name.empty()) return {Code::kInvalid, "a key of kind " + key.kind + " needs a name"};
  for (const std::string* part : {&key.kind, &key.name_space, &key.name}) {
    if (part->find('\0') != std::string::npos) {
      return {Code::kInvalid, "a key of kind " + std::string(key.kind.c_str()) + " holds a NUL byte"};
    }
  }
  const std::size_t bytes = key.kind.size() + key.name_space.size() + key.name.size() + 2;
  if (bytes > kKeyBytesMax) {
    return {Code::kInvalid, "the key of a " + key.kind.substr(0, 100) + " is " + std::to_string(bytes) +
                                " bytes long; at most " + std::to_string(kKeyBytesMax) + " are possible"};
  }
  return Status::ok();
}

std::string encode_key(const Key& key) {
  std::string encoded;
  encoded.reserve(key.kind.size() + key.name_space.size() + key.name.size() + 2);
  encoded.append(key.kind).push_back('\0');
  encoded.append(key.name_space).push_back('\0');
  encoded.append(key.name);
  return encoded;
}

bool decode_key(std::string_view encoded, KeyView& out) {
  const std::size_t first = encoded.find('\0');
  if (first == std::string_view::npos) return false;
  const std::size_t second = encoded.find('\0', first + 1);
  if (second == std::string_view::npos) return false;
  out.kind = encoded.substr(0, first);
  out.name_space = encoded.substr(first + 1, second - first - 1);
  out.name = encoded.substr(second + 1);
  return true;
}

std::string describe(const Key& key) {
  if (key.name_space.empty()) return key.kind + " " + key.name;
  return key.kind + " " + key.name_space + "/" + key.name;
}

}  // namespace orlop::store
