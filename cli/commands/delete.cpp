// delete: by name, file, label or all, and waiting until the objects are gone.
#include "cli/commands/manifests.hpp"
#include "cli/commands/registry.hpp"
#include "cli/commands/watching.hpp"

#include <algorithm>

namespace orlop::cli {
namespace {

using client::list_of;
using client::text_of;

struct Target {
  const ResourceInfo* info;
  std::string name_space, name;
};

Result<std::vector<Target>> targets_by_words(Session& session, std::vector<Status>& failures) {
  const auto& args = session.args;
  ORLOP_ASSIGN(const auto refs, session.refs_of(args.words));
  std::vector<Target> out;
  const bool selected = args.on("all") || !args.text("selector").empty() || !args.text("field-selector").empty();
  for (const auto& ref : refs) {
    if (!ref.name.empty()) {
      if (args.on("all") || !args.text("selector").empty()) {
        return user_error(args.on("all") ? "name cannot be provided when a selector is specified"
                                         : "name cannot be provided when a selector is specified");
      }
      out.push_back({ref.info, session.scope_of(*ref.info), ref.name});
      continue;
    }
    if (!selected) return user_error("resource(s) were provided, but no name was specified");
    const auto scope = session.all_namespaces() ? std::string() : session.scope_of(*ref.info);
    const auto query =
        query_of({{"labelSelector", args.text("selector")}, {"fieldSelector", args.text("field-selector")}});
    const auto list = session.get(ref.info->path(scope) + query);
    if (!list.is_ok()) {
      failures.push_back(list.status());
      continue;
    }
    for (const auto& item : list_of(*list, "items")) {
      out.push_back({ref.info, text_of(item, "metadata.namespace"), text_of(item, "metadata.name")});
    }
  }
  return out;
}

Result<std::string> policy_of(const Session& session) {
  const auto cascade = session.args.text("cascade");
  if (cascade == "background" || cascade == "true") return std::string("Background");
  if (cascade == "foreground") return std::string("Foreground");
  if (cascade == "orphan" || cascade == "false") return std::string("Orphan");
  return user_error("invalid cascade value (" + cascade + "). Must be \"background\", \"foreground\", or \"orphan\"");
}

struct Removed {
  Target target;
  std::string uid;
};

std::string label_of(const Target& target) {
  return target.info->singular_name();
}

Result<std::string> remove_one(Session& session, const Target& target, const std::string& policy, int64_t grace_s) {
  json::object options{{"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"propagationPolicy", policy}};
  if (grace_s >= 0) options["gracePeriodSeconds"] = grace_s;
  if (session.args.text("dry-run") == "server") options["dryRun"] = json::array{"All"};
  ORLOP_ASSIGN(const auto answer, session.send("DELETE", target.info->path(target.name_space, target.name),
                                               json::value(std::move(options))));
  const auto uid =
      text_of(answer, "kind") == "Status" ? text_of(answer, "details.uid") : text_of(answer, "metadata.uid");
  return uid;
}

Outcome wait_for_all(Session& session, const std::vector<Removed>& removed) {
  int code = 0;
  const auto seconds = session.args.seconds("timeout");
  const auto deadline = deadline_after(seconds > 0 ? seconds : 7 * 24 * 3600.0);
  for (const auto& one : removed) {
    ORLOP_ASSIGN(const auto gone,
                 wait_until_gone(session, *one.target.info, one.target.name_space, one.target.name, one.uid, deadline));
    if (gone) continue;
    code = session.complain(
        user_error("timed out waiting for the condition on " + one.target.info->plural + "/" + one.target.name));
  }
  return code;
}

void print_deleted(Session& session, const Target& target, bool forced) {
  if (session.args.text("output") == "name") {
    session.io.out << display_name(*target.info, target.name) << '\n';
  } else {
    const auto dry_run = session.args.text("dry-run");
    session.io.out << label_of(target) << " \"" << target.name << "\" " << (forced ? "force deleted" : "deleted")
                   << (dry_run == "client"   ? " (dry run)"
                       : dry_run == "server" ? " (server dry run)"
                                             : "")
                   << '\n';
  }
  session.io.out.flush();
}

Outcome remove_all(Session& session, const std::vector<Target>& targets, std::vector<Status>& failures) {
  auto& args = session.args;
  ORLOP_ASSIGN(const auto policy, policy_of(session));
  int64_t grace_s = args.number("grace-period");
  const bool force = args.on("force");
  if (args.on("now")) {
    if (args.given("grace-period")) return user_error("--now and --grace-period cannot be specified together");
    grace_s = 1;
  }
  if (grace_s == 0 && !force) grace_s = 1;
  if (force && grace_s < 0) grace_s = 0;
  if (force && grace_s > 0 && !args.on("now")) {
    return user_error("--force and --grace-period greater than 0 cannot be specified together");
  }
  const bool forced = force && grace_s == 0;
  if (forced) {
    session.io.err << "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
                      "terminated. The resource may continue to run on the cluster indefinitely.\n";
  }
  std::vector<Removed> removed;
  for (const auto& target : targets) {
    if (args.text("dry-run") == "client") {
      print_deleted(session, target, forced);
      continue;
    }
    const auto uid = remove_one(session, target, policy, grace_s);
    if (!uid.is_ok()) {
      if (uid.code() == Code::kNotFound && (args.on("ignore-not-found") || args.on("all"))) continue;
      failures.push_back(uid.status());
      continue;
    }
    print_deleted(session, target, forced);
    if (target.info->can("watch")) removed.push_back({target, *uid});
  }
  const bool wait = args.text("wait") == "true" && args.text("dry-run") == "none" && !(forced && !args.given("wait"));
  if (!wait) return 0;
  return wait_for_all(session, removed);
}

Outcome remove(Session& session) {
  auto& args = session.args;
  std::vector<Status> failures;
  std::vector<Target> targets;
  if (!args.list("filename").empty()) {
    if (!args.words.empty()) return user_error("cannot specify both a filename and a resource");
    const auto manifests = read_manifests(session, args.list("filename"));
    failures = manifests.failures;
    for (const auto& manifest : manifests.objects) {
      targets.push_back({manifest.info, manifest.name_space, manifest.name()});
    }
  } else {
    if (args.words.empty()) {
      return user_error(
          "You must provide one or more resources by argument or filename.\nExample resource specifications "
          "include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'");
    }
    ORLOP_ASSIGN(targets, targets_by_words(session, failures));
    if (targets.empty() && failures.empty()) {
      session.io.out << "No resources found\n";
      return 0;
    }
  }
  ORLOP_ASSIGN(int code, remove_all(session, targets, failures));
  for (const auto& failure : failures) code = session.complain(failure);
  return code;
}

}  // namespace

void add_delete_commands(std::vector<Command>& out) {
  auto flags = selection_flags();
  for (auto& flag : file_flags()) flags.push_back(std::move(flag));
  flags.push_back({"output", 'o', FlagKind::kText, "", "name: only the names"});
  flags.push_back(dry_run_flag());
  flags.push_back({"all", 0, FlagKind::kSwitch, "", "All objects of the kind in the namespace"});
  flags.push_back({"now", 0, FlagKind::kSwitch, "", "One second of grace"});
  flags.push_back({"grace-period", 0, FlagKind::kNumber, "-1", "Seconds for the object to end by itself; -1: its own"});
  flags.push_back({"force", 0, FlagKind::kSwitch, "", "Remove the object at once, without waiting for the node"});
  flags.push_back({"cascade", 0, FlagKind::kText, "background", "background, foreground or orphan", "background"});
  flags.push_back({"wait", 0, FlagKind::kSwitch, "true", "Wait until the objects are gone"});
  flags.push_back({"timeout", 0, FlagKind::kDuration, "0s", "How long to wait; 0: as long as it takes"});
  flags.push_back({"ignore-not-found", 0, FlagKind::kSwitch, "", "Absent objects are no error"});
  out.push_back(
      {"delete", "([-f FILENAME] | TYPE [(NAME | -l label | --all)])", "Delete objects", std::move(flags), remove});
}

}  // namespace orlop::cli
