// The first lines of an answer, and its chunks (RFC 9112, sections 4 and 7.1). Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::http {

inline constexpr size_t kChunked = static_cast<size_t>(-1);

struct AnswerHead {
  int status;
  std::string_view content_type;
  const std::vector<std::pair<std::string, std::string>>& headers;
  size_t content_length;  // kChunked: unknown
  bool keep_alive;
};

// Line ends in header values are dropped: nobody can smuggle a header in.
void append_answer_head(std::string& out, const AnswerHead& head);

// Nothing for no bytes: an empty chunk would end the answer.
void append_chunk(std::string& out, std::string_view bytes);

}  // namespace orlop::http
