// The OpenAPI documents that clients read: /openapi/v2 (JSON and protobuf) for kubectl up to 1.26's validation and
// explain, /openapi/v3 and /openapi/v3/apis/GROUP/VERSION for later ones. Generated from the schema of the served
// kinds.
//
// Threads: any; a document is built at its first request and then shared.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace orlop::apikube {

// A finished document. Immutable, shared by all who asked.
struct OpenApiDocument {
  std::string bytes;
  std::string etag;  // quoted hex of a hash of the bytes, as the header carries it
  std::string content_type;
};

class OpenApi {
 public:
  // `version`: info.version, e.g. "v1.32.3".
  static std::unique_ptr<OpenApi> make(std::string version);
  virtual ~OpenApi() = default;

  // application/json, and application/com.github.proto-openapi.spec.v2@v1.0+protobuf.
  virtual std::shared_ptr<const OpenApiDocument> v2_json() const = 0;
  virtual std::shared_ptr<const OpenApiDocument> v2_protobuf() const = 0;
  // {"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=…"},…}}
  virtual std::shared_ptr<const OpenApiDocument> v3_index() const = 0;
  // `path`: "api/v1", "apis/apps/v1". Null: no such group version.
  virtual std::shared_ptr<const OpenApiDocument> v3(std::string_view path) const = 0;
  // The protobuf form, application/com.github.proto-openapi.spec.v3@v1.0+protobuf. Null always: clients that ask for it
  // take JSON as well, and say so.
  virtual std::shared_ptr<const OpenApiDocument> v3_protobuf(std::string_view path) const = 0;
};

}  // namespace orlop::apikube
