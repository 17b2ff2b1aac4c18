// How a frame between the kernel and an orlop-host is written: one byte of type, an id, then fields in a fixed order.
// Numbers are varints (seven bits at a time, low first), bytes are preceded by their length. Nothing is
// self-describing: both ends are of one build.
//
// A Reader never reads beyond its bytes and never throws. After the first field that is not there it is broken, every
// further read gives an empty value, and ok() is false: check it once, at the end.
//
// Threads: values, no shared state. A Reader's views point into the bytes that it was made of.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::bus {

enum class FrameType : uint8_t {
  // From the host.
  kHello = 1,      // pid, abi minor: the first frame
  kGet = 2,        // request → kRecords*, kDone
  kList = 3,       // request → kRecords*, kDone
  kPull = 4,       // request → kChanges*, kDone
  kSubscribe = 5,  // request → kDone
  kCommit = 6,     // request → kDone
  kCall = 7,       // target, payload → kDone
  kRespond = 8,    // id is the call's: code, payload
  kLog = 9,        // level, message
  kReady = 10,     // ready, reason
  kRevision = 11,  // → kDone, whose payload is a varint
  kDone = 12,      // both ways; id is the request's: code, payload
  // From the kernel.
  kRecords = 20,     // id is the read's: count, records
  kChanges = 21,     // id is the pull's: count, changes
  kInit = 22,        // config → kDone
  kStart = 23,       // → kDone
  kStop = 24,        // → kDone, then the host exits
  kHandleCall = 25,  // id is the call's: method, payload, deadline
  kWake = 26,        // reasons
  kPing = 27,        // whether health() is asked for → kDone, by the thread that runs handle_call, wake and health
};

class Writer {
 public:
  Writer() = default;
  Writer(FrameType type, uint64_t id);

  Writer& number(uint64_t value);
  Writer& signed_number(int64_t value);  // zigzag
  Writer& bytes(std::string_view value);

  [[nodiscard]] std::size_t size() const { return buffer_.size(); }
  [[nodiscard]] const std::string& view() const { return buffer_; }
  std::string take() { return std::move(buffer_); }

 private:
  std::string buffer_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  uint64_t number();
  int64_t signed_number();
  std::string_view bytes();

  [[nodiscard]] bool ok() const { return ok_; }
  // Everything was read, and nothing was missing.
  [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  void fail() {
    ok_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool ok_ = true;
};

// A frame's beginning, and a Reader over what follows. kBadRequest: shorter than a beginning, or of no known type.
struct Frame {
  FrameType type = FrameType::kHello;
  uint64_t id = 0;
  std::string_view fields;
};
Result<Frame> parse_frame(std::string_view bytes);

// A code as it crosses; a number that is none reads as kInternal.
Code code_from_number(uint64_t number);

}  // namespace orlop::bus
