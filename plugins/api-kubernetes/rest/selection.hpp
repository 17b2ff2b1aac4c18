// Which objects a list, a watch or a deletecollection is about: label and field selectors together.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/http/url.hpp"
#include "plugins/api-kubernetes/rest/registry.hpp"
#include "plugins/api-kubernetes/selector/fields.hpp"
#include "plugins/api-kubernetes/selector/labels.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace orlop::rest {

// Threads: immutable once read; any thread.
class Selection {
 public:
  // Reads labelSelector and fieldSelector. kBadRequest in Kubernetes' words.
  static Result<Selection> read(const KindEntry& entry, const http::Query& query);

  [[nodiscard]] bool is_everything() const { return labels_.is_everything() && fields_.is_everything(); }
  // `stored`: the object's bytes as stored.
  [[nodiscard]] bool matches(std::string_view name_space, std::string_view name, std::string_view stored) const;
  // A term of the store's index that every match carries.
  [[nodiscard]] std::optional<std::string> index_term() const;
  // The name or namespace that the field selector demands.
  [[nodiscard]] std::optional<std::string_view> required_name() const { return fields_.required("metadata.name"); }
  [[nodiscard]] std::optional<std::string_view> required_namespace() const {
    return fields_.required("metadata.namespace");
  }

 private:
  const KindEntry* entry_ = nullptr;
  apikube::LabelSelector labels_;
  apikube::FieldSelector fields_;
};

}  // namespace orlop::rest
