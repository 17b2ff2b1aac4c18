#include "plugins/api-kubernetes/kinds/admission.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/networking_v1.hpp"
#include "orlop/kube/storage_v1.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;
namespace networkingv1 = k8s::io::api::networking::v1;
namespace storagev1 = k8s::io::api::storage::v1;

bool parse(std::string_view value, google::protobuf::Message* message) {
  return message->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

bool is_marked(const metav1::ObjectMeta& meta, const char* annotation) {
  auto found = meta.annotations().find(annotation);
  return found != meta.annotations().end() && found->second == "true";
}

void add_finalizer(metav1::ObjectMeta* meta, const char* finalizer) {
  const auto& all = meta->finalizers();
  if (std::find(all.begin(), all.end(), finalizer) == all.end()) meta->add_finalizers(finalizer);
}

// The newest of those marked; of equally old ones the first by name.
template <typename Class>
Result<std::optional<std::string>> default_class(const ObjectReader& reader, std::string_view kind_id,
                                                 const char* annotation) {
  std::optional<metav1::ObjectMeta> chosen;
  ORLOP_TRY(reader.list(kind_id, "", [&](std::string_view value) {
    Class candidate;
    if (!parse(value, &candidate) || !is_marked(candidate.metadata(), annotation)) return;
    const auto seconds = candidate.metadata().creationtimestamp().seconds();
    const bool better =
        !chosen || seconds > chosen->creationtimestamp().seconds() ||
        (seconds == chosen->creationtimestamp().seconds() && candidate.metadata().name() < chosen->name());
    if (better) chosen = candidate.metadata();
  }));
  if (!chosen) return std::optional<std::string>();
  return std::optional<std::string>(chosen->name());
}

}  // namespace

Status admit_defaults(const kube::Kind& kind, const ObjectReader& reader, google::protobuf::Message* object) {
  if (kind.id == "persistentvolumeclaims") {
    auto* claim = static_cast<corev1::PersistentVolumeClaim*>(object);
    add_finalizer(claim->mutable_metadata(), "kubernetes.io/pvc-protection");
    if (claim->spec().has_storageclassname()) return Status::ok();
    ORLOP_ASSIGN(auto name, default_class<storagev1::StorageClass>(reader, "storageclasses.storage.k8s.io",
                                                                   "storageclass.kubernetes.io/is-default-class"));
    if (name) claim->mutable_spec()->set_storageclassname(*name);
  } else if (kind.id == "persistentvolumes") {
    add_finalizer(static_cast<corev1::PersistentVolume*>(object)->mutable_metadata(), "kubernetes.io/pv-protection");
  } else if (kind.id == "ingresses.networking.k8s.io") {
    auto* ingress = static_cast<networkingv1::Ingress*>(object);
    if (ingress->spec().has_ingressclassname() ||
        ingress->metadata().annotations().contains("kubernetes.io/ingress.class"))
      return Status::ok();
    ORLOP_ASSIGN(auto name, default_class<networkingv1::IngressClass>(reader, "ingressclasses.networking.k8s.io",
                                                                      "ingressclass.kubernetes.io/is-default-class"));
    if (name) ingress->mutable_spec()->set_ingressclassname(*name);
  }
  return Status::ok();
}

Status check_delete(const kube::Kind& kind, std::string_view name) {
  if (kind.id != "namespaces") return Status::ok();
  if (name != "default" && name != "kube-system" && name != "kube-public") return Status::ok();
  return {Code::kForbidden,
          fmt::format("namespaces {} is forbidden: this namespace may not be deleted", in_quotes(name))};
}

Status check_namespace(const ObjectReader& reader, std::string_view name_space, const kube::Kind& kind,
                       std::string_view name, Operation operation) {
  if (!kind.namespaced || operation != Operation::kCreate) return Status::ok();
  ORLOP_ASSIGN(auto stored, reader.get("namespaces", "", name_space));
  corev1::Namespace space;
  if (!stored || !parse(*stored, &space))
    return {Code::kNotFound, fmt::format("namespaces {} not found", in_quotes(name_space))};
  const bool terminating = space.status().phase() == "Terminating" || space.metadata().has_deletiontimestamp();
  if (!terminating) return Status::ok();
  // What a controller needs to see that the namespace ends may still be written.
  if (kind.id == "localsubjectaccessreviews.authorization.k8s.io") return Status::ok();
  return Status(
      Code::kForbidden,
      fmt::format("{} {} is forbidden: unable to create new content in namespace {} because it is being terminated",
                  kind.id, in_quotes(name), name_space),
      {Cause{"NamespaceTerminating", fmt::format("namespace {} is being terminated", name_space),
             "metadata.namespace"}});
}

}  // namespace orlop::apikube
