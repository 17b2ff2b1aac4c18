// Volumes, claims, storage classes and CSI's kinds.
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/storage_v1.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"
#include "plugins/api-kubernetes/kinds/volume_rules.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace storagev1 = k8s::io::api::storage::v1;

void volume_defaults(Message* object) {
  auto& volume = as<corev1::PersistentVolume>(object);
  auto* spec = volume.mutable_spec();
  if (volume.status().phase().empty()) volume.mutable_status()->set_phase("Pending");
  if (spec->persistentvolumereclaimpolicy().empty()) spec->set_persistentvolumereclaimpolicy("Retain");
  if (!spec->has_volumemode()) spec->set_volumemode("Filesystem");
  auto* source = spec->mutable_persistentvolumesource();
  if (source->has_hostpath() && !source->hostpath().has_type()) source->mutable_hostpath()->set_type("");
  if (source->has_iscsi() && source->iscsi().iscsiinterface().empty())
    source->mutable_iscsi()->set_iscsiinterface("default");
}

void volume_prepare(Message* object) {
  auto& volume = as<corev1::PersistentVolume>(object);
  volume.mutable_status()->Clear();
  volume.mutable_status()->set_phase("Pending");
}

void validate_volume_source(const corev1::PersistentVolumeSpec& spec, const FieldPath& path, FieldErrors* errors) {
  const auto& source = spec.persistentvolumesource();
  if (source.has_hostpath() && source.hostpath().path() == "/" && spec.persistentvolumereclaimpolicy() == "Recycle") {
    errors->forbidden(path.child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'");
  }
  if (source.has_local()) {
    if (source.local().path().empty()) errors->required(path.child("local", "path"));
    if (!spec.nodeaffinity().has_required()) {
      errors->required(FieldPath("metadata").child("annotations"), "Local volume requires node affinity");
    }
  }
  if (source.has_csi()) {
    if (source.csi().driver().empty()) errors->required(path.child("csi", "driver"));
    if (source.csi().volumehandle().empty()) errors->required(path.child("csi", "volumeHandle"));
  }
}

template <typename Modes>
void validate_once_pod(const Modes& modes, const FieldPath& path, FieldErrors* errors) {
  if (modes.size() > 1 && std::find(modes.begin(), modes.end(), "ReadWriteOncePod") != modes.end()) {
    errors->forbidden(path, "may not use ReadWriteOncePod with other access modes");
  }
}

void validate_volume(const Message& object, FieldErrors* errors) {
  const auto& spec = as<corev1::PersistentVolume>(object).spec();
  const FieldPath path("spec");
  if (spec.accessmodes().empty()) errors->required(path.child("accessModes"));
  static const std::vector<std::string_view> kModes = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                                       "ReadWriteOncePod"};
  for (const auto& mode : spec.accessmodes()) {
    if (std::find(kModes.begin(), kModes.end(), mode) == kModes.end())
      errors->not_supported(path.child("accessModes"), mode, kModes);
  }
  validate_once_pod(spec.accessmodes(), path.child("accessModes"), errors);
  if (spec.has_volumemode() && spec.volumemode() != "Block" && spec.volumemode() != "Filesystem") {
    errors->not_supported(path.child("volumeMode"), spec.volumemode(), {"Block", "Filesystem"});
  }
  validate_volume_source(spec, path, errors);
  if (spec.capacity().empty()) errors->required(path.child("capacity"));
  for (const auto& [name, amount] : spec.capacity()) {
    if (name != "storage") errors->not_supported(path.child("capacity"), name, {"storage"});
    if (quantity_or_zero(amount.string()).sign() <= 0)
      errors->invalid(path.child("capacity").key(name), amount.string(), "must be greater than zero");
  }
  const auto& policy = spec.persistentvolumereclaimpolicy();
  if (policy != "Delete" && policy != "Recycle" && policy != "Retain") {
    errors->not_supported(path.child("persistentVolumeReclaimPolicy"), policy, {"Delete", "Recycle", "Retain"});
  }
  std::vector<const google::protobuf::FieldDescriptor*> sources;
  spec.persistentvolumesource().GetReflection()->ListFields(spec.persistentvolumesource(), &sources);
  if (sources.empty()) errors->required(path, "must specify a volume type");
  for (size_t i = 1; i < sources.size(); ++i)
    errors->forbidden(path.child(sources[i]->name()), "may not specify more than 1 volume type");
  const auto& nfs = spec.persistentvolumesource().nfs();
  if (spec.persistentvolumesource().has_nfs()) {
    if (nfs.server().empty()) errors->required(path.child("nfs", "server"));
    if (nfs.path().empty()) errors->required(path.child("nfs", "path"));
    if (!nfs.path().empty() && !nfs.path().starts_with('/'))
      errors->invalid(path.child("nfs", "path"), nfs.path(), "must be an absolute path");
  }
  if (spec.persistentvolumesource().has_hostpath() && spec.persistentvolumesource().hostpath().path().empty()) {
    errors->required(path.child("hostPath", "path"));
  }
  if (!spec.storageclassname().empty()) {
    errors->invalid(path.child("storageClassName"), spec.storageclassname(),
                    dns1123_subdomain_faults(spec.storageclassname()));
  }
}

void validate_volume_update(const Message& object, const Message& current, std::string_view subresource,
                            FieldErrors* errors) {
  if (!subresource.empty()) return;
  const auto& now = as<corev1::PersistentVolume>(object).spec().persistentvolumesource();
  if (!same_message(now, as<corev1::PersistentVolume>(current).spec().persistentvolumesource())) {
    errors->forbidden(FieldPath("spec").child("persistentvolumesource"),
                      "spec.persistentvolumesource is immutable after creation");
  }
}

void claim_defaults(Message* object) {
  auto& claim = as<corev1::PersistentVolumeClaim>(object);
  if (claim.status().phase().empty()) claim.mutable_status()->set_phase("Pending");
  if (!claim.spec().has_volumemode()) claim.mutable_spec()->set_volumemode("Filesystem");
}

void claim_prepare(Message* object) {
  auto& claim = as<corev1::PersistentVolumeClaim>(object);
  claim.mutable_status()->Clear();
  claim.mutable_status()->set_phase("Pending");
}

void validate_claim(const Message& object, FieldErrors* errors) {
  const auto& spec = as<corev1::PersistentVolumeClaim>(object).spec();
  validate_claim_spec(spec, FieldPath("spec"), errors);
  validate_once_pod(spec.accessmodes(), FieldPath("spec").child("accessModes"), errors);
}

void validate_claim_update(const Message& object, const Message& current, std::string_view subresource,
                           FieldErrors* errors) {
  if (!subresource.empty()) return;
  const auto& spec = as<corev1::PersistentVolumeClaim>(object).spec();
  const auto& before = as<corev1::PersistentVolumeClaim>(current).spec();
  auto masked = spec;
  // Binding fills the volume's name in; a bound claim may ask for more.
  if (before.volumename().empty()) masked.set_volumename(before.volumename());
  if (!before.has_storageclassname()) masked.clear_storageclassname();
  *masked.mutable_resources()->mutable_requests() = before.resources().requests();
  if (spec.has_volumeattributesclassname()) masked.set_volumeattributesclassname(before.volumeattributesclassname());
  if (!same_message(masked, before)) {
    errors->forbidden(
        FieldPath("spec"),
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims");
  }
  const auto wanted = spec.resources().requests().find("storage");
  const auto had = before.resources().requests().find("storage");
  if (wanted != spec.resources().requests().end() && had != before.resources().requests().end() &&
      quantity_or_zero(wanted->second.string()) < quantity_or_zero(had->second.string())) {
    errors->forbidden(FieldPath("spec").child("resources", "requests", "storage"),
                      "field can not be less than status.capacity");
  }
}

void storage_class_defaults(Message* object) {
  auto& storage = as<storagev1::StorageClass>(object);
  if (!storage.has_reclaimpolicy()) storage.set_reclaimpolicy("Delete");
  if (!storage.has_volumebindingmode()) storage.set_volumebindingmode("Immediate");
}

void validate_storage_class(const Message& object, FieldErrors* errors) {
  const auto& storage = as<storagev1::StorageClass>(object);
  if (storage.provisioner().empty()) {
    errors->required(FieldPath("provisioner"), storage.provisioner());
  } else {
    std::string lower = storage.provisioner();
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    errors->invalid(FieldPath("provisioner"), storage.provisioner(), qualified_name_faults(lower));
  }
  if (storage.reclaimpolicy() != "Delete" && storage.reclaimpolicy() != "Retain") {
    errors->not_supported(FieldPath("reclaimPolicy"), storage.reclaimpolicy(), {"Delete", "Retain"});
  }
  if (storage.volumebindingmode() != "Immediate" && storage.volumebindingmode() != "WaitForFirstConsumer") {
    errors->not_supported(FieldPath("volumeBindingMode"), storage.volumebindingmode(),
                          {"Immediate", "WaitForFirstConsumer"});
  }
}

void validate_storage_class_update(const Message& object, const Message& current, std::string_view,
                                   FieldErrors* errors) {
  const auto& now = as<storagev1::StorageClass>(object);
  const auto& before = as<storagev1::StorageClass>(current);
  auto same_parameters = [&] {
    if (now.parameters().size() != before.parameters().size()) return false;
    return std::all_of(now.parameters().begin(), now.parameters().end(), [&](const auto& entry) {
      auto found = before.parameters().find(entry.first);
      return found != before.parameters().end() && found->second == entry.second;
    });
  };
  if (!same_parameters()) errors->forbidden(FieldPath("parameters"), "updates to parameters are forbidden.");
  if (now.provisioner() != before.provisioner())
    errors->forbidden(FieldPath("provisioner"), "updates to provisioner are forbidden.");
  if (now.reclaimpolicy() != before.reclaimpolicy())
    errors->forbidden(FieldPath("reclaimPolicy"), "updates to reclaimPolicy are forbidden.");
  if (now.volumebindingmode() != before.volumebindingmode()) {
    errors->invalid(FieldPath("volumeBindingMode"), now.volumebindingmode(), "field is immutable");
  }
}

void csi_driver_defaults(Message* object) {
  auto* spec = as<storagev1::CSIDriver>(object).mutable_spec();
  if (!spec->has_attachrequired()) spec->set_attachrequired(true);
  if (!spec->has_podinfoonmount()) spec->set_podinfoonmount(false);
  if (!spec->has_storagecapacity()) spec->set_storagecapacity(false);
  if (!spec->has_fsgrouppolicy()) spec->set_fsgrouppolicy("ReadWriteOnceWithFSType");
  if (spec->volumelifecyclemodes().empty()) spec->add_volumelifecyclemodes("Persistent");
  if (!spec->has_requiresrepublish()) spec->set_requiresrepublish(false);
  if (!spec->has_selinuxmount()) spec->set_selinuxmount(false);
}

constexpr KindHandler kHandlers[] = {
    {.id = "persistentvolumes",
     .set_defaults = volume_defaults,
     .prepare_create = volume_prepare,
     .validate = validate_volume,
     .validate_update = validate_volume_update},
    {.id = "persistentvolumeclaims",
     .set_defaults = claim_defaults,
     .prepare_create = claim_prepare,
     .validate = validate_claim,
     .validate_update = validate_claim_update},
    {.id = "storageclasses.storage.k8s.io",
     .set_defaults = storage_class_defaults,
     .validate = validate_storage_class,
     .validate_update = validate_storage_class_update},
    {.id = "csidrivers.storage.k8s.io", .set_defaults = csi_driver_defaults},
};

}  // namespace

std::span<const KindHandler> storage_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
