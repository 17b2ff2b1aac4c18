#include "plugins/api-kubernetes/kinds/meta_rules.hpp"

#include "orlop/kube/kinds.hpp"
#include "orlop/kube/meta_v1.hpp"
#include "plugins/api-kubernetes/selector/labels.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/message_differencer.h>

namespace orlop::apikube {
namespace {

using google::protobuf::Message;

constexpr size_t kAnnotationBytesMax = 256 * 1024;
constexpr size_t kFieldManagerMax = 128;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void validate_annotations(const metav1::ObjectMeta& meta, const FieldPath& path, FieldErrors* errors) {
  size_t bytes = 0;
  for (const auto& [key, value] : meta.annotations()) {
    bytes += key.size() + value.size();
    errors->invalid(path, key, qualified_name_faults(lower(key)));
  }
  if (bytes > kAnnotationBytesMax) errors->too_long(path, kAnnotationBytesMax);
}

void validate_owners(const metav1::ObjectMeta& meta, const FieldPath& path, FieldErrors* errors) {
  std::string controller;
  for (const auto& owner : meta.ownerreferences()) {
    const auto group_version = kube::split_api_version(owner.apiversion());
    if (group_version.version.empty())
      errors->invalid(path.child("apiVersion"), owner.apiversion(), "version must not be empty");
    if (owner.kind().empty()) errors->invalid(path.child("kind"), owner.kind(), "kind must not be empty");
    if (owner.name().empty()) errors->invalid(path.child("name"), owner.name(), "name must not be empty");
    if (owner.uid().empty()) errors->invalid(path.child("uid"), owner.uid(), "uid must not be empty");
    if (owner.kind() == "Event" && owner.apiversion() == "v1") {
      errors->invalid(path, ShownValue::raw(owner.ShortDebugString()),
                      "/v1, Kind=Event is disallowed from being an owner");
    }
    if (!owner.controller()) continue;
    const std::string name = owner.kind() + "/" + owner.name();
    if (!controller.empty()) {
      errors->invalid(
          path, ShownValue::raw(fmt::format("{} references", meta.ownerreferences_size())),
          fmt::format("Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                      controller, name));
    } else {
      controller = name;
    }
  }
}

void validate_finalizers(const metav1::ObjectMeta& meta, const FieldPath& path, FieldErrors* errors) {
  bool orphan = false;
  bool foreground = false;
  for (const auto& finalizer : meta.finalizers()) {
    errors->invalid(path, finalizer, qualified_name_faults(finalizer));
    orphan = orphan || finalizer == "orphan";
    foreground = foreground || finalizer == "foregroundDeletion";
  }
  if (orphan && foreground) {
    errors->invalid(path, ShownValue::raw("[\"foregroundDeletion\" \"orphan\"]"),
                    "finalizer orphan and foregroundDeletion cannot be both set");
  }
}

void validate_managed_fields(const metav1::ObjectMeta& meta, const FieldPath& root, FieldErrors* errors) {
  for (int i = 0; i < meta.managedfields_size(); ++i) {
    const auto& entry = meta.managedfields(i);
    const auto path = root.index(static_cast<size_t>(i));
    if (entry.operation() != "Apply" && entry.operation() != "Update") {
      errors->invalid(path.child("operation"), entry.operation(), "must be `Apply` or `Update`");
    }
    if (!entry.fieldstype().empty() && entry.fieldstype() != "FieldsV1") {
      errors->invalid(path.child("fieldsType"), entry.fieldstype(), "must be `FieldsV1`");
    }
    if (entry.manager().size() > kFieldManagerMax) errors->too_long(path.child("manager"), kFieldManagerMax);
  }
}

void validate_common(const metav1::ObjectMeta& meta, const FieldPath& path, FieldErrors* errors) {
  validate_labels(meta.labels(), path.child("labels"), errors);
  validate_annotations(meta, path.child("annotations"), errors);
  validate_owners(meta, path.child("ownerReferences"), errors);
  validate_managed_fields(meta, path.child("managedFields"), errors);
}

// The trailing dash of a prefix is no fault: a suffix follows it.
std::string masked_prefix(std::string_view name) {
  if (name.size() > 1 && name.back() == '-') return std::string(name.substr(0, name.size() - 2)) + "a";
  return std::string(name);
}

std::string shown_map(const google::protobuf::Map<std::string, std::string>& map) {
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  std::string text = "map[string]string{";
  for (const auto& [key, value] : sorted) {
    if (text.back() != '{') text += ", ";
    text += fmt::format("{}:{}", in_quotes(key), in_quotes(value));
  }
  return text + "}";
}

}  // namespace

Faults name_faults(NameRule rule, std::string_view name, bool is_prefix) {
  const std::string checked = is_prefix ? masked_prefix(name) : std::string(name);
  switch (rule) {
    case NameRule::kSubdomain:
      return dns1123_subdomain_faults(checked);
    case NameRule::kLabel:
      return dns1123_label_faults(checked);
    case NameRule::kDns1035:
      return dns1035_label_faults(checked);
    case NameRule::kPathSegment:
      return path_segment_faults(name);
    case NameRule::kFree:
      return {};
  }
  return {};
}

void validate_meta(const metav1::ObjectMeta& meta, bool namespaced, NameRule rule, FieldErrors* errors) {
  const FieldPath path("metadata");
  if (!meta.generatename().empty()) {
    errors->invalid(path.child("generateName"), meta.generatename(), name_faults(rule, meta.generatename(), true));
  }
  if (meta.name().empty()) {
    errors->required(path.child("name"), "name or generateName is required");
  } else {
    errors->invalid(path.child("name"), meta.name(), name_faults(rule, meta.name(), false));
  }
  if (namespaced) {
    if (meta.namespace_().empty()) {
      errors->required(path.child("namespace"));
    } else {
      errors->invalid(path.child("namespace"), meta.namespace_(), dns1123_label_faults(meta.namespace_()));
    }
  } else if (!meta.namespace_().empty()) {
    errors->forbidden(path.child("namespace"), "not allowed on this type");
  }
  errors->non_negative(path.child("generation"), meta.generation());
  validate_common(meta, path, errors);
  validate_finalizers(meta, path.child("finalizers"), errors);
}

void validate_meta_update(const metav1::ObjectMeta& meta, const metav1::ObjectMeta& current, FieldErrors* errors) {
  const FieldPath path("metadata");
  if (current.has_deletiontimestamp()) {
    std::vector<std::string> added;
    for (const auto& finalizer : meta.finalizers()) {
      const auto& known = current.finalizers();
      if (std::find(known.begin(), known.end(), finalizer) == known.end()) added.push_back(in_quotes(finalizer));
    }
    if (!added.empty()) {
      errors->forbidden(
          path.child("finalizers"),
          fmt::format("no new finalizers can be added if the object is being deleted, found new finalizers "
                      "[]string{{{}}}",
                      joined(added, ", ")));
    }
  }
  auto immutable = [&](std::string_view field, const std::string& now, const std::string& before) {
    if (now != before) errors->invalid(path.child(field), now, "field is immutable");
  };
  immutable("name", meta.name(), current.name());
  immutable("namespace", meta.namespace_(), current.namespace_());
  if (!meta.uid().empty()) immutable("uid", meta.uid(), current.uid());
  validate_common(meta, path, errors);
  validate_finalizers(meta, path.child("finalizers"), errors);
}

void validate_template_meta(const metav1::ObjectMeta& meta, const FieldPath& path, FieldErrors* errors) {
  validate_labels(meta.labels(), path.child("labels"), errors);
  validate_annotations(meta, path.child("annotations"), errors);
}

void validate_label_selector(const metav1::LabelSelector& selector, const FieldPath& path, FieldErrors* errors) {
  validate_labels(selector.matchlabels(), path.child("matchLabels"), errors);
  for (int i = 0; i < selector.matchexpressions_size(); ++i) {
    const auto& expression = selector.matchexpressions(i);
    const auto at = path.child("matchExpressions").index(static_cast<size_t>(i));
    const auto& op = expression.operator_();
    if (op == "In" || op == "NotIn") {
      if (expression.values().empty()) {
        errors->required(at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!expression.values().empty()) {
        errors->forbidden(at.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      }
    } else {
      errors->invalid(at.child("operator"), op, "not a valid selector operator");
    }
    errors->invalid(at.child("key"), expression.key(), qualified_name_faults(expression.key()));
    for (int j = 0; j < expression.values_size(); ++j) {
      errors->invalid(at.child("values").index(static_cast<size_t>(j)), expression.values(j),
                      label_value_faults(expression.values(j)));
    }
  }
}

bool selector_matches(const metav1::LabelSelector& selector, const metav1::ObjectMeta& meta) {
  const auto& labels = meta.labels();
  for (const auto& [key, value] : selector.matchlabels()) {
    auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  for (const auto& expression : selector.matchexpressions()) {
    LabelRequirement requirement;
    requirement.key = expression.key();
    requirement.values.assign(expression.values().begin(), expression.values().end());
    if (expression.operator_() == "In") {
      requirement.op = LabelOperator::kIn;
    } else if (expression.operator_() == "NotIn") {
      requirement.op = LabelOperator::kNotIn;
    } else if (expression.operator_() == "DoesNotExist") {
      requirement.op = LabelOperator::kDoesNotExist;
    }
    auto found = labels.find(requirement.key);
    if (!requirement.matches(found == labels.end() ? nullptr : &found->second)) return false;
  }
  return true;
}

ShownValue shown_selector(const metav1::LabelSelector& selector) {
  const std::string labels =
      selector.matchlabels().empty() ? "map[string]string(nil)" : shown_map(selector.matchlabels());
  std::string expressions = "[]v1.LabelSelectorRequirement(nil)";
  if (!selector.matchexpressions().empty()) {
    std::vector<std::string> parts;
    for (const auto& expression : selector.matchexpressions()) {
      std::vector<std::string> values;
      for (const auto& value : expression.values()) values.push_back(in_quotes(value));
      parts.push_back(fmt::format("v1.LabelSelectorRequirement{{Key:{}, Operator:{}, Values:[]string{{{}}}}}",
                                  in_quotes(expression.key()), in_quotes(expression.operator_()),
                                  joined(values, ", ")));
    }
    expressions = fmt::format("[]v1.LabelSelectorRequirement{{{}}}", joined(parts, ", "));
  }
  return ShownValue::raw(fmt::format("v1.LabelSelector{{MatchLabels:{}, MatchExpressions:{}}}", labels, expressions));
}

ShownValue shown_labels(const metav1::ObjectMeta& meta) {
  return ShownValue::raw(meta.labels().empty() ? "map[string]string(nil)" : shown_map(meta.labels()));
}

const metav1::ObjectMeta& meta_of(const Message& object) {
  const auto* field = object.GetDescriptor()->FindFieldByNumber(1);
  if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE ||
      field->message_type() != metav1::ObjectMeta::descriptor()) {
    return metav1::ObjectMeta::default_instance();
  }
  return static_cast<const metav1::ObjectMeta&>(object.GetReflection()->GetMessage(object, field));
}

metav1::ObjectMeta* mutable_meta_of(Message* object) {
  const auto* field = object->GetDescriptor()->FindFieldByNumber(1);
  if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE ||
      field->message_type() != metav1::ObjectMeta::descriptor()) {
    return nullptr;
  }
  return static_cast<metav1::ObjectMeta*>(object->GetReflection()->MutableMessage(object, field));
}

bool same_message(const Message& left, const Message& right) {
  // Mostly nothing changed, and then the bytes are the same: far cheaper to see than field by field.
  if (left.ByteSizeLong() == right.ByteSizeLong() &&
      left.SerializePartialAsString() == right.SerializePartialAsString())
    return true;
  google::protobuf::util::MessageDifferencer differencer;
  // An absent message and an empty one say the same, as absent and zero scalars of the API do.
  differencer.set_message_field_comparison(google::protobuf::util::MessageDifferencer::EQUIVALENT);
  return differencer.Compare(left, right);
}

}  // namespace orlop::apikube
