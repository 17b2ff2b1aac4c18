// orlop-host's inside: one plugin, and the table of abi/host.h over a link to the kernel.
//
// Threads of the process, beside nng's: the main one runs init, start, stop and destroy; the dispatcher runs
// handle_call, wake and health and answers the kernel's pings, so that a plugin that does not return from one of them
// is seen to hang; the completer runs completions, so that reads work inside of them. The plugin's own threads call the
// table.
#pragma once

#include "orlop/result.hpp"

#include <memory>
#include <string>

namespace orlop::daemon {

struct HostOptions {
  std::string socket;
  std::string file;
  std::string name;
};

// Connects and serves until the kernel says stop. When the link breaks the process ends at once: without its kernel it
// has nothing to do. Returns the process's exit code.
int run_host_session(const HostOptions& options);

}  // namespace orlop::daemon
