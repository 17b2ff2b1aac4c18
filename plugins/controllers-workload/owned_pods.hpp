// What every controller that makes pods does in the same way: which pods are its own, and new ones by its template.
//
// Pods are found by their owner's uid, not by their labels. One without a controller that the selector matches is
// adopted; one of ours that no longer matches is released (k8s.io/kubernetes pkg/controller, PodControllerRefManager).
//
// Threads: any; every function blocks, on the store at most.
#pragma once

#include "orlop/host.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/pods.hpp"
#include "plugins/controllers-workload/while_unchanged.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orlop::workload {

using StoredPod = Stored<kube::Pod>;
using PodTemplateSpec = k8s::io::api::core::v1::PodTemplateSpec;

// The reference by which `owner` controls a child; blocks the owner's foreground deletion.
template <typename Owner>
kube::OwnerReference controller_reference(const Owner& owner) {
  kube::OwnerReference reference;
  reference.set_apiversion(std::string(kube::KindOf<Owner>::api_version));
  reference.set_kind(std::string(kube::KindOf<Owner>::kind));
  reference.set_name(owner.metadata().name());
  reference.set_uid(owner.metadata().uid());
  reference.set_controller(true);
  reference.set_blockownerdeletion(true);
  return reference;
}

// A pod as the template says, in the owner's namespace, controlled by it; without a name. Where the template names
// snapshots of its configuration the pod uses them (config-restart/).
kube::Pod pod_from_template(const PodTemplateSpec& pod_template, const std::string& name_space,
                            const kube::OwnerReference& controller);

// Gives the pod a generated name, "<owner's name>-<five random letters>".
void name_after(kube::Pod& pod, const std::string& owner_name);

// What claim() asks of the owner.
struct PodOwner {
  std::string name_space;
  kube::OwnerReference reference;
  const kube::LabelSelector* selector = nullptr;
  bool deleting = false;                               // then nothing is adopted or released
  std::function<bool(const kube::Pod&)> may_own = {};  // beside the selector; empty: any
  // Adoption adds it and release takes it away; pods that have ended are adopted and released then, too.
  std::string finalizer = {};
};

// The pods that the owner controls, terminal and terminating ones too, after adoption and release. kConflict: a pod
// changed meanwhile; come again.
Result<std::vector<StoredPod>> claim_pods(const Objects<kube::Pod>& pods, const PodOwner& owner);

// Creates the pods, a hundred to a transaction, all of a transaction or none; where one is refused (kForbidden), one by
// one up to the first that is. `created` is told of each one's name.
// kConflict: two generated names met, or `only_if` no longer holds; come again. Other failures are the store's or the
// API's own.
Status create_pods(const Host& host, const std::vector<kube::Pod>& pods,
                   const std::function<void(const std::string& name)>& created,
                   const std::optional<v1::Precondition>& only_if = std::nullopt);

// Deletes the pods gracefully, in the same way. kConflict: also when one is gone already.
Status delete_pods(const Host& host, const std::vector<StoredPod>& pods,
                   const std::function<void(const std::string& name)>& deleted,
                   const std::optional<v1::Precondition>& only_if = std::nullopt);

}  // namespace orlop::workload
