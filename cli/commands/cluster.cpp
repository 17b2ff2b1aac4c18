// version, api-resources, api-versions and cluster-info: what there is at the other end.
#include "cli/commands/registry.hpp"
#include "cli/output/table.hpp"
#include "cli/output/yaml_writer.hpp"

#include <algorithm>
#include <set>

namespace orlop::cli {
namespace {

using client::text_of;

constexpr char kClientVersion[] = "v0.1.0";

Outcome version(Session& session) {
  auto& out = session.io.out;
  const auto format = session.args.text("output");
  json::value all = json::object{{"clientVersion", {{"gitVersion", kClientVersion}}}};
  Status failure;
  if (!session.args.on("client")) {
    auto server = session.get("/version");
    if (server.is_ok()) {
      all.as_object()["serverVersion"] = std::move(*server);
    } else {
      failure = server.status();
    }
  }
  if (format == "json") {
    out << client::pretty_json(all) << '\n';
  } else if (format == "yaml") {
    out << to_yaml(all);
  } else if (!format.empty()) {
    return user_error("--output must be 'yaml' or 'json'");
  } else {
    out << "Client Version: " << kClientVersion << '\n';
    if (client::pick(all, "serverVersion") != nullptr)
      out << "Server Version: " << text_of(all, "serverVersion.gitVersion") << '\n';
  }
  out.flush();
  if (!failure.is_ok()) return failure;
  return 0;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

Outcome api_resources(Session& session) {
  auto& args = session.args;
  const auto format = args.text("output");
  if (!format.empty() && format != "name" && format != "wide")
    return user_error("--output " + format + " is not available");
  ORLOP_ASSIGN(const auto* kinds, session.discovery());
  std::vector<const ResourceInfo*> shown;
  for (const auto& info : kinds->resources()) {
    if (!info.preferred || (args.given("namespaced") && args.on("namespaced") != info.namespaced)) continue;
    if (args.given("api-group") && args.text("api-group") != info.group) continue;
    const auto verbs = args.list("verbs");
    if (!std::all_of(verbs.begin(), verbs.end(), [&](const auto& verb) { return info.can(verb); })) continue;
    shown.push_back(&info);
  }
  std::stable_sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) {
    return std::pair(a->group, a->plural) < std::pair(b->group, b->plural);
  });
  if (format == "name") {
    for (const auto* info : shown) session.io.out << info->resource_name() << '\n';
    return 0;
  }
  std::string text = args.on("no-headers") ? "" : "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND";
  if (!text.empty()) text += format == "wide" ? "\tVERBS\tCATEGORIES\n" : "\n";
  for (const auto* info : shown) {
    text += info->plural + "\t" + joined(info->short_names) + "\t" + info->api_version() + "\t" +
            (info->namespaced ? "true" : "false") + "\t" + info->kind;
    if (format == "wide") text += "\t" + joined(info->verbs) + "\t" + joined(info->categories);
    text += '\n';
  }
  session.io.out << align(text, {6, 3});
  return 0;
}

Outcome api_versions(Session& session) {
  ORLOP_ASSIGN(const auto* kinds, session.discovery());
  std::set<std::string> versions;
  for (const auto& info : kinds->resources()) versions.insert(info.api_version());
  for (const auto& name : versions) session.io.out << name << '\n';
  return 0;
}

Outcome cluster_info(Session& session) {
  ORLOP_TRY(session.get("/version").status());
  ORLOP_ASSIGN(const auto connector, session.connector());
  session.io.out << "Kubernetes control plane is running at " << connector->url() << '\n';
  return 0;
}

}  // namespace

void add_cluster_commands(std::vector<Command>& out) {
  out.push_back(
      {"version",
       "",
       "Our version and the server's",
       {{"client", 0, FlagKind::kSwitch, "", "Only ours"}, {"output", 'o', FlagKind::kText, "", "json or yaml"}},
       version});
  out.push_back({"api-resources",
                 "",
                 "The kinds that the server serves",
                 {{"output", 'o', FlagKind::kText, "", "name or wide"},
                  {"namespaced", 0, FlagKind::kSwitch, "", "Only kinds that are, or are not, in namespaces"},
                  {"api-group", 0, FlagKind::kText, "", "Only kinds of this group"},
                  {"verbs", 0, FlagKind::kList, "", "Only kinds with these verbs"},
                  {"no-headers", 0, FlagKind::kSwitch, "", "No line with the columns' names"}},
                 api_resources});
  out.push_back({"api-versions", "", "The groups and versions that the server serves", {}, api_versions});
  out.push_back({"cluster-info", "", "Where the cluster is", {}, cluster_info});
}

}  // namespace orlop::cli
