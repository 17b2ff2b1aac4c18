// base64 and base64url (RFC 4648), hashes and random bytes. Pure functions but for random_bytes; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::auth {

std::string base64(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);
// Without padding, as JOSE wants it.
std::string base64url(std::string_view bytes);
std::optional<std::string> base64url_decode(std::string_view text);

std::string sha256(std::string_view bytes);
std::string random_bytes(size_t count);
std::string hex(std::string_view bytes);

}  // namespace orlop::auth
