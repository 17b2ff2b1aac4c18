// What a container does with its pod's volumes: volumeMounts and volumeDevices. Some faults carry the path of the list
// and not of the mount, as upstream's do.
#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/volume_rules.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace orlop::apikube {
namespace {

using Mounts = google::protobuf::RepeatedPtrField<corev1::VolumeMount>;
using Devices = google::protobuf::RepeatedPtrField<corev1::VolumeDevice>;

void validate_propagation(const corev1::VolumeMount& mount, bool privileged, const FieldPath& path,
                          FieldErrors* errors) {
  if (!mount.has_mountpropagation()) return;
  const std::string& mode = mount.mountpropagation();
  if (mode != "Bidirectional" && mode != "HostToContainer" && mode != "None") {
    errors->not_supported(path, mode, {"Bidirectional", "HostToContainer", "None"});
  }
  if (mode == "Bidirectional" && !privileged) {
    errors->forbidden(path, "Bidirectional mount propagation is available only to privileged containers");
  }
}

void validate_recursive_read_only(const corev1::VolumeMount& mount, const FieldPath& path, FieldErrors* errors) {
  if (!mount.has_recursivereadonly() || mount.recursivereadonly() == "Disabled") return;
  if (mount.recursivereadonly() != "Enabled" && mount.recursivereadonly() != "IfPossible") {
    errors->not_supported(path, mount.recursivereadonly(), {"Disabled", "Enabled", "IfPossible"});
    return;
  }
  if (!mount.readonly()) errors->forbidden(path, "may only be specified when readOnly is true");
  if (mount.has_mountpropagation() && mount.mountpropagation() != "None") {
    errors->forbidden(path, "may only be specified when mountPropagation is None or not specified");
  }
}

void validate_volume_mounts(const Mounts& mounts, const Devices& devices, const KnownVolumes& volumes, bool privileged,
                            const FieldPath& path, FieldErrors* errors) {
  std::set<std::string> mount_paths;
  for (int i = 0; i < mounts.size(); ++i) {
    const auto& mount = mounts[i];
    const auto at = path.index(static_cast<size_t>(i));
    if (mount.name().empty()) errors->required(at.child("name"));
    if (!volumes.contains(mount.name())) errors->not_found(at.child("name"), mount.name());
    if (mount.mountpath().empty()) errors->required(at.child("mountPath"));
    if (!mount_paths.insert(mount.mountpath()).second)
      errors->invalid(at.child("mountPath"), mount.mountpath(), "must be unique");
    for (const auto& device : devices) {
      if (device.name() == mount.name())
        errors->invalid(at.child("name"), mount.name(), "must not already exist in volumeDevices");
      if (device.devicepath() == mount.mountpath()) {
        errors->invalid(at.child("mountPath"), mount.mountpath(), "must not already exist as a path in volumeDevices");
      }
    }
    if (!mount.subpath().empty()) validate_local_path(mount.subpath(), path.child("subPath"), errors);
    if (!mount.subpathexpr().empty()) {
      if (!mount.subpath().empty()) {
        errors->invalid(at.child("subPathExpr"), mount.subpathexpr(), "subPathExpr and subPath are mutually exclusive");
      }
      validate_local_path(mount.subpathexpr(), path.child("subPathExpr"), errors);
    }
    validate_propagation(mount, privileged, path.child("mountPropagation"), errors);
    validate_recursive_read_only(mount, path.child("recursiveReadOnly"), errors);
  }
}

bool climbs(const std::string& path) {
  const std::string framed = "/" + path + "/";
  return framed.find("/../") != std::string::npos;
}

void validate_volume_devices(const Devices& devices, const Mounts& mounts, const KnownVolumes& volumes,
                             const FieldPath& path, FieldErrors* errors) {
  std::set<std::string> paths, names;
  for (int i = 0; i < devices.size(); ++i) {
    const auto& device = devices[i];
    const auto at = path.index(static_cast<size_t>(i));
    const auto found = volumes.find(device.name());
    if (device.name().empty()) errors->required(at.child("name"));
    if (!device.name().empty() && !names.insert(device.name()).second)
      errors->invalid(at.child("name"), device.name(), "must be unique");
    if (found == volumes.end()) {
      errors->not_found(at.child("name"), device.name());
    } else if (!found->second) {
      errors->invalid(at.child("name"), device.name(),
                      "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    }
    if (device.devicepath().empty()) errors->required(at.child("devicePath"));
    if (paths.contains(device.devicepath()))
      errors->invalid(at.child("devicePath"), device.devicepath(), "must be unique");
    if (climbs(device.devicepath())) {
      errors->invalid(at.child("devicePath"), device.devicepath(), "can not contain backsteps ('..')");
    } else {
      paths.insert(device.devicepath());
    }
    for (const auto& mount : mounts) {
      if (mount.name() == device.name())
        errors->invalid(at.child("name"), device.name(), "must not already exist in volumeMounts");
      if (mount.mountpath() == device.devicepath()) {
        errors->invalid(at.child("devicePath"), device.devicepath(),
                        "must not already exist as a path in volumeMounts");
      }
    }
  }
}

}  // namespace

void validate_mounts(const Mounts& mounts, const Devices& devices, const KnownVolumes& volumes, bool privileged,
                     const FieldPath& path, FieldErrors* errors) {
  validate_volume_mounts(mounts, devices, volumes, privileged, path.child("volumeMounts"), errors);
  validate_volume_devices(devices, mounts, volumes, path.child("volumeDevices"), errors);
}

}  // namespace orlop::apikube
