#include "plugins/api-kubernetes/auth/bootstrap.hpp"

#include "orlop/kube/rbac_v1.hpp"

#include <string_view>

namespace orlop::auth {
namespace {

namespace rbac = k8s::io::api::rbac::v1;

// Lists are comma-separated; a core group is written "-".
struct RuleRow {
  std::string_view verbs;
  std::string_view groups;
  std::string_view resources;
  std::string_view urls = {};
  std::string_view names = {};
};

constexpr std::string_view kRead = "get,list,watch";
constexpr std::string_view kWrite = "create,delete,deletecollection,patch,update";
constexpr std::string_view kAll = "create,delete,deletecollection,get,list,patch,update,watch";

constexpr RuleRow kClusterAdmin[] = {{"*", "*", "*"}, {"*", {}, {}, "*"}};

constexpr RuleRow kDiscovery[] = {
    {"get", {}, {}, "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"}};
constexpr RuleRow kPublicInfo[] = {{"get", {}, {}, "/healthz,/livez,/readyz,/version,/version/"}};
constexpr RuleRow kMonitoring[] = {
    {"get", {}, {}, "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"}};
constexpr RuleRow kBasicUser[] = {
    {"create", "authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews"},
    {"create", "authentication.k8s.io", "selfsubjectreviews"}};
constexpr RuleRow kIssuerDiscovery[] = {{"get", {}, {}, "/.well-known/openid-configuration,/openid/v1/jwks"}};

constexpr RuleRow kView[] = {
    {kRead, "-",
     "configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,"
     "replicationcontrollers/scale,serviceaccounts,services,services/status"},
    {kRead, "-",
     "bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,"
     "resourcequotas/status"},
    {kRead, "-", "namespaces"},
    {kRead, "discovery.k8s.io", "endpointslices"},
    {kRead, "apps",
     "controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,"
     "replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status"},
    {kRead, "autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status"},
    {kRead, "batch", "cronjobs,cronjobs/status,jobs,jobs/status"},
    {kRead, "policy", "poddisruptionbudgets,poddisruptionbudgets/status"},
    {kRead, "networking.k8s.io", "ingresses,ingresses/status,networkpolicies"},
};

constexpr RuleRow kMetricsReader[] = {{kRead, "metrics.k8s.io", "nodes,pods"}};

constexpr RuleRow kEdit[] = {
    {kRead, "-", "pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy"},
    {"impersonate", "-", "serviceaccounts"},
    {kWrite, "-", "pods,pods/attach,pods/exec,pods/portforward,pods/proxy"},
    {"create", "-", "pods/eviction"},
    {kWrite, "-",
     "configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,"
     "serviceaccounts,services,services/proxy"},
    {"create", "-", "serviceaccounts/token"},
    {kWrite, "apps",
     "daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,"
     "statefulsets/scale"},
    {kWrite, "autoscaling", "horizontalpodautoscalers"},
    {kWrite, "batch", "cronjobs,jobs"},
    {kWrite, "policy", "poddisruptionbudgets"},
    {kWrite, "networking.k8s.io", "ingresses,networkpolicies"},
    {kAll, "coordination.k8s.io", "leases"},
};

constexpr RuleRow kAdmin[] = {
    {"create", "authorization.k8s.io", "localsubjectaccessreviews"},
    {kAll, "rbac.authorization.k8s.io", "rolebindings,roles"},
};

constexpr RuleRow kNode[] = {
    {"create", "authentication.k8s.io", "tokenreviews"},
    {"create", "authorization.k8s.io", "localsubjectaccessreviews,subjectaccessreviews"},
    {kRead, "-", "services"},
    {"create,get,list,watch", "-", "nodes"},
    {"patch,update", "-", "nodes,nodes/status"},
    {"create,patch,update", "-", "events"},
    {kRead, "-", "pods"},
    {"create,delete", "-", "pods"},
    {"patch,update", "-", "pods/status"},
    {"create", "-", "pods/eviction"},
    {kRead, "-", "configmaps,secrets"},
    {"get", "-", "persistentvolumeclaims,persistentvolumes"},
    {"get", "-", "endpoints"},
    {"create,get,list,watch", "certificates.k8s.io", "certificatesigningrequests"},
    {"create,delete,get,patch,update", "coordination.k8s.io", "leases"},
    {"get", "storage.k8s.io", "volumeattachments"},
    {"create", "-", "serviceaccounts/token"},
    {kRead, "storage.k8s.io", "csidrivers"},
    {"create,delete,get,patch,update", "storage.k8s.io", "csinodes"},
    {kRead, "node.k8s.io", "runtimeclasses"},
};

constexpr RuleRow kNodeProxier[] = {
    {"list,watch", "-", "endpoints,services"},
    {"get,list,watch", "-", "nodes"},
    {"create,patch,update", "-,events.k8s.io", "events"},
    {"list,watch", "discovery.k8s.io", "endpointslices"},
};

constexpr RuleRow kAuthDelegator[] = {
    {"create", "authentication.k8s.io", "tokenreviews"},
    {"create", "authorization.k8s.io", "subjectaccessreviews"},
};

constexpr RuleRow kAuthReader[] = {{kRead, "-", "configmaps", {}, "extension-apiserver-authentication"}};

template <typename Visit>
void each_item(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    visit(std::string(list.substr(0, comma)));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
}

template <typename Role>
void add_rules(Role& role, const RuleRow* rows, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    rbac::PolicyRule* rule = role.add_rules();
    each_item(rows[i].verbs, [&](std::string item) { rule->add_verbs(std::move(item)); });
    each_item(rows[i].groups, [&](const std::string& item) { rule->add_apigroups(item == "-" ? "" : item); });
    each_item(rows[i].resources, [&](std::string item) { rule->add_resources(std::move(item)); });
    each_item(rows[i].urls, [&](std::string item) { rule->add_nonresourceurls(std::move(item)); });
    each_item(rows[i].names, [&](std::string item) { rule->add_resourcenames(std::move(item)); });
  }
}

template <typename Message>
void fill_metadata(Message& message, std::string_view name, std::string_view name_space) {
  auto* metadata = message.mutable_metadata();
  metadata->set_name(std::string(name));
  metadata->set_namespace_(std::string(name_space));
  (*metadata->mutable_labels())["kubernetes.io/bootstrapping"] = "rbac-defaults";
  (*metadata->mutable_annotations())["rbac.authorization.kubernetes.io/autoupdate"] = "true";
}

class Builder {
 public:
  template <size_t... Sizes>
  void cluster_role(std::string_view name, std::string_view aggregate_label, const RuleRow (&... rows)[Sizes]) {
    rbac::ClusterRole role;
    fill_metadata(role, name, "");
    if (!aggregate_label.empty()) (*role.mutable_metadata()->mutable_labels())[std::string(aggregate_label)] = "true";
    (add_rules(role, rows, Sizes), ...);
    put("clusterroles.rbac.authorization.k8s.io", "", name, role);
  }

  // Its rules are those of all cluster roles that carry one of the labels.
  void aggregated_role(std::string_view name, std::initializer_list<std::string_view> labels,
                       std::string_view aggregate_label) {
    rbac::ClusterRole role;
    fill_metadata(role, name, "");
    if (!aggregate_label.empty()) (*role.mutable_metadata()->mutable_labels())[std::string(aggregate_label)] = "true";
    for (std::string_view label : labels) {
      auto* selector = role.mutable_aggregationrule()->add_clusterroleselectors();
      (*selector->mutable_matchlabels())[std::string(label)] = "true";
    }
    put("clusterroles.rbac.authorization.k8s.io", "", name, role);
  }

  void role(std::string_view name_space, std::string_view name, const RuleRow* rows, size_t count) {
    rbac::Role role;
    fill_metadata(role, name, name_space);
    add_rules(role, rows, count);
    put("roles.rbac.authorization.k8s.io", name_space, name, role);
  }

  void bind(std::string_view name, std::string_view role_name, std::string_view kind,
            std::initializer_list<std::string_view> subjects) {
    rbac::ClusterRoleBinding binding;
    fill_metadata(binding, name, "");
    binding.mutable_roleref()->set_apigroup("rbac.authorization.k8s.io");
    binding.mutable_roleref()->set_kind("ClusterRole");
    binding.mutable_roleref()->set_name(std::string(role_name));
    for (std::string_view item : subjects) {
      rbac::Subject* subject = binding.add_subjects();
      subject->set_kind(std::string(kind));
      subject->set_apigroup("rbac.authorization.k8s.io");
      subject->set_name(std::string(item));
    }
    put("clusterrolebindings.rbac.authorization.k8s.io", "", name, binding);
  }

  std::vector<BootstrapObject> take() { return std::move(objects_); }

 private:
  void put(std::string_view kind, std::string_view name_space, std::string_view name,
           const google::protobuf::Message& message) {
    objects_.push_back({std::string(kind), std::string(name_space), std::string(name), message.SerializeAsString()});
  }

  std::vector<BootstrapObject> objects_;
};

constexpr std::string_view kToView = "rbac.authorization.k8s.io/aggregate-to-view";
constexpr std::string_view kToEdit = "rbac.authorization.k8s.io/aggregate-to-edit";
constexpr std::string_view kToAdmin = "rbac.authorization.k8s.io/aggregate-to-admin";

}  // namespace

std::vector<BootstrapObject> bootstrap_access() {
  Builder builder;
  builder.cluster_role("cluster-admin", {}, kClusterAdmin);
  builder.cluster_role("system:discovery", {}, kDiscovery);
  builder.cluster_role("system:public-info-viewer", {}, kPublicInfo);
  builder.cluster_role("system:monitoring", {}, kMonitoring);
  builder.cluster_role("system:basic-user", {}, kBasicUser);
  builder.cluster_role("system:service-account-issuer-discovery", {}, kIssuerDiscovery);
  builder.cluster_role("system:aggregate-to-view", kToView, kView);
  builder.cluster_role("system:aggregate-to-edit", kToEdit, kEdit);
  builder.cluster_role("system:aggregate-to-admin", kToAdmin, kAdmin);
  builder.cluster_role("system:aggregated-metrics-reader", kToView, kMetricsReader);
  // Aggregated roles are not looked into again: each names all that it gathers.
  builder.aggregated_role("view", {kToView}, kToEdit);
  builder.aggregated_role("edit", {kToEdit, kToView}, kToAdmin);
  builder.aggregated_role("admin", {kToAdmin, kToEdit, kToView}, {});
  builder.cluster_role("system:node", {}, kNode);
  builder.cluster_role("system:node-proxier", {}, kNodeProxier);
  builder.cluster_role("system:auth-delegator", {}, kAuthDelegator);
  builder.role("kube-system", "extension-apiserver-authentication-reader", kAuthReader, 1);
  builder.bind("cluster-admin", "cluster-admin", "Group", {"system:masters"});
  builder.bind("system:discovery", "system:discovery", "Group", {"system:authenticated"});
  builder.bind("system:public-info-viewer", "system:public-info-viewer", "Group",
               {"system:authenticated", "system:unauthenticated"});
  builder.bind("system:monitoring", "system:monitoring", "Group", {"system:monitoring"});
  builder.bind("system:basic-user", "system:basic-user", "Group", {"system:authenticated"});
  builder.bind("system:service-account-issuer-discovery", "system:service-account-issuer-discovery", "Group",
               {"system:serviceaccounts"});
  builder.bind("system:node", "system:node", "Group", {"system:nodes"});
  builder.bind("system:node-proxier", "system:node-proxier", "User", {"system:kube-proxy"});
  return builder.take();
}

}  // namespace orlop::auth
