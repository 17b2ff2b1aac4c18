#include "plugins/api-kubernetes/auth/rbac.hpp"

#include "orlop/kube/rbac_v1.hpp"

#include <algorithm>

namespace orlop::auth {
namespace {

namespace rbac = k8s::io::api::rbac::v1;

constexpr std::string_view kRoles = "roles.rbac.authorization.k8s.io";
constexpr std::string_view kClusterRoles = "clusterroles.rbac.authorization.k8s.io";
constexpr std::string_view kRoleBindings = "rolebindings.rbac.authorization.k8s.io";
constexpr std::string_view kClusterRoleBindings = "clusterrolebindings.rbac.authorization.k8s.io";

template <typename Repeated>
std::vector<std::string> texts(const Repeated& items) {
  return {items.begin(), items.end()};
}

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool verb_fits(const Rule& rule, std::string_view verb) {
  return has(rule.verbs, "*") || has(rule.verbs, verb);
}
bool group_fits(const Rule& rule, std::string_view group) {
  return has(rule.groups, "*") || has(rule.groups, group);
}

bool resource_fits(const Rule& rule, std::string_view resource, std::string_view subresource) {
  for (const std::string& item : rule.resources) {
    if (item == "*") return true;
    if (subresource.empty()) {
      if (item == resource) return true;
      continue;
    }
    size_t slash = item.find('/');
    if (slash == std::string::npos || std::string_view(item).substr(slash + 1) != subresource) continue;
    std::string_view parent = std::string_view(item).substr(0, slash);
    if (parent == "*" || parent == resource) return true;
  }
  return false;
}

bool url_fits(const Rule& rule, std::string_view path) {
  for (const std::string& item : rule.urls) {
    if (item == "*" || item == path) return true;
    if (!item.empty() && item.back() == '*' && path.starts_with(std::string_view(item).substr(0, item.size() - 1))) {
      return true;
    }
  }
  return false;
}

Rule rule_of(const rbac::PolicyRule& rule) {
  return {texts(rule.verbs()), texts(rule.apigroups()), texts(rule.resources()), texts(rule.resourcenames()),
          texts(rule.nonresourceurls())};
}

template <typename Role>
std::vector<Rule> rules_of_message(const Role& role) {
  std::vector<Rule> rules;
  for (const rbac::PolicyRule& rule : role.rules()) rules.push_back(rule_of(rule));
  return rules;
}

std::string key_of(std::string_view name_space, std::string_view name) {
  std::string key(name_space);
  key += '/';
  key += name;
  return key;
}

std::string in_quotes(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ", \"" : "\"") + item + "\"";
  return out + "]";
}

}  // namespace

bool allows(const Rule& rule, const Attributes& wanted) {
  if (!wanted.path.empty()) return verb_fits(rule, wanted.verb) && url_fits(rule, wanted.path);
  return verb_fits(rule, wanted.verb) && group_fits(rule, wanted.group) &&
         resource_fits(rule, wanted.resource, wanted.subresource) &&
         (rule.names.empty() || has(rule.names, wanted.name));
}

bool covers(const std::vector<Rule>& held, const std::vector<Rule>& wanted, std::vector<Rule>* missing) {
  // A rule is the product of its lists: it is covered when each single element of the product is.
  auto held_covers = [&](const Attributes& one) {
    return std::any_of(held.begin(), held.end(), [&](const Rule& rule) { return allows(rule, one); });
  };
  bool all = true;
  auto require = [&](const Attributes& one, Rule single) {
    if (held_covers(one)) return;
    all = false;
    if (missing != nullptr) missing->push_back(std::move(single));
  };
  static const std::vector<std::string> kAnyName = {""};
  for (const Rule& rule : wanted) {
    for (const std::string& verb : rule.verbs) {
      for (const std::string& url : rule.urls) require({.verb = verb, .path = url}, {{verb}, {}, {}, {}, {url}});
      for (const std::string& group : rule.groups) {
        for (const std::string& item : rule.resources) {
          size_t slash = item.find('/');
          std::string_view resource = std::string_view(item).substr(0, slash);
          std::string_view sub =
              slash == std::string::npos ? std::string_view() : std::string_view(item).substr(slash + 1);
          for (const std::string& name : rule.names.empty() ? kAnyName : rule.names) {
            Rule single{{verb}, {group}, {item}, {}, {}};
            if (!name.empty()) single.names = {name};
            require({.verb = verb, .group = group, .resource = resource, .subresource = sub, .name = name},
                    std::move(single));
          }
        }
      }
    }
  }
  return all;
}

std::string describe(const Rule& rule) {
  if (!rule.urls.empty()) return "{NonResourceURLs:" + in_quotes(rule.urls) + ", Verbs:" + in_quotes(rule.verbs) + "}";
  std::string out = "{APIGroups:" + in_quotes(rule.groups) + ", Resources:" + in_quotes(rule.resources);
  if (!rule.names.empty()) out += ", ResourceNames:" + in_quotes(rule.names);
  return out + ", Verbs:" + in_quotes(rule.verbs) + "}";
}

void Authorizer::Policy::index() {
  by_user.clear();
  by_group.clear();
  for (const auto& [key, binding] : bindings) {
    for (const Subject& subject : binding.subjects) {
      if (subject.kind == "Group") {
        by_group[subject.name].push_back(&binding);
      } else if (subject.kind == "ServiceAccount") {
        std::string where = subject.name_space.empty() ? binding.name_space : subject.name_space;
        by_user["system:serviceaccount:" + where + ":" + subject.name].push_back(&binding);
      } else {
        by_user[subject.name].push_back(&binding);
      }
    }
  }
}

const std::vector<Rule>* Authorizer::Policy::plain_rules(const RoleReference& role, std::string_view name_space) const {
  auto found = roles.find(key_of(role.cluster ? std::string_view() : name_space, role.name));
  return found == roles.end() || !found->second.aggregates.empty() ? nullptr : &found->second.rules;
}

std::vector<Rule> Authorizer::Policy::rules(const RoleReference& role, std::string_view name_space) const {
  auto found = roles.find(key_of(role.cluster ? std::string_view() : name_space, role.name));
  if (found == roles.end()) return {};
  std::vector<Rule> all = found->second.rules;
  for (const auto& labels : found->second.aggregates) {
    for (const auto& [key, other] : roles) {
      bool member = key.front() == '/' && &other != &found->second &&
                    std::all_of(labels.begin(), labels.end(), [&other = other](const auto& label) {
                      auto held = other.labels.find(label.first);
                      return held != other.labels.end() && held->second == label.second;
                    });
      if (member) all.insert(all.end(), other.rules.begin(), other.rules.end());
    }
  }
  return all;
}

Authorizer::Authorizer(Host host)
    : host_(host),
      building_(std::make_shared<Policy>()),
      watch_(
          host,
          {{std::string(kRoles), std::string(kClusterRoles), std::string(kRoleBindings),
            std::string(kClusterRoleBindings)}},
          [this](const ChangeView& change) { apply(change); },
          [this] {
            building_ = std::make_shared<Policy>();
            changed_ = true;
          }) {}

void Authorizer::apply(const ChangeView& change) {
  changed_ = true;
  const RecordView& record = change.record;
  std::string key = key_of(record.name_space, record.name);
  bool is_role = record.kind == kRoles || record.kind == kClusterRoles;
  if (change.type == ChangeType::kDeleted) {
    if (is_role) {
      building_->roles.erase(key);
    } else {
      building_->bindings.erase(key);
    }
    return;
  }
  int size = static_cast<int>(record.value.size());
  if (record.kind == kRoles) {
    rbac::Role role;
    if (role.ParseFromArray(record.value.data(), size)) building_->roles[key] = {rules_of_message(role), {}, {}};
  } else if (record.kind == kClusterRoles) {
    rbac::ClusterRole role;
    if (!role.ParseFromArray(record.value.data(), size)) return;
    StoredRole stored{rules_of_message(role), {}, {}};
    for (const auto& [name, value] : role.metadata().labels()) stored.labels[name] = value;
    for (const auto& selector : role.aggregationrule().clusterroleselectors()) {
      stored.aggregates.emplace_back(selector.matchlabels().begin(), selector.matchlabels().end());
    }
    building_->roles[key] = std::move(stored);
  } else {
    auto take = [&](const auto& message) {
      Binding binding{std::string(record.name_space),
                      std::string(record.name),
                      {message.roleref().kind() == "ClusterRole", message.roleref().name()},
                      {}};
      for (const rbac::Subject& subject : message.subjects()) {
        binding.subjects.push_back({subject.kind(), subject.name(), subject.namespace_()});
      }
      building_->bindings[key] = std::move(binding);
    };
    rbac::RoleBinding of_namespace;
    rbac::ClusterRoleBinding of_cluster;
    if (record.kind == kRoleBindings && of_namespace.ParseFromArray(record.value.data(), size)) take(of_namespace);
    if (record.kind == kClusterRoleBindings && of_cluster.ParseFromArray(record.value.data(), size)) take(of_cluster);
  }
}

Result<std::shared_ptr<const Authorizer::Policy>> Authorizer::current() {
  uint64_t revision = host_.revision();
  std::lock_guard lock(mutex_);
  if (policy_ && seen_ == revision) return policy_;
  auto drained = watch_.drain();
  if (!drained) return drained.status();
  seen_ = std::max(revision, watch_.cursor());
  if (changed_) {
    auto fresh = std::make_shared<Policy>();
    fresh->roles = building_->roles;
    fresh->bindings = building_->bindings;
    fresh->index();
    policy_ = std::move(fresh);
    changed_ = false;
  }
  return policy_;
}

template <typename Visit>
void Authorizer::for_each_binding(const Policy& policy, const User& user, std::string_view name_space,
                                  Visit&& visit) const {
  auto each = [&](const auto& index, const std::string& name) {
    auto found = index.find(name);
    if (found == index.end()) return true;
    for (const Binding* binding : found->second) {
      if (!binding->name_space.empty() && binding->name_space != name_space) continue;
      if (!visit(*binding)) return false;
    }
    return true;
  };
  if (!each(policy.by_user, user.name)) return;
  for (const std::string& group : user.groups) {
    if (!each(policy.by_group, group)) return;
  }
}

Result<bool> Authorizer::allowed(const User& user, const Attributes& wanted, std::string* reason) {
  if (user.in_group(kMasters)) return true;
  ORLOP_ASSIGN(std::shared_ptr<const Policy> policy, current());
  bool granted = false;
  for_each_binding(*policy, user, wanted.name_space, [&](const Binding& binding) {
    if (!wanted.path.empty() && !binding.name_space.empty()) return true;
    const std::vector<Rule>* rules = policy->plain_rules(binding.role, binding.name_space);
    std::vector<Rule> aggregated;
    if (rules == nullptr) {
      aggregated = policy->rules(binding.role, binding.name_space);
      rules = &aggregated;
    }
    granted = std::any_of(rules->begin(), rules->end(), [&](const Rule& rule) { return allows(rule, wanted); });
    if (granted && reason != nullptr) {
      bool of_cluster = binding.name_space.empty();
      *reason = std::string("RBAC: allowed by ") + (of_cluster ? "ClusterRoleBinding" : "RoleBinding") + " \"" +
                (of_cluster ? binding.name : binding.name + "/" + binding.name_space) + "\" of " +
                (binding.role.cluster ? "ClusterRole" : "Role") + " \"" + binding.role.name + "\" to User \"" +
                user.name + "\"";
    }
    return !granted;
  });
  return granted;
}

Result<std::vector<Rule>> Authorizer::rules_of(const User& user, std::string_view name_space) {
  std::vector<Rule> rules;
  if (user.in_group(kMasters)) {
    rules.push_back({{"*"}, {"*"}, {"*"}, {}, {}});
    rules.push_back({{"*"}, {}, {}, {}, {"*"}});
  }
  ORLOP_ASSIGN(std::shared_ptr<const Policy> policy, current());
  for_each_binding(*policy, user, name_space, [&](const Binding& binding) {
    std::vector<Rule> more = policy->rules(binding.role, binding.name_space);
    rules.insert(rules.end(), more.begin(), more.end());
    return true;
  });
  return rules;
}

Result<std::vector<Rule>> Authorizer::rules_of_role(const RoleReference& role, std::string_view name_space) {
  ORLOP_ASSIGN(std::shared_ptr<const Policy> policy, current());
  std::string key = key_of(role.cluster ? std::string_view() : name_space, role.name);
  if (policy->roles.find(key) == policy->roles.end()) {
    return Status(Code::kNotFound, std::string(role.cluster ? "clusterroles" : "roles") +
                                       ".rbac.authorization.k8s.io \"" + role.name + "\" not found");
  }
  return policy->rules(role, name_space);
}

std::vector<Rule> rules_in(const google::protobuf::Message& message) {
  if (const auto* role = dynamic_cast<const rbac::Role*>(&message)) return rules_of_message(*role);
  if (const auto* role = dynamic_cast<const rbac::ClusterRole*>(&message)) return rules_of_message(*role);
  return {};
}

RoleReference role_in(const google::protobuf::Message& message) {
  if (const auto* binding = dynamic_cast<const rbac::RoleBinding*>(&message)) {
    return {binding->roleref().kind() == "ClusterRole", binding->roleref().name()};
  }
  if (const auto* binding = dynamic_cast<const rbac::ClusterRoleBinding*>(&message)) {
    return {true, binding->roleref().name()};
  }
  return {};
}

std::string refusal(const User& user, const Attributes& wanted) {
  std::string who = "User \"" + user.name + "\" cannot " + std::string(wanted.verb);
  if (!wanted.path.empty()) return "forbidden: " + who + " path \"" + std::string(wanted.path) + "\"";
  std::string resource(wanted.resource);
  std::string qualified = resource;
  if (!wanted.group.empty()) qualified += "." + std::string(wanted.group);
  std::string full = resource;
  if (!wanted.subresource.empty()) full += "/" + std::string(wanted.subresource);
  std::string out = qualified;
  if (!wanted.name.empty()) out += " \"" + std::string(wanted.name) + "\"";
  out += " is forbidden: " + who + " resource \"" + full + "\" in API group \"" + std::string(wanted.group) + "\"";
  if (wanted.name_space.empty()) return out + " at the cluster scope";
  return out + " in the namespace \"" + std::string(wanted.name_space) + "\"";
}

}  // namespace orlop::auth
