#include "plugins/controllers-workload/owned_pods.hpp"

#include "orlop/names.hpp"
#include "orlop/serialize.hpp"
#include "plugins/controllers-workload/config-restart/references.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int kWritesPerCommit = 100;

Status adopt(const Objects<kube::Pod>& pods, const PodOwner& owner, StoredPod& pod) {
  auto& metadata = *pod.object.mutable_metadata();
  *metadata.add_ownerreferences() = owner.reference;
  const auto& finalizers = metadata.finalizers();
  if (!owner.finalizer.empty() &&
      std::find(finalizers.begin(), finalizers.end(), owner.finalizer) == finalizers.end()) {
    metadata.add_finalizers(owner.finalizer);
  }
  ORLOP_ASSIGN(pod, pods.update(pod));
  return Status::ok();
}

Status release(const Objects<kube::Pod>& pods, const PodOwner& owner, StoredPod& pod) {
  auto* owners = pod.object.mutable_metadata()->mutable_ownerreferences();
  for (int i = owners->size() - 1; i >= 0; --i) {
    if (owners->Get(i).uid() == owner.reference.uid()) owners->DeleteSubrange(i, 1);
  }
  auto* finalizers = pod.object.mutable_metadata()->mutable_finalizers();
  if (!owner.finalizer.empty()) {
    finalizers->erase(std::remove(finalizers->begin(), finalizers->end(), owner.finalizer), finalizers->end());
  }
  return pods.update(pod).status();
}

bool is_wanted(const PodOwner& owner, const kube::Pod& pod) {
  return kube::matches(*owner.selector, pod.metadata().labels()) && (!owner.may_own || owner.may_own(pod));
}

}  // namespace

kube::Pod pod_from_template(const PodTemplateSpec& pod_template, const std::string& name_space,
                            const kube::OwnerReference& controller) {
  kube::Pod pod;
  *pod.mutable_spec() = pod_template.spec();
  auto& metadata = *pod.mutable_metadata();
  *metadata.mutable_labels() = pod_template.metadata().labels();
  *metadata.mutable_annotations() = pod_template.metadata().annotations();
  *metadata.mutable_finalizers() = pod_template.metadata().finalizers();
  use_snapshots(snapshots_of(pod_template), *pod.mutable_spec());
  metadata.set_namespace_(name_space);
  *metadata.add_ownerreferences() = controller;
  return pod;
}

void name_after(kube::Pod& pod, const std::string& owner_name) {
  // A generated name may hold 63 characters, of which the suffix takes five.
  pod.mutable_metadata()->set_generatename(owner_name + "-");
  pod.mutable_metadata()->set_name(owner_name.substr(0, 57) + "-" + random_suffix());
}

Result<std::vector<StoredPod>> claim_pods(const Objects<kube::Pod>& pods, const PodOwner& owner) {
  ORLOP_ASSIGN(auto owned, pods.list(owner.name_space, "owner/" + owner.reference.uid()));
  std::vector<StoredPod> claimed;
  for (StoredPod& pod : owned) {
    const auto* controller = kube::controller_of(pod.object.metadata());
    if (controller == nullptr || controller->uid() != owner.reference.uid()) continue;
    if (is_wanted(owner, pod.object)) {
      claimed.push_back(std::move(pod));
    } else if (!owner.deleting && (!kube::is_terminal(pod.object) || !owner.finalizer.empty())) {
      ORLOP_TRY(release(pods, owner, pod));
    }
  }
  if (owner.deleting || kube::is_empty(*owner.selector)) return claimed;

  std::string term;
  for (const auto& [key, value] : owner.selector->matchlabels()) term = "label/" + key + "=" + value;
  ORLOP_ASSIGN(auto candidates, pods.list(owner.name_space, term));
  for (StoredPod& pod : candidates) {
    const bool may_adopt = owner.finalizer.empty() ? kube::is_active(pod.object) : !kube::is_terminating(pod.object);
    if (!may_adopt || kube::controller_of(pod.object.metadata()) != nullptr || !is_wanted(owner, pod.object)) {
      continue;
    }
    ORLOP_TRY(adopt(pods, owner, pod));
    claimed.push_back(std::move(pod));
  }
  return claimed;
}

namespace {

// Writes what `write_of` gives for each pod, and tells of each that was written.
Status write_pods(const Host& host, size_t count, const std::function<v1::Write(size_t)>& write_of,
                  const std::function<void(size_t)>& written, const std::optional<v1::Precondition>& only_if) {
  int most = kWritesPerCommit;
  for (size_t done = 0; done < count;) {
    v1::CommitRequest request;
    if (only_if) *request.add_preconditions() = *only_if;
    for (size_t i = done; i < count && request.writes_size() < most; ++i) *request.add_writes() = write_of(i);
    const Status status = host.commit_wait(request).status();
    if (status.code() == Code::kForbidden && most > 1) {
      most = 1;  // a quota may have room for some of them
      continue;
    }
    ORLOP_TRY(status);
    for (int i = 0; i < request.writes_size(); ++i) written(done++);
  }
  return Status::ok();
}

}  // namespace

Status create_pods(const Host& host, const std::vector<kube::Pod>& pods,
                   const std::function<void(const std::string& name)>& created,
                   const std::optional<v1::Precondition>& only_if) {
  const Status status = write_pods(
      host, pods.size(),
      [&](size_t i) {
        auto write = make_write<kube::Pod>(v1::CREATE, pods[i].metadata().namespace_(), pods[i].metadata().name());
        write.set_value(serialize(pods[i]));
        return write;
      },
      [&](size_t i) { created(pods[i].metadata().name()); }, only_if);
  if (status.code() == Code::kAlreadyExists) return {Code::kConflict, status.message()};
  return status;
}

Status delete_pods(const Host& host, const std::vector<StoredPod>& pods,
                   const std::function<void(const std::string& name)>& deleted,
                   const std::optional<v1::Precondition>& only_if) {
  const Status status = write_pods(
      host, pods.size(),
      [&](size_t i) {
        const auto& metadata = pods[i].object.metadata();
        auto write = make_write<kube::Pod>(v1::DELETE, metadata.namespace_(), metadata.name());
        write.set_if_uid(metadata.uid());
        return write;
      },
      [&](size_t i) { deleted(pods[i].object.metadata().name()); }, only_if);
  if (status.code() == Code::kNotFound) return {Code::kConflict, status.message()};
  return status;
}

}  // namespace orlop::workload
