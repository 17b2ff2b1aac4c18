#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/resource.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <map>
#include <set>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;

constexpr ColumnSpec kNamespaceColumns[] = {
    kNameColumn, {"Status", "string", "The status of the namespace"}, kAgeColumn};

void namespace_cells(const Message& object, Cells* cells) {
  const auto& space = as<corev1::Namespace>(object);
  cells->text(space.metadata().name());
  cells->text(space.status().phase());
  cells->age(space.metadata());
}

constexpr ColumnSpec kSecretColumns[] = {kNameColumn,
                                         {"Type", "string", "k8s.io.api.core.v1.Secret#type"},
                                         {"Data", "string", "k8s.io.api.core.v1.Secret#data"},
                                         kAgeColumn};

void secret_cells(const Message& object, Cells* cells) {
  const auto& secret = as<corev1::Secret>(object);
  cells->text(secret.metadata().name());
  cells->text(secret.type());
  cells->integer(static_cast<int64_t>(secret.data().size()));
  cells->age(secret.metadata());
}

constexpr ColumnSpec kConfigMapColumns[] = {
    kNameColumn, {"Data", "string", "k8s.io.api.core.v1.ConfigMap#data"}, kAgeColumn};

void config_map_cells(const Message& object, Cells* cells) {
  const auto& map = as<corev1::ConfigMap>(object);
  cells->text(map.metadata().name());
  cells->integer(static_cast<int64_t>(map.data().size() + map.binarydata().size()));
  cells->age(map.metadata());
}

constexpr ColumnSpec kServiceAccountColumns[] = {
    kNameColumn, {"Secrets", "string", "k8s.io.api.core.v1.ServiceAccount#secrets"}, kAgeColumn};

void service_account_cells(const Message& object, Cells* cells) {
  const auto& account = as<corev1::ServiceAccount>(object);
  cells->text(account.metadata().name());
  cells->integer(account.secrets_size());
  cells->age(account.metadata());
}

constexpr ColumnSpec kNodeColumns[] = {
    kNameColumn,
    {"Status", "string", "The status of the node"},
    {"Roles", "string", "The roles of the node"},
    kAgeColumn,
    {"Version", "string", "k8s.io.api.core.v1.NodeSystemInfo#kubeletVersion"},
    {"Internal-IP", "string", "k8s.io.api.core.v1.NodeStatus#addresses", 1},
    {"External-IP", "string", "k8s.io.api.core.v1.NodeStatus#addresses", 1},
    {"OS-Image", "string", "k8s.io.api.core.v1.NodeSystemInfo#osImage", 1},
    {"Kernel-Version", "string", "k8s.io.api.core.v1.NodeSystemInfo#kernelVersion", 1},
    {"Container-Runtime", "string", "k8s.io.api.core.v1.NodeSystemInfo#containerRuntimeVersion", 1},
};

std::string node_status(const corev1::Node& node) {
  std::string status = "Unknown";
  for (const auto& condition : node.status().conditions()) {
    if (condition.type() == "Ready") status = condition.status() == "True" ? "Ready" : "NotReady";
  }
  return node.spec().unschedulable() ? status + ",SchedulingDisabled" : status;
}

std::string node_roles(const corev1::Node& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [key, value] : node.metadata().labels()) {
    if (key.starts_with(kPrefix) && key.size() > kPrefix.size()) roles.insert(key.substr(kPrefix.size()));
    if (key == "kubernetes.io/role" && !value.empty()) roles.insert(value);
  }
  return roles.empty() ? "<none>" : comma_joined({roles.begin(), roles.end()});
}

std::string node_address(const corev1::Node& node, std::string_view type) {
  for (const auto& address : node.status().addresses()) {
    if (address.type() == type) return address.address();
  }
  return "<none>";
}

void node_cells(const Message& object, Cells* cells) {
  const auto& node = as<corev1::Node>(object);
  const auto& info = node.status().nodeinfo();
  cells->text(node.metadata().name());
  cells->text(node_status(node));
  cells->text(node_roles(node));
  cells->age(node.metadata());
  cells->text(info.kubeletversion());
  cells->text(node_address(node, "InternalIP"));
  cells->text(node_address(node, "ExternalIP"));
  cells->text_or(info.osimage(), "<unknown>");
  cells->text_or(info.kernelversion(), "<unknown>");
  cells->text_or(info.containerruntimeversion(), "<unknown>");
}

constexpr ColumnSpec kEventColumns[] = {
    {"Last Seen", "string", "k8s.io.api.core.v1.Event#lastTimestamp"},
    {"Type", "string", "k8s.io.api.core.v1.Event#type"},
    {"Reason", "string", "k8s.io.api.core.v1.Event#reason"},
    {"Object", "string", "k8s.io.api.core.v1.Event#involvedObject"},
    {"Subobject", "string", "k8s.io.api.core.v1.ObjectReference#fieldPath", 1},
    {"Source", "string", "k8s.io.api.core.v1.Event#source", 1},
    {"Message", "string", "k8s.io.api.core.v1.Event#message"},
    {"First Seen", "string", "k8s.io.api.core.v1.Event#firstTimestamp", 1},
    {"Count", "string", "k8s.io.api.core.v1.Event#count", 1},
    {"Name", "string", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta#name", 1, "name"},
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

void event_cells(const Message& object, Cells* cells) {
  const auto& event = as<corev1::Event>(object);
  const std::string first = event.firsttimestamp().seconds() != 0 ? cells->age_text(event.firsttimestamp())
                                                                  : cells->age_text(event.eventtime());
  std::string last = event.lasttimestamp().seconds() != 0 ? cells->age_text(event.lasttimestamp()) : first;
  int64_t count = event.count();
  if (event.has_series()) {
    last = cells->age_text(event.series().lastobservedtime());
    // The series counts what came after the first event.
    count = event.series().count() + 1;
  } else if (count == 0) {
    count = 1;
  }
  const auto& target = event.involvedobject();
  const auto& component = event.source().component().empty() ? event.reportingcomponent() : event.source().component();
  const auto& host = event.source().host().empty() ? event.reportinginstance() : event.source().host();
  cells->text(last);
  cells->text(event.type());
  cells->text(event.reason());
  cells->text(target.name().empty() ? lowered(target.kind()) : lowered(target.kind()) + "/" + target.name());
  cells->text(target.fieldpath());
  cells->text(host.empty() ? component : component + ", " + host);
  cells->text(trimmed(event.message()));
  cells->text(first);
  cells->integer(count);
  cells->text(event.metadata().name());
}

constexpr ColumnSpec kResourceQuotaColumns[] = {
    kNameColumn,
    kAgeColumn,
    {"Request", "string", "Request represents a minimum amount of cpu/memory that a container may consume."},
    {"Limit", "string",
     "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."},
};

void resource_quota_cells(const Message& object, Cells* cells) {
  const auto& quota = as<corev1::ResourceQuota>(object);
  std::map<std::string, std::string> sorted;
  for (const auto& [name, hard] : quota.status().hard()) {
    auto used = quota.status().used().find(name);
    sorted[name] = fmt::format("{}: {}/{}", name, used == quota.status().used().end() ? "0" : used->second.string(),
                               hard.string());
  }
  std::string requests;
  std::string limits;
  for (const auto& [name, text] : sorted) {
    auto& column = name.starts_with("limits.") ? limits : requests;
    column += (column.empty() ? "" : ", ") + text;
  }
  cells->text(quota.metadata().name());
  cells->age(quota.metadata());
  cells->text(requests);
  cells->text(limits);
}

constexpr ColumnSpec kComponentStatusColumns[] = {kNameColumn,
                                                  {"Status", "string", "Status of the component conditions"},
                                                  {"Message", "string", "Message of the component conditions"},
                                                  {"Error", "string", "Error of the component conditions"}};

void component_status_cells(const Message& object, Cells* cells) {
  const auto& component = as<corev1::ComponentStatus>(object);
  std::string status = "Unknown";
  std::string message;
  std::string error;
  for (const auto& condition : component.conditions()) {
    if (condition.type() != "Healthy") continue;
    status = condition.status() == "True" ? "Healthy" : "Unhealthy";
    message = condition.message();
    error = condition.error();
    break;
  }
  cells->text(component.metadata().name());
  cells->text(status);
  cells->text(message);
  cells->text(error);
}

constexpr KindPrinter kPrinters[] = {
    {"namespaces", kNamespaceColumns, namespace_cells},
    {"secrets", kSecretColumns, secret_cells},
    {"configmaps", kConfigMapColumns, config_map_cells},
    {"serviceaccounts", kServiceAccountColumns, service_account_cells},
    {"nodes", kNodeColumns, node_cells},
    {"events", kEventColumns, event_cells},
    {"resourcequotas", kResourceQuotaColumns, resource_quota_cells},
    {"componentstatuses", kComponentStatusColumns, component_status_cells},
};

}  // namespace

std::span<const KindPrinter> core_printers() {
  return kPrinters;
}

}  // namespace orlop::apikube
