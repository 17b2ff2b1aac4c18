#include "plugins/storage-local/folders.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <utility>

#include <sys/stat.h>
#include <sys/statvfs.h>

namespace orlop::local {
namespace {

namespace fs = std::filesystem;

constexpr char kNew[] = ".new-", kGone[] = ".gone-";
constexpr char kData[] = "data", kAsked[] = "volume", kPublished[] = "published";
constexpr size_t kIdMax = 128;

Status failed(const std::string& what) {
  const Code code = errno == ENOSPC || errno == EDQUOT ? Code::kTooLarge : Code::kInternal;
  return {code, what + ": " + std::strerror(errno)};
}

// What may be a folder's name here: no path, nothing hidden.
bool is_id(const std::string& id) {
  const auto allowed = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  };
  return !id.empty() && id.size() <= kIdMax && id.front() != '.' && std::all_of(id.begin(), id.end(), allowed);
}

Status check_id(const std::string& id) {
  if (is_id(id)) return Status::ok();
  return {Code::kBadRequest, "\"" + id + "\" cannot be a volume's name"};
}

Status missing(const std::string& id) {
  return {Code::kNotFound, "there is no volume \"" + id + "\" on this machine"};
}

Status write_at(int folder, const std::string& name, const std::string& bytes) {
  const OwnDescriptor file(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) return failed("cannot write " + name);
  if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    return failed("cannot write " + name);
  }
  return ::fsync(file.get()) == 0 ? Status::ok() : failed("cannot write " + name);
}

Result<std::string> read_at(int folder, const std::string& name) {
  const OwnDescriptor file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.is_open()) return failed("cannot read " + name);
  std::string out;
  char piece[4096];
  ssize_t got;
  while ((got = ::read(file.get(), piece, sizeof piece)) > 0) out.append(piece, static_cast<size_t>(got));
  if (got < 0) return failed("cannot read " + name);
  return out;
}

std::vector<std::string> names_in(int folder) {
  std::vector<std::string> out;
  const int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = again < 0 ? nullptr : ::fdopendir(again);
  if (stream == nullptr) return out;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") out.push_back(name);
  }
  ::closedir(stream);
  return out;
}

bool is_once(const v1::VolumeCapability& capability) {
  return capability.access_mode() == "ReadWriteOncePod";
}

Status check_request(const v1::CreateVolumeRequest& request) {
  ORLOP_TRY(check_id(request.name()));
  if (request.capabilities().empty()) return {Code::kBadRequest, "a volume needs an access mode"};
  for (const auto& capability : request.capabilities()) {
    if (!capability.volume_mode().empty() && capability.volume_mode() != "Filesystem") {
      return {Code::kBadRequest, "volumeMode " + capability.volume_mode() + " is not there: volumes are folders"};
    }
    if (!capability.mount_options().empty()) {
      return {Code::kBadRequest, "mountOptions are not there: volumes are folders"};
    }
  }
  for (const auto& [name, value] : request.parameters()) {
    return {Code::kBadRequest, "unknown parameter \"" + name + "\" of the StorageClass"};
  }
  if (request.required_bytes() < 0 || (request.limit_bytes() > 0 && request.limit_bytes() < request.required_bytes())) {
    return {Code::kInvalid, "the limit is below what is asked for"};
  }
  return Status::ok();
}

std::string record_name(const std::string& target) {
  return std::to_string(std::hash<std::string>()(target));
}

}  // namespace

OwnDescriptor Folders::open_root() const {
  return OwnDescriptor(::open(settings_.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Status Folders::open() {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  fs::create_directories(settings_.folder, error);
  if (error) return {Code::kUnavailable, "cannot make " + settings_.folder + ": " + error.message()};
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  for (const std::string& name : names_in(root.get())) {
    if (name.starts_with(kNew) || name.starts_with(kGone)) ORLOP_TRY(throw_away(name));
  }
  return Status::ok();
}

Status Folders::throw_away(const std::string& name) const {
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  const OwnDescriptor folder = open_folder_at(root.get(), name);
  if (!folder.is_open()) return errno == ENOENT ? Status::ok() : failed("cannot open " + name);
  ORLOP_TRY(remove_content(folder.get(), name));
  if (::unlinkat(root.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return Status::ok();
  return failed("cannot remove " + name);
}

Result<int64_t> Folders::available(const std::string& node) {
  const std::lock_guard lock(mutex_);
  return available_locked(node);
}

Result<int64_t> Folders::available_locked(const std::string& node) const {
  if (!node.empty() && node != settings_.node) {
    return Status(Code::kNotFound, "volumes of this provider are on node " + settings_.node + ", not on " + node);
  }
  struct statvfs info {};
  if (::statvfs(settings_.folder.c_str(), &info) != 0) return failed("cannot measure " + settings_.folder);
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

Result<v1::Volume> Folders::create(const v1::CreateVolumeRequest& request) {
  ORLOP_TRY(check_request(request));
  const std::lock_guard lock(mutex_);
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  v1::Volume out;
  out.set_id(request.name());
  out.set_capacity_bytes(request.required_bytes());
  out.add_nodes(settings_.node);
  const OwnDescriptor volume = open_folder_at(root.get(), request.name());
  if (volume.is_open()) {
    ORLOP_ASSIGN(const std::string bytes, read_at(volume.get(), kAsked));
    v1::CreateVolumeRequest before;
    if (!before.ParseFromString(bytes)) return Status(Code::kInternal, "what the volume was asked for cannot be read");
    const bool fits = before.required_bytes() >= request.required_bytes() &&
                      (request.limit_bytes() == 0 || before.required_bytes() <= request.limit_bytes());
    if (!fits) {
      return Status(Code::kAlreadyExists, "there is a volume \"" + request.name() + "\" of " +
                                              std::to_string(before.required_bytes()) + " bytes");
    }
    out.set_capacity_bytes(before.required_bytes());
    if (request.node().empty() || request.node() == settings_.node) return out;
  }
  ORLOP_ASSIGN(const int64_t room, available_locked(request.node()));
  if (request.required_bytes() > room) {
    return Status(Code::kTooLarge, std::to_string(request.required_bytes()) + " bytes were asked for, " +
                                       std::to_string(room) + " are free in " + settings_.folder);
  }
  ORLOP_TRY(make(request));
  return out;
}

Status Folders::make(const v1::CreateVolumeRequest& request) const {
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  const std::string beside = kNew + request.name();
  ORLOP_TRY(throw_away(beside));
  if (::mkdirat(root.get(), beside.c_str(), 0700) != 0) return failed("cannot make " + beside);
  const OwnDescriptor volume = open_folder_at(root.get(), beside);
  if (!volume.is_open()) return failed("cannot open " + beside);
  for (const char* inner : {kData, kPublished}) {
    if (::mkdirat(volume.get(), inner, 0700) != 0) return failed(std::string("cannot make ") + inner);
  }
  const OwnDescriptor data = open_folder_at(volume.get(), kData);
  // Past the umask: any user of a pod may write.
  if (!data.is_open() || ::fchmod(data.get(), 0777) != 0) return failed("cannot open the new volume to all");
  ORLOP_TRY(write_at(volume.get(), kAsked, request.SerializeAsString()));
  if (::renameat(root.get(), beside.c_str(), root.get(), request.name().c_str()) != 0) {
    return failed("cannot name the new volume");
  }
  return ::fsync(root.get()) == 0 ? Status::ok() : failed("cannot keep the new volume");
}

Status Folders::remove(const std::string& id) {
  ORLOP_TRY(check_id(id));
  const std::lock_guard lock(mutex_);
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  const std::string gone = kGone + id;
  {
    const OwnDescriptor volume = open_folder_at(root.get(), id);
    if (!volume.is_open() && errno != ENOENT) return failed("cannot open the volume \"" + id + "\"");
    if (volume.is_open()) {
      const OwnDescriptor data = open_folder_at(volume.get(), kData);
      ORLOP_ASSIGN(const auto published, publications(volume.get(), data.get()));
      if (!published.empty()) {
        return {Code::kConflict, "the volume \"" + id + "\" is in use at " + published.front().target};
      }
      ORLOP_TRY(throw_away(gone));
      if (::renameat(root.get(), id.c_str(), root.get(), gone.c_str()) != 0) {
        return failed("cannot set the volume \"" + id + "\" aside");
      }
    }
  }
  return throw_away(gone);
}

Result<std::vector<Folders::Publication>> Folders::publications(int volume, int data) const {
  std::vector<Publication> out;
  const OwnDescriptor records = open_folder_at(volume, kPublished);
  if (!records.is_open()) return failed("cannot read where the volume is in use");
  for (const std::string& name : names_in(records.get())) {
    ORLOP_ASSIGN(const std::string bytes, read_at(records.get(), name));
    v1::PublishVolumeRequest request;
    if (!request.ParseFromString(bytes) || request.target_path().empty()) continue;
    bool read_only = false;
    if (mounts_.is_bound(data, request.target_path(), &read_only)) {
      out.push_back({request.target_path(), read_only, is_once(request.capability()), name});
    } else {
      ::unlinkat(records.get(), name.c_str(), 0);
    }
  }
  return out;
}

Status Folders::publish(const v1::PublishVolumeRequest& request) {
  ORLOP_TRY(check_id(request.id()));
  const std::string& target = request.target_path();
  if (!target.starts_with('/')) return {Code::kBadRequest, "the target path \"" + target + "\" is not absolute"};
  const std::lock_guard lock(mutex_);
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  const OwnDescriptor volume = open_folder_at(root.get(), request.id());
  if (!volume.is_open()) return errno == ENOENT ? missing(request.id()) : failed("cannot open the volume");
  const OwnDescriptor data = open_folder_at(volume.get(), kData);
  if (!data.is_open()) return failed("cannot open the volume's folder");
  ORLOP_ASSIGN(const auto published, publications(volume.get(), data.get()));
  for (const Publication& there : published) {
    if (there.target == target) {
      if (there.read_only == request.read_only()) return Status::ok();
      return {Code::kAlreadyExists,
              "the volume is mounted at " + target + (there.read_only ? " read-only" : " to write")};
    }
    if (there.once || is_once(request.capability())) {
      return {Code::kConflict, "volume uses the ReadWriteOncePod access mode and is already in use by another pod"};
    }
  }
  const OwnDescriptor records = open_folder_at(volume.get(), kPublished);
  if (!records.is_open()) return failed("cannot note where the volume is in use");
  // Before the mount: one that nobody knows of must not be.
  ORLOP_TRY(write_at(records.get(), record_name(target), request.SerializeAsString()));
  if (::mkdir(target.c_str(), 0750) != 0 && errno != EEXIST) return failed("cannot make " + target);
  struct stat info {};
  if (::lstat(target.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return {Code::kBadRequest, target + " is no folder"};
  }
  return mounts_.bind(data.get(), target, request.read_only());
}

Status Folders::unpublish(const v1::UnpublishVolumeRequest& request) {
  ORLOP_TRY(check_id(request.id()));
  const std::string& target = request.target_path();
  if (!target.starts_with('/')) return {Code::kBadRequest, "the target path \"" + target + "\" is not absolute"};
  const std::lock_guard lock(mutex_);
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  const OwnDescriptor volume = open_folder_at(root.get(), request.id());
  if (volume.is_open()) {
    const OwnDescriptor data = open_folder_at(volume.get(), kData);
    bool read_only = false;
    if (data.is_open() && mounts_.is_bound(data.get(), target, &read_only)) ORLOP_TRY(mounts_.unmount(target));
    const OwnDescriptor records = open_folder_at(volume.get(), kPublished);
    if (records.is_open()) ::unlinkat(records.get(), record_name(target).c_str(), 0);
  }
  // Only an empty folder: whatever else stands there is not ours.
  if (::rmdir(target.c_str()) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == ENOTDIR || errno == EBUSY) {
    return Status::ok();
  }
  return failed("cannot remove " + target);
}

Result<v1::VolumeHealthResponse> Folders::health(const std::string& id) {
  ORLOP_TRY(check_id(id));
  const std::lock_guard lock(mutex_);
  const OwnDescriptor root = open_root();
  if (!root.is_open()) return failed("cannot open " + settings_.folder);
  const OwnDescriptor volume = open_folder_at(root.get(), id);
  if (!volume.is_open()) return errno == ENOENT ? missing(id) : failed("cannot open the volume");
  v1::VolumeHealthResponse out;
  const OwnDescriptor data = open_folder_at(volume.get(), kData);
  struct statvfs info {};
  if (!data.is_open() || ::fstatvfs(data.get(), &info) != 0) {
    out.set_abnormal(true);
    out.set_message(std::string("the volume's folder cannot be read: ") + std::strerror(errno));
    return out;
  }
  const auto unit = static_cast<int64_t>(info.f_frsize);
  out.set_capacity_bytes(static_cast<int64_t>(info.f_blocks) * unit);
  out.set_available_bytes(static_cast<int64_t>(info.f_bavail) * unit);
  out.set_used_bytes(static_cast<int64_t>(info.f_blocks - info.f_bfree) * unit);
  return out;
}

}  // namespace orlop::local
