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
  // The object as a deletion with a grace period leaves it behind; empty: as it is. Needs if_revision.
  std::string left_behind;
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

// One attempt, in one transaction with writes of other objects. kConflict: one of them has changed since it was read.
Task<Result<Removed>> remove_with(Call& call, const KindEntry& entry, std::string name_space, std::string name,
                                  RemoveOptions options, std::vector<v1::Write> others);

}  // namespace orlop::rest
