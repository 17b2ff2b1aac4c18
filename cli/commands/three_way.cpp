#include "cli/commands/three_way.hpp"

#include <algorithm>
#include <vector>

namespace orlop::cli {
namespace {

namespace json = boost::json;

struct PathRule {
  std::string_view suffix;
  ListRule rule;
};

constexpr auto kByKey = ListRule::How::kByKey;

// Lists of a PodSpec and of what is in it; the specs themselves are found at the end of any path.
constexpr PathRule kPodRules[] = {
    {"spec.containers", {kByKey, "name"}},
    {"spec.initContainers", {kByKey, "name"}},
    {"spec.ephemeralContainers", {kByKey, "name"}},
    {"spec.volumes", {kByKey, "name", true}},
    {"spec.imagePullSecrets", {kByKey, "name"}},
    {"spec.hostAliases", {kByKey, "ip"}},
    {"spec.topologySpreadConstraints", {kByKey, "topologyKey"}},
    {"spec.resourceClaims", {kByKey, "name", true}},
    {"spec.schedulingGates", {kByKey, "name"}},
    {"ontainers[].env", {kByKey, "name"}},
    {"ontainers[].ports", {kByKey, "containerPort"}},
    {"ontainers[].volumeMounts", {kByKey, "mountPath"}},
    {"ontainers[].volumeDevices", {kByKey, "devicePath"}},
};

bool ends_at_name(std::string_view path, std::string_view suffix) {
  if (!path.ends_with(suffix)) return false;
  if (suffix.front() == 'o') return true;  // containers, initContainers and ephemeralContainers at once
  return path.size() == suffix.size() || path[path.size() - suffix.size() - 1] == '.';
}

const json::value* member(const json::value* object, std::string_view name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto* found = object->get_object().if_contains(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

const json::value* element(const json::value* list, std::string_view key, const json::value& wanted) {
  if (list == nullptr || !list->is_array()) return nullptr;
  for (const auto& item : list->get_array()) {
    const auto* value = member(&item, key);
    if (value != nullptr && *value == wanted) return &item;
  }
  return nullptr;
}

bool all_have(const json::value* list, std::string_view key) {
  if (list == nullptr || !list->is_array()) return true;
  return std::all_of(list->get_array().begin(), list->get_array().end(),
                     [&](const json::value& item) { return member(&item, key) != nullptr; });
}

class Differ {
 public:
  explicit Differ(std::string_view kind) : kind_(kind) {}

  json::object maps(const json::value* original, const json::value& wanted, const json::value& live,
                    const std::string& path) {
    json::object patch;
    for (const auto& entry : wanted.get_object()) {
      const std::string name(entry.key());
      const auto below = path.empty() ? name : path + "." + name;
      const auto* now = member(&live, name);
      if (entry.value().is_null()) {
        if (now != nullptr) patch[name] = nullptr;
      } else if (now == nullptr || now->kind() != entry.value().kind()) {
        if (now == nullptr || !(*now == entry.value())) patch[name] = entry.value();
      } else {
        member_of(patch, name, member(original, name), entry.value(), *now, below);
      }
    }
    if (original != nullptr && original->is_object()) {
      for (const auto& entry : original->get_object()) {
        if (wanted.get_object().contains(entry.key()) || member(&live, entry.key()) == nullptr) continue;
        patch[entry.key()] = nullptr;
      }
    }
    return patch;
  }

 private:
  void member_of(json::object& patch, const std::string& name, const json::value* original, const json::value& wanted,
                 const json::value& live, const std::string& path) {
    if (wanted.is_object()) {
      auto inner = maps(original, wanted, live, path);
      if (inner.empty()) return;
      if (!kind_.empty() && retains_keys(kind_, path)) inner["$retainKeys"] = names_of(wanted);
      patch[name] = std::move(inner);
    } else if (wanted.is_array()) {
      lists(patch, name, original, wanted, live, path);
    } else if (!(wanted == live)) {
      patch[name] = wanted;
    }
  }

  void lists(json::object& patch, const std::string& name, const json::value* original, const json::value& wanted,
             const json::value& live, const std::string& path) {
    const auto rule = kind_.empty() ? ListRule{} : list_rule(kind_, path);
    if (rule.how == ListRule::How::kAsSet) {
      sets(patch, name, original, wanted, live);
    } else if (rule.how == kByKey && all_have(&wanted, rule.key) && all_have(&live, rule.key) &&
               all_have(original, rule.key)) {
      keyed_lists(patch, name, rule, original, wanted, live, path);
    } else if (!(wanted == live)) {
      patch[name] = wanted;
    }
  }

  void keyed_lists(json::object& patch, const std::string& name, const ListRule& rule, const json::value* original,
                   const json::value& wanted, const json::value& live, const std::string& path) {
    json::array changes;
    json::array order;
    std::vector<const json::value*> kept;
    for (const auto& item : wanted.get_array()) {
      const auto& key = *member(&item, rule.key);
      order.push_back(json::object{{rule.key, key}});
      const auto* now = element(&live, rule.key, key);
      if (now == nullptr) {
        changes.push_back(item);
        continue;
      }
      kept.push_back(now);
      auto inner = maps(element(original, rule.key, key), item, *now, path + "[]");
      if (inner.empty()) continue;
      if (rule.retain_keys) inner["$retainKeys"] = names_of(item);
      inner[rule.key] = key;
      changes.push_back(std::move(inner));
    }
    if (original != nullptr && original->is_array()) {
      for (const auto& item : original->get_array()) {
        const auto& key = *member(&item, rule.key);
        if (element(&wanted, rule.key, key) != nullptr || element(&live, rule.key, key) == nullptr) continue;
        changes.push_back(json::object{{"$patch", "delete"}, {rule.key, key}});
      }
    }
    // Elements of a list lie one behind the other, so their addresses tell the order that the server has.
    const bool moved = !std::is_sorted(kept.begin(), kept.end());
    if (changes.empty() && !moved) return;
    patch["$setElementOrder/" + name] = std::move(order);
    if (!changes.empty()) patch[name] = std::move(changes);
  }

  static void sets(json::object& patch, const std::string& name, const json::value* original, const json::value& wanted,
                   const json::value& live) {
    const auto has = [](const json::value& list, const json::value& item) {
      const auto& array = list.get_array();
      return std::find(array.begin(), array.end(), item) != array.end();
    };
    json::array added;
    json::array removed;
    for (const auto& item : wanted.get_array()) {
      if (!has(live, item)) added.push_back(item);
    }
    if (original != nullptr && original->is_array()) {
      for (const auto& item : original->get_array()) {
        if (!has(wanted, item) && has(live, item)) removed.push_back(item);
      }
    }
    if (!added.empty()) patch[name] = std::move(added);
    if (!removed.empty()) patch["$deleteFromPrimitiveList/" + name] = std::move(removed);
  }

  static json::array names_of(const json::value& object) {
    json::array names;
    for (const auto& entry : object.get_object()) names.push_back(json::string(entry.key()));
    return names;
  }

  std::string_view kind_;
};

}  // namespace

ListRule list_rule(std::string_view kind, std::string_view path) {
  if (path == "metadata.ownerReferences") return {kByKey, "uid"};
  if (path == "metadata.finalizers") return {ListRule::How::kAsSet, {}};
  if (kind == "Service") return path == "spec.ports" ? ListRule{kByKey, "port"} : ListRule{};
  if (kind == "ServiceAccount") return path == "secrets" ? ListRule{kByKey, "name"} : ListRule{};
  if (kind == "Node" && path == "spec.podCIDRs") return {ListRule::How::kAsSet, {}};
  if (kind == "CSINode" && path == "spec.drivers") return {kByKey, "name"};
  if (kind.ends_with("WebhookConfiguration") && path == "webhooks") return {kByKey, "name"};
  for (const auto& entry : kPodRules) {
    if (ends_at_name(path, entry.suffix)) return entry.rule;
  }
  return {};
}

bool retains_keys(std::string_view kind, std::string_view path) {
  return kind == "Deployment" && path == "spec.strategy";
}

json::object three_way_patch(std::string_view kind, const json::value& original, const json::value& wanted,
                             const json::value& live) {
  return Differ(kind).maps(&original, wanted, live, "");
}

}  // namespace orlop::cli
