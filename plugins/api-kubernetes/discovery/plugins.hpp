// Kind Plugin of orlop.dev/v1: the kernel's plugins, read-only.
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

namespace orlop::discovery {

// One (the call names it) or all; as objects or as a Table.
rest::Task<void> answer_plugin_objects(rest::Call& call);

}  // namespace orlop::discovery
