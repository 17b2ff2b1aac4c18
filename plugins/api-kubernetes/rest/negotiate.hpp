// Content types: what a client sends and what it wants to get (RFC 9110, section 12; Kubernetes' own media types and
// its as=Table and as=PartialObjectMetadata parameters).
//
// Pure; any thread.
#pragma once

#include "orlop/result.hpp"

#include <string>
#include <string_view>

namespace orlop::rest {

enum class Encoding { kJson, kYaml, kProtobuf };
enum class Shape { kObject, kTable, kPartial };

struct OutputFormat {
  Encoding encoding = Encoding::kJson;
  Shape shape = Shape::kObject;
  std::string_view meta_version = "v1";  // of Table and PartialObjectMetadata: "v1" or "v1beta1"

  [[nodiscard]] std::string_view content_type() const;
  [[nodiscard]] std::string meta_api_version() const { return "meta.k8s.io/" + std::string(meta_version); }
};

// The first of an Accept header's media types, by weight and then by order, that is served. kNotAcceptable: none is.
Result<OutputFormat> negotiate_output(std::string_view accept);

// The encoding of a request's body. kUnsupportedMediaType. Empty: JSON.
Result<Encoding> negotiate_input(std::string_view content_type);

// A media type without its parameters, in lower case.
std::string media_type(std::string_view content_type);

}  // namespace orlop::rest
