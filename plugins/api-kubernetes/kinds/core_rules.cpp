// The core group's kinds, pods and services by way of their own files.
#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"
#include "plugins/api-kubernetes/kinds/services.hpp"

#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace orlop::apikube {
namespace {

bool is_address(const std::string& text) {
  in6_addr buffer;
  return inet_pton(AF_INET, text.c_str(), &buffer) == 1 || inet_pton(AF_INET6, text.c_str(), &buffer) == 1;
}

void pod_defaults(Message* object) {
  auto& pod = as<corev1::Pod>(object);
  set_pod_spec_defaults(pod.mutable_spec());
  set_pod_defaults(&pod);
}

void pod_prepare(Message* object) {
  prepare_new_pod(&as<corev1::Pod>(object));
}

void pod_prepare_update(Message* object, const Message& current, std::string_view subresource) {
  auto& pod = as<corev1::Pod>(object);
  const auto& before = as<corev1::Pod>(current);
  if (subresource == "status") {
    *pod.mutable_metadata()->mutable_ownerreferences() = before.metadata().ownerreferences();
    pod.mutable_status()->set_qosclass(before.status().qosclass().empty() ? std::string(pod_qos_class(before.spec()))
                                                                          : before.status().qosclass());
  } else if (subresource == "ephemeralcontainers") {
    // Nothing else of the spec may change by this path.
    const auto ephemeral = pod.spec().ephemeralcontainers();
    *pod.mutable_spec() = before.spec();
    *pod.mutable_spec()->mutable_ephemeralcontainers() = ephemeral;
  } else if (subresource.empty()) {
    *pod.mutable_spec()->mutable_ephemeralcontainers() = before.spec().ephemeralcontainers();
  }
}

void pod_validate(const Message& object, FieldErrors* errors) {
  validate_pod_spec(as<corev1::Pod>(object).spec(), FieldPath("spec"), true, errors);
}

void pod_validate_update(const Message& object, const Message& current, std::string_view subresource,
                         FieldErrors* errors) {
  validate_pod_update(as<corev1::Pod>(object), as<corev1::Pod>(current), subresource, errors);
}

void service_defaults(Message* object) {
  set_service_defaults(&as<corev1::Service>(object));
}
void service_prepare_update(Message* object, const Message& current, std::string_view subresource) {
  if (subresource.empty()) carry_over_service(&as<corev1::Service>(object), as<corev1::Service>(current));
}
void service_validate(const Message& object, FieldErrors* errors) {
  validate_service(as<corev1::Service>(object), errors);
}
void service_validate_update(const Message& object, const Message& current, std::string_view subresource,
                             FieldErrors* errors) {
  if (subresource.empty()) validate_service_update(as<corev1::Service>(object), as<corev1::Service>(current), errors);
}

void namespace_defaults(Message* object) {
  auto& space = as<corev1::Namespace>(object);
  if (space.status().phase().empty()) space.mutable_status()->set_phase("Active");
  if (space.metadata().name().empty()) return;
  (*space.mutable_metadata()->mutable_labels())["kubernetes.io/metadata.name"] = space.metadata().name();
}

void namespace_prepare(Message* object) {
  auto& space = as<corev1::Namespace>(object);
  space.mutable_status()->Clear();
  space.mutable_status()->set_phase("Active");
  auto* finalizers = space.mutable_spec()->mutable_finalizers();
  if (std::find(finalizers->begin(), finalizers->end(), "kubernetes") == finalizers->end())
    *finalizers->Add() = "kubernetes";
}

void namespace_prepare_update(Message* object, const Message& current, std::string_view subresource) {
  auto& space = as<corev1::Namespace>(object);
  const auto& before = as<corev1::Namespace>(current);
  if (subresource.empty()) *space.mutable_spec()->mutable_finalizers() = before.spec().finalizers();
}

void namespace_validate(const Message& object, FieldErrors* errors) {
  const auto& finalizers = as<corev1::Namespace>(object).spec().finalizers();
  for (int i = 0; i < finalizers.size(); ++i) {
    if (finalizers[i] == "kubernetes") continue;
    const auto at = FieldPath("spec").child("finalizers").index(static_cast<size_t>(i));
    errors->invalid(at, finalizers[i], qualified_name_faults(finalizers[i]));
    if (finalizers[i].find('/') == std::string::npos) {
      errors->invalid(at, finalizers[i], "name is neither a standard finalizer name nor is it fully qualified");
    }
  }
}

void endpoints_defaults(Message* object) {
  for (auto& subset : *as<corev1::Endpoints>(object).mutable_subsets()) {
    for (auto& port : *subset.mutable_ports()) {
      if (port.protocol().empty()) port.set_protocol("TCP");
    }
  }
}

void endpoints_validate(const Message& object, FieldErrors* errors) {
  const auto& endpoints = as<corev1::Endpoints>(object);
  for (int i = 0; i < endpoints.subsets_size(); ++i) {
    const auto& subset = endpoints.subsets(i);
    const auto path = FieldPath("subsets").index(static_cast<size_t>(i));
    if (subset.addresses().empty() && subset.notreadyaddresses().empty()) {
      errors->required(path, "must specify `addresses` or `notReadyAddresses`");
    }
    auto check = [&](const auto& addresses, std::string_view field) {
      for (int j = 0; j < addresses.size(); ++j) {
        const auto at = path.child(field).index(static_cast<size_t>(j)).child("ip");
        if (!is_address(addresses[j].ip())) {
          errors->invalid(at, addresses[j].ip(), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        } else if (addresses[j].ip().starts_with("127.")) {
          errors->invalid(at, addresses[j].ip(), "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        }
      }
    };
    check(subset.addresses(), "addresses");
    check(subset.notreadyaddresses(), "notReadyAddresses");
    for (int j = 0; j < subset.ports_size(); ++j) {
      const auto& port = subset.ports(j);
      const auto at = path.child("ports").index(static_cast<size_t>(j));
      if (subset.ports_size() > 1 && port.name().empty()) {
        errors->required(at.child("name"));
      } else if (!port.name().empty()) {
        errors->invalid(at.child("name"), port.name(), dns1123_label_faults(port.name()));
      }
      errors->invalid(at.child("port"), port.port(), port_number_faults(port.port()));
      if (port.protocol() != "TCP" && port.protocol() != "UDP" && port.protocol() != "SCTP") {
        errors->not_supported(at.child("protocol"), port.protocol(), {"SCTP", "TCP", "UDP"});
      }
    }
  }
}

void node_defaults(Message* object) {
  auto& node = as<corev1::Node>(object);
  if (node.status().allocatable().empty() && !node.status().capacity().empty()) {
    *node.mutable_status()->mutable_allocatable() = node.status().capacity();
  }
}

void node_validate(const Message& object, FieldErrors* errors) {
  const auto& spec = as<corev1::Node>(object).spec();
  for (int i = 0; i < spec.taints_size(); ++i) {
    const auto& taint = spec.taints(i);
    const auto at = FieldPath("spec").child("taints").index(static_cast<size_t>(i));
    errors->invalid(at.child("key"), taint.key(), qualified_name_faults(taint.key()));
    errors->invalid(at.child("value"), taint.value(), label_value_faults(taint.value()));
    if (taint.effect().empty()) {
      errors->required(at.child("effect"));
    } else if (taint.effect() != "NoSchedule" && taint.effect() != "PreferNoSchedule" &&
               taint.effect() != "NoExecute") {
      errors->not_supported(at.child("effect"), taint.effect(), {"NoSchedule", "PreferNoSchedule", "NoExecute"});
    }
    for (int j = 0; j < i; ++j) {
      if (spec.taints(j).key() == taint.key() && spec.taints(j).effect() == taint.effect()) {
        errors->duplicate(at, ShownValue::raw(fmt::format("core.Taint{{Key:{}, Effect:{}}}", in_quotes(taint.key()),
                                                          in_quotes(taint.effect()))));
        break;
      }
    }
  }
}

void node_validate_update(const Message& object, const Message& current, std::string_view subresource,
                          FieldErrors* errors) {
  if (!subresource.empty()) return;
  const auto& spec = as<corev1::Node>(object).spec();
  const auto& before = as<corev1::Node>(current).spec();
  if (!before.podcidr().empty() && spec.podcidr() != before.podcidr()) {
    errors->forbidden(FieldPath("spec").child("podCIDRs"),
                      "node updates may not change podCIDR except from \"\" to valid");
  }
  if (!before.providerid().empty() && spec.providerid() != before.providerid()) {
    errors->forbidden(FieldPath("spec").child("providerID"),
                      "node updates may not change providerID except from \"\" to valid");
  }
}

void event_validate(const Message& object, FieldErrors* errors) {
  const auto& event = as<corev1::Event>(object);
  const auto& space = event.involvedobject().namespace_();
  if (!space.empty() && space != event.metadata().namespace_()) {
    errors->invalid(FieldPath("involvedObject").child("namespace"), space, "does not match event.namespace");
  }
}

// A share of "container" limits stands in for what is left out.
void limit_range_defaults(Message* object) {
  for (auto& item : *as<corev1::LimitRange>(object).mutable_spec()->mutable_limits()) {
    if (item.type() != "Container") continue;
    auto fill = [](auto* target, const auto& source) {
      for (const auto& [name, amount] : source) {
        if (!target->contains(name)) (*target)[name] = amount;
      }
    };
    fill(item.mutable_default_(), item.max());
    fill(item.mutable_defaultrequest(), item.default_());
    fill(item.mutable_defaultrequest(), item.min());
  }
}

void resource_quota_validate(const Message& object, FieldErrors* errors) {
  for (const auto& [name, amount] : as<corev1::ResourceQuota>(object).spec().hard()) {
    const auto at = FieldPath("spec").child("hard").key(name);
    errors->invalid(at, name, qualified_name_faults(name));
    if (quantity_or_zero(amount.string()).sign() < 0)
      errors->invalid(at, amount.string(), "must be greater than or equal to 0");
  }
}

constexpr KindHandler kHandlers[] = {
    {.id = "pods",
     .set_defaults = pod_defaults,
     .prepare_create = pod_prepare,
     .prepare_update = pod_prepare_update,
     .validate = pod_validate,
     .validate_update = pod_validate_update},
    {.id = "services",
     .names = NameRule::kDns1035,
     .set_defaults = service_defaults,
     .prepare_update = service_prepare_update,
     .validate = service_validate,
     .validate_update = service_validate_update},
    {.id = "namespaces",
     .names = NameRule::kLabel,
     .set_defaults = namespace_defaults,
     .prepare_create = namespace_prepare,
     .prepare_update = namespace_prepare_update,
     .validate = namespace_validate},
    {.id = "serviceaccounts"},
    {.id = "endpoints", .set_defaults = endpoints_defaults, .validate = endpoints_validate},
    {.id = "nodes", .set_defaults = node_defaults, .validate = node_validate, .validate_update = node_validate_update},
    {.id = "events", .names = NameRule::kSubdomain, .validate = event_validate},
    {.id = "limitranges", .set_defaults = limit_range_defaults},
    {.id = "resourcequotas", .validate = resource_quota_validate},
};

}  // namespace

std::span<const KindHandler> core_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
