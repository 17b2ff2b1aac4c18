// The decoder behind JsonDocument, from a parsed tree into a message.
//
// Threads: any; nothing is shared.
#pragma once

#include "orlop/kube/json.hpp"

#include <string_view>

#include <simdjson.h>

namespace orlop::kube {

// Fills `message`; unknown and doubled fields go to decoded.warnings. kBadRequest in Go's words.
Status decode_json(simdjson::dom::element root, google::protobuf::Message& message, Decoded& decoded);

// "object", "string", …, as Go's errors say.
std::string_view json_kind(simdjson::dom::element value);

}  // namespace orlop::kube
