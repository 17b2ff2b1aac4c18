#include "cli/output/describe.hpp"
#include "cli/output/table.hpp"

#include <algorithm>

namespace orlop::cli {

namespace json = boost::json;
using client::list_of;
using client::map_of;
using client::number_of;
using client::pick;
using client::scalar_text;
using client::text_of;

namespace {

std::string number(const json::value& object, std::string_view path, int64_t absent = 0) {
  return std::to_string(number_of(object, path, absent));
}

std::string selector_text(const json::value& object) {
  const auto& labels = map_of(object, "spec.selector.matchLabels");
  auto out = labels.empty() ? std::string() : selector_of(labels);
  for (const auto& rule : list_of(object, "spec.selector.matchExpressions")) {
    std::string values;
    for (const auto& item : list_of(rule, "values")) values += (values.empty() ? "" : ",") + scalar_text(item);
    const auto how = text_of(rule, "operator");
    const auto key = text_of(rule, "key");
    out += out.empty() ? "" : ",";
    out += how == "In"       ? key + " in (" + values + ")"
           : how == "NotIn"  ? key + " notin (" + values + ")"
           : how == "Exists" ? key
                             : "!" + key;
  }
  return out.empty() ? "<none>" : out;
}

void describe_conditions(const json::value& object, DescribeText& out) {
  const auto& conditions = list_of(object, "status.conditions");
  if (conditions.empty()) return;
  out.line(0, "Conditions:\n  Type\tStatus\tReason");
  out.line(1, "----\t------\t------");
  for (const auto& condition : conditions) {
    out.line(1,
             text_of(condition, "type") + " \t" + text_of(condition, "status") + "\t" + text_of(condition, "reason"));
  }
}

// Whether a replica set was made of the deployment's present template; the hash label is of the controller's making.
bool same_template(const json::value& deployment, const json::value& set) {
  json::value a = pick(deployment, "spec.template") == nullptr ? json::value() : *pick(deployment, "spec.template");
  json::value b = pick(set, "spec.template") == nullptr ? json::value() : *pick(set, "spec.template");
  client::make_map(a, "metadata.labels").erase("pod-template-hash");
  client::make_map(b, "metadata.labels").erase("pod-template-hash");
  return a == b;
}

std::string replica_sets_text(const std::vector<const json::value*>& sets) {
  std::string out;
  for (const auto* set : sets) {
    out += (out.empty() ? "" : ", ") + text_of(*set, "metadata.name") + " (" + number(*set, "status.replicas") + "/" +
           number(*set, "spec.replicas") + " replicas created)";
  }
  return out.empty() ? "<none>" : out;
}

std::string pods_status(const std::vector<json::value>& pods) {
  int running = 0;
  int waiting = 0;
  int succeeded = 0;
  int failed = 0;
  for (const auto& pod : pods) {
    const auto phase = text_of(pod, "status.phase");
    running += phase == "Running";
    waiting += phase == "Pending";
    succeeded += phase == "Succeeded";
    failed += phase == "Failed";
  }
  return std::to_string(running) + " Running / " + std::to_string(waiting) + " Waiting / " + std::to_string(succeeded) +
         " Succeeded / " + std::to_string(failed) + " Failed";
}

}  // namespace

std::string describe_deployment(const json::value& deployment, const DescribeContext& context) {
  DescribeText out;
  out.field(0, "Name", text_of(deployment, "metadata.name"));
  out.field(0, "Namespace", text_of(deployment, "metadata.namespace"));
  out.field(0, "CreationTimestamp", long_time(text_of(deployment, "metadata.creationTimestamp")));
  out.labels(0, "Labels", map_of(deployment, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(deployment, "metadata.annotations"));
  out.field(0, "Selector", selector_text(deployment));
  out.field(0, "Replicas",
            number(deployment, "spec.replicas") + " desired | " + number(deployment, "status.updatedReplicas") +
                " updated | " + number(deployment, "status.replicas") + " total | " +
                number(deployment, "status.availableReplicas") + " available | " +
                number(deployment, "status.unavailableReplicas") + " unavailable");
  const auto strategy = text_of(deployment, "spec.strategy.type");
  out.field(0, "StrategyType", strategy);
  out.field(0, "MinReadySeconds", number(deployment, "spec.minReadySeconds"));
  if (strategy == "RollingUpdate") {
    const auto* unavailable = pick(deployment, "spec.strategy.rollingUpdate.maxUnavailable");
    const auto* surge = pick(deployment, "spec.strategy.rollingUpdate.maxSurge");
    out.field(0, "RollingUpdateStrategy",
              (unavailable == nullptr ? "0" : scalar_text(*unavailable)) + " max unavailable, " +
                  (surge == nullptr ? "0" : scalar_text(*surge)) + " max surge");
  }
  if (const auto* pod_template = pick(deployment, "spec.template")) describe_pod_template(*pod_template, out);
  describe_conditions(deployment, out);
  std::vector<const json::value*> older;
  std::vector<const json::value*> newest;
  for (const auto& set : context.replica_sets) {
    (newest.empty() && same_template(deployment, set) ? newest : older).push_back(&set);
  }
  out.field(0, "OldReplicaSets", replica_sets_text(older));
  out.field(0, "NewReplicaSet", replica_sets_text(newest));
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

std::string describe_replica_set(const json::value& set, const DescribeContext& context) {
  DescribeText out;
  out.field(0, "Name", text_of(set, "metadata.name"));
  out.field(0, "Namespace", text_of(set, "metadata.namespace"));
  out.field(0, "Selector", selector_text(set));
  out.labels(0, "Labels", map_of(set, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(set, "metadata.annotations"));
  if (const auto owner = controller_of(set); !owner.empty()) out.field(0, "Controlled By", owner);
  out.field(0, "Replicas", number(set, "status.replicas") + " current / " + number(set, "spec.replicas") + " desired");
  out.field(0, "Pods Status", pods_status(context.pods));
  if (const auto* pod_template = pick(set, "spec.template")) describe_pod_template(*pod_template, out);
  const auto& conditions = list_of(set, "status.conditions");
  if (!conditions.empty()) describe_conditions(set, out);
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

namespace {

std::string endpoints_text(const std::vector<json::value>& slices, const std::string& port_name) {
  std::vector<std::string> addresses;
  for (const auto& slice : slices) {
    for (const auto& port : list_of(slice, "ports")) {
      if (text_of(port, "name") != port_name) continue;
      for (const auto& endpoint : list_of(slice, "endpoints")) {
        const auto* ready = pick(endpoint, "conditions.ready");
        if (ready != nullptr && ready->is_bool() && !ready->get_bool()) continue;
        for (const auto& address : list_of(endpoint, "addresses")) {
          auto text = scalar_text(address);
          if (text.find(':') != std::string::npos) text = "[" + text + "]";
          addresses.push_back(text + ":" + number(port, "port"));
        }
      }
    }
  }
  std::string out;
  for (size_t i = 0; i < addresses.size() && i < 3; ++i) out += (i == 0 ? "" : ",") + addresses[i];
  if (addresses.size() > 3) out += " + " + std::to_string(addresses.size() - 3) + " more...";
  return out;
}

std::string joined(const json::array& values) {
  std::string out;
  for (const auto& item : values) out += (out.empty() ? "" : ",") + scalar_text(item);
  return out;
}

}  // namespace

std::string describe_service(const json::value& service, const DescribeContext& context) {
  DescribeText out;
  out.field(0, "Name", text_of(service, "metadata.name"));
  out.field(0, "Namespace", text_of(service, "metadata.namespace"));
  out.labels(0, "Labels", map_of(service, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(service, "metadata.annotations"));
  out.field(0, "Selector", selector_of(map_of(service, "spec.selector")));
  out.field(0, "Type", text_of(service, "spec.type"));
  if (!text_of(service, "spec.ipFamilyPolicy").empty()) {
    out.field(0, "IP Family Policy", text_of(service, "spec.ipFamilyPolicy"));
  }
  const auto families = joined(list_of(service, "spec.ipFamilies"));
  out.field(0, "IP Families", families.empty() ? "<none>" : families);
  out.field(0, "IP", text_of(service, "spec.clusterIP"));
  const auto addresses = joined(list_of(service, "spec.clusterIPs"));
  out.field(0, "IPs", addresses.empty() ? "<none>" : addresses);
  if (!list_of(service, "spec.externalIPs").empty()) {
    out.field(0, "External IPs", joined(list_of(service, "spec.externalIPs")));
  }
  if (!text_of(service, "spec.loadBalancerIP").empty()) {
    out.field(0, "Desired LoadBalancer IP", text_of(service, "spec.loadBalancerIP"));
  }
  if (!text_of(service, "spec.externalName").empty())
    out.field(0, "External Name", text_of(service, "spec.externalName"));
  std::string ingress;
  for (const auto& point : list_of(service, "status.loadBalancer.ingress")) {
    auto name = text_of(point, "ip");
    if (name.empty()) name = text_of(point, "hostname");
    ingress += (ingress.empty() ? "" : ", ") + name;
  }
  if (!ingress.empty()) out.field(0, "LoadBalancer Ingress", ingress);
  for (const auto& port : list_of(service, "spec.ports")) {
    auto name = text_of(port, "name");
    const auto protocol = text_of(port, "protocol");
    out.line(0, "Port:\t" + (name.empty() ? "<unset>" : name) + "\t" + number(port, "port") + "/" + protocol);
    const auto* target = pick(port, "targetPort");
    out.line(0, "TargetPort:\t" + (target == nullptr ? "0" : scalar_text(*target)) + "/" + protocol);
    if (number_of(port, "nodePort") != 0) {
      out.line(0, "NodePort:\t" + (name.empty() ? "<unset>" : name) + "\t" + number(port, "nodePort") + "/" + protocol);
    }
    out.field(0, "Endpoints", endpoints_text(context.endpoint_slices, name));
  }
  out.field(0, "Session Affinity", text_of(service, "spec.sessionAffinity"));
  if (!text_of(service, "spec.externalTrafficPolicy").empty()) {
    out.field(0, "External Traffic Policy", text_of(service, "spec.externalTrafficPolicy"));
  }
  if (!text_of(service, "spec.internalTrafficPolicy").empty()) {
    out.field(0, "Internal Traffic Policy", text_of(service, "spec.internalTrafficPolicy"));
  }
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

}  // namespace orlop::cli
