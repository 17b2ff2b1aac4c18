#include "cli/commands/revisions.hpp"

#include "cli/commands/pods_of.hpp"
#include "cli/output/describe.hpp"

#include <cstdlib>
#include <utility>

namespace orlop::cli {
namespace {

using client::list_of;
using client::map_of;
using client::number_of;
using client::pick;
using client::text_of;

constexpr char kRevision[] = "deployment.kubernetes.io/revision";

std::string annotation(const json::value& object, std::string_view name) {
  const auto* found = map_of(object, "metadata.annotations").if_contains(name);
  return found == nullptr ? std::string() : client::scalar_text(*found);
}

Revision revision_of_set(const json::value& replica_set) {
  const auto* pod_template = pick(replica_set, "spec.template");
  return {plain_template(pod_template == nullptr ? json::object() : *pod_template),
          annotation(replica_set, kChangeCause),
          {}};
}

Revision revision_of_data(const json::value& controller_revision) {
  const auto* data = pick(controller_revision, "data");
  const auto* pod_template = pick(controller_revision, "data.spec.template");
  return {plain_template(pod_template == nullptr ? json::object() : *pod_template),
          annotation(controller_revision, kChangeCause), data == nullptr ? json::object() : *data};
}

}  // namespace

bool has_rollouts(const ResourceInfo& kind) {
  return kind.kind == "Deployment" || kind.kind == "DaemonSet" || kind.kind == "StatefulSet";
}

json::value plain_template(json::value pod_template) {
  if (!pod_template.is_object()) return json::object();
  auto& map = pod_template.as_object();
  map.erase("$patch");
  auto* metadata = map.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_object()) return pod_template;
  const auto* created = metadata->as_object().if_contains("creationTimestamp");
  if (created != nullptr && created->is_null()) metadata->as_object().erase("creationTimestamp");
  auto* labels = metadata->as_object().if_contains("labels");
  if (labels != nullptr && labels->is_object()) labels->as_object().erase("pod-template-hash");
  return pod_template;
}

Result<std::map<int64_t, Revision>> revisions_of(Session& session, const ResourceInfo& kind,
                                                 const json::value& object) {
  const bool is_deployment = kind.kind == "Deployment";
  ORLOP_ASSIGN(const auto* kept, session.find_kind(is_deployment ? "replicasets.apps" : "controllerrevisions.apps"));
  const auto* selector = pick(object, "spec.selector");
  const auto query = query_of({{"labelSelector", selector == nullptr ? "" : selector_text(*selector)}});
  ORLOP_ASSIGN(const auto list, session.get(kept->path(text_of(object, "metadata.namespace")) + query));
  std::map<int64_t, Revision> out;
  for (const auto& each : list_of(list, "items")) {
    if (controller_of(each) != kind.kind + "/" + text_of(object, "metadata.name")) continue;
    const int64_t number =
        is_deployment ? std::atoll(annotation(each, kRevision).c_str()) : number_of(each, "revision");
    if (number > 0) out[number] = is_deployment ? revision_of_set(each) : revision_of_data(each);
  }
  return out;
}

}  // namespace orlop::cli
