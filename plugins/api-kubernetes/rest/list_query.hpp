// What a list asks for: resourceVersion, resourceVersionMatch, limit and continue, as documented at
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

#include <cstdint>
#include <string>

namespace orlop::rest {

struct ListQuery {
  uint64_t at_revision = 0;  // 0: the latest
  uint64_t limit = 0;        // 0: none
  bool continued = false;
  bool inconsistent = false;  // a continue token that gave up its revision
  std::string after_namespace;
  std::string after_name;
};

// kBadRequest, kTimeout (a revision that has not come yet), kInvalid.
Result<ListQuery> read_list_query(const Call& call);
// A revision as text; nothing wrong with an empty one (0). kBadRequest.
Result<uint64_t> parse_revision(std::string_view text);
Status too_large_revision(uint64_t asked, uint64_t current);
std::string make_continue_token(int64_t revision, std::string_view name_space, std::string_view name);

}  // namespace orlop::rest
