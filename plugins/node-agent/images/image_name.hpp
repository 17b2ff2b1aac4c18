// Names of images, as the distribution project's reference grammar has them and as kubelet reads them. Pure.
#pragma once

#include "orlop/result.hpp"

#include <string>
#include <string_view>

namespace orlop::agent {

struct ImageName {
  std::string registry;    // "docker.io" where the text names none
  std::string repository;  // "library/nginx"
  std::string tag;         // "latest" where the text has neither tag nor digest
  std::string digest;      // "sha256:…", or empty

  // What credentials are looked up by: "docker.io/library/nginx".
  [[nodiscard]] std::string full_repository() const { return registry + "/" + repository; }
};

// kInvalid with the words of the reference grammar: "invalid reference format", "invalid reference format: repository
// name (library/Nginx) must be lowercase", …
Result<ImageName> parse_image_name(std::string_view text);

}  // namespace orlop::agent
