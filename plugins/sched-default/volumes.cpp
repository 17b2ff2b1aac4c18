#include "plugins/sched-default/volumes.hpp"

#include "orlop/kube/storage_v1.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace orlop::sched {
namespace {

using storage::Claim;
using storage::PersistentVolume;
using StorageClass = k8s::io::api::storage::v1::StorageClass;

constexpr char kNoProvisioner[] = "kubernetes.io/no-provisioner";

bool is_used_by_another(const PodInfo& pod, const std::string& claim, const ClusterState& state) {
  return std::any_of(state.pods().begin(), state.pods().end(), [&](const auto& entry) {
    const PodInfo& other = entry.second;
    return other.uid != pod.uid && other.name_space == pod.name_space &&
           std::find(other.claims.begin(), other.claims.end(), claim) != other.claims.end();
  });
}

Status read_pool(const Host& host, UnplacedClaim& unplaced) {
  const Claim& claim = unplaced.claim.object;
  return Objects<PersistentVolume>(host).each("", "", [&](const RecordView&, PersistentVolume& volume) {
    const bool free =
        volume.spec().has_claimref() ? storage::is_for(volume, claim) : volume.status().phase() == "Available";
    if (free && !volume.metadata().has_deletiontimestamp() && storage::why_unfit(volume, claim).empty() &&
        kube::matches(claim.spec().selector(), volume.metadata().labels())) {
      unplaced.pool.push_back(std::move(volume));
      volume.Clear();
    }
    return true;
  });
}

// One whose volume is not bound yet.
Status read_unbound(const Host& host, Stored<Claim> claim, const ClusterState& state, VolumeWishes& out) {
  const auto storage_class = Objects<StorageClass>(host).get("", storage::class_of(claim.object));
  if (!storage_class && storage_class.code() != Code::kNotFound) return storage_class.status();
  const bool waits_for_us = storage_class && storage_class->object.volumebindingmode() == "WaitForFirstConsumer" &&
                            claim.object.spec().volumename().empty();
  if (!waits_for_us) {
    out.refusal = "pod has unbound immediate PersistentVolumeClaims";
    return Status::ok();
  }
  const std::string noted = storage::annotation(claim.object, storage::kSelectedNode);
  if (!noted.empty() && state.node(noted) != nullptr) {
    out.waits = true;
    return Status::ok();
  }
  UnplacedClaim unplaced;
  unplaced.by_hand = storage_class->object.provisioner() == kNoProvisioner;
  unplaced.claim = std::move(claim);
  if (unplaced.by_hand) ORLOP_TRY(read_pool(host, unplaced));
  out.unplaced.push_back(std::move(unplaced));
  return Status::ok();
}

Status read_claim(const Host& host, const PodInfo& pod, const std::string& name, bool is_ephemeral,
                  const ClusterState& state, VolumeWishes& out) {
  auto claim = Objects<Claim>(host).get(pod.name_space, name);
  if (claim.code() == Code::kNotFound) {
    out.refusal = is_ephemeral
                      ? "waiting for ephemeral volume controller to create the persistentvolumeclaim \"" + name + "\""
                      : "persistentvolumeclaim \"" + name + "\" not found";
    return Status::ok();
  }
  if (!claim) return claim.status();
  const Claim& object = claim->object;
  if (is_ephemeral) {
    const Status own = storage::check_ephemeral(*pod.pod, object);
    if (!own) out.refusal = own.message();
  }
  if (object.status().phase() == "Lost") {
    out.refusal = "persistentvolumeclaim \"" + name + "\" bound to non-existent persistentvolume \"" +
                  object.spec().volumename() + "\"";
  }
  if (object.metadata().has_deletiontimestamp()) {
    out.refusal = "persistentvolumeclaim \"" + name + "\" is being deleted";
  }
  if (!out.refusal.empty()) return Status::ok();
  if (storage::has_access_mode(object, "ReadWriteOncePod") && is_used_by_another(pod, name, state)) {
    out.each_node = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    return Status::ok();
  }
  if (!storage::is_bound(object)) return read_unbound(host, std::move(*claim), state, out);
  auto volume = Objects<PersistentVolume>(host).get("", object.spec().volumename());
  if (volume.code() == Code::kNotFound) {
    out.each_node = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
    return Status::ok();
  }
  if (!volume) return volume.status();
  if (volume->object.spec().nodeaffinity().has_required()) out.bound.push_back(std::move(volume->object));
  return Status::ok();
}

bool is_reachable(const PersistentVolume& volume, const NodeInfo& node) {
  return storage::is_reachable_from(volume, node.name, node.labels);
}

}  // namespace

Result<VolumeWishes> read_volume_wishes(const Host& host, const PodInfo& pod, const ClusterState& state) {
  VolumeWishes out;
  std::set<std::string> seen;  // several volumes of a pod may stand on one claim
  for (const auto& volume : pod.pod->spec().volumes()) {
    const auto name = storage::claim_name(*pod.pod, volume);
    if (!name || !seen.insert(*name).second) continue;
    ORLOP_TRY(read_claim(host, pod, *name, volume.volumesource().has_ephemeral(), state, out));
    if (!out.refusal.empty() || !out.each_node.empty()) return out;
  }
  return out;
}

std::string why_not(const VolumeWishes& wishes, const NodeInfo& node) {
  for (const PersistentVolume& volume : wishes.bound) {
    if (!is_reachable(volume, node)) return "node(s) had volume node affinity conflict";
  }
  for (const UnplacedClaim& unplaced : wishes.unplaced) {
    const bool fits =
        !unplaced.by_hand || std::any_of(unplaced.pool.begin(), unplaced.pool.end(),
                                         [&](const PersistentVolume& volume) { return is_reachable(volume, node); });
    if (!fits) return "node(s) didn't find available persistent volumes to bind";
  }
  return "";
}

}  // namespace orlop::sched
