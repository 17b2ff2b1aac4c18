// application/vnd.kubernetes.protobuf: four bytes of magic, then runtime.Unknown with the object's type and its bytes;
// and the frames of a watch in that format. Byte-identical with an apiserver's.
//
// Threads: pure functions. Ownership: views point into the bytes given.
#pragma once

#include "orlop/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace orlop::kube {

inline constexpr std::string_view kProtobufMediaType = "application/vnd.kubernetes.protobuf";
inline constexpr std::string_view kProtobufStreamMediaType = "application/vnd.kubernetes.protobuf;stream=watch";

struct Envelope {
  std::string_view api_version;
  std::string_view kind;
  std::string_view raw;  // the message's bytes
  std::string_view content_encoding;
  std::string_view content_type;
};

// Whether the bytes begin as an envelope does.
bool is_envelope(std::string_view bytes);

// kBadRequest: no magic, or truncated; in an apiserver's words where it has some.
Result<Envelope> decode_envelope(std::string_view bytes);

// Appends the envelope around a serialised message.
void encode_envelope(std::string_view api_version, std::string_view kind, std::string_view raw, std::string& out);

// Appends one frame: a big-endian length of four bytes, then a WatchEvent of this type ("ADDED", "MODIFIED", "DELETED",
// "BOOKMARK", "ERROR") that holds the enveloped object.
void encode_watch_frame(std::string_view type, std::string_view api_version, std::string_view kind,
                        std::string_view raw, std::string& out);

}  // namespace orlop::kube
