// The patch that apply and edit send: what was applied last, what is wanted now, and what the server holds, made into
// one document.
//
// What is in `wanted` and differs from `live` is set; what was in `original` and is no more in `wanted` is taken away;
// what others wrote into `live` stays.
//
// Specification: "Merge key calculations" of server-side strategic merge patch; the keys are those of the patchMergeKey
// marks in k8s.io/api (core, apps, batch).
#pragma once

#include "cli/client/json.hpp"

#include <string>
#include <string_view>

namespace orlop::cli {

// How a list at a path is merged.
struct ListRule {
  enum class How { kReplace, kByKey, kAsSet };
  How how = How::kReplace;
  std::string_view key;
  bool retain_keys = false;  // an element's fields that are not wanted go, whoever wrote them
};

// The rule for a list of a built-in kind; `path` is "spec.template.spec.containers[].ports".
ListRule list_rule(std::string_view kind, std::string_view path);

// Whether a built-in map loses what is not wanted in it (a Deployment's strategy).
bool retains_keys(std::string_view kind, std::string_view path);

// A strategic merge patch for a built-in `kind`; with an empty kind a JSON merge patch (RFC 7386). An empty object
// means that nothing has to change.
boost::json::object three_way_patch(std::string_view kind, const boost::json::value& original,
                                    const boost::json::value& wanted, const boost::json::value& live);

}  // namespace orlop::cli
