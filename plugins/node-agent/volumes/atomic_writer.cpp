#include "plugins/node-agent/volumes/atomic_writer.hpp"

#include "plugins/node-agent/files.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kLink[] = "/..data";

Status failed(const std::string& what) {
  return {Code::kUnavailable, what + ": " + std::strerror(errno)};
}

std::string read_all(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The folder holds exactly these files with these bytes.
bool holds(const std::string& folder, const Files& files) {
  size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error)) continue;
    ++count;
    const auto wanted = files.find(entry.path().lexically_relative(folder).string());
    if (wanted == files.end() || read_all(entry.path().string()) != wanted->second.bytes) return false;
  }
  return !error && count == files.size();
}

Status fill(const std::string& folder, const Files& files) {
  for (const auto& [path, file] : files) {
    const fs::path full = fs::path(folder) / path;
    std::error_code error;
    fs::create_directories(full.parent_path(), error);
    if (error) return {Code::kUnavailable, "cannot create " + full.parent_path().string() + ": " + error.message()};
    ORLOP_TRY(write_file(full.string(), file.bytes, file.mode));
    if (file.owner && ::lchown(full.c_str(), *file.owner, static_cast<gid_t>(-1)) != 0) {
      return failed("cannot give " + full.string() + " to user " + std::to_string(*file.owner));
    }
  }
  return Status::ok();
}

// Every top name leads through the link; names that are gone go.
Status show_names(const std::string& folder, const Files& files) {
  std::set<std::string> tops;
  for (const auto& [path, file] : files) tops.insert(path.substr(0, path.find('/')));
  for (const std::string& top : tops) {
    const std::string visible = folder + "/" + top;
    struct stat info {};
    if (::lstat(visible.c_str(), &info) != 0 && ::symlink(("..data/" + top).c_str(), visible.c_str()) != 0) {
      return failed("cannot create " + visible);
    }
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("..") && !tops.contains(name)) ::unlink(entry.path().c_str());
  }
  return Status::ok();
}

void remove_leavings(const std::string& folder, const fs::path& current) {
  std::error_code error;
  std::set<fs::path> old;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("..") && name != "..data" && name != current.string()) old.insert(entry.path());
  }
  for (const fs::path& path : old) fs::remove_all(path, error);
}

}  // namespace

bool was_written(const std::string& folder) {
  struct stat info {};
  return ::stat((folder + kLink).c_str(), &info) == 0;
}

Status write_atomically(const std::string& folder, const Files& files, const std::optional<GroupOwnership>& group) {
  const std::string link = folder + kLink;
  std::error_code error;
  const fs::path current = fs::read_symlink(link, error);
  if (!error && holds(folder + "/" + current.string(), files)) {
    remove_leavings(folder, current);
    return show_names(folder, files);
  }
  std::string fresh = folder + "/..XXXXXX";
  if (::mkdtemp(fresh.data()) == nullptr) return failed("cannot create a folder in " + folder);
  ::chmod(fresh.c_str(), 0755);
  ORLOP_TRY(fill(fresh, files));
  if (group) ORLOP_TRY(give_to_group(fresh, *group));
  const std::string next = folder + "/..data_next";
  ::unlink(next.c_str());
  const fs::path name = fs::path(fresh).filename();
  if (::symlink(name.c_str(), next.c_str()) != 0 || ::rename(next.c_str(), link.c_str()) != 0) {
    return failed("cannot switch " + link);
  }
  ORLOP_TRY(show_names(folder, files));
  remove_leavings(folder, name);
  return Status::ok();
}

}  // namespace orlop::agent
