// completion: scripts for shells. They ask the tool itself, by the hidden command __complete.
#include "cli/commands/registry.hpp"

#include <algorithm>
#include <set>

namespace orlop::cli {
namespace {

using client::list_of;
using client::text_of;

constexpr char kBash[] = R"sh(# bash completion for orlop
_orlop_complete() {
  local current="${COMP_WORDS[COMP_CWORD]}"
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$(orlop __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$current"))
}
complete -o default -F _orlop_complete orlop
)sh";

constexpr char kZsh[] = R"sh(#compdef orlop
# zsh completion for orlop
_orlop() {
  local -a found
  found=("${(@f)$(orlop __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
if [ "$funcstack[1]" = "_orlop" ]; then
  _orlop "$@"
else
  compdef _orlop orlop
fi
)sh";

Outcome completion(Session& session) {
  const auto shell = session.args.words.empty() ? std::string() : session.args.words.front();
  if (shell == "bash") {
    session.io.out << kBash;
  } else if (shell == "zsh") {
    session.io.out << kZsh;
  } else {
    return user_error(shell.empty() ? "shell not specified\nSee 'orlop completion -h' for help and examples"
                                    : "unsupported shell type \"" + shell + "\"");
  }
  return 0;
}

// Kinds, then names of the kind; nothing when the server does not answer.
void complete_objects(Session& session, const std::vector<std::string>& words, std::set<std::string>& out) {
  const auto kinds = session.discovery();
  if (!kinds.is_ok()) return;
  if (words.empty()) {
    for (const auto& info : (*kinds)->resources()) {
      if (info.preferred) out.insert(info.plural);
    }
    return;
  }
  const auto* info = (*kinds)->find(words.front());
  if (info == nullptr) return;
  const auto list = session.get(info->path(session.scope_of(*info)));
  if (!list.is_ok()) return;
  for (const auto& item : list_of(*list, "items")) out.insert(text_of(item, "metadata.name"));
}

Outcome complete(Session& session) {
  auto words = session.args.words;
  const auto current = words.empty() ? std::string() : words.back();
  if (!words.empty()) words.pop_back();
  std::erase_if(words, [](const std::string& word) { return word.starts_with('-'); });
  std::string typed;
  for (const auto& word : words) typed += word + " ";
  std::set<std::string> out;
  const auto commands = all_commands();
  const Command* command = nullptr;
  for (const auto& one : commands) {
    if (one.path.starts_with("__")) continue;
    if (one.path.starts_with(typed)) {
      const auto rest = one.path.substr(typed.size());
      out.insert(rest.substr(0, rest.find(' ')));
    }
    if (typed.starts_with(one.path + " ") && (command == nullptr || one.path.size() > command->path.size()))
      command = &one;
  }
  if (current.starts_with('-')) {
    out.clear();
    if (command != nullptr) {
      for (const auto& flag : command->flags) out.insert("--" + flag.name);
    }
    for (const auto& flag : global_flags()) out.insert("--" + flag.name);
  } else if (command != nullptr) {
    const auto own = static_cast<size_t>(std::count(command->path.begin(), command->path.end(), ' ')) + 1;
    std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(std::min(own, words.size())),
                                  words.end());
    const auto& path = command->path;
    if (path == "logs" || path == "exec" || path == "attach") rest.insert(rest.begin(), "pods");
    if (path == "cordon" || path == "uncordon") rest.insert(rest.begin(), "nodes");
    if (path.starts_with("plugin ")) rest.insert(rest.begin(), "plugins.orlop.dev");
    if (!path.starts_with("create") && !path.starts_with("config") && path != "run")
      complete_objects(session, rest, out);
  }
  for (const auto& word : out) {
    if (word.starts_with(current)) session.io.out << word << '\n';
  }
  return 0;
}

}  // namespace

void add_completion_commands(std::vector<Command>& out) {
  out.push_back({"completion", "bash|zsh", "Print a shell's completion script", {}, completion});
  out.push_back({"__complete", "-- WORDS", "Words that may come next", {}, complete});
}

}  // namespace orlop::cli
