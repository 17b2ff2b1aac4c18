#include "orlop/kube/admissionregistration_v1.hpp"
#include "orlop/kube/apiregistration_v1.hpp"
#include "orlop/kube/certificates_v1.hpp"
#include "orlop/kube/coordination_v1.hpp"
#include "orlop/kube/flowcontrol_v1.hpp"
#include "orlop/kube/node_v1.hpp"
#include "orlop/kube/rbac_v1.hpp"
#include "orlop/kube/scheduling_v1.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace admissionv1 = k8s::io::api::admissionregistration::v1;
namespace certificatesv1 = k8s::io::api::certificates::v1;
namespace coordinationv1 = k8s::io::api::coordination::v1;
namespace flowcontrolv1 = k8s::io::api::flowcontrol::v1;
namespace nodev1 = k8s::io::api::node::v1;
namespace rbacv1 = k8s::io::api::rbac::v1;
namespace registrationv1 = k8s::io::kube_aggregator::pkg::apis::apiregistration::v1;
namespace schedulingv1 = k8s::io::api::scheduling::v1;

constexpr ColumnSpec kBindingColumns[] = {
    kNameColumn,
    {"Role", "string", "k8s.io.api.rbac.v1.RoleBinding#roleRef"},
    kAgeColumn,
    {"Users", "string", "Users in the roleBinding", 1},
    {"Groups", "string", "Groups in the roleBinding", 1},
    {"ServiceAccounts", "string", "ServiceAccounts in the roleBinding", 1},
};
constexpr ColumnSpec kClusterBindingColumns[] = {
    kNameColumn,
    {"Role", "string", "k8s.io.api.rbac.v1.ClusterRoleBinding#roleRef"},
    kAgeColumn,
    {"Users", "string", "Users in the clusterRoleBinding", 1},
    {"Groups", "string", "Groups in the clusterRoleBinding", 1},
    {"ServiceAccounts", "string", "ServiceAccounts in the clusterRoleBinding", 1},
};

template <typename Binding>
void binding_cells(const Message& object, Cells* cells) {
  const auto& binding = as<Binding>(object);
  std::string users;
  std::string groups;
  std::string accounts;
  auto add = [](std::string* list, const std::string& item) { *list += (list->empty() ? "" : ", ") + item; };
  for (const auto& subject : binding.subjects()) {
    if (subject.kind() == "User") add(&users, subject.name());
    if (subject.kind() == "Group") add(&groups, subject.name());
    if (subject.kind() == "ServiceAccount") add(&accounts, subject.namespace_() + "/" + subject.name());
  }
  cells->text(binding.metadata().name());
  cells->text(binding.roleref().kind() + "/" + binding.roleref().name());
  cells->age(binding.metadata());
  cells->text(users);
  cells->text(groups);
  cells->text(accounts);
}

constexpr ColumnSpec kSigningRequestColumns[] = {
    kNameColumn,
    kAgeColumn,
    {"SignerName", "string", "k8s.io.api.certificates.v1.CertificateSigningRequestSpec#signerName"},
    {"Requestor", "string", "k8s.io.api.certificates.v1.CertificateSigningRequestSpec#request"},
    {"RequestedDuration", "string", "k8s.io.api.certificates.v1.CertificateSigningRequestSpec#expirationSeconds"},
    {"Condition", "string", "k8s.io.api.certificates.v1.CertificateSigningRequestStatus#conditions"},
};

std::string signing_status(const certificatesv1::CertificateSigningRequest& request) {
  bool approved = false;
  bool denied = false;
  bool failed = false;
  for (const auto& condition : request.status().conditions()) {
    approved = approved || condition.type() == "Approved";
    denied = denied || condition.type() == "Denied";
    failed = failed || condition.type() == "Failed";
  }
  std::string status = denied ? "Denied" : approved ? "Approved" : "Pending";
  if (failed) status += ",Failed";
  if (!request.status().certificate().empty()) status += ",Issued";
  return status;
}

void signing_request_cells(const Message& object, Cells* cells) {
  const auto& request = as<certificatesv1::CertificateSigningRequest>(object);
  cells->text(request.metadata().name());
  cells->age(request.metadata());
  cells->text_or(request.spec().signername(), "<none>");
  cells->text(request.spec().username());
  cells->text(request.spec().has_expirationseconds()
                  ? human_duration(std::chrono::seconds(request.spec().expirationseconds()))
                  : "<none>");
  cells->text(signing_status(request));
}

constexpr ColumnSpec kLeaseColumns[] = {
    kNameColumn, {"Holder", "string", "k8s.io.api.coordination.v1.LeaseSpec#holderIdentity"}, kAgeColumn};

void lease_cells(const Message& object, Cells* cells) {
  const auto& lease = as<coordinationv1::Lease>(object);
  cells->text(lease.metadata().name());
  cells->text(lease.spec().holderidentity());
  cells->age(lease.metadata());
}

constexpr ColumnSpec kPriorityClassColumns[] = {
    kNameColumn,
    {"Value", "integer", "k8s.io.api.scheduling.v1.PriorityClass#value"},
    {"Global-Default", "boolean", "k8s.io.api.scheduling.v1.PriorityClass#globalDefault"},
    kAgeColumn,
    {"PreemptionPolicy", "string", "k8s.io.api.scheduling.v1.PriorityClass#preemptionPolicy"},
};

void priority_class_cells(const Message& object, Cells* cells) {
  const auto& priority = as<schedulingv1::PriorityClass>(object);
  cells->text(priority.metadata().name());
  cells->integer(priority.value());
  cells->boolean(priority.globaldefault());
  cells->age(priority.metadata());
  cells->text(priority.preemptionpolicy());
}

constexpr ColumnSpec kRuntimeClassColumns[] = {
    kNameColumn, {"Handler", "string", "k8s.io.api.node.v1.RuntimeClass#handler"}, kAgeColumn};

void runtime_class_cells(const Message& object, Cells* cells) {
  const auto& runtime = as<nodev1::RuntimeClass>(object);
  cells->text(runtime.metadata().name());
  cells->text(runtime.handler());
  cells->age(runtime.metadata());
}

constexpr ColumnSpec kWebhookColumns[] = {
    kNameColumn,
    {"Webhooks", "integer", "Webhooks indicates the number of webhooks registered in this configuration"},
    kAgeColumn};

template <typename Configuration>
void webhook_cells(const Message& object, Cells* cells) {
  const auto& configuration = as<Configuration>(object);
  cells->text(configuration.metadata().name());
  cells->integer(configuration.webhooks_size());
  cells->age(configuration.metadata());
}

constexpr ColumnSpec kAdmissionPolicyColumns[] = {
    kNameColumn,
    {"Validations", "integer", "Validations indicates the number of validation rules defined in this configuration"},
    {"ParamKind", "string", "ParamKind specifies the kind of resources used to parameterize this policy"},
    kAgeColumn,
};

void admission_policy_cells(const Message& object, Cells* cells) {
  const auto& policy = as<admissionv1::ValidatingAdmissionPolicy>(object);
  cells->text(policy.metadata().name());
  cells->integer(policy.spec().validations_size());
  cells->text(policy.spec().has_paramkind()
                  ? policy.spec().paramkind().apiversion() + "/" + policy.spec().paramkind().kind()
                  : "<unset>");
  cells->age(policy.metadata());
}

constexpr ColumnSpec kAdmissionBindingColumns[] = {
    kNameColumn,
    {"PolicyName", "string", "PolicyName indicates the policy definition which the policy binding binded to"},
    {"ParamRef", "string", "ParamRef indicates the param resource which sets the configration param"},
    kAgeColumn,
};

void admission_binding_cells(const Message& object, Cells* cells) {
  const auto& binding = as<admissionv1::ValidatingAdmissionPolicyBinding>(object);
  std::string parameters = "<unset>";
  if (binding.spec().has_paramref()) {
    const auto& reference = binding.spec().paramref();
    if (!reference.name().empty()) {
      parameters =
          reference.namespace_().empty() ? "*/" + reference.name() : reference.namespace_() + "/" + reference.name();
    } else if (reference.has_selector()) {
      parameters = selector_text(reference.selector());
    }
  }
  cells->text(binding.metadata().name());
  cells->text(binding.spec().policyname());
  cells->text(parameters);
  cells->age(binding.metadata());
}

constexpr ColumnSpec kFlowSchemaColumns[] = {
    kNameColumn,
    {"PriorityLevel", "string", "k8s.io.api.flowcontrol.v1.PriorityLevelConfigurationReference#name"},
    {"MatchingPrecedence", "string", "k8s.io.api.flowcontrol.v1.FlowSchemaSpec#matchingPrecedence"},
    {"DistinguisherMethod", "string", "k8s.io.api.flowcontrol.v1.FlowSchemaSpec#distinguisherMethod"},
    kAgeColumn,
    {"MissingPL", "string", "references a broken or non-existent PriorityLevelConfiguration"},
};

void flow_schema_cells(const Message& object, Cells* cells) {
  const auto& flow = as<flowcontrolv1::FlowSchema>(object);
  std::string dangling = "?";
  for (const auto& condition : flow.status().conditions()) {
    if (condition.type() == "Dangling") dangling = condition.status();
  }
  cells->text(flow.metadata().name());
  cells->text(flow.spec().prioritylevelconfiguration().name());
  cells->integer(flow.spec().matchingprecedence());
  cells->text(flow.spec().has_distinguishermethod() ? flow.spec().distinguishermethod().type() : "<none>");
  cells->age(flow.metadata());
  cells->text(dangling);
}

constexpr ColumnSpec kPriorityLevelColumns[] = {
    kNameColumn,
    {"Type", "string", "k8s.io.api.flowcontrol.v1.PriorityLevelConfigurationSpec#type"},
    {"NominalConcurrencyShares", "string",
     "k8s.io.api.flowcontrol.v1.LimitedPriorityLevelConfiguration#nominalConcurrencyShares"},
    {"Queues", "string", "k8s.io.api.flowcontrol.v1.QueuingConfiguration#queues"},
    {"HandSize", "string", "k8s.io.api.flowcontrol.v1.QueuingConfiguration#handSize"},
    {"QueueLengthLimit", "string", "k8s.io.api.flowcontrol.v1.QueuingConfiguration#queueLengthLimit"},
    kAgeColumn,
};

void priority_level_cells(const Message& object, Cells* cells) {
  const auto& level = as<flowcontrolv1::PriorityLevelConfiguration>(object);
  const auto& limited = level.spec().limited();
  const bool queues = level.spec().has_limited() && limited.limitresponse().has_queuing();
  auto number = [&](bool has, int32_t value) {
    if (has) {
      cells->integer(value);
    } else {
      cells->text("<none>");
    }
  };
  cells->text(level.metadata().name());
  cells->text(level.spec().type());
  number(level.spec().has_limited(), limited.nominalconcurrencyshares());
  number(queues, limited.limitresponse().queuing().queues());
  number(queues, limited.limitresponse().queuing().handsize());
  number(queues, limited.limitresponse().queuing().queuelengthlimit());
  cells->age(level.metadata());
}

constexpr ColumnSpec kApiServiceColumns[] = {
    kNameColumn,
    {"Service", "string", "The reference to the service that hosts this API endpoint."},
    {"Available", "string", "Whether this service is available."},
    kAgeColumn,
};

void api_service_cells(const Message& object, Cells* cells) {
  const auto& service = as<registrationv1::APIService>(object);
  std::string available = "Unknown";
  for (const auto& condition : service.status().conditions()) {
    if (condition.type() != "Available") continue;
    available = condition.status() == "True" ? "True" : fmt::format("{} ({})", condition.status(), condition.reason());
  }
  cells->text(service.metadata().name());
  cells->text(service.spec().has_service()
                  ? service.spec().service().namespace_() + "/" + service.spec().service().name()
                  : "Local");
  cells->text(available);
  cells->age(service.metadata());
}

constexpr KindPrinter kPrinters[] = {
    {"rolebindings.rbac.authorization.k8s.io", kBindingColumns, binding_cells<rbacv1::RoleBinding>},
    {"clusterrolebindings.rbac.authorization.k8s.io", kClusterBindingColumns,
     binding_cells<rbacv1::ClusterRoleBinding>},
    {"certificatesigningrequests.certificates.k8s.io", kSigningRequestColumns, signing_request_cells},
    {"leases.coordination.k8s.io", kLeaseColumns, lease_cells},
    {"priorityclasses.scheduling.k8s.io", kPriorityClassColumns, priority_class_cells},
    {"runtimeclasses.node.k8s.io", kRuntimeClassColumns, runtime_class_cells},
    {"mutatingwebhookconfigurations.admissionregistration.k8s.io", kWebhookColumns,
     webhook_cells<admissionv1::MutatingWebhookConfiguration>},
    {"validatingwebhookconfigurations.admissionregistration.k8s.io", kWebhookColumns,
     webhook_cells<admissionv1::ValidatingWebhookConfiguration>},
    {"validatingadmissionpolicies.admissionregistration.k8s.io", kAdmissionPolicyColumns, admission_policy_cells},
    {"validatingadmissionpolicybindings.admissionregistration.k8s.io", kAdmissionBindingColumns,
     admission_binding_cells},
    {"flowschemas.flowcontrol.apiserver.k8s.io", kFlowSchemaColumns, flow_schema_cells},
    {"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", kPriorityLevelColumns, priority_level_cells},
    {"apiservices.apiregistration.k8s.io", kApiServiceColumns, api_service_cells},
};

}  // namespace

std::span<const KindPrinter> cluster_printers() {
  return kPrinters;
}

}  // namespace orlop::apikube
