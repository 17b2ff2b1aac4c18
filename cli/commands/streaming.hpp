// A container's input and output joined to this process: what exec, attach and run -it share.
#pragma once

#include "cli/commands/session.hpp"

#include <string>

namespace orlop::cli {

struct ContainerStream {
  std::string target;  // path and query of pods/exec or pods/attach
  bool input = false;
  bool terminal = false;
};

// Runs to the command's end; gives its exit code. kBadRequest and the server's codes: it could not be started.
Outcome run_stream(Session& session, const ContainerStream& stream);

}  // namespace orlop::cli
