// Pieces of OpenAPI documents, as JSON values, made from the schema. Pure functions.
#pragma once

#include "orlop/kube/kinds.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace google::protobuf {
class Descriptor;
}

namespace orlop::apikube {

enum class Dialect { kV2, kV3 };

// "k8s.io.api.apps.v1.Deployment" -> "io.k8s.api.apps.v1.Deployment".
std::string definition_name(std::string_view message);
// {"$ref": "#/definitions/…"} or {"$ref": "#/components/schemas/…"}.
boost::json::object reference_to(std::string_view message, Dialect dialect);

// The definitions of these messages and of all that they reach, by name, sorted.
boost::json::object definitions_of(const std::set<std::string>& messages, Dialect dialect);

// What a group version's kinds need at least: the kinds, their lists, their subresources' kinds, and meta/v1's own
// types that the operations name.
std::set<std::string> messages_of(std::span<const kube::Kind* const> kinds);

// The paths of these kinds, by path.
boost::json::object paths_of(std::span<const kube::Kind* const> kinds, Dialect dialect);

// A finished v2 document in gnostic's protobuf form (openapi.v2.Document).
std::string v2_document_protobuf(const boost::json::object& document);

}  // namespace orlop::apikube
