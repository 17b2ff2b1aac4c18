#include "cli/output/describe.hpp"
#include "cli/output/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

namespace orlop::cli {

namespace json = boost::json;
using client::list_of;
using client::map_of;
using client::pick;
using client::scalar_text;
using client::text_of;

namespace {

// The plain number that a quantity stands for: "250m" is 0.25, "1Ki" 1024.
double quantity(const std::string& text) {
  static const std::map<std::string, double> kUnits = {
      {"", 1},           {"m", 1e-3},          {"k", 1e3},
      {"M", 1e6},        {"G", 1e9},           {"T", 1e12},
      {"P", 1e15},       {"E", 1e18},          {"Ki", 1024.0},
      {"Mi", 1048576.0}, {"Gi", 1073741824.0}, {"Ti", 1099511627776.0},
      {"u", 1e-6},       {"n", 1e-9},          {"Pi", 1125899906842624.0}};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const auto unit = kUnits.find(end);
  return unit == kUnits.end() ? value : value * unit->second;
}

std::string cpu_text(double cores) {
  const auto milli = static_cast<int64_t>(std::llround(cores * 1000));
  return milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m";
}

std::string bytes_text(double bytes) {
  const auto value = static_cast<int64_t>(std::llround(bytes));
  static constexpr std::pair<const char*, int64_t> kUnits[] = {{"Gi", 1LL << 30}, {"Mi", 1LL << 20}, {"Ki", 1LL << 10}};
  if (value == 0) return "0";
  for (const auto& [unit, size] : kUnits) {
    if (value % size == 0) return std::to_string(value / size) + unit;
  }
  return std::to_string(value);
}

std::string amount_text(const std::string& resource, double amount) {
  if (resource == "cpu") return cpu_text(amount);
  if (resource == "memory" || resource == "ephemeral-storage" || resource.starts_with("hugepages-")) {
    return bytes_text(amount);
  }
  return std::to_string(static_cast<int64_t>(amount));
}

// A pod's claim on one resource: the sum of its containers', or one init container's when that is more.
double claim_of(const json::value& pod, const std::string& which, const std::string& resource) {
  const auto of = [&](const json::value& container) {
    const auto* found = map_of(container, "resources." + which).if_contains(resource);
    return found == nullptr ? 0.0 : quantity(scalar_text(*found));
  };
  double sum = 0;
  double first = 0;
  for (const auto& container : list_of(pod, "spec.containers")) sum += of(container);
  for (const auto& container : list_of(pod, "spec.initContainers")) first = std::max(first, of(container));
  return std::max(sum, first);
}

std::string share(double part, double whole) {
  return " (" + std::to_string(whole > 0 ? static_cast<int64_t>(part / whole * 100) : 0) + "%)";
}

void describe_amounts(std::string_view title, const json::object& amounts, DescribeText& out) {
  if (amounts.empty()) return;
  out.line(0, std::string(title) + ":");
  std::vector<std::pair<std::string, std::string>> sorted;
  for (const auto& entry : amounts) sorted.emplace_back(std::string(entry.key()), scalar_text(entry.value()));
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [name, amount] : sorted) out.field(1, name, amount);
}

std::string roles_of(const json::object& labels) {
  std::vector<std::string> roles;
  for (const auto& label : labels) {
    const std::string_view key(label.key());
    if (key.starts_with("node-role.kubernetes.io/")) roles.emplace_back(key.substr(24));
  }
  std::sort(roles.begin(), roles.end());
  std::string out;
  for (const auto& role : roles) out += (out.empty() ? "" : ",") + role;
  return out.empty() ? "<none>" : out;
}

void describe_head(const json::value& node, const DescribeContext& context, DescribeText& out) {
  out.field(0, "Name", text_of(node, "metadata.name"));
  out.field(0, "Roles", roles_of(map_of(node, "metadata.labels")));
  out.labels(0, "Labels", map_of(node, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(node, "metadata.annotations"));
  out.field(0, "CreationTimestamp", long_time(text_of(node, "metadata.creationTimestamp")));
  const auto& taints = list_of(node, "spec.taints");
  if (taints.empty()) out.field(0, "Taints", "<none>");
  for (size_t i = 0; i < taints.size(); ++i) {
    auto text = text_of(taints[i], "key");
    if (!text_of(taints[i], "value").empty()) text += "=" + text_of(taints[i], "value");
    out.line(0, (i == 0 ? "Taints:\t" : "\t") + text + ":" + text_of(taints[i], "effect"));
  }
  out.field(0, "Unschedulable", client::flag_of(node, "spec.unschedulable") ? "true" : "false");
  if (context.lease.is_object()) {
    out.line(0, "Lease:");
    const auto holder = text_of(context.lease, "spec.holderIdentity");
    out.field(1, "HolderIdentity", holder.empty() ? "<unset>" : holder);
    const auto acquired = text_of(context.lease, "spec.acquireTime");
    out.field(1, "AcquireTime", acquired.empty() ? "<unset>" : long_time(acquired));
    const auto renewed = text_of(context.lease, "spec.renewTime");
    out.field(1, "RenewTime", renewed.empty() ? "<unset>" : long_time(renewed));
  }
}

void describe_system(const json::value& node, DescribeText& out) {
  const auto& conditions = list_of(node, "status.conditions");
  if (!conditions.empty()) {
    out.line(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
    out.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for (const auto& condition : conditions) {
      out.line(1, text_of(condition, "type") + " \t" + text_of(condition, "status") + " \t" +
                      long_time(text_of(condition, "lastHeartbeatTime")) + " \t" +
                      long_time(text_of(condition, "lastTransitionTime")) + " \t" + text_of(condition, "reason") +
                      " \t" + text_of(condition, "message"));
    }
  }
  out.line(0, "Addresses:");
  for (const auto& address : list_of(node, "status.addresses")) {
    out.field(1, text_of(address, "type"), text_of(address, "address"));
  }
  describe_amounts("Capacity", map_of(node, "status.capacity"), out);
  describe_amounts("Allocatable", map_of(node, "status.allocatable"), out);
  out.line(0, "System Info:");
  const std::pair<const char*, const char*> kInfo[] = {{"Machine ID", "machineID"},
                                                       {"System UUID", "systemUUID"},
                                                       {"Boot ID", "bootID"},
                                                       {"Kernel Version", "kernelVersion"},
                                                       {"OS Image", "osImage"},
                                                       {"Operating System", "operatingSystem"},
                                                       {"Architecture", "architecture"},
                                                       {"Container Runtime Version", "containerRuntimeVersion"},
                                                       {"Kubelet Version", "kubeletVersion"},
                                                       {"Kube-Proxy Version", "kubeProxyVersion"}};
  for (const auto& [title, name] : kInfo) {
    const auto text = text_of(node, std::string("status.nodeInfo.") + name);
    // kubectl leaves the line out when nothing tells the proxy's version.
    if (text.empty() && std::string_view(name) == "kubeProxyVersion") continue;
    out.field(1, title, text);
  }
  if (!text_of(node, "spec.podCIDR").empty()) out.field(0, "PodCIDR", text_of(node, "spec.podCIDR"));
  if (!list_of(node, "spec.podCIDRs").empty()) {
    std::string ranges;
    for (const auto& range : list_of(node, "spec.podCIDRs")) ranges += (ranges.empty() ? "" : ",") + scalar_text(range);
    out.field(0, "PodCIDRs", ranges);
  }
  if (!text_of(node, "spec.providerID").empty()) out.field(0, "ProviderID", text_of(node, "spec.providerID"));
}

void describe_pods(const json::value& node, const DescribeContext& context, DescribeText& out) {
  const auto& allocatable =
      map_of(node, map_of(node, "status.allocatable").empty() ? "status.capacity" : "status.allocatable");
  const auto whole = [&](const std::string& resource) {
    const auto* found = allocatable.if_contains(resource);
    return found == nullptr ? 0.0 : quantity(scalar_text(*found));
  };
  const double cores = whole("cpu");
  const double memory = whole("memory");
  out.line(0, "Non-terminated Pods:\t(" + std::to_string(context.pods.size()) + " in total)");
  out.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
  out.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
  std::map<std::string, std::pair<double, double>> totals{
      {"cpu", {}}, {"memory", {}}, {"ephemeral-storage", {}}, {"hugepages-1Gi", {}}, {"hugepages-2Mi", {}}};
  for (const auto& pod : context.pods) {
    for (auto& [resource, sum] : totals) {
      sum.first += claim_of(pod, "requests", resource);
      sum.second += claim_of(pod, "limits", resource);
    }
    const auto cpu = claim_of(pod, "requests", "cpu");
    const auto cpu_limit = claim_of(pod, "limits", "cpu");
    const auto bytes = claim_of(pod, "requests", "memory");
    const auto bytes_limit = claim_of(pod, "limits", "memory");
    out.line(1, text_of(pod, "metadata.namespace") + "\t" + text_of(pod, "metadata.name") + "\t\t" + cpu_text(cpu) +
                    share(cpu, cores) + "\t" + cpu_text(cpu_limit) + share(cpu_limit, cores) + "\t" +
                    bytes_text(bytes) + share(bytes, memory) + "\t" + bytes_text(bytes_limit) +
                    share(bytes_limit, memory) + "\t" +
                    age_of(text_of(pod, "metadata.creationTimestamp"), context.now_s));
  }
  out.line(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
  out.line(1, "Resource\tRequests\tLimits");
  out.line(1, "--------\t--------\t------");
  for (const auto* resource : {"cpu", "memory", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi"}) {
    const std::string name = resource;
    if (name.starts_with("hugepages-") && !allocatable.contains(name)) continue;
    const auto& sum = totals[name];
    out.line(1, name + "\t" + amount_text(name, sum.first) + share(sum.first, whole(name)) + "\t" +
                    amount_text(name, sum.second) + share(sum.second, whole(name)));
  }
}

}  // namespace

std::string describe_node(const json::value& node, const DescribeContext& context) {
  DescribeText out;
  describe_head(node, context, out);
  describe_system(node, out);
  describe_pods(node, context, out);
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

}  // namespace orlop::cli
