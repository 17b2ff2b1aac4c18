#include "plugins/controllers-workload/config-restart/config_restart.hpp"

#include "plugins/controllers-workload/owned_pods.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"

#include <utility>

namespace orlop::workload {
namespace {

using Deployment = k8s::io::api::apps::v1::Deployment;
using StatefulSet = k8s::io::api::apps::v1::StatefulSet;
using DaemonSet = k8s::io::api::apps::v1::DaemonSet;
using ReplicaSet = k8s::io::api::apps::v1::ReplicaSet;

constexpr char kConfigMaps[] = "configmaps";
// Several objects that are applied together become one rollout.
constexpr int64_t kSettleNs = 1'000'000'000;

void add_names(const ConfigSnapshots& snapshots, std::set<std::string>& out) {
  for (const auto& [object, snapshot] : snapshots) out.insert(snapshot);
}

}  // namespace

template <typename Workload>
ConfigRestartController<Workload>::ConfigRestartController(Host host)
    : host_(host), events_(host, "config-restart-controller"), workloads_(host), config_maps_(host), secrets_(host) {}

template <typename Workload>
void ConfigRestartController<Workload>::reset() {
  users_.clear();
  sources_.clear();
}

template <typename Workload>
void ConfigRestartController<Workload>::forget_sources(const ObjectKey& key) {
  const auto found = sources_.find(key);
  if (found == sources_.end()) return;
  for (const Source& source : found->second) {
    auto& users = users_[source];
    users.erase(key);
    if (users.empty()) users_.erase(source);
  }
  sources_.erase(found);
}

template <typename Workload>
void ConfigRestartController<Workload>::observe(const ChangeView& change, KeyQueue& queue) {
  const ObjectKey key{std::string(change.record.name_space), std::string(change.record.name)};
  if (change.record.kind != kube::KindOf<Workload>::id) {
    const auto found = users_.find({key.name_space, {std::string(change.record.kind), key.name}});
    if (found == users_.end()) return;
    for (const ObjectKey& user : found->second) queue.add(user);
    return;
  }
  const bool was_known = sources_.contains(key);
  forget_sources(key);
  Workload workload;
  if (change.type == ChangeType::kDeleted ||
      !workload.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) {
    if (was_known) queue.add(key);
    return;
  }
  const auto& pod_template = workload.spec().template_();
  const bool is_annotated = pod_template.metadata().annotations().contains(kConfigAnnotation);
  if (!wants_restart_on_config_change(workload.metadata()) && !is_annotated && !was_known) return;
  auto& sources = sources_[key];
  for (const ConfigName& name : configuration_of(pod_template.spec())) sources.insert({key.name_space, name});
  // A snapshot that somebody takes away is made again.
  for (const auto& [object, snapshot] : snapshots_of(pod_template)) {
    sources.insert({key.name_space, {object.kind, snapshot}});
  }
  for (const Source& source : sources) users_[source].insert(key);
  queue.add(key);
}

template <typename Workload>
Result<Outcome> ConfigRestartController<Workload>::reconcile(const ObjectKey& key) {
  auto workload = workloads_.get(key.name_space, key.name);
  if (!workload || workload->object.metadata().has_deletiontimestamp()) {
    waiting_.erase(key);
    if (!workload && workload.code() != Code::kNotFound) return workload.status();
    return Outcome{};
  }
  if (wants_restart_on_config_change(workload->object.metadata())) return keep(key, std::move(*workload));
  waiting_.erase(key);
  return give_up(std::move(*workload));
}

template <typename Workload>
kube::OwnerReference ConfigRestartController<Workload>::owner_of(const Workload& workload) {
  kube::OwnerReference owner = controller_reference(workload);
  owner.clear_controller();
  owner.clear_blockownerdeletion();
  return owner;
}

template <typename Workload>
Result<typename ConfigRestartController<Workload>::Wanted> ConfigRestartController<Workload>::look(
    const Workload& workload) const {
  const std::string& name_space = workload.metadata().namespace_();
  const kube::OwnerReference owner = owner_of(workload);
  const ConfigSnapshots present = snapshots_of(workload.spec().template_());
  Wanted out;
  for (const ConfigName& object : configuration_of(workload.spec().template_().spec())) {
    std::string latest;
    bool is_news = false;
    std::set<std::string> known;
    const auto take = [&](auto found) -> Status {
      if (!found) return found.status();
      latest = found->latest;
      is_news = found->is_news;
      known = std::move(found->known);
      return Status::ok();
    };
    ORLOP_TRY(object.kind == kConfigMaps ? take(config_maps_.look(name_space, object.name, owner))
                                         : take(secrets_.look(name_space, object.name, owner)));
    const auto stamped = present.find(object);
    const bool has_its_own = stamped != present.end() && known.contains(stamped->second);
    if (is_news) out.news[object] = latest;
    if (has_its_own && !is_news) {
      out.snapshots[object] = stamped->second;  // the latest, or what an undo brought back
    } else if (!latest.empty()) {
      out.snapshots[object] = latest;
    } else if (stamped != present.end()) {
      out.snapshots[object] = stamped->second;
    }
  }
  return out;
}

template <typename Workload>
int64_t ConfigRestartController<Workload>::settle(const ObjectKey& key, const std::string& text) {
  const int64_t now = host_.monotonic_now_ns();
  Waiting& waiting = waiting_[key];
  if (waiting.since_ns == 0 || waiting.text != text) waiting = {text, now};
  return std::max<int64_t>(0, waiting.since_ns + kSettleNs - now);
}

template <typename Workload>
Result<Outcome> ConfigRestartController<Workload>::keep(const ObjectKey& key, StoredWorkload workload) {
  const Result<Wanted> looked = look(workload.object);
  if (!looked) {
    if (looked.code() != Code::kConflict && looked.code() != Code::kUnavailable) {
      events_.about(workload.object, EventType::kWarning, "FailedConfigSnapshot",
                    "Configuration cannot be kept: " + looked.message());
    }
    return looked.status();
  }
  const Wanted& wanted = *looked;
  auto& pod_template = *workload.object.mutable_spec()->mutable_template_();
  auto& annotations = *pod_template.mutable_metadata()->mutable_annotations();
  const bool has_configuration = !configuration_of(pod_template.spec()).empty();
  const auto found = annotations.find(kConfigAnnotation);
  const std::string text = config_text(wanted.snapshots);
  const bool is_new = found == annotations.end();
  if (has_configuration && (is_new || found->second != text)) {
    const int64_t wait_ns = is_new ? 0 : settle(key, text);
    if (wait_ns > 0) return Outcome{wait_ns};
    annotations[kConfigAnnotation] = text;
    ORLOP_ASSIGN(workload, workloads_.update(workload));
    if (!is_new) {
      for (const auto& [object, snapshot] : wanted.news) {
        events_.about(workload.object, EventType::kNormal, "ConfigChanged",
                      "Rolling out " + object.kind + "/" + object.name + ", which has changed, as " + snapshot);
      }
    }
  } else if (!has_configuration && !is_new) {
    annotations.erase(kConfigAnnotation);
    ORLOP_ASSIGN(workload, workloads_.update(workload));
  }
  waiting_.erase(key);
  const std::string& name_space = workload.object.metadata().namespace_();
  const kube::OwnerReference owner = owner_of(workload.object);
  for (const auto& [object, snapshot] : wanted.news) {
    ORLOP_TRY(object.kind == kConfigMaps ? config_maps_.note_seen(name_space, object.name, owner, snapshot)
                                         : secrets_.note_seen(name_space, object.name, owner, snapshot));
  }
  ORLOP_TRY(remove_unused(workload));
  return Outcome{};
}

// Nobody asks for it any more: pods use the objects themselves again.
template <typename Workload>
Result<Outcome> ConfigRestartController<Workload>::give_up(StoredWorkload workload) {
  auto& annotations = *workload.object.mutable_spec()->mutable_template_()->mutable_metadata()->mutable_annotations();
  if (annotations.erase(kConfigAnnotation) > 0) {
    ORLOP_ASSIGN(workload, workloads_.update(workload));
  }
  ORLOP_TRY(remove_unused(workload));
  return Outcome{};
}

template <typename Workload>
Result<std::set<std::string>> ConfigRestartController<Workload>::named_by_history(const Workload& workload) const {
  const auto& metadata = workload.metadata();
  const std::string term = "owner/" + metadata.uid();
  std::set<std::string> out;
  ORLOP_TRY(Objects<ReplicaSet>(host_).each(metadata.namespace_(), term, [&](const RecordView&, const ReplicaSet& set) {
    add_names(snapshots_of(set.spec().template_()), out);
    return true;
  }));
  ORLOP_TRY(Objects<ControllerRevision>(host_).each(metadata.namespace_(), term,
                                                    [&](const RecordView&, const ControllerRevision& revision) {
                                                      const auto pod_template = template_of(revision);
                                                      if (pod_template) add_names(snapshots_of(*pod_template), out);
                                                      return true;
                                                    }));
  return out;
}

// Whoever brings a snapshot back into use changes the workload (an undo), or makes a revision of the template that is
// still the workload's. Both are ruled out when nothing used it after `workload` was read and that is still the same.
template <typename Workload>
Status ConfigRestartController<Workload>::remove_unused(const StoredWorkload& workload) const {
  const std::string& name_space = workload.object.metadata().namespace_();
  ORLOP_ASSIGN(auto used, named_by_history(workload.object));
  add_names(snapshots_of(workload.object.spec().template_()), used);
  const kube::OwnerReference owner = owner_of(workload.object);
  const v1::Precondition only_if = unchanged(workload);
  ORLOP_TRY(config_maps_.remove_unused(name_space, owner, used, only_if));
  return secrets_.remove_unused(name_space, owner, used, only_if);
}

template class ConfigRestartController<Deployment>;
template class ConfigRestartController<StatefulSet>;
template class ConfigRestartController<DaemonSet>;

}  // namespace orlop::workload
