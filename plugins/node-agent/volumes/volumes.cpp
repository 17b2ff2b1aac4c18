#include "plugins/node-agent/volumes/volumes.hpp"

#include "orlop/rpc.hpp"
#include "orlop/v1/api.pb.h"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/volumes/empty_dir.hpp"
#include "plugins/node-agent/volumes/host_path.hpp"
#include "plugins/node-agent/volumes/hosts_file.hpp"
#include "plugins/node-agent/volumes/sub_path.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
namespace core = k8s::io::api::core::v1;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kTokenSeconds = 3600;
constexpr int64_t kTokenSecondsMax = 24 * 3600;  // renewed by then, however long it is good for
constexpr int64_t kRetryNs = 10 * kSecond;

std::string metadata_text(const kube::Pod& pod) {
  std::string out;
  for (const auto* entries : {&pod.metadata().labels(), &pod.metadata().annotations()}) {
    const std::map<std::string, std::string> sorted(entries->begin(), entries->end());
    for (const auto& [key, value] : sorted) out += key + '\0' + value + '\0';
    out += '\1';
  }
  return out;
}

const Volume* find_volume(const kube::Pod& pod, const std::string& name) {
  const auto& volumes = pod.spec().volumes();
  const auto found = std::find_if(volumes.begin(), volumes.end(), [&](const Volume& v) { return v.name() == name; });
  return found == volumes.end() ? nullptr : &*found;
}

Result<bool> read_recursively(const core::VolumeMount& mount, bool supported) {
  const std::string& mode = mount.recursivereadonly();
  if (mode.empty() || mode == "Disabled") return false;
  const std::string head = "failed to resolve recursive read-only mode: volume \"" + mount.name() +
                           "\" requested recursive read-only mode, but it is not ";
  if (!mount.readonly()) return Status(Code::kInvalid, head + "read-only");
  if (mode == "Enabled" && !supported) return Status(Code::kInvalid, head + "supported by the runtime");
  return supported;
}

}  // namespace

Volumes::PodState& Volumes::state_of(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  auto& state = states_[uid];
  if (state == nullptr) state = std::make_unique<PodState>();
  return *state;
}

Result<Volumes::Prepared> Volumes::prepare(const kube::Pod& pod) {
  const std::string& uid = pod.metadata().uid();
  PodState& state = state_of(uid);
  bool changed;
  {
    const std::lock_guard lock(mutex_);
    changed = changed_.erase(uid) > 0;
  }
  const int64_t now_ns = host_.monotonic_now_ns();
  Prepared out;
  const auto renew_at = [&] {
    int64_t at = 0;
    for (const auto& [key, token] : state.tokens) at = at == 0 ? token.renew_at_ns : std::min(at, token.renew_at_ns);
    return at;
  };
  const auto& volumes = pod.spec().volumes();
  const bool tells = std::any_of(volumes.begin(), volumes.end(), [](const Volume& v) { return tells_of_metadata(v); });
  const std::string metadata = tells ? metadata_text(pod) : std::string();
  const int64_t due = renew_at();
  if (state.prepared && !changed && metadata == state.metadata && (due == 0 || now_ns < due)) {
    out.again_at_ns = due;
    return out;
  }
  if (!state.prepared) {
    // Before anything is read, so that no change falls in between.
    by_volumes_.set({{pod.metadata().namespace_(), pod.metadata().name()}, uid}, objects_of_volumes(pod));
    ORLOP_TRY(make_folder(pod_folder(uid), 0750));
    ORLOP_TRY(make_folder(pod_folder(uid) + "/volumes", 0750));
  }
  for (const Volume& volume : volumes) {
    const bool renewal = has_payload(volume) && was_written(volume_folder(uid, volume.name()));
    if (state.prepared && !has_payload(volume)) continue;
    if (storage::claim_name(pod, volume)) {
      ORLOP_TRY(claims_.prepare(pod, volume, volume_folder(uid, volume.name())));
      continue;
    }
    const Status made = prepare_one(pod, state, volume);
    if (made) continue;
    std::string text = "MountVolume.SetUp failed for volume \"" + volume.name() + "\" : " + made.message();
    if (!renewal) return Status(made.code(), std::move(text));
    out.stale.push_back(std::move(text));
  }
  state.prepared = true;
  state.metadata = metadata;
  out.again_at_ns = renew_at();
  if (!out.stale.empty()) {
    const std::lock_guard lock(mutex_);
    changed_.insert(uid);
    const int64_t retry_ns = now_ns + kRetryNs;
    out.again_at_ns = out.again_at_ns == 0 ? retry_ns : std::min(out.again_at_ns, retry_ns);
  }
  return out;
}

Status Volumes::prepare_one(const kube::Pod& pod, PodState& state, const Volume& volume) {
  const auto& source = volume.volumesource();
  const std::string folder = volume_folder(pod.metadata().uid(), volume.name());
  if (source.has_hostpath()) return check_host_path(source.hostpath());
  if (has_payload(volume)) return write_payload(pod, state, volume, folder);
  if (!source.has_emptydir()) return {Code::kInvalid, "no plugin on this node mounts this type of volume"};
  ORLOP_TRY(make_empty_dir(mounter_, pod, source.emptydir(), folder, machine_.memory_bytes));
  const auto group = fs_group_of(pod);
  // What the pod has made of it since stays as it is when the agent comes again.
  if (group) return give_to_group(folder, {*group, false, true});
  return Status::ok();
}

Status Volumes::write_payload(const kube::Pod& pod, PodState& state, const Volume& volume, const std::string& folder) {
  EnvironmentInputs inputs;
  inputs.pod = &pod;
  inputs.host_ip = machine_.ip;
  inputs.pod_ip = pod.status().podip();
  inputs.cpu_milli_total = machine_.cpus * 1000;
  inputs.memory_total = machine_.memory_bytes;
  inputs.disk_total = machine_.disk_bytes;
  const TokenSource tokens = [&](const TokenProjection& projection) {
    return token_for(pod, state.tokens[{volume.name(), projection.path()}], projection);
  };
  ORLOP_ASSIGN(const Payload payload, collect_payload(host_, inputs, volume, tokens));
  core::EmptyDirVolumeSource place;
  if (!volume.volumesource().has_configmap()) place.set_medium("Memory");
  ORLOP_TRY(make_empty_dir(mounter_, pod, place, folder, machine_.memory_bytes));
  std::optional<GroupOwnership> ownership;
  if (const auto group = fs_group_of(pod)) ownership = GroupOwnership{*group, true, false};
  ORLOP_TRY(write_atomically(folder, payload.files, ownership));
  for (const ObjectReference& object : payload.immutable) by_volumes_.drop(pod.metadata().uid(), object);
  return Status::ok();
}

Result<std::string> Volumes::token_for(const kube::Pod& pod, Token& token, const TokenProjection& projection) const {
  const int64_t now_ns = host_.monotonic_now_ns();
  if (!token.text.empty() && now_ns < token.renew_at_ns) return token.text;
  v1::IssueTokenRequest request;
  request.set_namespace_(pod.metadata().namespace_());
  request.set_service_account(pod.spec().serviceaccountname());
  if (!projection.audience().empty()) request.add_audiences(projection.audience());
  request.set_expiration_seconds(projection.has_expirationseconds() ? projection.expirationseconds() : kTokenSeconds);
  request.set_pod_name(pod.metadata().name());
  request.set_pod_uid(pod.metadata().uid());
  request.set_node_name(pod.spec().nodename());
  auto issued = call<v1::IssueTokenResponse>(host_, {"api", "", 5000}, "orlop.v1.Tokens/Issue", request);
  if (!issued) {
    return Status(issued.code(), "failed to fetch token: " + issued.message());
  }
  const int64_t seconds = issued->expires_unix_s() - host_.wall_now_ns() / kSecond;
  token.text = issued->token();
  token.renew_at_ns = now_ns + std::min(seconds * 4 / 5, kTokenSecondsMax) * kSecond;
  return token.text;
}

std::string Volumes::root_of(const kube::Pod& pod, const Volume& volume) const {
  const auto& source = volume.volumesource();
  if (source.has_hostpath()) return source.hostpath().path();
  const auto claim = claims_.find(pod.metadata().uid(), volume.name());
  return claim ? claim->path : volume_folder(pod.metadata().uid(), volume.name());
}

Result<std::vector<Mount>> Volumes::mounts(const kube::Pod& pod, const Container& container,
                                           const Environment& environment, bool recursive_read_only) {
  std::vector<Mount> out;
  for (int i = 0; i < container.volumemounts_size(); ++i) {
    const auto& mount = container.volumemounts(i);
    const Volume* volume = find_volume(pod, mount.name());
    if (volume == nullptr) {
      return Status(Code::kInvalid,
                    "cannot find volume \"" + mount.name() + "\" to mount into container \"" + container.name() + "\"");
    }
    Mount entry;
    entry.host_path = root_of(pod, *volume);
    std::string sub_path = mount.subpath();
    if (!mount.subpathexpr().empty()) {
      std::vector<std::string> missing;
      sub_path = expand(mount.subpathexpr(), environment, &missing);
      if (!missing.empty()) return Status(Code::kInvalid, "missing value for \"" + missing.front() + "\"");
    }
    if (!sub_path.empty()) {
      ORLOP_ASSIGN(entry.host_path, sub_path_mount(pod, container, i, *volume, sub_path));
    }
    entry.container_path = mount.mountpath().starts_with('/') ? mount.mountpath() : "/" + mount.mountpath();
    const auto claim = claims_.find(pod.metadata().uid(), volume->name());
    entry.read_only = mount.readonly() || has_payload(*volume) || (claim && claim->read_only);
    entry.propagation = mount.mountpropagation();
    ORLOP_ASSIGN(entry.recursive_read_only, read_recursively(mount, recursive_read_only));
    out.push_back(std::move(entry));
  }
  return out;
}

Result<std::string> Volumes::sub_path_mount(const kube::Pod& pod, const Container& container, int index,
                                            const Volume& volume, const std::string& sub_path) {
  if (sub_path.starts_with('/')) {
    return Status(Code::kInvalid, "error SubPath `" + sub_path + "` must not be an absolute path");
  }
  if (!is_inner_path(sub_path)) {
    return Status(Code::kInvalid, "unable to provision SubPath `" + sub_path + "`: must not contain '..'");
  }
  const std::string& uid = pod.metadata().uid();
  const std::string root = root_of(pod, volume);
  const std::string target =
      pod_folder(uid) + "/volume-subpaths/" + volume.name() + "/" + container.name() + "/" + std::to_string(index);
  const auto claim = claims_.find(uid, volume.name());
  const bool may_write = !has_payload(volume) && !(claim && claim->read_only);
  const Status mounted = mount_inside(mounter_, root, sub_path, may_write, target);
  if (mounted) return target;
  // What exactly was wrong could tell of the machine's files.
  host_.log_warn("volumes: pod " + uid + ": " + mounted.message());
  return Status(
      mounted.code() == Code::kUnavailable ? Code::kUnavailable : Code::kInvalid,
      "failed to prepare subPath for volumeMount \"" + volume.name() + "\" of container \"" + container.name() + "\"");
}

Result<std::string> Volumes::write_hosts_file(const kube::Pod& pod, const std::vector<std::string>& pod_ips) const {
  std::string machine_hosts;
  if (pod.spec().hostnetwork()) {
    std::ifstream own("/etc/hosts");
    machine_hosts.assign(std::istreambuf_iterator<char>(own), {});
  }
  std::string path = pod_folder(pod.metadata().uid()) + "/etc-hosts";
  const std::string text = hosts_file(pod, pod_ips, config_.cluster_domain, machine_hosts);
  ORLOP_TRY(write_file(path, text, 0644));
  return path;
}

Status Volumes::remove(const std::string& pod_uid) {
  // Paths below volumes go before the volumes that they are of.
  ORLOP_TRY(remove_tree(pod_folder(pod_uid) + "/volume-subpaths"));
  ORLOP_TRY(claims_.remove(pod_uid));
  ORLOP_TRY(remove_tree(pod_folder(pod_uid)));
  by_volumes_.drop(pod_uid);
  by_variables_.drop(pod_uid);
  const std::lock_guard lock(mutex_);
  states_.erase(pod_uid);
  changed_.erase(pod_uid);
  retry_.erase(pod_uid);
  return Status::ok();
}

std::vector<std::string> Volumes::known_pods() const {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config_.pods_folder, error)) out.push_back(entry.path().filename());
  return out;
}

bool Volumes::is_in_use(const std::string& pod_uid) const {
  const std::lock_guard lock(mutex_);
  return states_.contains(pod_uid);
}

std::vector<ObjectKey> Volumes::object_changed(const ObjectReference& object) {
  std::vector<ObjectKey> out;
  const auto by_volumes = by_volumes_.of(object);
  const auto by_variables = by_variables_.of(object);
  const std::lock_guard lock(mutex_);
  for (const ObjectUsers::User& user : by_volumes) {
    changed_.insert(user.uid);
    out.push_back(user.pod);
  }
  for (const ObjectUsers::User& user : by_variables) {
    retry_.insert(user.uid);
    out.push_back(user.pod);
  }
  return out;
}

void Volumes::wait_for_variables(const kube::Pod& pod) {
  by_variables_.set({{pod.metadata().namespace_(), pod.metadata().name()}, pod.metadata().uid()},
                    objects_of_variables(pod));
}

bool Volumes::take_retry(const std::string& pod_uid) {
  {
    const std::lock_guard lock(mutex_);
    if (retry_.erase(pod_uid) == 0) return false;
  }
  // Asked for again by whoever still misses something.
  by_variables_.drop(pod_uid);
  return true;
}

}  // namespace orlop::agent
