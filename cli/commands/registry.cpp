#include "cli/commands/registry.hpp"

#include <algorithm>
#include <set>

namespace orlop::cli {

std::vector<Flag> global_flags() {
  return {
      {"help", 'h', FlagKind::kSwitch, "", "What the command does and which flags it takes"},
      {"kubeconfig", 0, FlagKind::kText, "", "Path of the kubeconfig file"},
      {"context", 0, FlagKind::kText, "", "The kubeconfig's context to use"},
      {"cluster", 0, FlagKind::kText, "", "The kubeconfig's cluster to use"},
      {"user", 0, FlagKind::kText, "", "The kubeconfig's user to use"},
      {"namespace", 'n', FlagKind::kText, "", "The namespace of the request"},
      {"server", 's', FlagKind::kText, "", "The API server's address and port"},
      {"token", 0, FlagKind::kText, "", "Bearer token for the API server"},
      {"certificate-authority", 0, FlagKind::kText, "", "File with the certificates that sign the server's"},
      {"client-certificate", 0, FlagKind::kText, "", "File with the client's certificate"},
      {"client-key", 0, FlagKind::kText, "", "File with the client's key"},
      {"tls-server-name", 0, FlagKind::kText, "", "The name that the server's certificate is checked against"},
      {"insecure-skip-tls-verify", 0, FlagKind::kSwitch, "", "Do not check the server's certificate"},
      {"request-timeout", 0, FlagKind::kText, "0", "Accepted for kubectl's sake; requests wait for the server"},
      {"v", 'v', FlagKind::kNumber, "0", "6 shows the requests, 8 the answers too"},
      {"warnings-as-errors", 0, FlagKind::kSwitch, "", "Accepted for kubectl's sake"},
  };
}

Flag output_flag() {
  return {"output", 'o', FlagKind::kText, "", "One of: json, yaml, name, jsonpath=TEMPLATE"};
}

Flag dry_run_flag() {
  return {"dry-run", 0, FlagKind::kText, "none", "none, client (only show) or server (all but the write)", "unchanged"};
}

std::vector<Flag> file_flags() {
  return {{"filename", 'f', FlagKind::kTexts, "", "A file, a folder, a URL, or - for the standard input"},
          {"recursive", 'R', FlagKind::kSwitch, "", "Folders inside the folder too"}};
}

std::vector<Flag> selection_flags() {
  return {
      {"selector", 'l', FlagKind::kText, "", "Only objects with these labels (key=value, key!=value, key in (a,b))"},
      {"field-selector", 0, FlagKind::kText, "", "Only objects with these fields"},
      {"all-namespaces", 'A', FlagKind::kSwitch, "", "In every namespace"}};
}

std::vector<Command> all_commands() {
  std::vector<Command> out;
  add_get_commands(out);
  add_describe_commands(out);
  add_apply_commands(out);
  add_create_commands(out);
  add_run_commands(out);
  add_delete_commands(out);
  add_edit_commands(out);
  add_change_commands(out);
  add_expose_commands(out);
  add_set_commands(out);
  add_rollout_commands(out);
  add_logs_commands(out);
  add_exec_commands(out);
  add_wait_commands(out);
  add_cluster_commands(out);
  add_config_commands(out);
  add_plugin_commands(out);
  add_completion_commands(out);
  return out;
}

namespace {

std::string first_word(const std::string& path) {
  return path.substr(0, path.find(' '));
}

std::string kind_note(FlagKind kind) {
  switch (kind) {
    case FlagKind::kSwitch:
      return "";
    case FlagKind::kNumber:
      return " int";
    case FlagKind::kDuration:
      return " duration";
    case FlagKind::kList:
    case FlagKind::kTexts:
      return " strings";
    case FlagKind::kText:
      return " string";
  }
  return "";
}

void print_help(const Command& command, std::ostream& out) {
  out << command.summary << "\n\nUsage:\n  orlop " << command.path << (command.usage.empty() ? "" : " ")
      << command.usage << "\n\nOptions:\n";
  for (const auto& flag : command.flags) {
    out << "  " << (flag.letter != 0 ? std::string("-") + flag.letter + ", " : std::string("    ")) << "--" << flag.name
        << kind_note(flag.kind) << "\n        " << flag.help << '\n';
  }
  out << "\nUse \"orlop options\" for a list of the flags that every command takes.\n";
}

void print_group_help(const std::string& group, const std::vector<Command>& commands, std::ostream& out) {
  out << "Commands of orlop " << group << ":\n";
  for (const auto& command : commands) {
    if (first_word(command.path) != group || command.path == group) continue;
    auto name = command.path.substr(group.size() + 1);
    name.resize(std::max<size_t>(name.size() + 1, 16), ' ');
    out << "  " << name << command.summary << '\n';
  }
  out << "\nUsage:\n  orlop " << group << " COMMAND [flags]\n";
}

void print_tool_help(const std::vector<Command>& commands, std::ostream& out) {
  out << "orlop controls an Orlop cluster, or any other that serves the Kubernetes API.\n\nCommands:\n";
  std::set<std::string> seen;
  for (const auto& command : commands) {
    auto name = first_word(command.path);
    if (name.starts_with("__")) continue;
    if (!seen.insert(name).second) continue;
    const bool group = name != command.path;
    std::string line = name;
    line.resize(std::max<size_t>(line.size() + 1, 16), ' ');
    out << "  " << line;
    if (!group) {
      out << command.summary << '\n';
      continue;
    }
    std::string members;
    for (const auto& other : commands) {
      if (first_word(other.path) != name || other.path == name) continue;
      members += (members.empty() ? "" : ", ") + other.path.substr(name.size() + 1);
    }
    out << members << '\n';
  }
  out << "\nUsage:\n  orlop [flags] [options]\n\nUse \"orlop COMMAND --help\" for more about a command.\n";
}

// The command's words among the arguments, found as cobra finds them: flags and their values are stepped over.
struct Found {
  const Command* command = nullptr;
  std::vector<std::string> rest;   // the line without the command's words
  std::vector<std::string> words;  // the first words that are no flags
};

bool takes_value(const Grammar& grammar, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  if (word.starts_with("--")) {
    const auto* flag = grammar.by_name(word.substr(2));
    return flag != nullptr && flag->kind != FlagKind::kSwitch && flag->alone.empty();
  }
  const auto* flag = word.size() == 2 ? grammar.by_letter(word[1]) : nullptr;
  return flag != nullptr && flag->kind != FlagKind::kSwitch && flag->alone.empty();
}

Found find_command(const std::vector<std::string>& line, const std::vector<Command>& commands) {
  const Grammar global(global_flags());
  std::vector<size_t> at;
  for (size_t i = 0; i < line.size() && at.size() < 3; ++i) {
    if (line[i] == "--") break;
    if (line[i].starts_with('-') && line[i].size() > 1) {
      if (takes_value(global, line[i])) ++i;
      continue;
    }
    at.push_back(i);
  }
  Found found;
  for (const auto i : at) found.words.push_back(line[i]);
  size_t used = 0;
  std::string path;
  for (size_t count = 1; count <= at.size(); ++count) {
    path += (count == 1 ? "" : " ") + line[at[count - 1]];
    for (const auto& command : commands) {
      if (command.path == path) {
        found.command = &command;
        used = count;
      }
    }
  }
  for (size_t i = 0; i < line.size(); ++i) {
    if (std::find(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(used), i) !=
        at.begin() + static_cast<std::ptrdiff_t>(used)) {
      continue;
    }
    found.rest.push_back(line[i]);
  }
  return found;
}

int without_command(const Found& found, const std::vector<std::string>& line, const std::vector<Command>& commands,
                    Streams& io) {
  const bool help = std::find(line.begin(), line.end(), "--help") != line.end() ||
                    std::find(line.begin(), line.end(), "-h") != line.end();
  if (found.words.empty() || found.words.front() == "help") {
    if (found.words.size() > 1) {
      for (const auto& command : commands) {
        if (command.path == found.words[1]) {
          print_help(command, io.out);
          return 0;
        }
      }
      print_group_help(found.words[1], commands, io.out);
      return 0;
    }
    const auto parsed = Grammar(global_flags()).parse(line);
    if (!parsed.is_ok()) {
      io.err << "error: " << parsed.message() << "\nSee 'orlop --help' for usage.\n";
      return 1;
    }
    print_tool_help(commands, io.out);
    return 0;
  }
  if (found.words.front() == "options") {
    print_help({"", "", "The flags that every command takes", global_flags()}, io.out);
    return 0;
  }
  const auto& name = found.words.front();
  const bool group = std::any_of(commands.begin(), commands.end(),
                                 [&](const Command& command) { return first_word(command.path) == name; });
  if (group && (help || found.words.size() < 2)) {
    print_group_help(name, commands, io.out);
    return 0;
  }
  if (group) {
    io.err << "error: unknown command \"" << found.words[1] << "\"\nSee 'orlop " << name
           << " -h' for help and examples\n";
    return 1;
  }
  io.err << "error: unknown command \"" << name << "\" for \"orlop\"\n";
  return 1;
}

}  // namespace

int run_tool(const std::vector<std::string>& line, Streams streams, client::Environment environment) {
  const auto commands = all_commands();
  const auto found = find_command(line, commands);
  if (found.command == nullptr) return without_command(found, line, commands, streams);
  const auto& command = *found.command;
  // A command's own flag hides a general one of the same name or letter.
  auto flags = command.flags;
  for (auto flag : global_flags()) {
    for (const auto& own : command.flags) {
      if (own.letter == flag.letter) flag.letter = 0;
    }
    flags.push_back(std::move(flag));
  }
  auto parsed = Grammar(flags).parse(found.rest);
  if (!parsed.is_ok()) {
    streams.err << "error: " << parsed.message() << "\nSee 'orlop " << command.path << " --help' for usage.\n";
    return 1;
  }
  if (parsed->on("help")) {
    print_help(command, streams.out);
    return 0;
  }
  Session session(std::move(*parsed), streams, std::move(environment));
  session.command_line = "orlop";
  for (const auto& word : line) session.command_line += " " + word;
  const auto outcome = command.run(session);
  if (outcome.is_ok()) return *outcome;
  return session.complain(outcome.status());
}

}  // namespace orlop::cli
