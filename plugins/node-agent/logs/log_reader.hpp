// The log of one container as `kubectl logs` asks for it: over rotated and packed files to the one being written, and
// on, as it grows and is rotated. Not thread-safe.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::agent {

struct LogOptions {
  std::string path;  // of the file being written
  bool follow = false;
  bool timestamps = false;
  std::optional<int64_t> since_unix_ns;
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::function<bool()> still_running;  // a followed log ends when this says false and everything has been sent
};

// Sends what the options ask for, to `write` (false: the reader went away). `stop_event`: a descriptor that becomes
// readable when all is to end; `peer`: one that becomes readable or hangs up when the reader is gone; -1: none. Blocks.
// kNotFound: there is no log.
Status read_log(const LogOptions& options, int stop_event, int peer,
                const std::function<bool(std::string_view)>& write);

}  // namespace orlop::agent
