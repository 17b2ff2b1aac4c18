// Small, careful file operations. None follows a symlink that a pod could have put in its way.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace orlop::agent {

struct FileContent;

// Relative, without "..", not empty.
bool is_inner_path(std::string_view path);
// Makes the folder and its parents. kUnavailable: the disk's own words.
Status make_folder(const std::string& path, uint32_t mode);
// Writes beside and renames: a reader sees the old file or the new one. `mode` is exact, past the umask.
Status write_file(const std::string& path, std::string_view bytes, uint32_t mode);
bool is_mount_point(const std::string& path);
// Unmounts what is mounted below, then removes; symlinks are removed, not followed.
Status remove_tree(const std::string& path);
// Gives a folder's tree to a group that may then read it.
Status give_to_group(const std::string& folder, uint32_t group);
// `inner` below `root`, resolved with openat2(RESOLVE_BENEATH); a missing folder is made when `create` is set.
// kInvalid: it leaves `root`.
Result<std::string> resolve_inside(const std::string& root, const std::string& inner, bool create);
// Whether the folder holds exactly these files with these bytes.
bool has_same_files(const std::string& folder, const std::map<std::string, FileContent>& files);

}  // namespace orlop::agent
