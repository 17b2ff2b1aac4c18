#include "plugins/node-agent/static_pods/mirror_pods.hpp"

#include <utility>

namespace orlop::agent {

Result<std::optional<Stored<kube::Pod>>> MirrorPods::ensure(const kube::Pod& pod, std::string& why) const {
  using Found = std::optional<Stored<kube::Pod>>;
  const auto& metadata = pod.metadata();
  auto stored = pods_.get(metadata.namespace_(), metadata.name());
  if (!stored && stored.code() != Code::kNotFound) return stored.status();
  if (stored && !is_mirror(stored->object)) {
    why = "a pod of its name that is not its mirror is in the API";
    return Found();
  }
  if (stored) {
    const auto& hash = stored->object.metadata().annotations().at(kConfigMirror);
    if (hash == metadata.uid() && !kube::is_terminating(stored->object)) return Found(std::move(*stored));
    ORLOP_TRY(remove(stored->object));
  }
  ORLOP_ASSIGN(const kube::Pod mirror, make(pod));
  auto created = pods_.create(mirror);
  if (created) return Found(std::move(*created));
  const Code code = created.code();
  if (code == Code::kNotFound || code == Code::kForbidden || code == Code::kInvalid || code == Code::kBadRequest) {
    why = created.message();
    return Found();
  }
  return created.status();
}

Result<kube::Pod> MirrorPods::make(const kube::Pod& pod) const {
  kube::Pod mirror = pod;
  auto& metadata = *mirror.mutable_metadata();
  (*metadata.mutable_annotations())[kConfigMirror] = metadata.uid();
  metadata.clear_uid();
  mirror.clear_status();
  // It goes with its node.
  const auto node = Objects<k8s::io::api::core::v1::Node>(host_).get("", pod.spec().nodename());
  if (!node && node.code() != Code::kNotFound) return node.status();
  if (!node) return mirror;
  auto& owner = *metadata.add_ownerreferences();
  owner.set_apiversion("v1");
  owner.set_kind("Node");
  owner.set_name(node->object.metadata().name());
  owner.set_uid(node->object.metadata().uid());
  owner.set_controller(true);
  return mirror;
}

Status MirrorPods::remove(const kube::Pod& mirror) const {
  const auto& metadata = mirror.metadata();
  v1::DeleteOptions now;
  now.set_grace_period_seconds(0);
  const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), now, metadata.uid());
  if (removed.code() == Code::kNotFound || removed.code() == Code::kConflict) return Status::ok();
  return removed;
}

}  // namespace orlop::agent
