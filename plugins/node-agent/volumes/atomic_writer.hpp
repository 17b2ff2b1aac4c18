// Files that are switched over all at once: a reader sees all of the old ones or all of the new ones.
//
// The layout is that of Kubernetes' AtomicWriter: the files are in a folder of their own, "..data" leads to it and is
// replaced by a rename, and every visible name leads through "..data".
//
// Threads: any, one at a time for one folder.
#pragma once

#include "orlop/result.hpp"
#include "plugins/node-agent/volumes/ownership.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace orlop::agent {

struct FileContent {
  std::string bytes;
  uint32_t mode = 0644;
  std::optional<uint32_t> owner;  // root when none
};
using Files = std::map<std::string, FileContent>;  // by path relative to the volume

// Whether something has been written there before.
bool was_written(const std::string& folder);
// Replaces the files of `folder` by `files`; nothing is done when they are the same. `group`: whom they are given to.
// Leavings of a writer that was killed are removed. kUnavailable: the file system's own words.
Status write_atomically(const std::string& folder, const Files& files, const std::optional<GroupOwnership>& group);

}  // namespace orlop::agent
