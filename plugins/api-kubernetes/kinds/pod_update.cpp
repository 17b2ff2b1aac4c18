// What may change in a pod that exists.
#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

// Tolerations may be added, and the seconds of one may change; none may go.
void check_tolerations(const corev1::PodSpec& spec, const corev1::PodSpec& current, const FieldPath& path,
                       FieldErrors* errors) {
  for (const auto& before : current.tolerations()) {
    corev1::Toleration wanted = before;
    wanted.clear_tolerationseconds();
    const bool kept = std::any_of(spec.tolerations().begin(), spec.tolerations().end(), [&](const auto& candidate) {
      corev1::Toleration plain = candidate;
      plain.clear_tolerationseconds();
      return same_message(plain, wanted);
    });
    if (!kept) {
      errors->forbidden(path, "existing toleration can not be modified except its tolerationSeconds");
      return;
    }
  }
}

void check_deadline(const corev1::PodSpec& spec, const corev1::PodSpec& current, const FieldPath& path,
                    FieldErrors* errors) {
  const auto at = path.child("activeDeadlineSeconds");
  if (spec.has_activedeadlineseconds()) {
    const int64_t seconds = spec.activedeadlineseconds();
    errors->invalid(at, seconds, in_range_faults(seconds, 0, std::numeric_limits<int32_t>::max()));
    if (current.has_activedeadlineseconds() && current.activedeadlineseconds() < seconds) {
      errors->invalid(at, seconds, "must be less than or equal to previous value");
    }
  } else if (current.has_activedeadlineseconds()) {
    errors->invalid(at, ShownValue::raw("null"), "must not update from a positive integer to nil value");
  }
}

template <typename Containers>
bool same_count(const Containers& now, const Containers& before, const FieldPath& path, FieldErrors* errors) {
  if (now.size() == before.size()) return true;
  errors->forbidden(path, "pod updates may not add or remove containers");
  return false;
}

// The gates of a pod may be taken away while it is not scheduled; its node selector may then be narrowed.
void allow_gated_changes(corev1::PodSpec* masked, const corev1::PodSpec& current, FieldErrors* errors) {
  const bool only_removed =
      std::all_of(masked->schedulinggates().begin(), masked->schedulinggates().end(), [&](const auto& gate) {
        return std::any_of(current.schedulinggates().begin(), current.schedulinggates().end(),
                           [&](const auto& before) { return before.name() == gate.name(); });
      });
  if (!only_removed) {
    errors->forbidden(FieldPath("spec").child("schedulingGates"),
                      "only deletion is allowed, but found new scheduling gates");
  }
  *masked->mutable_schedulinggates() = current.schedulinggates();
  if (current.schedulinggates().empty()) return;
  for (const auto& [key, value] : current.nodeselector()) {
    auto found = masked->nodeselector().find(key);
    if (found == masked->nodeselector().end() || found->second != value) {
      errors->invalid(FieldPath("spec").child("nodeSelector"), value,
                      "only additions are allowed to spec.nodeSelector for gated pods");
      break;
    }
  }
  *masked->mutable_nodeselector() = current.nodeselector();
}

std::string changed_fields(const corev1::PodSpec& now, const corev1::PodSpec& before) {
  std::string names;
  const auto* descriptor = now.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    corev1::PodSpec left;
    corev1::PodSpec right;
    left.CopyFrom(now);
    right.CopyFrom(before);
    for (int j = 0; j < descriptor->field_count(); ++j) {
      if (j == i) continue;
      left.GetReflection()->ClearField(&left, descriptor->field(j));
      right.GetReflection()->ClearField(&right, descriptor->field(j));
    }
    if (same_message(left, right)) continue;
    if (!names.empty()) names += ", ";
    names += field->name();
  }
  return names;
}

void check_spec(const corev1::PodSpec& spec, const corev1::PodSpec& current, FieldErrors* errors) {
  const FieldPath path("spec");
  if (!same_count(spec.containers(), current.containers(), path.child("containers"), errors)) return;
  if (!same_count(spec.initcontainers(), current.initcontainers(), path.child("initContainers"), errors)) return;
  check_deadline(spec, current, path, errors);
  check_tolerations(spec, current, path.child("tolerations"), errors);

  // What may change is set to what it was; then nothing may differ.
  corev1::PodSpec masked = spec;
  for (int i = 0; i < masked.containers_size(); ++i)
    masked.mutable_containers(i)->set_image(current.containers(i).image());
  for (int i = 0; i < masked.initcontainers_size(); ++i) {
    masked.mutable_initcontainers(i)->set_image(current.initcontainers(i).image());
  }
  masked.clear_activedeadlineseconds();
  if (current.has_activedeadlineseconds()) masked.set_activedeadlineseconds(current.activedeadlineseconds());
  *masked.mutable_tolerations() = current.tolerations();
  if (current.terminationgraceperiodseconds() < 0 && spec.terminationgraceperiodseconds() == 1) {
    masked.set_terminationgraceperiodseconds(current.terminationgraceperiodseconds());
  }
  allow_gated_changes(&masked, current, errors);
  if (same_message(masked, current)) return;
  errors->forbidden(
      path,
      fmt::format("pod updates may not change fields other than `spec.containers[*].image`,"
                  "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                  "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                  "was previously negative)\nchanged: {}",
                  changed_fields(masked, current)));
}

// Ephemeral containers come and stay as they are.
void check_ephemeral(const corev1::PodSpec& spec, const corev1::PodSpec& current, FieldErrors* errors) {
  const auto path = FieldPath("spec").child("ephemeralContainers");
  for (int i = 0; i < current.ephemeralcontainers_size(); ++i) {
    const auto& before = current.ephemeralcontainers(i);
    const auto& name = before.ephemeralcontainercommon().name();
    const auto found = std::find_if(spec.ephemeralcontainers().begin(), spec.ephemeralcontainers().end(),
                                    [&](const auto& now) { return now.ephemeralcontainercommon().name() == name; });
    if (found == spec.ephemeralcontainers().end()) {
      errors->forbidden(path, fmt::format("existing ephemeral containers {} may not be removed\n", in_quotes(name)));
    } else if (!same_message(*found, before)) {
      errors->forbidden(path, fmt::format("existing ephemeral containers {} may not be changed\n", in_quotes(name)));
    }
  }
}

}  // namespace

void validate_pod_update(const corev1::Pod& pod, const corev1::Pod& current, std::string_view subresource,
                         FieldErrors* errors) {
  if (subresource == "status") {
    if (!current.spec().nodename().empty() && pod.spec().nodename() != current.spec().nodename()) {
      errors->forbidden(FieldPath("status").child("nodeName"), "may not be changed directly");
    }
    return;
  }
  if (subresource == "ephemeralcontainers") {
    if (current.metadata().annotations().contains("kubernetes.io/config.mirror")) {
      errors->forbidden(FieldPath("spec"), "static pods do not support ephemeral containers");
      return;
    }
    validate_pod_spec(pod.spec(), FieldPath("spec"), true, errors);
    check_ephemeral(pod.spec(), current.spec(), errors);
    return;
  }
  if (subresource == "binding") return;
  validate_pod_spec(pod.spec(), FieldPath("spec"), true, errors);
  check_spec(pod.spec(), current.spec(), errors);
}

}  // namespace orlop::apikube
