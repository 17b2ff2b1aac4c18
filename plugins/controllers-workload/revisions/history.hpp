// Reads and writes a workload's ControllerRevisions: adoption, the one that stands for a template, the limit.
//
// Threads: any; every function blocks, on the store at most.
#pragma once

#include "orlop/host.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/revisions/revision.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

// What the history must know of a StatefulSet or DaemonSet. Points into the owner.
struct RevisionOwner {
  const kube::ObjectMeta* metadata = nullptr;
  const kube::LabelSelector* selector = nullptr;
  const PodTemplateSpec* pod_template = nullptr;
  kube::OwnerReference reference;
  v1::Precondition unchanged;               // the owner as it was read
  const char* hash_label = kDataHashLabel;  // the label of a revision that holds the hash of its name
};

class RevisionHistory {
 public:
  explicit RevisionHistory(Host host) : revisions_(host) {}

  // The owner's revisions, oldest first, after adoption of those that nobody controls and the selector matches.
  // kConflict: one changed meanwhile.
  Result<std::vector<StoredRevision>> claim(const RevisionOwner& owner) const;

  // The revision of the owner's present template, the one with the highest number: one of `revisions`, numbered anew
  // when the owner came back to an older template, or a new one, which is added to them. `collisions` grows when
  // another's revision has the name already. kConflict: the owner or
  // a revision has changed; come again. Others: the store's or the API's own.
  Result<ControllerRevision> ensure(const RevisionOwner& owner, std::vector<StoredRevision>& revisions,
                                    int32_t& collisions) const;

  Status remove(const StoredRevision& revision) const;
  Status remove_surplus(const std::vector<StoredRevision>& revisions, const std::set<std::string>& live,
                        int32_t limit) const;

 private:
  Result<StoredRevision> create(const RevisionOwner& owner, const std::string& patch, int64_t number,
                                int32_t& collisions) const;

  Objects<ControllerRevision> revisions_;
};

}  // namespace orlop::workload
