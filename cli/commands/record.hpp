// --record: the command line as the cause of a change, shown by rollout history.
#pragma once

#include "cli/commands/session.hpp"

namespace orlop::cli {

// Says once that the flag is an old one, as kubectl does.
inline void warn_of_record(Session& session) {
  if (!session.args.on("record")) return;
  session.io.err << "Flag --record has been deprecated, --record will be removed in the future\n";
}

// With --record: adds the annotation to a merge patch.
inline void add_change_cause(const Session& session, json::value& patch) {
  if (!session.args.on("record")) return;
  client::make_map(patch, "metadata.annotations")["kubernetes.io/change-cause"] = session.command_line;
}

}  // namespace orlop::cli
