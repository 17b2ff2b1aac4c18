// The general half of preparation: what a writer of an object, of its status or of a part may change.
#pragma once

#include "orlop/kube/kinds.hpp"

#include <string_view>

namespace google::protobuf {
class Message;
}

namespace orlop::apikube {

// The status of a new object is not the writer's to say.
void strip_for_create(const kube::Kind& kind, google::protobuf::Message* object);

// "" keeps the status, "status" keeps all but the status, other subresources keep the status too. Metadata that only
// the store writes is carried over always.
void keep_for_update(const kube::Kind& kind, google::protobuf::Message* object,
                     const google::protobuf::Message& current, std::string_view subresource);

}  // namespace orlop::apikube
