#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "orlop/kube/storage_v1.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;
namespace storagev1 = k8s::io::api::storage::v1;

template <typename Modes>
std::string access_modes(const Modes& modes) {
  std::vector<std::string> words;
  for (const auto& [mode, word] : {std::pair{"ReadWriteOnce", "RWO"},
                                   {"ReadOnlyMany", "ROX"},
                                   {"ReadWriteMany", "RWX"},
                                   {"ReadWriteOncePod", "RWOP"}}) {
    if (std::find(modes.begin(), modes.end(), mode) != modes.end()) words.emplace_back(word);
  }
  return comma_joined(words);
}

// The class by its field, or by the annotation that stood in for it once.
std::string storage_class(const metav1::ObjectMeta& meta, const std::string& field) {
  auto found = meta.annotations().find("volume.beta.kubernetes.io/storage-class");
  return found == meta.annotations().end() ? field : found->second;
}

template <typename Resources>
std::string storage_amount(const Resources& resources) {
  auto found = resources.find("storage");
  return found == resources.end() ? "0" : found->second.string();
}

constexpr ColumnSpec kVolumeColumns[] = {
    kNameColumn,
    {"Capacity", "string", "k8s.io.api.core.v1.PersistentVolumeSpec#capacity"},
    {"Access Modes", "string", "k8s.io.api.core.v1.PersistentVolumeSpec#accessModes"},
    {"Reclaim Policy", "string", "k8s.io.api.core.v1.PersistentVolumeSpec#persistentVolumeReclaimPolicy"},
    {"Status", "string", "k8s.io.api.core.v1.PersistentVolumeStatus#phase"},
    {"Claim", "string", "k8s.io.api.core.v1.PersistentVolumeSpec#claimRef"},
    {"StorageClass", "string", "StorageClass of the pv"},
    {"VolumeAttributesClass", "string", "VolumeAttributesClass of the pv"},
    {"Reason", "string", "k8s.io.api.core.v1.PersistentVolumeStatus#reason"},
    kAgeColumn,
    {"VolumeMode", "string", "k8s.io.api.core.v1.PersistentVolumeSpec#volumeMode", 1},
};

void volume_cells(const Message& object, Cells* cells) {
  const auto& volume = as<corev1::PersistentVolume>(object);
  cells->text(volume.metadata().name());
  cells->text(storage_amount(volume.spec().capacity()));
  cells->text(access_modes(volume.spec().accessmodes()));
  cells->text(volume.spec().persistentvolumereclaimpolicy());
  cells->text(volume.metadata().has_deletiontimestamp() ? "Terminating" : volume.status().phase());
  cells->text(volume.spec().has_claimref()
                  ? volume.spec().claimref().namespace_() + "/" + volume.spec().claimref().name()
                  : "");
  cells->text(storage_class(volume.metadata(), volume.spec().storageclassname()));
  cells->text_or(volume.spec().volumeattributesclassname(), "<unset>");
  cells->text(volume.status().reason());
  cells->age(volume.metadata());
  cells->text_or(volume.spec().volumemode(), "<unset>");
}

constexpr ColumnSpec kClaimColumns[] = {
    kNameColumn,
    {"Status", "string", "k8s.io.api.core.v1.PersistentVolumeClaimStatus#phase"},
    {"Volume", "string", "k8s.io.api.core.v1.PersistentVolumeClaimSpec#volumeName"},
    {"Capacity", "string", "k8s.io.api.core.v1.PersistentVolumeClaimStatus#capacity"},
    {"Access Modes", "string", "k8s.io.api.core.v1.PersistentVolumeClaimStatus#accessModes"},
    {"StorageClass", "string", "StorageClass of the pvc"},
    {"VolumeAttributesClass", "string", "VolumeAttributesClass of the pvc"},
    kAgeColumn,
    {"VolumeMode", "string", "k8s.io.api.core.v1.PersistentVolumeClaimSpec#volumeMode", 1},
};

void claim_cells(const Message& object, Cells* cells) {
  const auto& claim = as<corev1::PersistentVolumeClaim>(object);
  const bool bound = !claim.spec().volumename().empty();
  cells->text(claim.metadata().name());
  cells->text(claim.metadata().has_deletiontimestamp() ? "Terminating" : claim.status().phase());
  cells->text(claim.spec().volumename());
  cells->text(bound ? storage_amount(claim.status().capacity()) : "");
  cells->text(bound ? access_modes(claim.status().accessmodes()) : "");
  cells->text(storage_class(claim.metadata(), claim.spec().storageclassname()));
  cells->text_or(claim.spec().volumeattributesclassname(), "<unset>");
  cells->age(claim.metadata());
  cells->text_or(claim.spec().volumemode(), "<unset>");
}

constexpr ColumnSpec kStorageClassColumns[] = {
    kNameColumn,
    {"Provisioner", "string", "k8s.io.api.storage.v1.StorageClass#provisioner"},
    {"ReclaimPolicy", "string", "k8s.io.api.storage.v1.StorageClass#reclaimPolicy"},
    {"VolumeBindingMode", "string", "k8s.io.api.storage.v1.StorageClass#volumeBindingMode"},
    {"AllowVolumeExpansion", "string", "k8s.io.api.storage.v1.StorageClass#allowVolumeExpansion"},
    kAgeColumn,
};

void storage_class_cells(const Message& object, Cells* cells) {
  const auto& storage = as<storagev1::StorageClass>(object);
  auto marked = [&](const char* annotation) {
    auto found = storage.metadata().annotations().find(annotation);
    return found != storage.metadata().annotations().end() && found->second == "true";
  };
  const bool is_default = marked("storageclass.kubernetes.io/is-default-class") ||
                          marked("storageclass.beta.kubernetes.io/is-default-class");
  cells->text(is_default ? storage.metadata().name() + " (default)" : storage.metadata().name());
  cells->text(storage.provisioner());
  cells->text_or(storage.reclaimpolicy(), "Delete");
  cells->text_or(storage.volumebindingmode(), "Immediate");
  cells->boolean(storage.allowvolumeexpansion());
  cells->age(storage.metadata());
}

constexpr ColumnSpec kAttachmentColumns[] = {
    kNameColumn,
    {"Attacher", "string", "k8s.io.api.storage.v1.VolumeAttachmentSpec#attacher", 0, "name"},
    {"PV", "string", "k8s.io.api.storage.v1.VolumeAttachmentSource#persistentVolumeName"},
    {"Node", "string", "k8s.io.api.storage.v1.VolumeAttachmentSpec#nodeName"},
    {"Attached", "boolean", "k8s.io.api.storage.v1.VolumeAttachmentStatus#attached"},
    kAgeColumn,
};

void attachment_cells(const Message& object, Cells* cells) {
  const auto& attachment = as<storagev1::VolumeAttachment>(object);
  cells->text(attachment.metadata().name());
  cells->text(attachment.spec().attacher());
  cells->text(attachment.spec().source().persistentvolumename());
  cells->text(attachment.spec().nodename());
  cells->boolean(attachment.status().attached());
  cells->age(attachment.metadata());
}

constexpr ColumnSpec kCsiNodeColumns[] = {
    kNameColumn,
    {"Drivers", "integer", "Drivers indicates the number of CSI drivers registered on the node"},
    kAgeColumn};

void csi_node_cells(const Message& object, Cells* cells) {
  const auto& node = as<storagev1::CSINode>(object);
  cells->text(node.metadata().name());
  cells->integer(node.spec().drivers_size());
  cells->age(node.metadata());
}

constexpr ColumnSpec kCsiDriverColumns[] = {
    kNameColumn,
    {"AttachRequired", "boolean", "k8s.io.api.storage.v1.CSIDriverSpec#attachRequired"},
    {"PodInfoOnMount", "boolean", "k8s.io.api.storage.v1.CSIDriverSpec#podInfoOnMount"},
    {"StorageCapacity", "boolean", "k8s.io.api.storage.v1.CSIDriverSpec#storageCapacity"},
    {"TokenRequests", "string", "k8s.io.api.storage.v1.CSIDriverSpec#tokenRequests"},
    {"RequiresRepublish", "boolean", "k8s.io.api.storage.v1.CSIDriverSpec#requiresRepublish"},
    {"Modes", "string", "k8s.io.api.storage.v1.CSIDriverSpec#volumeLifecycleModes"},
    kAgeColumn,
};

void csi_driver_cells(const Message& object, Cells* cells) {
  const auto& driver = as<storagev1::CSIDriver>(object);
  const auto& spec = driver.spec();
  std::vector<std::string> audiences;
  for (const auto& request : spec.tokenrequests()) audiences.push_back(request.audience());
  cells->text(driver.metadata().name());
  cells->boolean(!spec.has_attachrequired() || spec.attachrequired());
  cells->boolean(spec.podinfoonmount());
  cells->boolean(spec.storagecapacity());
  cells->text_or(comma_joined(audiences), "<unset>");
  cells->boolean(spec.requiresrepublish());
  cells->text_or(comma_joined({spec.volumelifecyclemodes().begin(), spec.volumelifecyclemodes().end()}), "<none>");
  cells->age(driver.metadata());
}

constexpr ColumnSpec kCsiCapacityColumns[] = {
    kNameColumn,
    {"StorageClassName", "string", "k8s.io.api.storage.v1.CSIStorageCapacity#storageClassName"},
    {"Capacity", "string", "k8s.io.api.storage.v1.CSIStorageCapacity#capacity"},
};

void csi_capacity_cells(const Message& object, Cells* cells) {
  const auto& capacity = as<storagev1::CSIStorageCapacity>(object);
  cells->text(capacity.metadata().name());
  cells->text(capacity.storageclassname());
  cells->text(capacity.has_capacity() ? capacity.capacity().string() : "<unset>");
}

constexpr KindPrinter kPrinters[] = {
    {"persistentvolumes", kVolumeColumns, volume_cells},
    {"persistentvolumeclaims", kClaimColumns, claim_cells},
    {"storageclasses.storage.k8s.io", kStorageClassColumns, storage_class_cells},
    {"volumeattachments.storage.k8s.io", kAttachmentColumns, attachment_cells},
    {"csinodes.storage.k8s.io", kCsiNodeColumns, csi_node_cells},
    {"csidrivers.storage.k8s.io", kCsiDriverColumns, csi_driver_cells},
    {"csistoragecapacities.storage.k8s.io", kCsiCapacityColumns, csi_capacity_cells},
};

}  // namespace

std::span<const KindPrinter> storage_printers() {
  return kPrinters;
}

}  // namespace orlop::apikube
