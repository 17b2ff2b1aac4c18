// The snapshots of one workload: immutable copies of the ConfigMaps and Secrets that its revisions use.
//
// Threads: any; every function blocks, on the store at most.
#pragma once

#include "orlop/host.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/config-restart/references.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orlop::workload {

inline constexpr char kSnapshotLabel[] = "orlop.dev/config-snapshot";
// On a snapshot: the object that it was taken of, and the revision of that object at which it last had this content.
inline constexpr char kSourceAnnotation[] = "orlop.dev/config-source";
inline constexpr char kSeenAnnotation[] = "orlop.dev/config-seen";

// Snapshots of one kind, T: ConfigMap or Secret.
template <typename T>
class Snapshots {
 public:
  explicit Snapshots(Host host) : objects_(host) {}

  struct Look {
    std::string latest;           // the snapshot of what the object holds now; empty: it does not exist
    bool is_news = false;         // it does not hold what it held when it was last seen
    std::set<std::string> known;  // all snapshots of this object
  };

  // Looks at one object. What has no snapshot yet gets one. `owner` is the workload's reference, in `name_space`.
  // kConflict: come again.
  Result<Look> look(const std::string& name_space, const std::string& name, const kube::OwnerReference& owner) const;

  // Notes that what the object holds has been seen, so that it is no news from here on; nothing when that is no longer
  // what the snapshot `latest` holds.
  Status note_seen(const std::string& name_space, const std::string& name, const kube::OwnerReference& owner,
                   const std::string& latest) const;

  // Removes the owner's snapshots but for those that `used` names and, of each object, the one that was seen last.
  // kConflict: `only_if` no longer holds; come again.
  Status remove_unused(const std::string& name_space, const kube::OwnerReference& owner,
                       const std::set<std::string>& used, const v1::Precondition& only_if) const;

 private:
  struct Present {
    std::optional<Stored<T>> source;
    std::vector<Stored<T>> snapshots;  // of this source, of this owner
    int same = -1;                     // the one that holds what the source holds
    int64_t seen = 0;                  // the highest revision noted
  };
  Result<std::vector<Stored<T>>> owned(const std::string& name_space, const kube::OwnerReference& owner) const;
  Result<Present> read(const std::string& name_space, const std::string& name, const kube::OwnerReference& owner) const;

  Objects<T> objects_;
};

}  // namespace orlop::workload
