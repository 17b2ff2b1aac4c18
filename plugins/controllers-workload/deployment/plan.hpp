// What a Deployment's ReplicaSets should be scaled to next: pure arithmetic, no kernel, no clock.
//
// Follows k8s.io/api/apps/v1 Deployment and the upstream controller's rules: never more pods than replicas + maxSurge,
// never fewer available than replicas - maxUnavailable; a change of `replicas` in the middle of a rollout is shared out
// among the sets in proportion.
#pragma once

#include "orlop/kube/apps_v1.hpp"
#include "orlop/pods.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace orlop::workload {

using Deployment = k8s::io::api::apps::v1::Deployment;
using ReplicaSet = k8s::io::api::apps::v1::ReplicaSet;
using IntOrString = k8s::io::apimachinery::pkg::util::intstr::IntOrString;

inline constexpr char kRevisionAnnotation[] = "deployment.kubernetes.io/revision";
inline constexpr char kRevisionHistoryAnnotation[] = "deployment.kubernetes.io/revision-history";
inline constexpr char kDesiredReplicasAnnotation[] = "deployment.kubernetes.io/desired-replicas";
inline constexpr char kMaxReplicasAnnotation[] = "deployment.kubernetes.io/max-replicas";
inline constexpr char kHashLabel[] = "pod-template-hash";

// A ReplicaSet as the arithmetic sees it; `replicas` is what its spec says and becomes what it should say.
struct SetSize {
  std::string name;
  int32_t replicas = 0;
  int32_t available = 0;
  int32_t max_replicas_annotation = 0;  // replicas + surge of the Deployment when the set was last scaled; 0: unknown
  int64_t created_s = 0;
  int32_t active = 0;  // pods that are there and to stay, also those that the set has not yet been able to delete

  // Pods that it may have until it has done what it was told.
  [[nodiscard]] int32_t most() const { return std::max(replicas, active); }
  // Available pods that it will have for sure then: those that are not go first.
  [[nodiscard]] int32_t sure() const { return std::min(replicas, available); }
};

struct Limits {
  int32_t replicas = 1;
  int32_t max_surge = 0;
  int32_t max_unavailable = 0;
  bool recreate = false;
};

// Percentages of `replicas`: surge rounded up, unavailable rounded down; both zero becomes one unavailable.
Limits limits_of(const Deployment& deployment);

// A number or a percentage such as "25%" of `total`; anything else is `fallback`.
int32_t resolve(const IntOrString& value, int32_t total, bool round_up, int32_t fallback);

// Shares a changed replica count among the sets (rolling update, in the middle of a rollout), or gives it to the only
// one. Never to more than replicas + surge with the pods that are still there: what finds no room now finds it later.
void share_out(const Limits& limits, SetSize* newest, std::vector<SetSize>& old);

// One step of a rolling update: first the newest grows, else the old ones shrink. Returns whether anything changed.
bool step_rolling(const Limits& limits, SetSize& newest, std::vector<SetSize>& old, int32_t newest_unavailable);

// FNV-1a of the template (without the hash label) and the collision count, in the alphabet of generated names.
std::string template_hash(const k8s::io::api::core::v1::PodTemplateSpec& pod_template, int32_t collisions);

// Whether two templates are equal but for the hash label.
bool same_template(const k8s::io::api::core::v1::PodTemplateSpec& a, const k8s::io::api::core::v1::PodTemplateSpec& b);

}  // namespace orlop::workload
