#include "plugins/controllers-workload/revisions/history.hpp"

#include "plugins/controllers-workload/while_unchanged.hpp"

#include <utility>

namespace orlop::workload {
namespace {

constexpr int kNamesTried = 10;

ControllerRevision new_revision(const RevisionOwner& owner, const std::string& patch, int64_t number) {
  ControllerRevision revision;
  auto& metadata = *revision.mutable_metadata();
  metadata.set_namespace_(owner.metadata->namespace_());
  *metadata.mutable_labels() = owner.pod_template->metadata().labels();
  *metadata.mutable_annotations() = owner.metadata->annotations();  // kubectl shows kubernetes.io/change-cause
  *metadata.add_ownerreferences() = owner.reference;
  revision.mutable_data()->set_raw(patch);
  revision.set_revision(number);
  return revision;
}

bool is_controlled_by(const ControllerRevision& revision, const RevisionOwner& owner) {
  const auto* controller = kube::controller_of(revision.metadata());
  return controller != nullptr && controller->uid() == owner.metadata->uid();
}

}  // namespace

Result<std::vector<StoredRevision>> RevisionHistory::claim(const RevisionOwner& owner) const {
  const std::string& name_space = owner.metadata->namespace_();
  std::vector<StoredRevision> claimed;
  ORLOP_ASSIGN(auto owned, revisions_.list(name_space, "owner/" + owner.metadata->uid()));
  for (StoredRevision& revision : owned) {
    if (is_controlled_by(revision.object, owner)) claimed.push_back(std::move(revision));
  }
  if (!owner.metadata->has_deletiontimestamp() && !kube::is_empty(*owner.selector)) {
    std::string term;
    for (const auto& [key, value] : owner.selector->matchlabels()) term = "label/" + key + "=" + value;
    ORLOP_ASSIGN(auto candidates, revisions_.list(name_space, term));
    for (StoredRevision& revision : candidates) {
      auto& metadata = *revision.object.mutable_metadata();
      if (metadata.has_deletiontimestamp() || kube::controller_of(metadata) != nullptr ||
          !kube::matches(*owner.selector, metadata.labels())) {
        continue;
      }
      *metadata.add_ownerreferences() = owner.reference;
      ORLOP_ASSIGN(StoredRevision adopted, revisions_.update(revision));
      claimed.push_back(std::move(adopted));
    }
  }
  sort_revisions(claimed);
  return claimed;
}

Result<ControllerRevision> RevisionHistory::ensure(const RevisionOwner& owner, std::vector<StoredRevision>& revisions,
                                                   int32_t& collisions) const {
  const std::string patch = template_patch(*owner.pod_template);
  const RevisionChoice choice = choose_revision(revisions, patch);
  if (choice.index < 0) {
    ORLOP_ASSIGN(StoredRevision created, create(owner, patch, choice.number, collisions));
    revisions.push_back(created);
    return created.object;
  }
  StoredRevision& revision = revisions[static_cast<size_t>(choice.index)];
  const bool labelled = revision.object.metadata().labels().contains(owner.hash_label);
  if (!labelled || revision.object.revision() != choice.number) {
    // An adopted revision may lack the label that pods are told by; its name is as good as a hash.
    if (!labelled) {
      (*revision.object.mutable_metadata()->mutable_labels())[owner.hash_label] = revision.object.metadata().name();
    }
    revision.object.set_revision(choice.number);
    ORLOP_ASSIGN(revision, revisions_.update(revision));
  }
  ControllerRevision current = revision.object;
  sort_revisions(revisions);
  return current;
}

Result<StoredRevision> RevisionHistory::create(const RevisionOwner& owner, const std::string& patch, int64_t number,
                                               int32_t& collisions) const {
  ControllerRevision revision = new_revision(owner, patch, number);
  for (int tried = 0; tried < kNamesTried; ++tried, ++collisions) {
    const std::string hash = revision_hash(patch, collisions);
    revision.mutable_metadata()->set_name(revision_name(owner.metadata->name(), hash));
    (*revision.mutable_metadata()->mutable_labels())[owner.hash_label] = hash;
    // A version that is no longer the owner's may name a configuration that is gone already.
    auto created = create_while(owner.unchanged, revisions_, revision);
    if (created || created.code() != Code::kAlreadyExists) return created;
    auto existing = revisions_.get(owner.metadata->namespace_(), revision.metadata().name());
    if (!existing && existing.code() == Code::kNotFound) return Status(Code::kConflict, existing.message());
    if (!existing) return existing;
    if (existing->object.data().raw() == patch && is_controlled_by(existing->object, owner)) return existing;
  }
  return Status(Code::kConflict,
                "too many revisions have the name that one of " + owner.metadata->name() + " would have");
}

Status RevisionHistory::remove(const StoredRevision& revision) const {
  const auto& metadata = revision.object.metadata();
  Status removed = revisions_.remove(metadata.namespace_(), metadata.name(), {}, metadata.uid());
  return removed.code() == Code::kNotFound ? Status::ok() : removed;
}

Status RevisionHistory::remove_surplus(const std::vector<StoredRevision>& revisions, const std::set<std::string>& live,
                                       int32_t limit) const {
  for (const StoredRevision* revision : surplus_revisions(revisions, live, limit)) ORLOP_TRY(remove(*revision));
  return Status::ok();
}

}  // namespace orlop::workload
