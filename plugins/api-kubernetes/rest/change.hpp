// Writes of one object: what create, update, patch and the subresources have in common.
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

#include <functional>

namespace orlop::rest {

// Makes the object that is wanted from what is stored. Called again when somebody else was faster.
using MakeObject = std::function<Result<MessagePtr>(const Current&)>;

struct ChangeOptions {
  std::string verb = "update";  // or "patch"
  std::string subresource;      // "", "status", …
  std::vector<std::string> warnings;
};

struct Changed {
  std::string value;
  uint64_t revision = 0;
};

// Reads, makes, admits, commits; begins again after a conflict unless the wanted object names a resourceVersion.
// `name`, `name_space`: of the object.
Task<Result<Changed>> change_object(Call& call, const KindEntry& entry, std::string name_space, std::string name,
                                    MakeObject make, ChangeOptions options);
// Admits and commits a new object.
Task<Result<Changed>> insert_object(Call& call, const KindEntry& entry, std::string name_space, MessagePtr object,
                                    std::vector<std::string> warnings);

// RBAC's own rule: nobody grants what he lacks. Ok for all other kinds.
Status check_escalation(Call& call, const KindEntry& entry, std::string_view name_space, std::string_view name,
                        const google::protobuf::Message& object);

}  // namespace orlop::rest
