// orlop-host: hosts one plugin outside of the kernel's process. Started by orlopd, never by hand.
#include "kernel/daemon/host_session.hpp"

#include <csignal>
#include <cstdio>
#include <initializer_list>

#include <CLI/CLI.hpp>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char** argv) {
  // Before all else: this process must not outlive its kernel, however that ends.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  orlop::daemon::HostOptions options;
  pid_t parent = 0;
  CLI::App app("Hosts one Orlop plugin for the orlopd that starts it.");
  app.add_option("--socket", options.socket, "the link's ipc socket")->required();
  app.add_option("--file", options.file, "the plugin's file")->required();
  app.add_option("--name", options.name, "the plugin's name")->required();
  app.add_option("--parent", parent, "process id of orlopd")->required();
  CLI11_PARSE(app, argc, argv);
  if (::getppid() != parent) {
    std::fprintf(stderr, "orlop-host: the orlopd that started it is gone\n");
    return 1;
  }
  ::prctl(PR_SET_NAME, options.name.substr(0, 15).c_str());
  // A terminal's Ctrl-C reaches the whole group, but the end is the kernel's to say. Handlers, since what is ignored
  // would be inherited by the processes that a plugin starts.
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  nothing.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) ::sigaction(signal, &nothing, nullptr);
  return orlop::daemon::run_host_session(options);
}
