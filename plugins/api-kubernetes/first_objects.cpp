#include "plugins/api-kubernetes/first_objects.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/discovery_v1.hpp"
#include "orlop/kube/kinds_traits.hpp"
#include "orlop/objects.hpp"
#include "plugins/api-kubernetes/auth/bootstrap.hpp"

#include <set>
#include <tuple>
#include <vector>

namespace orlop::apikube {
namespace {

namespace core = k8s::io::api::core::v1;
namespace slices = k8s::io::api::discovery::v1;
using auth::BootstrapObject;

constexpr const char* kNamespaces[] = {"default", "kube-system", "kube-public", "kube-node-lease"};

template <typename T>
BootstrapObject object_of(const T& message) {
  return {std::string(kube::KindOf<T>::id), message.metadata().namespace_(), message.metadata().name(),
          message.SerializeAsString()};
}

std::set<std::tuple<std::string, std::string, std::string>> present_of(const Host& host,
                                                                       const std::vector<BootstrapObject>& objects,
                                                                       Status& status) {
  v1::GetRequest request;
  for (const BootstrapObject& object : objects) {
    v1::Key* key = request.add_keys();
    key->set_kind(object.kind);
    key->set_namespace_(object.name_space);
    key->set_name(object.name);
  }
  std::set<std::tuple<std::string, std::string, std::string>> present;
  auto result = host.get(request, [&](const RecordView& record) {
    present.emplace(record.kind, record.name_space, record.name);
    return true;
  });
  status = result.status();
  return present;
}

Status add_create(const KindRules& rules, const BootstrapObject& object, v1::CommitRequest& request) {
  AdmitRequest admit;
  admit.kind = kube::find_storage(object.kind);
  if (admit.kind == nullptr) return {Code::kInternal, "no kind " + object.kind};
  admit.operation = Operation::kCreate;
  admit.name_space = object.name_space;
  admit.name = object.name;
  admit.value = object.value;
  admit.context.verb = "create";
  admit.context.user = "system:apiserver";
  admit.context.groups = {"system:masters", "system:authenticated"};
  admit.context.now = std::chrono::system_clock::now();
  auto admitted = rules.admit(std::move(admit));
  if (!admitted) return admitted.status();
  v1::Write* write = request.add_writes();
  write->mutable_key()->set_kind(object.kind);
  write->mutable_key()->set_namespace_(object.name_space);
  write->mutable_key()->set_name(object.name);
  write->set_verb(v1::CREATE);
  write->set_value(admitted->value);
  write->set_admitted(true);
  for (std::string& term : admitted->index_terms) write->add_index_terms(std::move(term));
  if (admitted->reservation) admitted->reservation->leave_to_store();
  return Status::ok();
}

// All that is missing, in one transaction.
Status create_missing(const Host& host, const KindRules& rules, const std::vector<BootstrapObject>& objects) {
  constexpr int kAttempts = 5;
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto present = present_of(host, objects, status);
    ORLOP_TRY(status);
    v1::CommitRequest request;
    for (const BootstrapObject& object : objects) {
      if (present.contains({object.kind, object.name_space, object.name})) continue;
      ORLOP_TRY(add_create(rules, object, request));
    }
    if (request.writes().empty()) return Status::ok();
    request.mutable_actor()->set_user("system:apiserver");
    status = host.commit_wait(request).status();
    // Another front-end makes the same objects at the same time.
    if (status.code() != Code::kAlreadyExists) return status;
  }
  return status;
}

core::Service service_of(const FirstObjects& wanted) {
  core::Service service;
  service.mutable_metadata()->set_name("kubernetes");
  service.mutable_metadata()->set_namespace_("default");
  (*service.mutable_metadata()->mutable_labels())["component"] = "apiserver";
  (*service.mutable_metadata()->mutable_labels())["provider"] = "kubernetes";
  service.mutable_spec()->set_clusterip(wanted.service_address);
  service.mutable_spec()->set_type("ClusterIP");
  core::ServicePort* port = service.mutable_spec()->add_ports();
  port->set_name("https");
  port->set_protocol("TCP");
  port->set_port(443);
  port->mutable_targetport()->set_type(0);
  port->mutable_targetport()->set_intval(wanted.port);
  return service;
}

core::Endpoints endpoints_of(const FirstObjects& wanted) {
  core::Endpoints endpoints;
  endpoints.mutable_metadata()->set_name("kubernetes");
  endpoints.mutable_metadata()->set_namespace_("default");
  (*endpoints.mutable_metadata()->mutable_labels())["endpointslice.kubernetes.io/skip-mirror"] = "true";
  core::EndpointSubset* subset = endpoints.add_subsets();
  subset->add_addresses()->set_ip(wanted.advertise_address);
  core::EndpointPort* port = subset->add_ports();
  port->set_name("https");
  port->set_port(wanted.port);
  port->set_protocol("TCP");
  return endpoints;
}

slices::EndpointSlice slice_of(const FirstObjects& wanted) {
  slices::EndpointSlice slice;
  slice.mutable_metadata()->set_name("kubernetes");
  slice.mutable_metadata()->set_namespace_("default");
  (*slice.mutable_metadata()->mutable_labels())["kubernetes.io/service-name"] = "kubernetes";
  slice.set_addresstype("IPv4");
  slices::Endpoint* endpoint = slice.add_endpoints();
  endpoint->add_addresses(wanted.advertise_address);
  endpoint->mutable_conditions()->set_ready(true);
  slices::EndpointPort* port = slice.add_ports();
  port->set_name("https");
  port->set_port(static_cast<int32_t>(wanted.port));
  port->set_protocol("TCP");
  return slice;
}

bool leads_to(const core::Endpoints& endpoints, const FirstObjects& wanted) {
  return endpoints.subsets_size() == 1 && endpoints.subsets(0).addresses_size() == 1 &&
         endpoints.subsets(0).addresses(0).ip() == wanted.advertise_address && endpoints.subsets(0).ports_size() == 1 &&
         endpoints.subsets(0).ports(0).port() == wanted.port;
}

bool leads_to(const slices::EndpointSlice& slice, const FirstObjects& wanted) {
  return slice.endpoints_size() == 1 && slice.endpoints(0).addresses_size() == 1 &&
         slice.endpoints(0).addresses(0) == wanted.advertise_address && slice.ports_size() == 1 &&
         slice.ports(0).port() == wanted.port;
}

// Removes what leads to an address or a port of an earlier start; it is made anew after.
template <typename T>
Status drop_stale(const Host& host, const T& object, const FirstObjects& wanted) {
  const Objects<T> objects(host);
  auto stored = objects.get(object.metadata().namespace_(), object.metadata().name());
  if (stored.code() == Code::kNotFound) return Status::ok();
  if (!stored) return stored.status();
  if (leads_to(stored->object, wanted)) return Status::ok();
  return objects.remove(object.metadata().namespace_(), object.metadata().name());
}

}  // namespace

Status ensure_first_objects(const Host& host, const KindRules& rules, const FirstObjects& wanted) {
  std::vector<BootstrapObject> cluster;
  for (const char* name : kNamespaces) {
    core::Namespace item;
    item.mutable_metadata()->set_name(name);
    cluster.push_back(object_of(item));
  }
  std::vector<BootstrapObject> inside;
  for (BootstrapObject& object : auth::bootstrap_access()) {
    (object.name_space.empty() ? cluster : inside).push_back(std::move(object));
  }
  ORLOP_TRY(create_missing(host, rules, cluster));
  const core::Endpoints endpoints = endpoints_of(wanted);
  const slices::EndpointSlice slice = slice_of(wanted);
  ORLOP_TRY(drop_stale(host, endpoints, wanted));
  ORLOP_TRY(drop_stale(host, slice, wanted));
  inside.push_back(object_of(service_of(wanted)));
  inside.push_back(object_of(endpoints));
  inside.push_back(object_of(slice));
  return create_missing(host, rules, inside);
}

}  // namespace orlop::apikube
