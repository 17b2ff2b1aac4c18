// The composition root: makes the kernel's parts in the order in which they need each other, runs until a signal says
// stop, and takes them down in reverse.
#pragma once

#include "kernel/daemon/config.hpp"

namespace orlop::daemon {

// Runs in the foreground. Returns the process's exit code: 0 after a clean stop, 1 when it could not start (the reason
// has been logged). SIGTERM and SIGINT stop it, SIGHUP opens the log file again.
int run_daemon(const Config& config);

}  // namespace orlop::daemon
