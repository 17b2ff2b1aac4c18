// Durations as Go writes them: "1h30m", "1.5s".
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop {

// A text in quotation marks, as Go's messages show it.
std::string go_quoted(std::string_view text);

// Nanoseconds; parts of one are dropped. kInvalid with the words of Go's time.ParseDuration.
Result<int64_t> parse_go_duration(std::string_view text);

}  // namespace orlop
