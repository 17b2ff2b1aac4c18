// gzip (RFC 1952) for answers, at the fastest level: it must not cost more than the wire that it saves.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace orlop::http {

// True when an Accept-Encoding header takes gzip (RFC 9110, section 12.5.3).
bool accepts_gzip(std::string_view accept_encoding);

// One stream. Not thread-safe.
class GzipStream {
 public:
  GzipStream();
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  // What the input yields so far; `last` ends the stream.
  std::string add(std::string_view bytes, bool last);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string gunzip(std::string_view bytes, size_t size_max);

}  // namespace orlop::http
