// What a ControllerRevision holds and how it is named. Pure.
//
// Follows k8s.io/kubernetes pkg/controller/history: the data is a strategic merge patch that puts the whole pod
// template back, byte for byte what Go makes of it, since kubectl compares bytes; the name is the owner's and a hash of
// the data.
#pragma once

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

using ControllerRevision = k8s::io::api::apps::v1::ControllerRevision;
using StoredRevision = Stored<ControllerRevision>;
using PodTemplateSpec = k8s::io::api::core::v1::PodTemplateSpec;

// On pods: which revision they are of. A StatefulSet's hold the revision's name, a DaemonSet's its hash.
inline constexpr char kPodRevisionLabel[] = "controller-revision-hash";
// On a StatefulSet's revisions: the hash in their name.
inline constexpr char kDataHashLabel[] = "controller.kubernetes.io/hash";

// {"spec":{"template":{"$patch":"replace",…}}}, members in the order of their names.
std::string template_patch(const PodTemplateSpec& pod_template);

// The template that a revision's patch puts back. kBadRequest: the data is no such patch.
Result<PodTemplateSpec> template_of(const ControllerRevision& revision);

// FNV-1 of the patch and the collision count, in the alphabet of generated names.
std::string revision_hash(std::string_view patch, int32_t collisions);
std::string revision_name(const std::string& owner_name, const std::string& hash);

// The oldest first: by number, then by age, then by name.
void sort_revisions(std::vector<StoredRevision>& revisions);

// Which of the sorted revisions stands for a patch: the newest that holds it.
struct RevisionChoice {
  int index = -1;                // -1: none of them, one is to be made
  int64_t number = 1;            // what its number should be: above all that hold something else
  std::vector<int> equal_older;  // others that hold the same
};
RevisionChoice choose_revision(const std::vector<StoredRevision>& sorted, const std::string& patch);

// Of the sorted revisions those to delete, oldest first, so that no more than `limit` are left beside those that `live`
// names. A negative limit keeps all.
std::vector<const StoredRevision*> surplus_revisions(const std::vector<StoredRevision>& sorted,
                                                     const std::set<std::string>& live, int32_t limit);

}  // namespace orlop::workload
