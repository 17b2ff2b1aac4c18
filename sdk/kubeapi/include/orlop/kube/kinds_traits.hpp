// What a C++ message type is called in the API, known at compile time and without the heavy generated headers: the
// types are declared here, never defined. A test holds this file against kinds.hpp.
//
//   store.get(KindOf<k8s::io::api::core::v1::Pod>::id, key)
#pragma once

#include <string_view>

namespace k8s::io::api::admissionregistration::v1 {
class MutatingWebhookConfiguration;
class MutatingWebhookConfigurationList;
class ValidatingAdmissionPolicy;
class ValidatingAdmissionPolicyBinding;
class ValidatingAdmissionPolicyBindingList;
class ValidatingAdmissionPolicyList;
class ValidatingWebhookConfiguration;
class ValidatingWebhookConfigurationList;
}  // namespace k8s::io::api::admissionregistration::v1
namespace k8s::io::api::apps::v1 {
class ControllerRevision;
class ControllerRevisionList;
class DaemonSet;
class DaemonSetList;
class Deployment;
class DeploymentList;
class ReplicaSet;
class ReplicaSetList;
class StatefulSet;
class StatefulSetList;
}  // namespace k8s::io::api::apps::v1
namespace k8s::io::api::authentication::v1 {
class SelfSubjectReview;
class TokenReview;
}  // namespace k8s::io::api::authentication::v1
namespace k8s::io::api::authorization::v1 {
class LocalSubjectAccessReview;
class SelfSubjectAccessReview;
class SelfSubjectRulesReview;
class SubjectAccessReview;
}  // namespace k8s::io::api::authorization::v1
namespace k8s::io::api::autoscaling::v1 {
class HorizontalPodAutoscaler;
class HorizontalPodAutoscalerList;
}  // namespace k8s::io::api::autoscaling::v1
namespace k8s::io::api::autoscaling::v2 {
class HorizontalPodAutoscaler;
class HorizontalPodAutoscalerList;
}  // namespace k8s::io::api::autoscaling::v2
namespace k8s::io::api::batch::v1 {
class CronJob;
class CronJobList;
class Job;
class JobList;
}  // namespace k8s::io::api::batch::v1
namespace k8s::io::api::certificates::v1 {
class CertificateSigningRequest;
class CertificateSigningRequestList;
}  // namespace k8s::io::api::certificates::v1
namespace k8s::io::api::coordination::v1 {
class Lease;
class LeaseList;
}  // namespace k8s::io::api::coordination::v1
namespace k8s::io::api::core::v1 {
class Binding;
class ComponentStatus;
class ComponentStatusList;
class ConfigMap;
class ConfigMapList;
class Endpoints;
class EndpointsList;
class Event;
class EventList;
class LimitRange;
class LimitRangeList;
class Namespace;
class NamespaceList;
class Node;
class NodeList;
class PersistentVolume;
class PersistentVolumeClaim;
class PersistentVolumeClaimList;
class PersistentVolumeList;
class Pod;
class PodList;
class PodTemplate;
class PodTemplateList;
class ReplicationController;
class ReplicationControllerList;
class ResourceQuota;
class ResourceQuotaList;
class Secret;
class SecretList;
class Service;
class ServiceAccount;
class ServiceAccountList;
class ServiceList;
}  // namespace k8s::io::api::core::v1
namespace k8s::io::api::discovery::v1 {
class EndpointSlice;
class EndpointSliceList;
}  // namespace k8s::io::api::discovery::v1
namespace k8s::io::api::events::v1 {
class Event;
class EventList;
}  // namespace k8s::io::api::events::v1
namespace k8s::io::api::flowcontrol::v1 {
class FlowSchema;
class FlowSchemaList;
class PriorityLevelConfiguration;
class PriorityLevelConfigurationList;
}  // namespace k8s::io::api::flowcontrol::v1
namespace k8s::io::api::networking::v1 {
class Ingress;
class IngressClass;
class IngressClassList;
class IngressList;
class NetworkPolicy;
class NetworkPolicyList;
}  // namespace k8s::io::api::networking::v1
namespace k8s::io::api::node::v1 {
class RuntimeClass;
class RuntimeClassList;
}  // namespace k8s::io::api::node::v1
namespace k8s::io::api::policy::v1 {
class PodDisruptionBudget;
class PodDisruptionBudgetList;
}  // namespace k8s::io::api::policy::v1
namespace k8s::io::api::rbac::v1 {
class ClusterRole;
class ClusterRoleBinding;
class ClusterRoleBindingList;
class ClusterRoleList;
class Role;
class RoleBinding;
class RoleBindingList;
class RoleList;
}  // namespace k8s::io::api::rbac::v1
namespace k8s::io::api::scheduling::v1 {
class PriorityClass;
class PriorityClassList;
}  // namespace k8s::io::api::scheduling::v1
namespace k8s::io::api::storage::v1 {
class CSIDriver;
class CSIDriverList;
class CSINode;
class CSINodeList;
class CSIStorageCapacity;
class CSIStorageCapacityList;
class StorageClass;
class StorageClassList;
class VolumeAttachment;
class VolumeAttachmentList;
}  // namespace k8s::io::api::storage::v1
namespace k8s::io::apiextensions_apiserver::pkg::apis::apiextensions::v1 {
class CustomResourceDefinition;
class CustomResourceDefinitionList;
}  // namespace k8s::io::apiextensions_apiserver::pkg::apis::apiextensions::v1
namespace k8s::io::kube_aggregator::pkg::apis::apiregistration::v1 {
class APIService;
class APIServiceList;
}  // namespace k8s::io::kube_aggregator::pkg::apis::apiregistration::v1

namespace orlop::kube {

// Defined for the message of every kind in kinds.hpp. Members: id (the kernel's storage id), kind, api_version, group,
// plural, namespaced. A list type has no KindOf.
template <typename Message>
struct KindOf;

#define ORLOP_KUBE_KIND(cpp_namespace, name, storage_id, version, api_group, path, in_namespace) \
  template <>                                                                                    \
  struct KindOf<cpp_namespace::name> {                                                           \
    using Message = cpp_namespace::name;                                                         \
    static constexpr std::string_view id = storage_id;                                           \
    static constexpr std::string_view kind = #name;                                              \
    static constexpr std::string_view api_version = version;                                     \
    static constexpr std::string_view group = api_group;                                         \
    static constexpr std::string_view plural = path;                                             \
    static constexpr bool namespaced = in_namespace;                                             \
  }

ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Binding, "bindings", "v1", "", "bindings", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, ComponentStatus, "componentstatuses", "v1", "", "componentstatuses", false);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, ConfigMap, "configmaps", "v1", "", "configmaps", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Endpoints, "endpoints", "v1", "", "endpoints", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Event, "events", "v1", "", "events", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, LimitRange, "limitranges", "v1", "", "limitranges", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Namespace, "namespaces", "v1", "", "namespaces", false);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Node, "nodes", "v1", "", "nodes", false);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, PersistentVolumeClaim, "persistentvolumeclaims", "v1", "",
                "persistentvolumeclaims", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, PersistentVolume, "persistentvolumes", "v1", "", "persistentvolumes", false);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Pod, "pods", "v1", "", "pods", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, PodTemplate, "podtemplates", "v1", "", "podtemplates", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, ReplicationController, "replicationcontrollers", "v1", "",
                "replicationcontrollers", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, ResourceQuota, "resourcequotas", "v1", "", "resourcequotas", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Secret, "secrets", "v1", "", "secrets", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, ServiceAccount, "serviceaccounts", "v1", "", "serviceaccounts", true);
ORLOP_KUBE_KIND(::k8s::io::api::core::v1, Service, "services", "v1", "", "services", true);
ORLOP_KUBE_KIND(::k8s::io::kube_aggregator::pkg::apis::apiregistration::v1, APIService,
                "apiservices.apiregistration.k8s.io", "apiregistration.k8s.io/v1", "apiregistration.k8s.io",
                "apiservices", false);
ORLOP_KUBE_KIND(::k8s::io::api::apps::v1, ControllerRevision, "controllerrevisions.apps", "apps/v1", "apps",
                "controllerrevisions", true);
ORLOP_KUBE_KIND(::k8s::io::api::apps::v1, DaemonSet, "daemonsets.apps", "apps/v1", "apps", "daemonsets", true);
ORLOP_KUBE_KIND(::k8s::io::api::apps::v1, Deployment, "deployments.apps", "apps/v1", "apps", "deployments", true);
ORLOP_KUBE_KIND(::k8s::io::api::apps::v1, ReplicaSet, "replicasets.apps", "apps/v1", "apps", "replicasets", true);
ORLOP_KUBE_KIND(::k8s::io::api::apps::v1, StatefulSet, "statefulsets.apps", "apps/v1", "apps", "statefulsets", true);
ORLOP_KUBE_KIND(::k8s::io::api::events::v1, Event, "events", "events.k8s.io/v1", "events.k8s.io", "events", true);
ORLOP_KUBE_KIND(::k8s::io::api::authentication::v1, SelfSubjectReview, "selfsubjectreviews.authentication.k8s.io",
                "authentication.k8s.io/v1", "authentication.k8s.io", "selfsubjectreviews", false);
ORLOP_KUBE_KIND(::k8s::io::api::authentication::v1, TokenReview, "tokenreviews.authentication.k8s.io",
                "authentication.k8s.io/v1", "authentication.k8s.io", "tokenreviews", false);
ORLOP_KUBE_KIND(::k8s::io::api::authorization::v1, LocalSubjectAccessReview,
                "localsubjectaccessreviews.authorization.k8s.io", "authorization.k8s.io/v1", "authorization.k8s.io",
                "localsubjectaccessreviews", true);
ORLOP_KUBE_KIND(::k8s::io::api::authorization::v1, SelfSubjectAccessReview,
                "selfsubjectaccessreviews.authorization.k8s.io", "authorization.k8s.io/v1", "authorization.k8s.io",
                "selfsubjectaccessreviews", false);
ORLOP_KUBE_KIND(::k8s::io::api::authorization::v1, SelfSubjectRulesReview,
                "selfsubjectrulesreviews.authorization.k8s.io", "authorization.k8s.io/v1", "authorization.k8s.io",
                "selfsubjectrulesreviews", false);
ORLOP_KUBE_KIND(::k8s::io::api::authorization::v1, SubjectAccessReview, "subjectaccessreviews.authorization.k8s.io",
                "authorization.k8s.io/v1", "authorization.k8s.io", "subjectaccessreviews", false);
ORLOP_KUBE_KIND(::k8s::io::api::autoscaling::v2, HorizontalPodAutoscaler, "horizontalpodautoscalers.autoscaling",
                "autoscaling/v2", "autoscaling", "horizontalpodautoscalers", true);
ORLOP_KUBE_KIND(::k8s::io::api::autoscaling::v1, HorizontalPodAutoscaler, "horizontalpodautoscalers.autoscaling",
                "autoscaling/v1", "autoscaling", "horizontalpodautoscalers", true);
ORLOP_KUBE_KIND(::k8s::io::api::batch::v1, CronJob, "cronjobs.batch", "batch/v1", "batch", "cronjobs", true);
ORLOP_KUBE_KIND(::k8s::io::api::batch::v1, Job, "jobs.batch", "batch/v1", "batch", "jobs", true);
ORLOP_KUBE_KIND(::k8s::io::api::certificates::v1, CertificateSigningRequest,
                "certificatesigningrequests.certificates.k8s.io", "certificates.k8s.io/v1", "certificates.k8s.io",
                "certificatesigningrequests", false);
ORLOP_KUBE_KIND(::k8s::io::api::networking::v1, IngressClass, "ingressclasses.networking.k8s.io",
                "networking.k8s.io/v1", "networking.k8s.io", "ingressclasses", false);
ORLOP_KUBE_KIND(::k8s::io::api::networking::v1, Ingress, "ingresses.networking.k8s.io", "networking.k8s.io/v1",
                "networking.k8s.io", "ingresses", true);
ORLOP_KUBE_KIND(::k8s::io::api::networking::v1, NetworkPolicy, "networkpolicies.networking.k8s.io",
                "networking.k8s.io/v1", "networking.k8s.io", "networkpolicies", true);
ORLOP_KUBE_KIND(::k8s::io::api::policy::v1, PodDisruptionBudget, "poddisruptionbudgets.policy", "policy/v1", "policy",
                "poddisruptionbudgets", true);
ORLOP_KUBE_KIND(::k8s::io::api::rbac::v1, ClusterRoleBinding, "clusterrolebindings.rbac.authorization.k8s.io",
                "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io", "clusterrolebindings", false);
ORLOP_KUBE_KIND(::k8s::io::api::rbac::v1, ClusterRole, "clusterroles.rbac.authorization.k8s.io",
                "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io", "clusterroles", false);
ORLOP_KUBE_KIND(::k8s::io::api::rbac::v1, RoleBinding, "rolebindings.rbac.authorization.k8s.io",
                "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io", "rolebindings", true);
ORLOP_KUBE_KIND(::k8s::io::api::rbac::v1, Role, "roles.rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1",
                "rbac.authorization.k8s.io", "roles", true);
ORLOP_KUBE_KIND(::k8s::io::api::storage::v1, CSIDriver, "csidrivers.storage.k8s.io", "storage.k8s.io/v1",
                "storage.k8s.io", "csidrivers", false);
ORLOP_KUBE_KIND(::k8s::io::api::storage::v1, CSINode, "csinodes.storage.k8s.io", "storage.k8s.io/v1", "storage.k8s.io",
                "csinodes", false);
ORLOP_KUBE_KIND(::k8s::io::api::storage::v1, CSIStorageCapacity, "csistoragecapacities.storage.k8s.io",
                "storage.k8s.io/v1", "storage.k8s.io", "csistoragecapacities", true);
ORLOP_KUBE_KIND(::k8s::io::api::storage::v1, StorageClass, "storageclasses.storage.k8s.io", "storage.k8s.io/v1",
                "storage.k8s.io", "storageclasses", false);
ORLOP_KUBE_KIND(::k8s::io::api::storage::v1, VolumeAttachment, "volumeattachments.storage.k8s.io", "storage.k8s.io/v1",
                "storage.k8s.io", "volumeattachments", false);
ORLOP_KUBE_KIND(::k8s::io::api::admissionregistration::v1, MutatingWebhookConfiguration,
                "mutatingwebhookconfigurations.admissionregistration.k8s.io", "admissionregistration.k8s.io/v1",
                "admissionregistration.k8s.io", "mutatingwebhookconfigurations", false);
ORLOP_KUBE_KIND(::k8s::io::api::admissionregistration::v1, ValidatingAdmissionPolicy,
                "validatingadmissionpolicies.admissionregistration.k8s.io", "admissionregistration.k8s.io/v1",
                "admissionregistration.k8s.io", "validatingadmissionpolicies", false);
ORLOP_KUBE_KIND(::k8s::io::api::admissionregistration::v1, ValidatingAdmissionPolicyBinding,
                "validatingadmissionpolicybindings.admissionregistration.k8s.io", "admissionregistration.k8s.io/v1",
                "admissionregistration.k8s.io", "validatingadmissionpolicybindings", false);
ORLOP_KUBE_KIND(::k8s::io::api::admissionregistration::v1, ValidatingWebhookConfiguration,
                "validatingwebhookconfigurations.admissionregistration.k8s.io", "admissionregistration.k8s.io/v1",
                "admissionregistration.k8s.io", "validatingwebhookconfigurations", false);
ORLOP_KUBE_KIND(::k8s::io::apiextensions_apiserver::pkg::apis::apiextensions::v1, CustomResourceDefinition,
                "customresourcedefinitions.apiextensions.k8s.io", "apiextensions.k8s.io/v1", "apiextensions.k8s.io",
                "customresourcedefinitions", false);
ORLOP_KUBE_KIND(::k8s::io::api::scheduling::v1, PriorityClass, "priorityclasses.scheduling.k8s.io",
                "scheduling.k8s.io/v1", "scheduling.k8s.io", "priorityclasses", false);
ORLOP_KUBE_KIND(::k8s::io::api::coordination::v1, Lease, "leases.coordination.k8s.io", "coordination.k8s.io/v1",
                "coordination.k8s.io", "leases", true);
ORLOP_KUBE_KIND(::k8s::io::api::node::v1, RuntimeClass, "runtimeclasses.node.k8s.io", "node.k8s.io/v1", "node.k8s.io",
                "runtimeclasses", false);
ORLOP_KUBE_KIND(::k8s::io::api::discovery::v1, EndpointSlice, "endpointslices.discovery.k8s.io", "discovery.k8s.io/v1",
                "discovery.k8s.io", "endpointslices", true);
ORLOP_KUBE_KIND(::k8s::io::api::flowcontrol::v1, FlowSchema, "flowschemas.flowcontrol.apiserver.k8s.io",
                "flowcontrol.apiserver.k8s.io/v1", "flowcontrol.apiserver.k8s.io", "flowschemas", false);
ORLOP_KUBE_KIND(::k8s::io::api::flowcontrol::v1, PriorityLevelConfiguration,
                "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "flowcontrol.apiserver.k8s.io/v1",
                "flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", false);

#undef ORLOP_KUBE_KIND

}  // namespace orlop::kube
