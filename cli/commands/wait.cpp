// wait: until objects meet a condition.
#include "cli/commands/printing.hpp"
#include "cli/commands/registry.hpp"
#include "cli/commands/watching.hpp"
#include "cli/output/jsonpath.hpp"

#include <algorithm>
#include <cctype>

namespace orlop::cli {
namespace {

using client::list_of;
using client::text_of;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

struct Goal {
  enum class What { kDelete, kCreate, kCondition, kPath } what = What::kDelete;
  std::string name, value;
  bool any_value = false;

  [[nodiscard]] bool met_by(const json::value& object) const {
    if (what == What::kCreate) return true;
    if (what == What::kPath) {
      const auto found = find_path(object, name);
      if (!found.is_ok() || found->empty()) return false;
      return any_value || client::scalar_text(found->front()) == value;
    }
    for (const auto& condition : list_of(object, "status.conditions")) {
      if (lower(text_of(condition, "type")) != lower(name)) continue;
      const auto observed =
          client::number_of(condition, "observedGeneration", client::number_of(object, "status.observedGeneration"));
      if (observed > 0 && observed < client::number_of(object, "metadata.generation")) return false;
      return lower(text_of(condition, "status")) == lower(value);
    }
    return false;
  }
};

Result<Goal> goal_of(const std::string& text) {
  if (lower(text) == "delete") return Goal{};
  if (lower(text) == "create") return Goal{Goal::What::kCreate, "", "", false};
  if (text.starts_with("condition=")) {
    const auto rest = text.substr(10);
    const auto equals = rest.find('=');
    return Goal{Goal::What::kCondition, rest.substr(0, equals),
                equals == std::string::npos ? "true" : rest.substr(equals + 1), false};
  }
  if (text.starts_with("jsonpath=")) {
    const auto rest = text.substr(9);
    const auto close = rest.rfind('}');
    const auto equals = rest.find('=', close == std::string::npos ? 0 : close);
    auto value = equals == std::string::npos ? std::string() : rest.substr(equals + 1);
    if (value.size() >= 2 && value.front() == value.back() && (value.front() == '"' || value.front() == '\'')) {
      value = value.substr(1, value.size() - 2);
    }
    return Goal{Goal::What::kPath, rest.substr(0, equals), value, equals == std::string::npos};
  }
  return user_error("unrecognized condition: \"" + text + "\"");
}

Outcome wait(Session& session) {
  auto& args = session.args;
  if (!args.given("for")) return user_error("--for must be specified");
  ORLOP_ASSIGN(const auto goal, goal_of(args.text("for")));
  std::vector<FileRef> targets;
  if (!args.list("filename").empty()) {
    ORLOP_ASSIGN(targets, refs_of_files(session));
  } else {
    ORLOP_ASSIGN(const auto refs, session.refs_of(args.words));
    for (const auto& ref : refs) {
      if (!ref.name.empty()) {
        targets.push_back({ref.info, session.scope_of(*ref.info), ref.name});
        continue;
      }
      if (!args.on("all") && args.text("selector").empty())
        return user_error("resource(s) were provided, but no name was specified");
      const auto scope = session.all_namespaces() ? std::string() : session.scope_of(*ref.info);
      ORLOP_ASSIGN(const auto list,
                   session.get(ref.info->path(scope) + query_of({{"labelSelector", args.text("selector")}})));
      for (const auto& item : list_of(list, "items")) {
        targets.push_back({ref.info, text_of(item, "metadata.namespace"), text_of(item, "metadata.name")});
      }
    }
  }
  if (targets.empty()) {
    if (goal.what == Goal::What::kDelete) return 0;
    return user_error("no matching resources found");
  }
  const auto seconds = args.seconds("timeout");
  const auto deadline = deadline_after(seconds < 0 ? 7 * 24 * 3600.0 : std::max(seconds, 0.001));
  int code = 0;
  for (const auto& [info, name_space, name] : targets) {
    if (goal.what != Goal::What::kDelete && goal.what != Goal::What::kCreate) {
      const auto present = session.get(info->path(name_space, name));
      if (!present.is_ok()) {
        code = session.complain(present.status());
        continue;
      }
    }
    ORLOP_ASSIGN(const auto end,
                 watch_object(session, *info, name_space, name, deadline, [&](const json::value& object) {
                   return goal.what != Goal::What::kDelete && goal.met_by(object);
                 }));
    const bool good = goal.what == Goal::What::kDelete ? end == Watched::kGone : end == Watched::kMet;
    if (good) {
      session.io.out << display_name(*info, name) << " condition met\n";
      session.io.out.flush();
    } else if (end == Watched::kGone) {
      code = session.complain(
          {Code::kNotFound, "Error from server (NotFound): " + info->resource_name() + " \"" + name + "\" not found"});
    } else {
      code = session.complain(user_error("timed out waiting for the condition on " + info->plural + "/" + name));
    }
  }
  return code;
}

}  // namespace

void add_wait_commands(std::vector<Command>& out) {
  auto flags = selection_flags();
  for (auto& flag : file_flags()) flags.push_back(std::move(flag));
  flags.push_back(
      {"for", 0, FlagKind::kText, "", "delete, create, condition=NAME[=VALUE] or jsonpath='{PATH}'[=VALUE]"});
  flags.push_back({"timeout", 0, FlagKind::kDuration, "30s", "How long to wait; negative: a week"});
  flags.push_back({"all", 0, FlagKind::kSwitch, "", "All objects of the kind"});
  out.push_back(
      {"wait", "(-f FILENAME | TYPE/NAME) --for=...", "Wait until objects meet a condition", std::move(flags), wait});
}

}  // namespace orlop::cli
