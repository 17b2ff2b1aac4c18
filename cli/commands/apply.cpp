// apply: client-side with the last-applied annotation, or server-side.
#include "cli/commands/manifests.hpp"
#include "cli/commands/registry.hpp"
#include "cli/commands/three_way.hpp"

namespace orlop::cli {
namespace {

using client::pick;
using client::text_of;

constexpr char kLastApplied[] = "kubectl.kubernetes.io/last-applied-configuration";
// kubectl moves the fields of this manager over when a user changes to server-side apply.
constexpr char kManager[] = "kubectl-client-side-apply";

bool is_built_in(const ResourceInfo& info) {
  return info.group.find('.') == std::string::npos || info.group.ends_with(".k8s.io");
}

// The object as it is remembered: without the memory itself.
json::value with_last_applied(const json::value& object) {
  json::value remembered = object;
  client::make_map(remembered, "metadata.annotations").erase(kLastApplied);
  json::value out = remembered;
  client::make_map(out, "metadata.annotations")[kLastApplied] = client::compact_json(remembered, true) + "\n";
  return out;
}

json::value last_applied_of(const json::value& live) {
  json::value out;
  const auto& annotations = client::map_of(live, "metadata.annotations");
  const auto* text = annotations.if_contains(kLastApplied);
  if (text == nullptr || !text->is_string() || !client::parse_json(std::string_view(text->get_string()), out) ||
      !out.is_object()) {
    out = json::object();
  }
  return out;
}

std::string write_query(const Session& session, const std::string& manager) {
  const bool strict = session.args.text("validate") != "false" && session.args.text("validate") != "ignore";
  const bool warn = session.args.text("validate") == "warn";
  return query_of({{"fieldManager", manager},
                   {"fieldValidation", warn     ? "Warn"
                                       : strict ? "Strict"
                                                : "Ignore"},
                   {"dryRun", session.args.text("dry-run") == "server" ? "All" : ""}});
}

Outcome create_new(Session& session, const Manifest& manifest, const json::value& wanted) {
  if (session.args.text("dry-run") == "client") return print_result(session, *manifest.info, wanted, "created");
  ORLOP_ASSIGN(const auto made,
               session.send("POST", manifest.info->path(manifest.name_space) + write_query(session, kManager), wanted,
                            "error when creating \"" + manifest.source + "\": "));
  return print_result(session, *manifest.info, made, "created");
}

Result<json::value> send_patch(Session& session, const Manifest& manifest, const json::value& wanted,
                               const json::value& live, bool strategic, const json::object& patch) {
  const auto& info = *manifest.info;
  const json::value body = patch;
  const auto prefix = "error when applying patch:\n" + client::compact_json(body) + "\nto:\nResource: \"" + info.group +
                      "/" + info.version + ", Resource=" + info.plural + "\", GroupVersionKind: \"" + info.group + "/" +
                      info.version + ", Kind=" + info.kind + "\"\nName: \"" + manifest.name() + "\", Namespace: \"" +
                      manifest.name_space + "\"\nfor: \"" + manifest.source + "\": error when patching \"" +
                      manifest.source + "\": ";
  auto answer =
      session.send("PATCH", info.path(manifest.name_space, manifest.name()) + write_query(session, kManager), body,
                   prefix, strategic ? "application/strategic-merge-patch+json" : "application/merge-patch+json");
  if (!answer.is_ok() && strategic && answer.code() == Code::kUnsupportedMediaType) {
    return send_patch(session, manifest, wanted, live, false, three_way_patch("", last_applied_of(live), wanted, live));
  }
  return answer;
}

Outcome apply_one(Session& session, const Manifest& manifest) {
  const auto& info = *manifest.info;
  if (manifest.name().empty()) {
    return user_error(
        "error when retrieving current configuration of:\nresource name may not be empty\nfrom server for: \"" +
        manifest.source + "\"");
  }
  const auto wanted = with_last_applied(manifest.object);
  const auto answer = session.get(info.path(manifest.name_space, manifest.name()),
                                  "error when retrieving current configuration for \"" + manifest.source + "\": ");
  if (!answer.is_ok()) {
    if (answer.code() == Code::kNotFound) return create_new(session, manifest, wanted);
    return answer.status();
  }
  const auto& live = *answer;
  const auto original = last_applied_of(live);
  if (original.get_object().empty()) {
    session.io.err
        << "Warning: resource " << info.plural << "/" << manifest.name() << " is missing the " << kLastApplied
        << " annotation which is required by orlop apply. orlop apply should only be used on resources created "
           "declaratively by either orlop create --save-config or orlop apply. The missing annotation will be "
           "patched automatically.\n";
  }
  const bool strategic = is_built_in(info);
  const auto patch = three_way_patch(strategic ? info.kind : "", original, wanted, live);
  if (patch.empty()) return print_result(session, info, live, "unchanged");
  if (session.args.text("dry-run") == "client") return print_result(session, info, wanted, "configured");
  ORLOP_ASSIGN(const auto changed, send_patch(session, manifest, wanted, live, strategic, patch));
  return print_result(session, info, changed, "configured");
}

Outcome apply_on_server(Session& session, const Manifest& manifest) {
  const auto manager = session.args.given("field-manager") ? session.args.text("field-manager") : "kubectl";
  auto query = write_query(session, manager);
  if (session.args.on("force-conflicts")) query += "&force=true";
  ORLOP_ASSIGN(const auto made,
               session.send("PATCH", manifest.info->path(manifest.name_space, manifest.name()) + query, manifest.object,
                            "error when applying \"" + manifest.source + "\": ", "application/apply-patch+yaml"));
  return print_result(session, *manifest.info, made, "serverside-applied");
}

Outcome apply(Session& session) {
  const auto files = session.args.list("filename");
  if (!session.args.words.empty()) {
    return user_error("Unexpected args: [" + session.args.words.front() +
                      "]\nSee 'orlop apply -h' for help and examples");
  }
  if (files.empty()) return user_error("must specify one of -f and -k");
  const auto manifests = read_manifests(session, files);
  int code = 0;
  for (const auto& manifest : manifests.objects) {
    const auto outcome =
        session.args.on("server-side") ? apply_on_server(session, manifest) : apply_one(session, manifest);
    if (!outcome.is_ok()) code = session.complain(outcome.status());
  }
  for (const auto& failure : manifests.failures) code = session.complain(failure);
  if (manifests.objects.empty() && manifests.failures.empty()) return user_error("no objects passed to apply");
  return code;
}

}  // namespace

void add_apply_commands(std::vector<Command>& out) {
  auto flags = file_flags();
  flags.push_back(output_flag());
  flags.push_back(dry_run_flag());
  flags.push_back({"server-side", 0, FlagKind::kSwitch, "", "Let the server merge, with field ownership"});
  flags.push_back({"force-conflicts", 0, FlagKind::kSwitch, "", "With --server-side: take fields over from others"});
  flags.push_back(
      {"field-manager", 0, FlagKind::kText, "", "With --server-side: the name under which fields are owned"});
  flags.push_back(
      {"validate", 0, FlagKind::kText, "strict", "strict, warn or ignore unknown and doubled fields", "true"});
  flags.push_back({"show-managed-fields", 0, FlagKind::kSwitch, "", "Keep managedFields in the output"});
  flags.push_back({"wait", 0, FlagKind::kSwitch, "", "Accepted for kubectl's sake"});
  flags.push_back({"record", 0, FlagKind::kSwitch, "", "Accepted for kubectl's sake"});
  out.push_back({"apply", "-f FILENAME", "Make the cluster hold what a manifest says", std::move(flags), apply});
}

}  // namespace orlop::cli
