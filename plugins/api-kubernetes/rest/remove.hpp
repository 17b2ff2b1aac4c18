// Deletions of one object.
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace k8s::io::apimachinery::pkg::apis::meta::v1 {
class DeleteOptions;
}

namespace orlop::rest {

struct RemoveOptions {
  std::optional<int64_t> grace_seconds;
  std::string propagation;  // "", Orphan, Background, Foreground
  std::string if_uid;
  uint64_t if_revision = 0;
  bool dry_run = false;
};

struct Removed {
  std::string value;  // the last one
  uint64_t revision = 0;
  bool gone = false;  // false: finalizers or a grace period hold it
};

// From the body and the query. kBadRequest, kInvalid.
Result<RemoveOptions> read_remove_options(Call& call);
Status take_delete_options(const k8s::io::apimachinery::pkg::apis::meta::v1::DeleteOptions& message,
                           RemoveOptions& options);
Task<Result<Removed>> remove_object(Call& call, const KindEntry& entry, std::string name_space, std::string name,
                                    RemoveOptions options);

}  // namespace orlop::rest
