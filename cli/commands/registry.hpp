// Every command of the tool, and the way from a command line to one of them.
#pragma once

#include "cli/commands/session.hpp"

#include <string>
#include <vector>

namespace orlop::cli {

struct Command {
  std::string path;     // "rollout status"
  std::string usage;    // what follows the path: "(TYPE NAME | TYPE/NAME) [flags]"
  std::string summary;  // one line
  std::vector<Flag> flags;
  Outcome (*run)(Session&) = nullptr;
};

// Each family adds its own.
void add_apply_commands(std::vector<Command>& out);
void add_create_commands(std::vector<Command>& out);
void add_run_commands(std::vector<Command>& out);
void add_get_commands(std::vector<Command>& out);
void add_describe_commands(std::vector<Command>& out);
void add_logs_commands(std::vector<Command>& out);
void add_exec_commands(std::vector<Command>& out);
void add_delete_commands(std::vector<Command>& out);
void add_edit_commands(std::vector<Command>& out);
void add_change_commands(std::vector<Command>& out);
void add_expose_commands(std::vector<Command>& out);
void add_set_commands(std::vector<Command>& out);
void add_rollout_commands(std::vector<Command>& out);
void add_wait_commands(std::vector<Command>& out);
void add_cluster_commands(std::vector<Command>& out);
void add_config_commands(std::vector<Command>& out);
void add_plugin_commands(std::vector<Command>& out);
void add_completion_commands(std::vector<Command>& out);

std::vector<Command> all_commands();

// The flags that every command knows.
std::vector<Flag> global_flags();

// Flags that several commands share.
Flag output_flag();
Flag dry_run_flag();
std::vector<Flag> file_flags();
std::vector<Flag> selection_flags();

// The whole tool without its process: prints to the streams and returns the exit code.
int run_tool(const std::vector<std::string>& line, Streams streams, client::Environment environment);

}  // namespace orlop::cli
