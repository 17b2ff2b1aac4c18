// A volume of its own for a claim that none fits.
#include "orlop/kube/quantity.hpp"
#include "orlop/rpc.hpp"
#include "plugins/controllers-volume/binding/binding.hpp"

#include <algorithm>
#include <utility>

namespace orlop::volumes {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kProviderAwayNs = 10 * kSecondNs;
constexpr char kHostName[] = "kubernetes.io/hostname";

std::string volume_name(const Claim& claim) {
  return "pvc-" + claim.metadata().uid();
}

// After such a failure there may or may not be a volume.
bool leaves_doubt(Code code) {
  return code == Code::kUnavailable || code == Code::kTimeout || code == Code::kTooManyRequests ||
         code == Code::kInternal || code == Code::kCancelled;
}

std::string failure(const StorageClass& storage_class, const Status& why) {
  return "failed to provision volume with StorageClass \"" + storage_class.metadata().name() + "\": " + why.message();
}

}  // namespace

Result<Outcome> BindingController::provision(StoredClaim claim, const std::optional<StorageClass>& found) {
  const std::string class_name = storage::class_of(claim.object);
  if (!found) {
    events_.about(claim.object, EventType::kWarning, "ProvisioningFailed",
                  "storageclass.storage.k8s.io \"" + class_name + "\" not found");
    return leave_pending(std::move(claim));
  }
  const StorageClass& storage_class = *found;
  const std::string& driver = storage_class.provisioner();
  if (driver.starts_with("kubernetes.io/")) {
    events_.about(claim.object, EventType::kWarning, "ProvisioningFailed", "no volume plugin matched name: " + driver);
    return leave_pending(std::move(claim));
  }
  const auto info = call<v1::StorageInfoResponse>(host_, {"storage", driver, settings_.call_ms},
                                                  "orlop.v1.StorageController/GetInfo", v1::StorageInfoRequest());
  ORLOP_TRY(begin_provisioning(claim, storage_class, info.is_ok()));
  if (!info) {
    events_.about(claim.object, EventType::kNormal, "ExternalProvisioning",
                  "Waiting for a volume to be created either by the external provisioner '" + driver +
                      "' or manually by the system administrator. If volume creation is delayed, please verify that "
                      "the provisioner is running and correctly registered.");
    ORLOP_TRY(leave_pending(std::move(claim)).status());
    return Outcome{kProviderAwayNs};
  }
  const auto made = create_volume(claim.object, storage_class);
  if (!made) {
    const std::string text = failure(storage_class, made.status());
    events_.about(claim.object, EventType::kWarning, "ProvisioningFailed", text);
    return Status(made.code() == Code::kConflict ? Code::kUnavailable : made.code(), text);
  }
  ORLOP_ASSIGN(StoredVolume volume, write_volume(claim.object, storage_class, made->volume()));
  if (!storage::is_for(volume.object, claim.object) || volume.object.metadata().has_deletiontimestamp()) {
    return Status(Code::kAlreadyExists,
                  "persistentvolume \"" + volume.object.metadata().name() + "\" stands in the way of the claim's own");
  }
  events_.about(claim.object, EventType::kNormal, "ProvisioningSucceeded",
                "Successfully provisioned volume " + volume.object.metadata().name() + " using " + driver);
  return bind(std::move(volume), std::move(claim));
}

Status BindingController::begin_provisioning(StoredClaim& claim, const StorageClass& storage_class, bool known) {
  Claim& object = claim.object;
  auto& finalizers = *object.mutable_metadata()->mutable_finalizers();
  const bool held = std::find(finalizers.begin(), finalizers.end(), kProvisioning) != finalizers.end();
  const std::string& driver = storage_class.provisioner();
  const bool named = storage::annotation(object, storage::kProvisioner) == driver;
  if (named && (held || !known)) return Status::ok();
  storage::annotate(object, storage::kProvisioner, driver);
  storage::annotate(object, storage::kProvisionerBeta, driver);
  if (known && !held) object.mutable_metadata()->add_finalizers(kProvisioning);
  ORLOP_ASSIGN(claim, claims_.update(claim));
  return Status::ok();
}

Result<v1::CreateVolumeResponse> BindingController::create_volume(const Claim& claim,
                                                                  const StorageClass& storage_class) const {
  v1::CreateVolumeRequest request;
  request.set_name(volume_name(claim));
  request.set_required_bytes(storage::request_of(claim));
  const auto& limits = claim.spec().resources().limits();
  if (const auto limit = limits.find("storage"); limit != limits.end()) {
    request.set_limit_bytes(kube::quantity_value(limit->second.string()));
  }
  for (const std::string& mode : claim.spec().accessmodes()) {
    auto& capability = *request.add_capabilities();
    capability.set_access_mode(mode);
    capability.set_volume_mode(storage::volume_mode_of(claim));
    for (const std::string& option : storage_class.mountoptions()) capability.add_mount_options(option);
  }
  for (const auto& [key, value] : storage_class.parameters()) {
    if (!key.starts_with("csi.storage.k8s.io/")) (*request.mutable_parameters())[key] = value;
  }
  request.set_node(storage::annotation(claim, storage::kSelectedNode));
  return call<v1::CreateVolumeResponse>(host_, {"storage", storage_class.provisioner(), settings_.call_ms},
                                        "orlop.v1.StorageController/CreateVolume", request);
}

Result<Stored<PersistentVolume>> BindingController::write_volume(const Claim& claim, const StorageClass& storage_class,
                                                                 const v1::Volume& made) {
  PersistentVolume volume;
  auto& metadata = *volume.mutable_metadata();
  metadata.set_name(volume_name(claim));
  storage::annotate(volume, storage::kProvisionedBy, storage_class.provisioner());
  if (storage_class.reclaimpolicy() == "Delete") metadata.add_finalizers(kDeletesVolume);
  auto& spec = *volume.mutable_spec();
  const auto asked = claim.spec().resources().requests().find("storage");
  const bool exact = made.capacity_bytes() == 0 || made.capacity_bytes() == storage::request_of(claim);
  (*spec.mutable_capacity())["storage"].set_string(
      exact && asked != claim.spec().resources().requests().end()
          ? asked->second.string()
          : kube::Quantity::of(made.capacity_bytes(), kube::Quantity::Format::kBinarySi).to_string());
  *spec.mutable_accessmodes() = claim.spec().accessmodes();
  spec.set_persistentvolumereclaimpolicy(storage_class.reclaimpolicy());
  spec.set_storageclassname(storage_class.metadata().name());
  *spec.mutable_mountoptions() = storage_class.mountoptions();
  spec.set_volumemode(storage::volume_mode_of(claim));
  auto& csi = *spec.mutable_persistentvolumesource()->mutable_csi();
  csi.set_driver(storage_class.provisioner());
  csi.set_volumehandle(made.id());
  for (const auto& [key, value] : made.context()) (*csi.mutable_volumeattributes())[key] = value;
  if (made.nodes_size() > 0) {
    auto& term = *spec.mutable_nodeaffinity()->mutable_required()->add_nodeselectorterms();
    auto& requirement = *term.add_matchexpressions();
    requirement.set_key(kHostName);
    requirement.set_operator_("In");
    for (const std::string& node : made.nodes()) requirement.add_values(node);
  }
  auto& ref = *spec.mutable_claimref();
  ref.set_kind("PersistentVolumeClaim");
  ref.set_apiversion("v1");
  ref.set_namespace_(claim.metadata().namespace_());
  ref.set_name(claim.metadata().name());
  ref.set_uid(claim.metadata().uid());
  auto created = volumes_.create(volume);
  if (!created && created.code() == Code::kAlreadyExists) return volumes_.get("", metadata.name());
  return created;
}

Result<Outcome> BindingController::end_provisioning(StoredClaim claim) {
  auto volume = volumes_.get("", volume_name(claim.object));
  if (!volume && volume.code() != Code::kNotFound) return volume.status();
  ORLOP_ASSIGN(const auto storage_class, find_class(storage::class_of(claim.object)));
  // A PersistentVolume goes its own way once its claim is gone.
  if (!volume && storage_class) {
    // The same call again tells what the volume is called, whether or not it was made before.
    const auto made = create_volume(claim.object, *storage_class);
    if (!made && leaves_doubt(made.code())) return Status(made.code(), failure(*storage_class, made.status()));
    if (made) {
      v1::DeleteVolumeRequest request;
      request.set_id(made->volume().id());
      ORLOP_TRY(call<v1::DeleteVolumeResponse>(host_, {"storage", storage_class->provisioner(), settings_.call_ms},
                                               "orlop.v1.StorageController/DeleteVolume", request)
                    .status());
    }
  }
  auto& finalizers = *claim.object.mutable_metadata()->mutable_finalizers();
  finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), kProvisioning), finalizers.end());
  const Status written = claims_.update(claim).status();
  if (!written && written.code() != Code::kNotFound) return written;
  return Outcome{};
}

}  // namespace orlop::volumes
