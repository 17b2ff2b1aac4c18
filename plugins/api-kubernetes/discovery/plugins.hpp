// Kind Plugin of orlop.dev/v1: the kernel's plugins. Objects are read-only; the subresources are log (GET: its last
// lines as plain text; tailLines, follow) and restart (POST: starts it again, out of quarantine too).
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

namespace orlop::discovery {

// One (the call names it) or all; as objects or as a Table.
rest::Task<void> answer_plugin_objects(rest::Call& call);
rest::Task<void> answer_plugin_log(rest::Call& call);
rest::Task<void> answer_plugin_restart(rest::Call& call);

}  // namespace orlop::discovery
