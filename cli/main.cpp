// The process around the tool: its streams, its signals, its exit code.
#include "cli/commands/registry.hpp"

#include <csignal>
#include <iostream>

#include <unistd.h>

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> line(argv + 1, argv + argc);
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  const orlop::cli::Streams streams{std::cout, std::cerr, STDIN_FILENO, terminal};
  const int code = orlop::cli::run_tool(line, streams, orlop::client::process_environment());
  std::cout.flush();
  return code;
}
