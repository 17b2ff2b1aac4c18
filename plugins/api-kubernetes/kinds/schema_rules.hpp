// What the schema alone says of a kind: the fields that must be there, the values that an enumeration has.
#pragma once

#include "plugins/api-kubernetes/kinds/field_errors.hpp"

namespace google::protobuf {
class Message;
}

namespace orlop::apikube {

// For kinds that have no rules of their own. Looks at everything but metadata and status.
void validate_by_schema(const google::protobuf::Message& object, FieldErrors* errors);

}  // namespace orlop::apikube
