// Role-based access control over the stored Roles, ClusterRoles and their bindings.
//
// A compiled policy is kept and brought up to date from the change log before each decision, when anything has changed
// at all since the last one: a decision sees every binding that was acknowledged before it was asked for.
#pragma once

#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "orlop/watch.hpp"
#include "plugins/api-kubernetes/auth/user.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace orlop::auth {

struct Rule {
  std::vector<std::string> verbs;
  std::vector<std::string> groups;
  std::vector<std::string> resources;  // "pods", "pods/log", "*", "*/scale"
  std::vector<std::string> names;      // empty: all
  std::vector<std::string> urls;       // "/healthz", "/api/*"
};

// What somebody wants to do.
struct Attributes {
  std::string_view verb;  // "get", "list", "watch", "create", …
  std::string_view group;
  std::string_view version;
  std::string_view resource;
  std::string_view subresource;
  std::string_view name;
  std::string_view name_space;
  std::string_view path;  // for what is no resource: "/healthz"; then all above but verb are empty
};

// Whether one rule grants it.
bool allows(const Rule& rule, const Attributes& wanted);
// Whether `held` together grant all that `wanted` grants; what they lack goes to `missing`.
bool covers(const std::vector<Rule>& held, const std::vector<Rule>& wanted, std::vector<Rule>* missing);
// As Kubernetes writes a rule in a refusal: {APIGroups:[""], Resources:["secrets"], Verbs:["get"]}.
std::string describe(const Rule& rule);

struct Subject {
  std::string kind;  // User, Group, ServiceAccount
  std::string name;
  std::string name_space;
};

struct RoleReference {
  bool cluster = false;
  std::string name;
};

// Threads: any.
class Authorizer {
 public:
  explicit Authorizer(Host host);

  // `reason`, when given, gets why it is granted (empty when it is not).
  Result<bool> allowed(const User& user, const Attributes& wanted, std::string* reason = nullptr);
  // Everything that the user may do in a namespace (and, empty namespace, in the cluster).
  Result<std::vector<Rule>> rules_of(const User& user, std::string_view name_space);
  // The rules of a stored role; kNotFound.
  Result<std::vector<Rule>> rules_of_role(const RoleReference& role, std::string_view name_space);

 private:
  struct Binding {
    std::string name_space;  // empty: of the cluster
    std::string name;
    RoleReference role;
    std::vector<Subject> subjects;
  };
  struct StoredRole {
    std::vector<Rule> rules;
    std::map<std::string, std::string> labels;
    std::vector<std::map<std::string, std::string>> aggregates;  // label sets, for aggregated cluster roles
  };
  struct Policy {
    std::unordered_map<std::string, StoredRole> roles;  // "NAMESPACE/NAME"; cluster roles: "/NAME"
    std::unordered_map<std::string, Binding> bindings;  // the same
    std::unordered_map<std::string, std::vector<const Binding*>> by_user;
    std::unordered_map<std::string, std::vector<const Binding*>> by_group;
    void index();
    [[nodiscard]] std::vector<Rule> rules(const RoleReference& role, std::string_view name_space) const;
    [[nodiscard]] const std::vector<Rule>* plain_rules(const RoleReference& role, std::string_view name_space) const;
  };

  Result<std::shared_ptr<const Policy>> current();
  void apply(const ChangeView& change);
  template <typename Visit>
  void for_each_binding(const Policy& policy, const User& user, std::string_view name_space, Visit&& visit) const;

  Host host_;
  std::mutex mutex_;
  uint64_t seen_ = 0;                     // guarded by mutex_
  std::shared_ptr<Policy> building_;      // guarded by mutex_
  std::shared_ptr<const Policy> policy_;  // guarded by mutex_
  bool changed_ = true;                   // guarded by mutex_
  Watch watch_;                           // guarded by mutex_
};

// The rules of a Role or ClusterRole, and what a binding says; for the checks against escalation.
std::vector<Rule> rules_in(const google::protobuf::Message& role);
RoleReference role_in(const google::protobuf::Message& binding);

// The sentence of a 403, in Kubernetes' words: `pods "x" is forbidden: User "u" cannot get resource …`.
std::string refusal(const User& user, const Attributes& wanted);

}  // namespace orlop::auth
