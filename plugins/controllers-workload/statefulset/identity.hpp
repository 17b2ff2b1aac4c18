// What makes a pod of a StatefulSet the one that it is: its name and ordinal, its labels, its claims. Pure.
#pragma once

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/owned_pods.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

using StatefulSet = k8s::io::api::apps::v1::StatefulSet;
using Claim = k8s::io::api::core::v1::PersistentVolumeClaim;

// The number behind the last dash of a member's name; -1: a name that no member of the set can have.
int ordinal_of(std::string_view pod_name, std::string_view set_name);
std::string member_name(const StatefulSet& set, int ordinal);

// Ordinals are first_ordinal(set) and so many more as there are replicas.
int first_ordinal(const StatefulSet& set);
bool in_range(const StatefulSet& set, int ordinal);

// A new pod of that ordinal by this template: its name, host name, subdomain, labels and claims.
kube::Pod new_member(const StatefulSet& set, const PodTemplateSpec& pod_template, const std::string& revision,
                     int ordinal);

// The claims of that ordinal, in the order of the set's templates. New ones, as they would be created.
std::vector<Claim> claims_of(const StatefulSet& set, int ordinal);
std::string claim_name(const StatefulSet& set, const Claim& claim_template, int ordinal);

// The name of the revision that a pod is of; empty when it says none.
std::string revision_of(const kube::Pod& pod);

// Whether a member carries the labels of its identity, and mounts its claims; and the mending of it.
bool has_identity(const StatefulSet& set, const kube::Pod& pod);
bool has_storage(const StatefulSet& set, const kube::Pod& pod);
void give_identity(const StatefulSet& set, kube::Pod& pod);
void give_storage(const StatefulSet& set, kube::Pod& pod);

}  // namespace orlop::workload
