// What the binder keeps of every PersistentVolume: what a claim is held against, ordered so that the smallest that fits
// is found without looking at all. What is found here is read again from the store before it is used.
//
// Threads: any.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/storage.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::volumes {

using storage::Claim;
using storage::PersistentVolume;
using Labels = std::map<std::string, std::string>;

// Where the claim's pod will run.
struct NodeLook {
  std::string name;
  Labels labels;
};

class VolumePool {
 public:
  void put(const PersistentVolume& volume);
  void remove(const std::string& name);
  void clear();

  // The volume that is reserved for the claim and large enough; else, unless `reserved_only`, the smallest free one
  // that has its class, size, modes and labels and can be had on the node (any node, when none is given). Of equally
  // large ones the first by name.
  [[nodiscard]] std::optional<std::string> find(const Claim& claim, const std::optional<NodeLook>& node,
                                                bool reserved_only) const;
  // Those whose claimRef names this claim, whatever its uid.
  [[nodiscard]] std::vector<std::string> reserved_for(const ObjectKey& claim) const;

 private:
  struct Entry {
    PersistentVolume volume;  // without what no claim is held against
    int64_t bytes = 0;
    std::string class_name;
    std::optional<ObjectKey> claim;
  };
  using BySize = std::set<std::pair<int64_t, std::string>>;

  void remove_locked(const std::string& name);
  [[nodiscard]] static bool fits(const Entry& entry, const Claim& claim, const std::optional<NodeLook>& node);

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;                 // guarded by mutex_, as is all below
  std::map<std::string, BySize> free_;                   // by class: available and claimed by nobody
  std::map<ObjectKey, std::set<std::string>> reserved_;  // by the claim that claimRef names
};

}  // namespace orlop::volumes
