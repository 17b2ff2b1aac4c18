// The three patches of the API, over Kubernetes JSON.
//
// Threads: pure functions. None changes its arguments unless it says so; a failed patch leaves nothing half done.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/patch/merge_schema.hpp"

#include <cstddef>
#include <string_view>

#include <boost/json.hpp>

namespace orlop::apikube {

// What keeps a hostile patch from eating the machine.
struct PatchLimits {
  size_t operations_max = 10'000;             // of a JSON patch
  size_t copied_bytes_max = 3 * 1024 * 1024;  // sum of what `copy` operations duplicate
};

// RFC 6902. `patch`: an array of operations.
// kBadRequest: not a patch ("error decoding patch: …"). kTooLarge: over the limits ("The allowed maximum operations in
// a JSON patch is 10000, got N"). kInvalid: an operation does not apply (missing path, failed test), with Kubernetes'
// "the server rejected our request due to an error in our request".
Result<boost::json::value> json_patch(const boost::json::value& document, const boost::json::value& patch,
                                      const PatchLimits& limits = {});

// RFC 7386. A null in the patch removes the member. kBadRequest: the patch is no object.
Result<boost::json::value> merge_patch(const boost::json::value& document, const boost::json::value& patch);

// Kubernetes' strategic merge: maps merge, lists replace or merge by key as `schema` says; `$patch`, `$retainKeys`,
// `$setElementOrder/x`, `$deleteFromPrimitiveList/x`. `schema`: of the object's root.
// kBadRequest: the patch is no object or has an element without its merge key. kInvalid: it does not fit the type.
Result<boost::json::value> strategic_merge(const boost::json::value& document, const boost::json::value& patch,
                                           const MergeSchema& schema);

}  // namespace orlop::apikube
