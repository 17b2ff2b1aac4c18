#include "plugins/node-agent/volumes/claims.hpp"

#include "orlop/objects.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/storage.pb.h"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/volumes/host_path.hpp"
#include "plugins/node-agent/volumes/ownership.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
namespace core = k8s::io::api::core::v1;

constexpr uint32_t kCallMs = 60'000;

// What keeps a pod from its claim, as the kubelet's event says it.
Status unprocessed(Code code, const kube::Pod& pod, const storage::PodVolume& volume, const std::string& why) {
  const std::string& name = volume.name();
  return {code, "Unable to attach or mount volumes: unmounted volumes=[" + name +
                    "], unattached volumes=[], failed to process volumes=[" + name + "]: error processing PVC " +
                    pod.metadata().namespace_() + "/" + storage::claim_name(pod, volume).value_or("") + ": " + why};
}

Status not_mounted(const Status& status, const storage::PersistentVolume& volume) {
  return {status.code(),
          "MountVolume.SetUp failed for volume \"" + volume.metadata().name() + "\" : " + status.message()};
}

Status check_local(const storage::PersistentVolume& volume) {
  const std::string& path = volume.spec().persistentvolumesource().local().path();
  const std::string head =
      "MountVolume.NewMounter initialization failed for volume \"" + volume.metadata().name() + "\" : path \"" + path;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {Code::kUnavailable, head + "\" does not exist"};
  if (!S_ISDIR(info.st_mode)) return {Code::kInvalid, head + "\" is not a directory"};
  return Status::ok();
}

bool is_once(const storage::Claim& claim) {
  return storage::has_access_mode(claim, "ReadWriteOncePod");
}

}  // namespace

std::string ClaimVolumes::records_folder(const std::string& uid) const {
  return config_.pods_folder + "/" + uid + "/claims";
}

std::optional<ClaimVolumes::Record> ClaimVolumes::read_record(const std::string& uid, const std::string& volume) const {
  std::ifstream file(records_folder(uid) + "/" + volume);
  if (!file) return std::nullopt;
  Record out;
  std::getline(file, out.driver);
  std::getline(file, out.id);
  std::getline(file, out.once_volume);
  std::getline(file, out.staging);
  return out;
}

Status ClaimVolumes::write_record(const std::string& uid, const std::string& volume, const Record& record) const {
  ORLOP_TRY(make_folder(records_folder(uid), 0750));
  const std::string text = record.driver + "\n" + record.id + "\n" + record.once_volume + "\n" + record.staging + "\n";
  return write_file(records_folder(uid) + "/" + volume, text, 0640);
}

void ClaimVolumes::each_record(
    const std::function<void(const std::string& uid, const std::string& volume, const Record&)>& visit) const {
  std::error_code error;
  for (const auto& pod : fs::directory_iterator(config_.pods_folder, error)) {
    const std::string uid = pod.path().filename();
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(records_folder(uid), none)) {
      const std::string volume = entry.path().filename();
      const auto record = read_record(uid, volume);
      if (record) visit(uid, volume, *record);
    }
  }
}

Status ClaimVolumes::prepare(const kube::Pod& pod, const storage::PodVolume& volume, const std::string& folder) {
  const std::string& uid = pod.metadata().uid();
  ORLOP_ASSIGN(const Bound bound, find_bound(pod, volume));
  const storage::PersistentVolume& persistent = bound.volume;
  ORLOP_TRY(check_place(pod, persistent));
  if (is_once(bound.claim)) ORLOP_TRY(take(pod, persistent));
  const auto& source = persistent.spec().persistentvolumesource();
  const bool was_here = read_record(uid, volume.name()).has_value();
  Record record;
  if (is_once(bound.claim)) record.once_volume = persistent.metadata().name();
  ClaimMount mount;
  mount.read_only = volume.volumesource().persistentvolumeclaim().readonly();
  if (source.has_csi()) {
    mount.path = folder;
    mount.read_only = mount.read_only || source.csi().readonly();
    const Status published = publish(pod, volume, bound, mount, std::move(record));
    if (!published) return not_mounted(published, persistent);
  } else if (source.has_hostpath() || source.has_local()) {
    mount.path = source.has_hostpath() ? source.hostpath().path() : source.local().path();
    ORLOP_TRY(write_record(uid, volume.name(), record));
    if (source.has_local()) ORLOP_TRY(check_local(persistent));
    if (const Status fine = check_host_path(source.hostpath()); !fine) return not_mounted(fine, persistent);
  } else {
    return not_mounted({Code::kInvalid, "no plugin on this node mounts this type of volume"}, persistent);
  }
  const auto group = fs_group_of(pod);
  if (group && !source.has_hostpath() && !mount.read_only) {
    // What the pod has made of it since stays as it is when the agent comes again.
    const bool only_if_other = was_here || pod.spec().securitycontext().fsgroupchangepolicy() == "OnRootMismatch";
    const Status given = give_to_group(mount.path, {*group, false, only_if_other});
    if (!given) return not_mounted(given, persistent);
  }
  const std::lock_guard lock(mutex_);
  known_[uid][volume.name()] = std::move(mount);
  return Status::ok();
}

Result<ClaimVolumes::Bound> ClaimVolumes::find_bound(const kube::Pod& pod, const storage::PodVolume& volume) {
  const std::string& space = pod.metadata().namespace_();
  const std::string name = *storage::claim_name(pod, volume);
  const std::string& uid = pod.metadata().uid();
  {
    // Before anything is read, so that no change falls in between.
    const std::lock_guard lock(mutex_);
    waiting_[{space, name}][uid] = {space, pod.metadata().name()};
  }
  auto claim = Objects<storage::Claim>(host_).get(space, name);
  if (claim.code() == Code::kNotFound) {
    return unprocessed(Code::kNotFound, pod, volume,
                       "failed to fetch PVC from API server: persistentvolumeclaim \"" + name + "\" not found");
  }
  if (!claim) return claim.status();
  if (volume.volumesource().has_ephemeral()) {
    const Status own = storage::check_ephemeral(pod, claim->object);
    if (!own) return unprocessed(Code::kInvalid, pod, volume, own.message());
  }
  const bool was_here = read_record(uid, volume.name()).has_value();
  if (claim->object.metadata().has_deletiontimestamp() && !was_here) {
    return unprocessed(Code::kNotFound, pod, volume, "PVC is being deleted");
  }
  if (!storage::is_bound(claim->object) || claim->object.status().phase() != "Bound") {
    return unprocessed(Code::kNotFound, pod, volume, "PVC is not bound");
  }
  const std::string& volume_name = claim->object.spec().volumename();
  auto persistent = Objects<storage::PersistentVolume>(host_).get("", volume_name);
  if (!persistent) {
    return unprocessed(persistent.code(), pod, volume,
                       "failed to fetch PV \"" + volume_name + "\" from API server: " + persistent.message());
  }
  if (persistent->object.spec().claimref().uid() != claim->object.metadata().uid()) {
    return unprocessed(Code::kNotFound, pod, volume, "PV \"" + volume_name + "\" is bound to another claim");
  }
  if (storage::volume_mode_of(persistent->object) == "Block") {
    return unprocessed(
        Code::kInvalid, pod, volume,
        "volume " + volume.name() + " has volumeMode Block, which this node does not give to containers");
  }
  const std::lock_guard lock(mutex_);
  const auto waiting = waiting_.find({space, name});
  if (waiting != waiting_.end()) {
    waiting->second.erase(uid);
    if (waiting->second.empty()) waiting_.erase(waiting);
  }
  return Bound{std::move(claim->object), std::move(persistent->object)};
}

Status ClaimVolumes::check_place(const kube::Pod& pod, const storage::PersistentVolume& volume) const {
  if (!volume.spec().nodeaffinity().has_required()) return Status::ok();
  const std::string& name = pod.spec().nodename();
  ORLOP_ASSIGN(const auto node, Objects<core::Node>(host_).get("", name));
  if (storage::is_reachable_from(volume, name, node.object.metadata().labels())) return Status::ok();
  return {Code::kInvalid, "MountVolume.NodeAffinity check failed for volume \"" + volume.metadata().name() +
                              "\" : no matching NodeSelectorTerms"};
}

// Of pods on this machine; that there are none elsewhere is the scheduler's affair.
Status ClaimVolumes::take(const kube::Pod& pod, const storage::PersistentVolume& volume) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(holders_loaded_, true)) load_holders();
  const auto [holder, is_new] = holders_.emplace(volume.metadata().name(), pod.metadata().uid());
  if (is_new || holder->second == pod.metadata().uid()) return Status::ok();
  return not_mounted(
      {Code::kUnavailable, "volume uses the ReadWriteOncePod access mode and is already in use by another pod"},
      volume);
}

void ClaimVolumes::load_holders() {
  each_record([this](const std::string& uid, const std::string&, const Record& record) {
    if (!record.once_volume.empty()) holders_.emplace(record.once_volume, uid);
  });
}

Status ClaimVolumes::publish(const kube::Pod& pod, const storage::PodVolume& volume, const Bound& bound,
                             const ClaimMount& mount, Record record) {
  const auto& csi = bound.volume.spec().persistentvolumesource().csi();
  const Target target{"storage", csi.driver(), kCallMs};
  const auto& modes = bound.claim.spec().accessmodes();
  v1::VolumeCapability capability;
  capability.set_access_mode(is_once(bound.claim) ? "ReadWriteOncePod" : modes.empty() ? "" : modes[0]);
  capability.set_volume_mode("Filesystem");
  capability.set_fs_type(csi.fstype());
  *capability.mutable_mount_options() = bound.volume.spec().mountoptions();
  ORLOP_ASSIGN(const auto info, call<v1::StorageInfoResponse>(host_, target, "orlop.v1.StorageController/GetInfo",
                                                              v1::StorageInfoRequest()));
  record.driver = csi.driver();
  record.id = csi.volumehandle();
  if (info.stages()) {
    // One place for the volume on this machine, which its pods share.
    record.staging = fs::path(config_.pods_folder).parent_path() / "staged" / bound.volume.metadata().uid();
  }
  std::unique_lock staging(staging_mutex_, std::defer_lock);
  if (info.stages()) staging.lock();
  ORLOP_TRY(write_record(pod.metadata().uid(), volume.name(), record));
  if (info.stages()) {
    ORLOP_TRY(make_folder(record.staging, 0750));
    v1::StageVolumeRequest stage;
    stage.set_id(record.id);
    stage.set_staging_path(record.staging);
    *stage.mutable_capability() = capability;
    *stage.mutable_context() = csi.volumeattributes();
    ORLOP_TRY(call<v1::StageVolumeResponse>(host_, target, "orlop.v1.StorageNode/StageVolume", stage).status());
  }
  v1::PublishVolumeRequest request;
  request.set_id(record.id);
  request.set_target_path(mount.path);
  request.set_staging_path(record.staging);
  *request.mutable_capability() = capability;
  *request.mutable_context() = csi.volumeattributes();
  request.set_read_only(mount.read_only);
  return call<v1::PublishVolumeResponse>(host_, target, "orlop.v1.StorageNode/PublishVolume", request).status();
}

Status ClaimVolumes::unpublish(const std::string& uid, const std::string& volume, const Record& record) {
  const Target target{"storage", record.driver, kCallMs};
  v1::UnpublishVolumeRequest request;
  request.set_id(record.id);
  request.set_target_path(config_.pods_folder + "/" + uid + "/volumes/" + volume);
  const Status done =
      call<v1::UnpublishVolumeResponse>(host_, target, "orlop.v1.StorageNode/UnpublishVolume", request).status();
  if (!done && done.code() != Code::kNotFound) return done;
  std::unique_lock staging(staging_mutex_, std::defer_lock);
  if (!record.staging.empty()) staging.lock();
  bool is_last = !record.staging.empty();
  each_record([&](const std::string& other_uid, const std::string& other, const Record& there) {
    const bool is_this = other_uid == uid && other == volume;
    is_last = is_last && (is_this || there.staging != record.staging);
  });
  if (is_last) {
    v1::UnstageVolumeRequest unstage;
    unstage.set_id(record.id);
    unstage.set_staging_path(record.staging);
    const Status unstaged =
        call<v1::UnstageVolumeResponse>(host_, target, "orlop.v1.StorageNode/UnstageVolume", unstage).status();
    if (!unstaged && unstaged.code() != Code::kNotFound) return unstaged;
    ::rmdir(record.staging.c_str());
  }
  std::error_code error;
  fs::remove(records_folder(uid) + "/" + volume, error);
  return Status::ok();
}

std::optional<ClaimMount> ClaimVolumes::find(const std::string& uid, const std::string& volume) const {
  const std::lock_guard lock(mutex_);
  const auto pod = known_.find(uid);
  if (pod == known_.end()) return std::nullopt;
  const auto found = pod->second.find(volume);
  return found == pod->second.end() ? std::nullopt : std::optional<ClaimMount>(found->second);
}

Status ClaimVolumes::remove(const std::string& uid) {
  std::vector<std::string> volumes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(records_folder(uid), error)) {
    volumes.push_back(entry.path().filename());
  }
  for (const std::string& volume : volumes) {
    const auto record = read_record(uid, volume);
    // A file that a crash left half written stands for nothing yet.
    if (!record || record->driver.empty() || volume.ends_with(".new")) continue;
    const Status done = unpublish(uid, volume, *record);
    if (done) continue;
    return {done.code(), "UnmountVolume.TearDown failed for volume \"" + volume + "\" : " + done.message()};
  }
  const std::lock_guard lock(mutex_);
  known_.erase(uid);
  std::erase_if(holders_, [&](const auto& holder) { return holder.second == uid; });
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    waiting->second.erase(uid);
    waiting = waiting->second.empty() ? waiting_.erase(waiting) : std::next(waiting);
  }
  return Status::ok();
}

std::vector<ObjectKey> ClaimVolumes::claim_changed(const ObjectKey& claim) {
  const std::lock_guard lock(mutex_);
  std::vector<ObjectKey> out;
  const auto found = waiting_.find(claim);
  if (found == waiting_.end()) return out;
  for (const auto& [uid, pod] : found->second) out.push_back(pod);
  return out;
}

}  // namespace orlop::agent
