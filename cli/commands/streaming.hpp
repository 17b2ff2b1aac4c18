// A container's input and output joined to this process: what exec, attach and run -it share.
//
// Specification: subprotocols v5.channel.k8s.io and v4.channel.k8s.io of remotecommand (a channel byte before each
// message: 0 input, 1 output, 2 errors, 3 the end's Status, 4 the window's size, 255 a channel's end).
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
