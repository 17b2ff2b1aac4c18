// Kubernetes' strategic merge patch.
//
// A patch's maps merge member by member. A list whose field says merge is merged element by element, maps by their
// merge key, scalars as a set; any other list is replaced. Directives inside the patch:
//   $patch: replace | delete           on a map: take it as it is | leave an empty map; on a list's element: the same
//   for the
//                                      list | drop the element with this key
//   $retainKeys: [a, b]                drop every member of the current map that is not named
//   $setElementOrder/x: [...]          the order of list x afterwards
//   $deleteFromPrimitiveList/x: [...]  values to drop from list x
#include "plugins/api-kubernetes/patch/patch.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kSetOrder = "$setElementOrder/";
constexpr std::string_view kDeleteFrom = "$deleteFromPrimitiveList/";

Status bad(std::string message) {
  return {Code::kBadRequest, std::move(message)};
}

Status no_merge_key(const json::value& element, std::string_view key) {
  return bad(fmt::format("map: {} does not contain declared merge key: {}", json::serialize(element), key));
}

bool is_directive(const json::value& value) {
  const auto* object = value.if_object();
  return object != nullptr && object->contains(kDirective);
}

std::string_view directive_of(const json::object& object) {
  const auto* directive = object.if_contains(kDirective);
  if (directive == nullptr || !directive->is_string()) return {};
  return std::string_view(directive->as_string().data(), directive->as_string().size());
}

// A new value from a patch: without nulls in maps and without elements that are only directives.
std::optional<json::value> cleaned(const json::value& value) {
  if (const auto* object = value.if_object()) {
    if (object->contains(kDirective)) return std::nullopt;
    json::object out;
    for (const auto& member : *object) {
      if (member.value().is_null()) continue;
      if (auto kept = cleaned(member.value())) out.emplace(member.key(), std::move(*kept));
    }
    return json::value(std::move(out));
  }
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const auto& element : *array) {
      if (auto kept = cleaned(element)) out.push_back(std::move(*kept));
    }
    return json::value(std::move(out));
  }
  return value;
}

// Position of the element with the same identity: the value of `key`, or with no key the element itself.
std::optional<size_t> find_element(const json::array& list, const json::value& identity, std::string_view key) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (key.empty()) {
      if (list[i] == identity) return i;
      continue;
    }
    const auto* object = list[i].if_object();
    const auto* value = object == nullptr ? nullptr : object->if_contains(key);
    if (value != nullptr && *value == identity) return i;
  }
  return std::nullopt;
}

Result<json::value> identity_of(const json::value& element, std::string_view key) {
  if (key.empty()) return json::value(element);
  const auto* object = element.if_object();
  if (object == nullptr) return bad(fmt::format("expected a map in a list that merges by {}", key));
  const auto* value = object->if_contains(key);
  if (value == nullptr) return no_merge_key(element, key);
  return json::value(*value);
}

// The elements named in `wanted` take its order; the others keep their place of `current` before the next that both
// know.
Result<json::array> ordered(json::array merged, const json::array& wanted, const json::array& current,
                            std::string_view key) {
  struct Ranked {
    json::value element;
    std::optional<size_t> wanted;
    std::optional<size_t> current;
  };
  std::vector<Ranked> named;
  std::vector<Ranked> others;
  for (auto& element : merged) {
    ORLOP_ASSIGN(auto identity, identity_of(element, key));
    Ranked ranked{{}, find_element(wanted, identity, key), find_element(current, identity, key)};
    ranked.element = std::move(element);
    (ranked.wanted ? named : others).push_back(std::move(ranked));
  }
  std::stable_sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return *a.wanted < *b.wanted; });
  std::stable_sort(others.begin(), others.end(), [](const auto& a, const auto& b) {
    return a.current.value_or(SIZE_MAX) < b.current.value_or(SIZE_MAX);
  });
  json::array out;
  size_t next_named = 0;
  size_t next_other = 0;
  while (next_named < named.size() || next_other < others.size()) {
    bool take_other = next_named == named.size();
    if (!take_other && next_other < others.size()) {
      const auto& left = others[next_other].current;
      const auto& right = named[next_named].current;
      take_other = left && right && *left < *right;
    }
    out.push_back(std::move(take_other ? others[next_other++].element : named[next_named++].element));
  }
  return out;
}

Status merge_map(json::object* target, json::object patch, const MergeSchema* schema);

FieldMerge field_of(const MergeSchema* schema, std::string_view name) {
  return schema == nullptr ? FieldMerge{} : schema->field(name);
}

// Elements of the patch that only say what to drop, or that the whole list is replaced.
Status take_directives(json::array* current, json::array* patch, std::string_view key, bool* replaced) {
  json::array plain;
  for (auto& element : *patch) {
    const auto* object = element.if_object();
    if (object == nullptr || !object->contains(kDirective)) {
      plain.push_back(std::move(element));
      continue;
    }
    const auto directive = directive_of(*object);
    if (directive == "delete") {
      ORLOP_ASSIGN(auto identity, identity_of(element, key));
      while (auto at = find_element(*current, identity, key)) {
        current->erase(current->begin() + static_cast<ptrdiff_t>(*at));
      }
    } else if (directive == "replace") {
      *replaced = true;
    } else if (directive == "merge") {
      return bad("merging lists cannot yet be specified in the patch");
    } else {
      return bad(fmt::format("unknown patch type: {} in map: {}", directive, json::serialize(element)));
    }
  }
  *patch = std::move(plain);
  return Status::ok();
}

Status check_kinds(const json::array& current, const json::array& patch) {
  std::optional<json::kind> seen;
  for (const auto* list : {&current, &patch}) {
    for (const auto& element : *list) {
      if (element.is_array()) return bad("lists of lists are not supported");
      if (seen && (*seen == json::kind::object) != element.is_object())
        return bad("list element types are not identical");
      seen = element.kind();
    }
  }
  return Status::ok();
}

Result<json::array> merge_list(json::array current, json::array patch, const FieldMerge& field) {
  if (!field.merge) {
    auto kept = cleaned(json::value(std::move(patch)));
    return std::move(kept->as_array());
  }
  ORLOP_TRY(check_kinds(current, patch));
  const bool maps = (!current.empty() && current.front().is_object()) || (!patch.empty() && patch.front().is_object());
  if (!maps) {
    json::array merged = current;
    for (const auto& value : patch) {
      if (!find_element(merged, value, "")) merged.push_back(value);
    }
    return ordered(std::move(merged), patch, current, "");
  }
  if (field.merge_key.empty()) return bad("cannot merge lists without merge key");
  bool replaced = false;
  json::array merged = current;
  ORLOP_TRY(take_directives(&merged, &patch, field.merge_key, &replaced));
  if (replaced) {
    auto kept = cleaned(json::value(std::move(patch)));
    return std::move(kept->as_array());
  }
  for (const auto& element : patch) {
    ORLOP_ASSIGN(auto identity, identity_of(element, field.merge_key));
    if (auto at = find_element(merged, identity, field.merge_key)) {
      ORLOP_TRY(merge_map(&merged[*at].as_object(), element.as_object(), field.type));
    } else if (auto kept = cleaned(element)) {
      merged.push_back(std::move(*kept));
    }
  }
  return ordered(std::move(merged), patch, current, field.merge_key);
}

Status retain_keys(json::object* target, json::object* patch) {
  const auto* directive = patch->if_contains(kRetainKeys);
  if (directive == nullptr) return Status::ok();
  const auto* list = directive->if_array();
  if (list == nullptr) return bad("invalid patch format of retainKeys");
  const json::array keys = *list;
  patch->erase(kRetainKeys);
  auto named = [&](std::string_view name) {
    return find_element(keys, json::value(json::string_view(name)), "").has_value();
  };
  for (const auto& member : *patch) {
    const std::string_view name(member.key().data(), member.key().size());
    if (member.value().is_null() || name.starts_with(kDeleteFrom) || name.starts_with(kSetOrder)) continue;
    if (!named(name)) return bad("invalid patch format of retainKeys");
  }
  std::vector<std::string> dropped;
  for (const auto& member : *target) {
    const std::string_view name(member.key().data(), member.key().size());
    if (!named(name)) dropped.emplace_back(name);
  }
  for (const auto& name : dropped) target->erase(name);
  return Status::ok();
}

// The patch's elements must stand in the order list, in the same order.
Status check_order(const json::array& patch, const json::array& order, std::string_view key) {
  if (patch.empty() || order.empty()) return Status::ok();
  size_t at = 0;
  for (const auto& element : patch) {
    if (is_directive(element)) continue;
    ORLOP_ASSIGN(auto identity, identity_of(element, key));
    bool found = false;
    while (at < order.size() && !found) {
      ORLOP_ASSIGN(auto wanted, identity_of(order[at++], key));
      found = wanted == identity;
    }
    if (!found) {
      return bad(fmt::format("The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                             json::serialize(patch), json::serialize(order)));
    }
  }
  return Status::ok();
}

// One `$setElementOrder/name`, with the patch's list of that name: both leave the patch.
Status apply_order(json::object* target, json::object* patch, std::string_view directive, const MergeSchema* schema) {
  const std::string name(directive.substr(kSetOrder.size()));
  const json::value order = std::move(patch->at(directive));
  patch->erase(directive);
  if (!order.is_array()) return bad("invalid patch format of setElementOrder list");
  const auto field = field_of(schema, name);
  const std::string_view key = field.merge_key;
  auto* current = target->if_contains(name);
  auto* change = patch->if_contains(name);
  if ((current != nullptr && !current->is_array()) || (change != nullptr && !change->is_array())) {
    if (change != nullptr && change->is_null()) return Status::ok();
    return bad(fmt::format("expected a list at {}", name));
  }
  if (current == nullptr && change == nullptr) return Status::ok();
  if (change != nullptr) ORLOP_TRY(check_order(change->as_array(), order.as_array(), key));

  json::array before = current == nullptr ? json::array() : current->as_array();
  json::array merged = before;
  if (change != nullptr) {
    json::array list = std::move(change->as_array());
    patch->erase(name);
    if (current == nullptr) {
      merged = std::move(cleaned(json::value(std::move(list)))->as_array());
    } else {
      ORLOP_ASSIGN(merged, merge_list(before, std::move(list), field));
    }
  }
  ORLOP_ASSIGN(auto sorted, ordered(std::move(merged), order.as_array(), before, key));
  (*target)[name] = std::move(sorted);
  return Status::ok();
}

void delete_values(json::object* target, std::string_view name, const json::array& values) {
  auto* list = target->if_contains(name);
  if (list == nullptr || !list->is_array()) return;
  json::array kept;
  for (auto& element : list->as_array()) {
    if (!find_element(values, element, "")) kept.push_back(std::move(element));
  }
  *list = std::move(kept);
}

Status merge_member(json::object* target, std::string_view name, const json::value& change, const MergeSchema* schema) {
  if (change.is_null()) {
    target->erase(name);
    return Status::ok();
  }
  auto* current = target->if_contains(name);
  const bool same_shape = current != nullptr &&
                          ((current->is_object() && change.is_object()) || (current->is_array() && change.is_array()));
  if (!same_shape) {
    auto kept = cleaned(change);
    if (kept) {
      (*target)[name] = std::move(*kept);
    } else {
      target->erase(name);
    }
    return Status::ok();
  }
  const auto field = field_of(schema, name);
  if (change.is_object()) {
    if (field.replace) {
      *current = change;
      return Status::ok();
    }
    return merge_map(&current->as_object(), change.as_object(), field.type);
  }
  ORLOP_ASSIGN(auto merged, merge_list(std::move(current->as_array()), change.as_array(), field));
  *current = std::move(merged);
  return Status::ok();
}

Status merge_map(json::object* target, json::object patch, const MergeSchema* schema) {
  if (patch.contains(kDirective)) {
    const std::string directive(directive_of(patch));
    patch.erase(kDirective);
    if (directive == "replace") {
      *target = std::move(patch);
      return Status::ok();
    }
    if (directive == "delete") {
      target->clear();
      return Status::ok();
    }
    if (directive != "merge") {
      return bad(fmt::format("unknown patch type: {} in map: {}", directive, json::serialize(patch)));
    }
  }
  ORLOP_TRY(retain_keys(target, &patch));

  std::vector<std::string> orders;
  for (const auto& member : patch) {
    const std::string_view name(member.key().data(), member.key().size());
    if (name.starts_with(kSetOrder)) orders.emplace_back(name);
  }
  for (const auto& order : orders) ORLOP_TRY(apply_order(target, &patch, order, schema));

  for (const auto& member : patch) {
    const std::string_view name(member.key().data(), member.key().size());
    if (name.starts_with(kDeleteFrom)) {
      if (!member.value().is_array()) return bad("invalid patch format of primitive list");
      delete_values(target, name.substr(kDeleteFrom.size()), member.value().as_array());
      continue;
    }
    ORLOP_TRY(merge_member(target, name, member.value(), schema));
  }
  return Status::ok();
}

}  // namespace

Result<json::value> strategic_merge(const json::value& document, const json::value& patch, const MergeSchema& schema) {
  const auto* change = patch.if_object();
  if (change == nullptr) return bad("error decoding patch: a strategic merge patch must be an object");
  json::value result = document;
  if (!result.is_object()) result = json::object();
  ORLOP_TRY(merge_map(&result.as_object(), *change, &schema));
  return result;
}

}  // namespace orlop::apikube
