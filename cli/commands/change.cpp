// scale, label, annotate, patch, cordon and uncordon: one small change of an object.
#include "cli/commands/manifests.hpp"
#include "cli/commands/printing.hpp"
#include "cli/commands/registry.hpp"
#include "orlop/kube/yaml.hpp"

#include <algorithm>

namespace orlop::cli {
namespace {

using client::list_of;
using client::map_of;
using client::number_of;
using client::text_of;

constexpr char kMergePatch[] = "application/merge-patch+json";

// The objects that a change is for: by words, by files, by labels or all.
Result<std::vector<FileRef>> targets_of(Session& session, const std::vector<std::string>& words) {
  auto& args = session.args;
  if (!args.list("filename").empty()) return refs_of_files(session);
  ORLOP_ASSIGN(const auto refs, session.refs_of(words));
  std::vector<FileRef> out;
  for (const auto& ref : refs) {
    if (!ref.name.empty()) {
      out.push_back({ref.info, session.scope_of(*ref.info), ref.name});
      continue;
    }
    if (!args.on("all") && args.text("selector").empty()) {
      return user_error("resource(s) were provided, but no name was specified");
    }
    const auto scope = session.all_namespaces() ? std::string() : session.scope_of(*ref.info);
    ORLOP_ASSIGN(const auto list,
                 session.get(ref.info->path(scope) + query_of({{"labelSelector", args.text("selector")}})));
    for (const auto& item : list_of(list, "items")) {
      out.push_back({ref.info, text_of(item, "metadata.namespace"), text_of(item, "metadata.name")});
    }
  }
  return out;
}

std::string dry_run_query(const Session& session) {
  return query_of({{"dryRun", session.args.text("dry-run") == "server" ? "All" : ""}});
}

Outcome scale(Session& session) {
  auto& args = session.args;
  if (!args.given("replicas")) return user_error("required flag(s) \"replicas\" not set");
  const auto replicas = args.number("replicas");
  if (replicas < 0)
    return user_error("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
  ORLOP_ASSIGN(const auto targets, targets_of(session, args.words));
  if (targets.empty()) return user_error("no objects passed to scale");
  int code = 0;
  for (const auto& [info, name_space, name] : targets) {
    const auto path = info->path(name_space, name, "scale");
    json::value patch = json::object{{"spec", {{"replicas", replicas}}}};
    const auto current = args.number("current-replicas");
    if (args.given("current-replicas") && current >= 0) {
      ORLOP_ASSIGN(const auto now, session.get(path));
      if (number_of(now, "spec.replicas") != current) {
        code = session.complain(user_error("Expected replicas to be " + std::to_string(current) + ", was " +
                                           std::to_string(number_of(now, "spec.replicas"))));
        continue;
      }
      client::make_map(patch, "metadata")["resourceVersion"] = text_of(now, "metadata.resourceVersion");
    }
    if (args.text("dry-run") != "client") {
      const auto done = session.send("PATCH", path + dry_run_query(session), patch, "", kMergePatch);
      if (!done.is_ok()) {
        code = session.complain(done.code() == Code::kNotFound &&
                                        done.message().find("could not find") != std::string::npos
                                    ? user_error("no kind \"" + info->kind + "\" can be scaled")
                                    : done.status());
        continue;
      }
    }
    if (args.text("output").empty() || args.text("output") == "name") {
      session.io.out << display_name(*info, name) << (args.text("output").empty() ? " scaled\n" : "\n");
    } else {
      ORLOP_ASSIGN(const auto object, session.get(info->path(name_space, name)));
      ORLOP_ASSIGN(const int printed, print_result(session, *info, object, "scaled"));
      code = std::max(code, printed);
    }
  }
  return code;
}

struct PairChange {
  std::string key, value;
  bool remove = false;
};

Result<std::vector<PairChange>> take_pairs(std::vector<std::string>& words, const std::string& what) {
  std::vector<std::string> names;
  std::vector<PairChange> out;
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals != std::string::npos && equals > 0) {
      out.push_back({word.substr(0, equals), word.substr(equals + 1), false});
    } else if (word.size() > 1 && word.ends_with('-') && !out.empty()) {
      out.push_back({word.substr(0, word.size() - 1), "", true});
    } else if (word.size() > 1 && word.ends_with('-') &&
               names.size() >= (names.empty()                                  ? 2U
                                : names.front().find('/') != std::string::npos ? 1U
                                                                               : 2U)) {
      out.push_back({word.substr(0, word.size() - 1), "", true});
    } else {
      names.push_back(word);
    }
  }
  if (out.empty()) return user_error("at least one " + what + " update is required");
  words = std::move(names);
  return out;
}

// Both label and annotate.
Outcome set_pairs(Session& session, const std::string& field, const std::string& what, const std::string& done) {
  auto words = session.args.words;
  // With --all or -l the kind stands alone, so a removal may follow it directly.
  if ((session.args.on("all") || !session.args.text("selector").empty()) && words.size() > 1)
    words.insert(words.begin() + 1, "=skip=");
  ORLOP_ASSIGN(auto changes, take_pairs(words, what));
  std::erase_if(changes, [](const PairChange& change) { return change.key.empty(); });
  words.erase(std::remove(words.begin(), words.end(), "=skip="), words.end());
  if (words.empty() && session.args.list("filename").empty())
    return user_error("one or more resources must be specified as <resource> <name> or <resource>/<name>");
  ORLOP_ASSIGN(const auto targets, targets_of(session, words));
  int code = 0;
  for (const auto& [info, name_space, name] : targets) {
    ORLOP_ASSIGN(const auto live, session.get(info->path(name_space, name)));
    const auto& now = map_of(live, "metadata." + field);
    json::object wanted;
    bool refused = false;
    bool removed = false;
    for (const auto& [key, value, remove] : changes) {
      const auto* old = now.if_contains(key);
      if (remove) {
        if (old == nullptr) {
          session.io.out << what << " \"" << key << "\" not found.\n";
          continue;
        }
        wanted[key] = nullptr;
        removed = true;
        continue;
      }
      if (old != nullptr && client::scalar_text(*old) != value && !session.args.on("overwrite")) {
        code = session.complain(user_error("'" + key + "' already has a value (" + client::scalar_text(*old) +
                                           "), and --overwrite is false"));
        refused = true;
        break;
      }
      if (old == nullptr || client::scalar_text(*old) != value) wanted[key] = value;
    }
    if (refused) continue;
    const bool only_removed =
        removed && std::all_of(changes.begin(), changes.end(), [](const auto& c) { return c.remove; });
    const auto verb = wanted.empty() && what == "label" ? "not labeled"
                      : only_removed && what == "label" ? "unlabeled"
                                                        : done;
    json::value result = live;
    if (!wanted.empty() && session.args.text("dry-run") != "client") {
      const json::value patch = json::object{{"metadata", json::object{{field, wanted}}}};
      auto answer =
          session.send("PATCH", info->path(name_space, name) + dry_run_query(session), patch, "", kMergePatch);
      if (!answer.is_ok()) {
        code = session.complain(answer.status());
        continue;
      }
      result = std::move(*answer);
    }
    ORLOP_ASSIGN(const int printed, print_result(session, *info, result, verb));
    code = std::max(code, printed);
  }
  return code;
}

Outcome label(Session& session) {
  return set_pairs(session, "labels", "label", "labeled");
}
Outcome annotate(Session& session) {
  return set_pairs(session, "annotations", "annotation", "annotated");
}

Outcome patch(Session& session) {
  auto& args = session.args;
  auto text = args.text("patch");
  if (!args.text("patch-file").empty()) {
    auto file = client::read_text_file(args.text("patch-file"));
    if (!file.is_ok())
      return user_error("unable to read patch file: open " + args.text("patch-file") + ": " + file.message());
    text = std::move(*file);
  }
  if (text.empty()) return user_error("must specify --patch or --patch-file containing the contents of the patch");
  const auto type = args.text("type");
  const auto content = type == "json"        ? "application/json-patch+json"
                       : type == "merge"     ? kMergePatch
                       : type == "strategic" ? "application/strategic-merge-patch+json"
                                             : "";
  if (*content == '\0') return user_error("--type must be one of [json merge strategic], not \"" + type + "\"");
  const auto converted = kube::yaml_to_json(text);
  json::value body;
  if (!converted.is_ok()) return user_error("unable to parse \"" + text + "\": " + converted.message());
  if (converted->empty() || !client::parse_json(converted->front(), body))
    return user_error("unable to parse \"" + text + "\"");
  ORLOP_ASSIGN(const auto targets, targets_of(session, args.words));
  int code = 0;
  for (const auto& [info, name_space, name] : targets) {
    const auto before = session.get(info->path(name_space, name));
    if (!before.is_ok()) {
      code = session.complain(before.status());
      continue;
    }
    const auto after = session.send(
        "PATCH", info->path(name_space, name, args.text("subresource")) + dry_run_query(session), body, "", content);
    if (!after.is_ok()) {
      code = session.complain(after.status());
      continue;
    }
    const bool same = text_of(*before, "metadata.resourceVersion") == text_of(*after, "metadata.resourceVersion");
    ORLOP_ASSIGN(const int printed, print_result(session, *info, *after, same ? "patched (no change)" : "patched"));
    code = std::max(code, printed);
  }
  return code;
}

Outcome set_schedulable(Session& session, bool unschedulable) {
  if (session.args.words.empty() && session.args.text("selector").empty()) {
    return user_error(std::string("USAGE: ") + (unschedulable ? "cordon" : "uncordon") + " NODE [flags]");
  }
  ORLOP_ASSIGN(const auto* nodes, session.find_kind("nodes"));
  auto names = session.args.words;
  if (!session.args.text("selector").empty()) {
    ORLOP_ASSIGN(const auto list,
                 session.get(nodes->path("") + query_of({{"labelSelector", session.args.text("selector")}})));
    for (const auto& item : list_of(list, "items")) names.push_back(text_of(item, "metadata.name"));
  }
  int code = 0;
  for (auto name : names) {
    if (name.starts_with("node/")) name = name.substr(5);
    const auto node = session.get(nodes->path("", name));
    if (!node.is_ok()) {
      code = session.complain(node.status());
      continue;
    }
    const bool now = client::flag_of(*node, "spec.unschedulable");
    const std::string verb = unschedulable ? "cordoned" : "uncordoned";
    if (now == unschedulable) {
      session.io.out << "node/" << name << " already " << verb << '\n';
      continue;
    }
    json::value patch = json::object{{"spec", {{"unschedulable", nullptr}}}};
    if (unschedulable) patch = json::object{{"spec", {{"unschedulable", true}}}};
    const auto done = session.send("PATCH", nodes->path("", name), patch, "", "application/strategic-merge-patch+json");
    if (!done.is_ok()) {
      code = session.complain(done.status());
      continue;
    }
    session.io.out << "node/" << name << ' ' << verb << '\n';
  }
  return code;
}

Outcome cordon(Session& session) {
  return set_schedulable(session, true);
}
Outcome uncordon(Session& session) {
  return set_schedulable(session, false);
}

std::vector<Flag> change_flags() {
  auto flags = selection_flags();
  for (auto& flag : file_flags()) flags.push_back(std::move(flag));
  flags.push_back(output_flag());
  flags.push_back(dry_run_flag());
  flags.push_back({"all", 0, FlagKind::kSwitch, "", "All objects of the kind in the namespace"});
  return flags;
}

}  // namespace

void add_change_commands(std::vector<Command>& out) {
  auto flags = change_flags();
  flags.push_back({"replicas", 0, FlagKind::kNumber, "", "How many pods there shall be"});
  flags.push_back({"current-replicas", 0, FlagKind::kNumber, "-1", "Only when there are so many now"});
  out.push_back(
      {"scale", "--replicas=COUNT (-f FILENAME | TYPE NAME)", "Change how many pods a workload has", flags, scale});
  flags = change_flags();
  flags.push_back({"overwrite", 0, FlagKind::kSwitch, "", "Also keys that have another value now"});
  out.push_back({"label", "(-f FILENAME | TYPE NAME) KEY=VALUE ... KEY-", "Set or take away labels", flags, label});
  out.push_back(
      {"annotate", "(-f FILENAME | TYPE NAME) KEY=VALUE ... KEY-", "Set or take away annotations", flags, annotate});
  flags = change_flags();
  flags.push_back({"patch", 'p', FlagKind::kText, "", "The patch, JSON or YAML"});
  flags.push_back({"patch-file", 0, FlagKind::kText, "", "A file with the patch"});
  flags.push_back({"type", 0, FlagKind::kText, "strategic", "json, merge or strategic"});
  flags.push_back({"subresource", 0, FlagKind::kText, "", "status or scale"});
  out.push_back({"patch", "(-f FILENAME | TYPE NAME) -p PATCH", "Change fields of an object", flags, patch});
  std::vector<Flag> node_flags{{"selector", 'l', FlagKind::kText, "", "The nodes with these labels"}};
  out.push_back({"cordon", "NODE", "Keep new pods off a node", node_flags, cordon});
  out.push_back({"uncordon", "NODE", "Let new pods onto a node again", node_flags, uncordon});
}

}  // namespace orlop::cli
