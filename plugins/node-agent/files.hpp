// Small, careful file operations. None follows a symlink that a pod could have put in its way.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::agent {

// Relative, without "..", not empty.
bool is_inner_path(std::string_view path);
// Makes the folder and its parents. kUnavailable: the disk's own words.
Status make_folder(const std::string& path, uint32_t mode);
// Writes beside and renames: a reader sees the old file or the new one. `mode` is exact, past the umask.
Status write_file(const std::string& path, std::string_view bytes, uint32_t mode);
// Unmounts what is mounted below, then removes; symlinks are removed, not followed, and nothing is removed through a
// mount, even one that could not be unmounted. kUnavailable: the disk's own words.
Status remove_tree(const std::string& path);

}  // namespace orlop::agent
