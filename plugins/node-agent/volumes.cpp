#include "plugins/node-agent/volumes.hpp"

#include "orlop/kube/quantity.hpp"
#include "orlop/objects.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/api.pb.h"
#include "plugins/node-agent/files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
namespace core = k8s::io::api::core::v1;

constexpr int32_t kDefaultMode = 0644;
constexpr int64_t kTokenSeconds = 3607;

template <typename Object>
Status add_object(const Object* object, bool optional, const std::string& kind, const std::string& name,
                  const google::protobuf::RepeatedPtrField<core::KeyToPath>& items, int32_t mode, Files& out) {
  if (object == nullptr) {
    if (optional) return Status::ok();
    return {Code::kNotFound, kind + " \"" + name + "\" not found"};
  }
  std::map<std::string, std::string> data(object->data().begin(), object->data().end());
  if constexpr (requires { object->binarydata(); }) {
    data.insert(object->binarydata().begin(), object->binarydata().end());
  }
  if (items.empty()) {
    for (const auto& [key, bytes] : data) out[key] = {bytes, static_cast<uint32_t>(mode)};
    return Status::ok();
  }
  for (const core::KeyToPath& item : items) {
    const auto found = data.find(item.key());
    if (found == data.end()) {
      if (optional) continue;
      return {Code::kNotFound, "references non-existent " + kind + " key: " + item.key()};
    }
    if (!is_inner_path(item.path())) return {Code::kInvalid, "path \"" + item.path() + "\" leaves its volume"};
    out[item.path()] = {found->second, static_cast<uint32_t>(item.has_mode() ? item.mode() : mode)};
  }
  return Status::ok();
}

template <typename Object>
Status add_stored(const Host& host, const std::string& name_space, const std::string& name, bool optional,
                  const std::string& kind, const google::protobuf::RepeatedPtrField<core::KeyToPath>& items,
                  int32_t mode, Files& out) {
  auto stored = Objects<Object>(host).get(name_space, name);
  if (!stored && stored.code() != Code::kNotFound) return stored.status();
  return add_object(stored ? &stored->object : nullptr, optional, kind, name, items, mode, out);
}

Status add_downward(const EnvironmentInputs& inputs,
                    const google::protobuf::RepeatedPtrField<core::DownwardAPIVolumeFile>& items, int32_t mode,
                    Files& out) {
  for (const auto& item : items) {
    if (!is_inner_path(item.path())) return {Code::kInvalid, "path \"" + item.path() + "\" leaves its volume"};
    FileContent file{{}, static_cast<uint32_t>(item.has_mode() ? item.mode() : mode)};
    if (item.has_fieldref()) {
      const auto value = field_value(inputs, item.fieldref().fieldpath());
      if (!value) return {Code::kInvalid, "unsupported fieldPath: " + item.fieldref().fieldpath()};
      file.bytes = *value;
    } else {
      const auto& reference = item.resourcefieldref();
      for (const Container& container : inputs.pod->spec().containers()) {
        if (container.name() != reference.containername()) continue;
        ORLOP_ASSIGN(file.bytes, resource_value(inputs, container, reference.resource(), reference.divisor().string()));
      }
    }
    out[item.path()] = std::move(file);
  }
  return Status::ok();
}

Status check_host_path(const core::HostPathVolumeSource& source) {
  const std::string& path = source.path();
  const std::string& type = source.type();
  struct stat info {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (type.empty()) return Status::ok();
  if (type == "DirectoryOrCreate" && !exists) return make_folder(path, 0755);
  if (type == "FileOrCreate" && !exists) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return {Code::kUnavailable, "cannot create " + path + ": " + std::strerror(errno)};
    ::close(file);
    return Status::ok();
  }
  const mode_t wanted = type.starts_with("Directory") ? S_IFDIR
                        : type.starts_with("File")    ? S_IFREG
                        : type == "Socket"            ? S_IFSOCK
                        : type == "CharDevice"        ? S_IFCHR
                                                      : S_IFBLK;
  if (exists && (info.st_mode & S_IFMT) == wanted) return Status::ok();
  return {Code::kInvalid, "hostPath type check failed: " + path + " is not a " + type};
}

Status make_empty_dir(const std::string& folder, const core::EmptyDirVolumeSource& source) {
  ORLOP_TRY(make_folder(folder, 0777));
  ::chmod(folder.c_str(), 0777);  // past the umask: any user of the pod may write
  if (source.medium() != "Memory" || is_mount_point(folder)) return Status::ok();
  std::string options = "mode=0777";
  if (source.has_sizelimit() && !source.sizelimit().string().empty()) {
    options += ",size=" + std::to_string(kube::quantity_value(source.sizelimit().string()));
  }
  if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return {Code::kUnavailable, "cannot mount a tmpfs at " + folder + ": " + std::strerror(errno)};
  }
  return Status::ok();
}

}  // namespace

Volumes::Volumes(Host host, const AgentConfig& config) : host_(host), config_(config) {}

std::string Volumes::volume_folder(const std::string& uid, const std::string& volume) const {
  return pod_folder(uid) + "/volumes/" + volume;
}

Status Volumes::prepare(const kube::Pod& pod, const std::string& host_ip) {
  Context context{&pod, {}};
  context.inputs.pod = &pod;
  context.inputs.host_ip = host_ip;
  context.inputs.pod_ip = pod.status().podip();
  ORLOP_TRY(make_folder(pod_folder(pod.metadata().uid()), 0750));
  ORLOP_TRY(make_folder(pod_folder(pod.metadata().uid()) + "/volumes", 0750));
  for (const Volume& volume : pod.spec().volumes()) {
    const Status made = prepare_one(context, volume);
    if (!made)
      return {made.code(), "MountVolume.SetUp failed for volume \"" + volume.name() + "\" : " + made.message()};
  }
  return Status::ok();
}

Status Volumes::prepare_one(const Context& context, const Volume& volume) {
  const auto& source = volume.volumesource();
  const std::string folder = volume_folder(context.pod->metadata().uid(), volume.name());
  if (source.has_hostpath()) return check_host_path(source.hostpath());
  if (source.has_emptydir()) return make_empty_dir(folder, source.emptydir());
  if (!source.has_configmap() && !source.has_secret() && !source.has_projected() && !source.has_downwardapi()) {
    return {Code::kInvalid, "no plugin on this node mounts this type of volume"};
  }
  ORLOP_ASSIGN(const Files files, collect(context, volume));
  ORLOP_TRY(make_folder(folder, 0755));
  ORLOP_TRY(write_atomically(folder, files));
  const auto& security = context.pod->spec().securitycontext();
  if (security.has_fsgroup()) return give_to_group(folder, static_cast<uint32_t>(security.fsgroup()));
  return Status::ok();
}

Result<Files> Volumes::collect(const Context& context, const Volume& volume) const {
  const auto& source = volume.volumesource();
  const std::string& name_space = context.pod->metadata().namespace_();
  Files files;
  if (source.has_configmap()) {
    const auto& from = source.configmap();
    ORLOP_TRY(add_stored<core::ConfigMap>(host_, name_space, from.localobjectreference().name(), from.optional(),
                                          "configmap", from.items(),
                                          from.has_defaultmode() ? from.defaultmode() : kDefaultMode, files));
  } else if (source.has_secret()) {
    const auto& from = source.secret();
    ORLOP_TRY(add_stored<core::Secret>(host_, name_space, from.secretname(), from.optional(), "secret", from.items(),
                                       from.has_defaultmode() ? from.defaultmode() : kDefaultMode, files));
  } else if (source.has_downwardapi()) {
    const auto& from = source.downwardapi();
    ORLOP_TRY(
        add_downward(context.inputs, from.items(), from.has_defaultmode() ? from.defaultmode() : kDefaultMode, files));
  } else {
    return collect_projected(context, source.projected());
  }
  return files;
}

Result<Files> Volumes::collect_projected(const Context& context, const core::ProjectedVolumeSource& source) const {
  const auto& metadata = context.pod->metadata();
  const int32_t mode = source.has_defaultmode() ? source.defaultmode() : kDefaultMode;
  Files files;
  for (const auto& part : source.sources()) {
    if (part.has_configmap()) {
      const auto& from = part.configmap();
      ORLOP_TRY(add_stored<core::ConfigMap>(host_, metadata.namespace_(), from.localobjectreference().name(),
                                            from.optional(), "configmap", from.items(), mode, files));
    }
    if (part.has_secret()) {
      const auto& from = part.secret();
      ORLOP_TRY(add_stored<core::Secret>(host_, metadata.namespace_(), from.localobjectreference().name(),
                                         from.optional(), "secret", from.items(), mode, files));
    }
    if (part.has_downwardapi()) ORLOP_TRY(add_downward(context.inputs, part.downwardapi().items(), mode, files));
    if (part.has_serviceaccounttoken()) {
      const auto& from = part.serviceaccounttoken();
      if (!is_inner_path(from.path())) return Status(Code::kInvalid, "path \"" + from.path() + "\" leaves its volume");
      v1::IssueTokenRequest request;
      request.set_namespace_(metadata.namespace_());
      request.set_service_account(context.pod->spec().serviceaccountname());
      if (!from.audience().empty()) request.add_audiences(from.audience());
      request.set_expiration_seconds(from.has_expirationseconds() ? from.expirationseconds() : kTokenSeconds);
      request.set_pod_name(metadata.name());
      request.set_pod_uid(metadata.uid());
      request.set_node_name(context.pod->spec().nodename());
      ORLOP_ASSIGN(const auto issued,
                   call<v1::IssueTokenResponse>(host_, {"api", "", 5000}, "orlop.v1.Tokens/Issue", request));
      files[from.path()] = {issued.token(), 0600};
      // Whoever the containers run as must be able to read it.
      if (context.pod->spec().securitycontext().has_fsgroup()) files[from.path()].mode = 0640;
      const bool as_root = !context.pod->spec().securitycontext().has_runasuser();
      if (!as_root) files[from.path()].mode = 0644;
    }
  }
  return files;
}

Result<std::vector<Mount>> Volumes::mounts(const kube::Pod& pod, const Container& container,
                                           const Environment& environment) const {
  std::vector<Mount> out;
  for (const auto& mount : container.volumemounts()) {
    const Volume* volume = nullptr;
    for (const Volume& candidate : pod.spec().volumes()) {
      if (candidate.name() == mount.name()) volume = &candidate;
    }
    if (volume == nullptr) return Status(Code::kInvalid, "volume \"" + mount.name() + "\" is not in the pod");
    const auto& source = volume->volumesource();
    std::string path =
        source.has_hostpath() ? source.hostpath().path() : volume_folder(pod.metadata().uid(), volume->name());
    const std::string sub_path =
        mount.subpathexpr().empty() ? mount.subpath() : expand(mount.subpathexpr(), environment);
    if (!sub_path.empty()) {
      ORLOP_ASSIGN(path, resolve_inside(path, sub_path, source.has_emptydir() || source.has_hostpath()));
    }
    const bool always_read_only = !source.has_emptydir() && !source.has_hostpath();
    out.push_back({path, mount.mountpath(), mount.readonly() || always_read_only, mount.mountpropagation()});
  }
  return out;
}

Result<std::string> Volumes::write_hosts_file(const kube::Pod& pod, const std::string& pod_ip) const {
  std::string text = "# Kubernetes-managed hosts file.\n";
  if (pod.spec().hostnetwork()) {
    std::ifstream own("/etc/hosts");
    text.assign(std::istreambuf_iterator<char>(own), {});
  } else {
    text +=
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
        "ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    const std::string host = pod.spec().hostname().empty() ? pod.metadata().name() : pod.spec().hostname();
    if (!pod_ip.empty()) {
      text += pod_ip + "\t";
      if (!pod.spec().subdomain().empty()) {
        text += host + "." + pod.spec().subdomain() + "." + pod.metadata().namespace_() + ".svc." +
                config_.cluster_domain + "\t";
      }
      text += host + "\n";
    }
  }
  if (!pod.spec().hostaliases().empty()) text += "\n# Entries added by HostAliases.\n";
  for (const auto& alias : pod.spec().hostaliases()) {
    text += alias.ip();
    for (const std::string& name : alias.hostnames()) text += "\t" + name;
    text += "\n";
  }
  const std::string path = pod_folder(pod.metadata().uid()) + "/etc-hosts";
  ORLOP_TRY(write_file(path, text, 0644));
  return path;
}

Status Volumes::remove(const std::string& pod_uid) const {
  return remove_tree(pod_folder(pod_uid));
}

std::vector<std::string> Volumes::known_pods() const {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config_.pods_folder, error)) out.push_back(entry.path().filename());
  return out;
}

Status write_atomically(const std::string& folder, const Files& files) {
  const std::string link = folder + "/..data";
  if (has_same_files(link, files)) return Status::ok();
  std::string fresh = folder + "/..XXXXXX";
  if (::mkdtemp(fresh.data()) == nullptr) {
    return {Code::kUnavailable, "cannot create a folder in " + folder + ": " + std::strerror(errno)};
  }
  ::chmod(fresh.c_str(), 0755);
  std::set<std::string> tops;
  for (const auto& [path, file] : files) {
    const fs::path full = fs::path(fresh) / path;
    std::error_code error;
    fs::create_directories(full.parent_path(), error);
    ORLOP_TRY(write_file(full.string(), file.bytes, file.mode));
    tops.insert(path.substr(0, path.find('/')));
  }
  std::error_code error;
  const fs::path old = fs::read_symlink(link, error);
  const std::string next = folder + "/..data_next";
  ::unlink(next.c_str());
  if (::symlink(fs::path(fresh).filename().c_str(), next.c_str()) != 0 || ::rename(next.c_str(), link.c_str()) != 0) {
    return {Code::kUnavailable, "cannot switch " + link + ": " + std::strerror(errno)};
  }
  for (const std::string& top : tops) {
    const std::string visible = folder + "/" + top;
    struct stat info {};
    if (::lstat(visible.c_str(), &info) != 0 && ::symlink(("..data/" + top).c_str(), visible.c_str()) != 0) {
      return {Code::kUnavailable, "cannot create " + visible + ": " + std::strerror(errno)};
    }
  }
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("..") && !tops.contains(name)) ::unlink(entry.path().c_str());
  }
  if (!old.empty()) fs::remove_all(fs::path(folder) / old.filename(), error);
  return Status::ok();
}

}  // namespace orlop::agent
