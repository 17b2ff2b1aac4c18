#include "plugins/controllers-workload/statefulset/identity.hpp"

#include "plugins/controllers-workload/revisions/revision.hpp"

#include <algorithm>
#include <charconv>

namespace orlop::workload {
namespace {

constexpr char kPodNameLabel[] = "statefulset.kubernetes.io/pod-name";
constexpr char kPodIndexLabel[] = "apps.kubernetes.io/pod-index";

const k8s::io::api::core::v1::Volume* find_volume(const kube::Pod& pod, const std::string& name) {
  for (const auto& volume : pod.spec().volumes()) {
    if (volume.name() == name) return &volume;
  }
  return nullptr;
}

int ordinal_in(const StatefulSet& set, const kube::Pod& pod) {
  return ordinal_of(pod.metadata().name(), set.metadata().name());
}

}  // namespace

int ordinal_of(std::string_view pod_name, std::string_view set_name) {
  if (!pod_name.starts_with(set_name)) return -1;
  std::string_view rest = pod_name.substr(set_name.size());
  if (rest.size() < 2 || rest.front() != '-') return -1;
  rest.remove_prefix(1);
  if (!std::all_of(rest.begin(), rest.end(), [](char c) { return c >= '0' && c <= '9'; })) return -1;
  int ordinal = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), ordinal);
  return error == std::errc() && end == rest.data() + rest.size() ? ordinal : -1;
}

std::string member_name(const StatefulSet& set, int ordinal) {
  return set.metadata().name() + "-" + std::to_string(ordinal);
}

int first_ordinal(const StatefulSet& set) {
  return set.spec().ordinals().start();
}

bool in_range(const StatefulSet& set, int ordinal) {
  return ordinal >= first_ordinal(set) && ordinal - first_ordinal(set) < set.spec().replicas();
}

kube::Pod new_member(const StatefulSet& set, const PodTemplateSpec& pod_template, const std::string& revision,
                     int ordinal) {
  kube::Pod pod = pod_from_template(pod_template, set.metadata().namespace_(), controller_reference(set));
  pod.mutable_metadata()->set_generatename(set.metadata().name() + "-");
  pod.mutable_metadata()->set_name(member_name(set, ordinal));
  give_identity(set, pod);
  (*pod.mutable_metadata()->mutable_labels())[kPodRevisionLabel] = revision;
  pod.mutable_spec()->set_hostname(pod.metadata().name());
  pod.mutable_spec()->set_subdomain(set.spec().servicename());
  give_storage(set, pod);
  return pod;
}

std::vector<Claim> claims_of(const StatefulSet& set, int ordinal) {
  std::vector<Claim> claims;
  for (const Claim& claim_template : set.spec().volumeclaimtemplates()) {
    Claim claim = claim_template;
    claim.mutable_metadata()->set_name(claim_name(set, claim_template, ordinal));
    claim.mutable_metadata()->set_namespace_(set.metadata().namespace_());
    auto& labels = *claim.mutable_metadata()->mutable_labels();
    for (const auto& [key, value] : set.spec().selector().matchlabels()) labels[key] = value;
    claims.push_back(std::move(claim));
  }
  return claims;
}

std::string claim_name(const StatefulSet& set, const Claim& claim_template, int ordinal) {
  return claim_template.metadata().name() + "-" + member_name(set, ordinal);
}

std::string revision_of(const kube::Pod& pod) {
  const auto found = pod.metadata().labels().find(kPodRevisionLabel);
  return found == pod.metadata().labels().end() ? std::string() : found->second;
}

bool has_identity(const StatefulSet& set, const kube::Pod& pod) {
  const auto found = pod.metadata().labels().find(kPodNameLabel);
  return ordinal_in(set, pod) >= 0 && found != pod.metadata().labels().end() && found->second == pod.metadata().name();
}

bool has_storage(const StatefulSet& set, const kube::Pod& pod) {
  const int ordinal = ordinal_in(set, pod);
  const auto& templates = set.spec().volumeclaimtemplates();
  return std::all_of(templates.begin(), templates.end(), [&](const Claim& claim_template) {
    const auto* volume = find_volume(pod, claim_template.metadata().name());
    return volume != nullptr &&
           volume->volumesource().persistentvolumeclaim().claimname() == claim_name(set, claim_template, ordinal);
  });
}

void give_identity(const StatefulSet& set, kube::Pod& pod) {
  auto& labels = *pod.mutable_metadata()->mutable_labels();
  labels[kPodNameLabel] = pod.metadata().name();
  labels[kPodIndexLabel] = std::to_string(ordinal_in(set, pod));
}

void give_storage(const StatefulSet& set, kube::Pod& pod) {
  const auto before = pod.spec().volumes();
  auto* volumes = pod.mutable_spec()->mutable_volumes();
  volumes->Clear();
  const auto& templates = set.spec().volumeclaimtemplates();
  for (const Claim& claim_template : templates) {
    auto* volume = volumes->Add();
    volume->set_name(claim_template.metadata().name());
    volume->mutable_volumesource()->mutable_persistentvolumeclaim()->set_claimname(
        claim_name(set, claim_template, ordinal_in(set, pod)));
  }
  for (const auto& volume : before) {
    const bool replaced = std::any_of(templates.begin(), templates.end(), [&](const Claim& claim_template) {
      return claim_template.metadata().name() == volume.name();
    });
    if (!replaced) *volumes->Add() = volume;
  }
}

}  // namespace orlop::workload
