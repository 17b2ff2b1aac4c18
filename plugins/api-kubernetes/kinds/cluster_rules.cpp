// RBAC, priority classes, leases, webhooks, signing requests.
#include "orlop/kube/admissionregistration_v1.hpp"
#include "orlop/kube/certificates_v1.hpp"
#include "orlop/kube/coordination_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/node_v1.hpp"
#include "orlop/kube/rbac_v1.hpp"
#include "orlop/kube/scheduling_v1.hpp"
#include "plugins/api-kubernetes/kinds/autoscaling_rules.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"

#include <algorithm>
#include <type_traits>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace admissionv1 = k8s::io::api::admissionregistration::v1;
namespace certificatesv1 = k8s::io::api::certificates::v1;
namespace coordinationv1 = k8s::io::api::coordination::v1;
namespace nodev1 = k8s::io::api::node::v1;
namespace rbacv1 = k8s::io::api::rbac::v1;
namespace schedulingv1 = k8s::io::api::scheduling::v1;

constexpr const char* kRbacGroup = "rbac.authorization.k8s.io";

template <typename Binding>
void binding_defaults(Message* object) {
  auto& binding = as<Binding>(object);
  if (binding.roleref().apigroup().empty()) binding.mutable_roleref()->set_apigroup(kRbacGroup);
  for (auto& subject : *binding.mutable_subjects()) {
    if (subject.apigroup().empty() && (subject.kind() == "User" || subject.kind() == "Group"))
      subject.set_apigroup(kRbacGroup);
  }
}

void validate_policy_rule(const rbacv1::PolicyRule& rule, bool namespaced, const FieldPath& path, FieldErrors* errors) {
  if (rule.verbs().empty()) errors->required(path.child("verbs"), "verbs must contain at least one value");
  if (!rule.nonresourceurls().empty()) {
    if (namespaced) {
      errors->invalid(path.child("nonResourceURLs"),
                      ShownValue::raw(fmt::format("{} urls", rule.nonresourceurls_size())),
                      "namespaced rules cannot apply to non-resource URLs");
    }
    if (!rule.apigroups().empty() || !rule.resources().empty() || !rule.resourcenames().empty()) {
      errors->invalid(path.child("nonResourceURLs"),
                      ShownValue::raw(fmt::format("{} urls", rule.nonresourceurls_size())),
                      "rules cannot apply to both regular resources and non-resource URLs");
    }
    return;
  }
  if (rule.apigroups().empty())
    errors->required(path.child("apiGroups"), "resource rules must supply at least one api group");
  if (rule.resources().empty())
    errors->required(path.child("resources"), "resource rules must supply at least one resource");
}

template <typename Role>
void validate_role(const Message& object, FieldErrors* errors) {
  const auto& role = as<Role>(object);
  for (int i = 0; i < role.rules_size(); ++i) {
    validate_policy_rule(role.rules(i), std::is_same_v<Role, rbacv1::Role>,
                         FieldPath("rules").index(static_cast<size_t>(i)), errors);
  }
}

template <typename Binding>
void validate_binding(const Message& object, FieldErrors* errors) {
  const auto& binding = as<Binding>(object);
  constexpr bool kNamespaced = std::is_same_v<Binding, rbacv1::RoleBinding>;
  const FieldPath role("roleRef");
  if (binding.roleref().apigroup() != kRbacGroup)
    errors->not_supported(role.child("apiGroup"), binding.roleref().apigroup(), {kRbacGroup});
  const auto& kind = binding.roleref().kind();
  if (kNamespaced && kind != "Role" && kind != "ClusterRole")
    errors->not_supported(role.child("kind"), kind, {"Role", "ClusterRole"});
  if (!kNamespaced && kind != "ClusterRole") errors->not_supported(role.child("kind"), kind, {"ClusterRole"});
  if (binding.roleref().name().empty()) {
    errors->required(role.child("name"));
  } else {
    errors->invalid(role.child("name"), binding.roleref().name(), path_segment_faults(binding.roleref().name()));
  }
  for (int i = 0; i < binding.subjects_size(); ++i) {
    const auto& subject = binding.subjects(i);
    const auto at = FieldPath("subjects").index(static_cast<size_t>(i));
    if (subject.name().empty()) errors->required(at.child("name"));
    if (subject.kind() == "ServiceAccount") {
      if (!subject.name().empty())
        errors->invalid(at.child("name"), subject.name(), dns1123_subdomain_faults(subject.name()));
      if (!subject.apigroup().empty()) errors->not_supported(at.child("apiGroup"), subject.apigroup(), {""});
      if (subject.namespace_().empty()) errors->required(at.child("namespace"));
    } else if (subject.kind() == "User" || subject.kind() == "Group") {
      if (subject.apigroup() != kRbacGroup)
        errors->not_supported(at.child("apiGroup"), subject.apigroup(), {kRbacGroup});
    } else {
      errors->not_supported(at.child("kind"), subject.kind(), {"ServiceAccount", "User", "Group"});
    }
  }
}

template <typename Binding>
void validate_binding_update(const Message& object, const Message& current, std::string_view, FieldErrors* errors) {
  const auto& role = as<Binding>(object).roleref();
  if (!same_message(role, as<Binding>(current).roleref())) {
    errors->invalid(
        FieldPath("roleRef"),
        ShownValue::raw(fmt::format("rbac.RoleRef{{APIGroup:{}, Kind:{}, Name:{}}}", in_quotes(role.apigroup()),
                                    in_quotes(role.kind()), in_quotes(role.name()))),
        "cannot change roleRef");
  }
}

void priority_class_defaults(Message* object) {
  auto& priority = as<schedulingv1::PriorityClass>(object);
  if (!priority.has_preemptionpolicy()) priority.set_preemptionpolicy("PreemptLowerPriority");
}

void validate_priority_class(const Message& object, FieldErrors* errors) {
  const auto& priority = as<schedulingv1::PriorityClass>(object);
  constexpr int32_t kUserMax = 1'000'000'000;
  const bool system = priority.metadata().name().starts_with("system-");
  if (system && priority.metadata().name() != "system-node-critical" &&
      priority.metadata().name() != "system-cluster-critical") {
    errors->forbidden(FieldPath("metadata").child("name"),
                      "priority class names with 'system-' prefix are reserved for system use only. error: unknown "
                      "system priority class");
  }
  if (!system && priority.value() > kUserMax) {
    errors->forbidden(FieldPath("value"),
                      fmt::format("maximum allowed value of a user defined priority is {}", kUserMax));
  }
}

void validate_priority_class_update(const Message& object, const Message& current, std::string_view,
                                    FieldErrors* errors) {
  const auto& now = as<schedulingv1::PriorityClass>(object);
  const auto& before = as<schedulingv1::PriorityClass>(current);
  if (now.value() != before.value()) errors->forbidden(FieldPath("value"), "may not be changed in an update.");
  if (now.preemptionpolicy() != before.preemptionpolicy())
    errors->invalid(FieldPath("preemptionPolicy"), now.preemptionpolicy(), "field is immutable");
}

void validate_lease(const Message& object, FieldErrors* errors) {
  const auto& spec = as<coordinationv1::Lease>(object).spec();
  const FieldPath path("spec");
  if (spec.has_leasedurationseconds() && spec.leasedurationseconds() <= 0) {
    errors->invalid(path.child("leaseDurationSeconds"), spec.leasedurationseconds(), "must be greater than 0");
  }
  errors->non_negative(path.child("leaseTransitions"), spec.leasetransitions());
}

void validate_runtime_class(const Message& object, FieldErrors* errors) {
  const auto& handler = as<nodev1::RuntimeClass>(object).handler();
  errors->invalid(FieldPath("handler"), handler, dns1123_label_faults(handler));
}

void validate_runtime_class_update(const Message& object, const Message& current, std::string_view,
                                   FieldErrors* errors) {
  const auto& handler = as<nodev1::RuntimeClass>(object).handler();
  if (handler != as<nodev1::RuntimeClass>(current).handler())
    errors->invalid(FieldPath("handler"), handler, "field is immutable");
}

// Mutating and validating webhooks have the same fields in two types.
template <typename Configuration>
void webhook_defaults(Message* object) {
  for (auto& webhook : *as<Configuration>(object).mutable_webhooks()) {
    if (!webhook.has_failurepolicy()) webhook.set_failurepolicy("Fail");
    if (!webhook.has_matchpolicy()) webhook.set_matchpolicy("Equivalent");
    webhook.mutable_namespaceselector();
    webhook.mutable_objectselector();
    if (!webhook.has_timeoutseconds()) webhook.set_timeoutseconds(10);
    if constexpr (std::is_same_v<Configuration, admissionv1::MutatingWebhookConfiguration>) {
      if (!webhook.has_reinvocationpolicy()) webhook.set_reinvocationpolicy("Never");
    }
    for (auto& rule : *webhook.mutable_rules()) {
      if (!rule.rule().has_scope()) rule.mutable_rule()->set_scope("*");
    }
    if (webhook.clientconfig().has_service() && !webhook.clientconfig().service().has_port()) {
      webhook.mutable_clientconfig()->mutable_service()->set_port(443);
    }
  }
}

template <typename Configuration>
void validate_webhooks(const Message& object, FieldErrors* errors) {
  const auto& configuration = as<Configuration>(object);
  for (int i = 0; i < configuration.webhooks_size(); ++i) {
    const auto& webhook = configuration.webhooks(i);
    const auto at = FieldPath("webhooks").index(static_cast<size_t>(i));
    if (webhook.name().empty()) {
      errors->required(at.child("name"));
    } else if (std::count(webhook.name().begin(), webhook.name().end(), '.') < 2) {
      errors->invalid(at.child("name"), webhook.name(),
                      "should be a domain with at least three segments separated by dots");
    }
    if (webhook.has_timeoutseconds() && (webhook.timeoutseconds() < 1 || webhook.timeoutseconds() > 30)) {
      errors->invalid(at.child("timeoutSeconds"), webhook.timeoutseconds(),
                      "the timeout value must be between 1 and 30 seconds");
    }
    const auto effects = webhook.sideeffects();
    if (!webhook.has_sideeffects()) {
      errors->required(at.child("sideEffects"), "must specify one of None, NoneOnDryRun");
    } else if (effects != "None" && effects != "NoneOnDryRun") {
      errors->not_supported(at.child("sideEffects"), effects, {"None", "NoneOnDryRun"});
    }
    if (webhook.admissionreviewversions().empty()) {
      errors->required(at.child("admissionReviewVersions"), "must specify one of v1, v1beta1");
    }
    if (webhook.clientconfig().has_service() == webhook.clientconfig().has_url()) {
      errors->required(at.child("clientConfig"), "exactly one of url or service is required");
    }
  }
}

void signing_request_defaults(Message* object) {
  auto* spec = as<certificatesv1::CertificateSigningRequest>(object).mutable_spec();
  if (!spec->usages().empty()) return;
  spec->add_usages("digital signature");
  spec->add_usages("key encipherment");
}

void validate_signing_request(const Message& object, FieldErrors* errors) {
  const auto& spec = as<certificatesv1::CertificateSigningRequest>(object).spec();
  const FieldPath path("spec");
  if (spec.request().empty() || spec.request().find("CERTIFICATE REQUEST") == std::string::npos) {
    errors->invalid(path.child("request"), ShownValue::raw(fmt::format("{} bytes", spec.request().size())),
                    "PEM block type must be CERTIFICATE REQUEST");
  }
  if (spec.signername().empty()) {
    errors->required(path.child("signerName"));
  } else if (spec.signername().find('/') == std::string::npos) {
    errors->invalid(path.child("signerName"), spec.signername(),
                    "must be a fully qualified domain and path of the form 'example.com/signer-name'");
  }
  if (spec.has_expirationseconds() && spec.expirationseconds() < 600) {
    errors->invalid(path.child("expirationSeconds"), spec.expirationseconds(),
                    "may not specify a duration less than 600 seconds (10 minutes)");
  }
}

constexpr KindHandler kHandlers[] = {
    {.id = "roles.rbac.authorization.k8s.io", .names = NameRule::kPathSegment, .validate = validate_role<rbacv1::Role>},
    {.id = "clusterroles.rbac.authorization.k8s.io",
     .names = NameRule::kPathSegment,
     .validate = validate_role<rbacv1::ClusterRole>},
    {.id = "rolebindings.rbac.authorization.k8s.io",
     .names = NameRule::kPathSegment,
     .set_defaults = binding_defaults<rbacv1::RoleBinding>,
     .validate = validate_binding<rbacv1::RoleBinding>,
     .validate_update = validate_binding_update<rbacv1::RoleBinding>},
    {.id = "clusterrolebindings.rbac.authorization.k8s.io",
     .names = NameRule::kPathSegment,
     .set_defaults = binding_defaults<rbacv1::ClusterRoleBinding>,
     .validate = validate_binding<rbacv1::ClusterRoleBinding>,
     .validate_update = validate_binding_update<rbacv1::ClusterRoleBinding>},
    {.id = "priorityclasses.scheduling.k8s.io",
     .set_defaults = priority_class_defaults,
     .validate = validate_priority_class,
     .validate_update = validate_priority_class_update},
    {.id = "leases.coordination.k8s.io", .validate = validate_lease},
    {.id = "runtimeclasses.node.k8s.io",
     .validate = validate_runtime_class,
     .validate_update = validate_runtime_class_update},
    {.id = "poddisruptionbudgets.policy", .validate = validate_budget, .validate_update = validate_budget_update},
    {.id = "horizontalpodautoscalers.autoscaling",
     .set_defaults = autoscaler_defaults,
     .validate = validate_autoscaler,
     .validate_update = validate_autoscaler_update},
    {.id = "mutatingwebhookconfigurations.admissionregistration.k8s.io",
     .set_defaults = webhook_defaults<admissionv1::MutatingWebhookConfiguration>,
     .validate = validate_webhooks<admissionv1::MutatingWebhookConfiguration>},
    {.id = "validatingwebhookconfigurations.admissionregistration.k8s.io",
     .set_defaults = webhook_defaults<admissionv1::ValidatingWebhookConfiguration>,
     .validate = validate_webhooks<admissionv1::ValidatingWebhookConfiguration>},
    {.id = "certificatesigningrequests.certificates.k8s.io",
     .names = NameRule::kPathSegment,
     .set_defaults = signing_request_defaults,
     .validate = validate_signing_request},
};

}  // namespace

std::span<const KindHandler> cluster_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
