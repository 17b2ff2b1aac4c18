// describe: gathers an object and what belongs to it, and prints the text made of them.
#include "cli/output/describe.hpp"

#include "cli/commands/pods_of.hpp"
#include "cli/commands/printing.hpp"
#include "cli/commands/registry.hpp"

#include <ctime>

namespace orlop::cli {
namespace {

using client::list_of;
using client::pick;
using client::text_of;

// What cannot be read is left out of the description, as when the user may not see it.
std::vector<json::value> items_of(Session& session, std::string_view kind, const std::string& name_space,
                                  const std::vector<std::pair<std::string, std::string>>& query) {
  const auto info = session.find_kind(kind);
  if (!info.is_ok()) return {};
  const auto list = session.get((*info)->path((*info)->namespaced ? name_space : "") + query_of(query));
  if (!list.is_ok()) return {};
  const auto& items = list_of(*list, "items");
  return {items.begin(), items.end()};
}

bool uses_claim(const json::value& pod, const std::string& claim) {
  for (const auto& volume : list_of(pod, "spec.volumes")) {
    if (text_of(volume, "persistentVolumeClaim.claimName") == claim) return true;
    const bool own = pick(volume, "ephemeral") != nullptr;
    if (own && text_of(pod, "metadata.name") + "-" + text_of(volume, "name") == claim) return true;
  }
  return false;
}

void gather(Session& session, const ResourceInfo& info, const json::value& object, DescribeContext& context) {
  const auto name_space = text_of(object, "metadata.namespace");
  const auto name = text_of(object, "metadata.name");
  if (session.args.text("show-events") == "true") {
    std::vector<std::string> fields{"involvedObject.name=" + name, "involvedObject.kind=" + info.kind};
    if (!name_space.empty()) fields.push_back("involvedObject.namespace=" + name_space);
    // A node's agent names the node itself as the uid in its events.
    if (info.kind != "Node") fields.push_back("involvedObject.uid=" + text_of(object, "metadata.uid"));
    std::string selector;
    for (const auto& field : fields) selector += (selector.empty() ? "" : ",") + field;
    context.events = items_of(session, "events", name_space, {{"fieldSelector", selector}});
  }
  if (info.group == "apps" && (info.kind == "Deployment" || info.kind == "ReplicaSet")) {
    const auto* selector = pick(object, "spec.selector");
    const auto labels = selector == nullptr ? std::string() : selector_text(*selector);
    const bool deployment = info.kind == "Deployment";
    auto& target = deployment ? context.replica_sets : context.pods;
    for (auto& item :
         items_of(session, deployment ? "replicasets.apps" : "pods", name_space, {{"labelSelector", labels}})) {
      if (controller_of(item) == info.kind + "/" + name) target.push_back(std::move(item));
    }
  } else if (info.kind == "Service") {
    context.endpoint_slices = items_of(session, "endpointslices.discovery.k8s.io", name_space,
                                       {{"labelSelector", "kubernetes.io/service-name=" + name}});
  } else if (info.kind == "Node") {
    context.pods =
        items_of(session, "pods", "",
                 {{"fieldSelector", "spec.nodeName=" + name + ",status.phase!=Succeeded,status.phase!=Failed"}});
    const auto leases = session.find_kind("leases.coordination.k8s.io");
    if (leases.is_ok()) {
      auto lease = session.get((*leases)->path("kube-node-lease", name));
      if (lease.is_ok()) context.lease = std::move(*lease);
    }
  } else if (info.kind == "PersistentVolumeClaim") {
    for (auto& pod : items_of(session, "pods", name_space, {})) {
      if (uses_claim(pod, name)) context.pods.push_back(std::move(pod));
    }
  } else if (info.kind == "Namespace") {
    context.quotas = items_of(session, "resourcequotas", name, {});
    context.limits = items_of(session, "limitranges", name, {});
  }
}

std::string text_for(const ResourceInfo& info, const json::value& object, const DescribeContext& context) {
  if (info.group.empty()) {
    if (info.kind == "Pod") return describe_pod(object, context);
    if (info.kind == "Service") return describe_service(object, context);
    if (info.kind == "Node") return describe_node(object, context);
    if (info.kind == "Namespace") return describe_namespace(object, context);
    if (info.kind == "ConfigMap") return describe_config_map(object, context);
    if (info.kind == "Secret") return describe_secret(object, context);
    if (info.kind == "PersistentVolumeClaim") return describe_claim(object, context);
    if (info.kind == "PersistentVolume") return describe_volume(object, context);
  }
  if (info.group == "apps") {
    if (info.kind == "Deployment") return describe_deployment(object, context);
    if (info.kind == "ReplicaSet") return describe_replica_set(object, context);
  }
  if (info.group == "storage.k8s.io" && info.kind == "StorageClass") return describe_storage_class(object, context);
  return describe_generic(object, context);
}

struct Found {
  const ResourceInfo* info;
  json::value object;
};

// A name that no object has may be the beginning of some.
Status find_by_name(Session& session, const ResourceInfo& info, const std::string& name, std::vector<Found>& out) {
  const auto scope = session.scope_of(info);
  auto exact = session.get(info.path(scope, name));
  if (exact.is_ok()) {
    out.push_back({&info, std::move(*exact)});
    return {};
  }
  if (exact.code() != Code::kNotFound) return exact.status();
  ORLOP_ASSIGN(const auto list, session.get(info.path(scope)));
  bool any = false;
  for (const auto& item : list_of(list, "items")) {
    if (!text_of(item, "metadata.name").starts_with(name)) continue;
    out.push_back({&info, item});
    any = true;
  }
  return any ? Status() : exact.status();
}

Outcome describe(Session& session) {
  if (session.args.words.empty() && session.args.list("filename").empty()) {
    return user_error(
        "You must specify the type of resource to describe. Use \"orlop api-resources\" for a complete list "
        "of supported resources.");
  }
  std::vector<Found> found;
  std::vector<Status> failures;
  const auto query = query_of({{"labelSelector", session.args.text("selector")}});
  if (!session.args.list("filename").empty()) {
    ORLOP_ASSIGN(const auto refs, refs_of_files(session));
    for (const auto& ref : refs) {
      ORLOP_ASSIGN(auto object, session.get(ref.info->path(ref.name_space, ref.name)));
      found.push_back({ref.info, std::move(object)});
    }
  }
  ORLOP_ASSIGN(const auto refs, session.refs_of(session.args.words));
  for (const auto& ref : refs) {
    if (!ref.name.empty()) {
      const auto status = find_by_name(session, *ref.info, ref.name, found);
      if (!status.is_ok()) failures.push_back(status);
      continue;
    }
    const auto scope = session.all_namespaces() ? std::string() : session.scope_of(*ref.info);
    ORLOP_ASSIGN(const auto list, session.get(ref.info->path(scope) + query));
    for (const auto& item : list_of(list, "items")) {
      json::value object = item;
      object.as_object()["apiVersion"] = ref.info->api_version();
      object.as_object()["kind"] = ref.info->kind;
      found.push_back({ref.info, std::move(object)});
    }
  }
  bool first = true;
  for (const auto& [info, object] : found) {
    DescribeContext context;
    context.now_s = std::time(nullptr);
    gather(session, *info, object, context);
    session.io.out << (first ? "" : "\n\n") << text_for(*info, object, context);
    first = false;
  }
  session.io.out.flush();
  for (const auto& failure : failures) session.complain(failure);
  if (!failures.empty()) return 1;
  if (found.empty()) {
    if (session.all_namespaces()) {
      session.io.err << "No resources found\n";
    } else {
      session.io.err << "No resources found in " << session.name_space() << " namespace.\n";
    }
  }
  return 0;
}

}  // namespace

void add_describe_commands(std::vector<Command>& out) {
  auto flags = selection_flags();
  for (auto& flag : file_flags()) flags.push_back(std::move(flag));
  flags.push_back({"show-events", 0, FlagKind::kSwitch, "true", "The object's events at the end"});
  out.push_back({"describe", "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)", "Show one object in detail",
                 std::move(flags), describe});
}

}  // namespace orlop::cli
