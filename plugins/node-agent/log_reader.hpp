// One log file of the runtime, line by line, following rotation. Not thread-safe.
#pragma once

#include "orlop/result.hpp"
#include "plugins/node-agent/log_server.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orlop::agent {

// Sends what the options ask for, to `write` (false: the reader went away). `stop_event`: a descriptor that becomes
// readable when all is to end; `peer`: one that becomes readable or hangs up when the reader is gone. Blocks.
Status read_log(const LogOptions& options, int stop_event, int peer,
                const std::function<bool(std::string_view)>& write);

// Nanoseconds since 1970 of "2026-11-22T19:00:00.123456789Z" or with an offset; nothing when it is not one.
std::optional<int64_t> parse_log_time(std::string_view text);

}  // namespace orlop::agent
