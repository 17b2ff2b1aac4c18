// The rules of ObjectMeta that hold for every kind.
#pragma once

#include "plugins/api-kubernetes/kinds/field_errors.hpp"

#include <string_view>

namespace google::protobuf {
class Message;
}
namespace k8s::io::apimachinery::pkg::apis::meta::v1 {
class LabelSelector;
class ObjectMeta;
}  // namespace k8s::io::apimachinery::pkg::apis::meta::v1

namespace orlop::apikube {

namespace metav1 = k8s::io::apimachinery::pkg::apis::meta::v1;

// What the name of an object may look like.
enum class NameRule { kSubdomain, kLabel, kDns1035, kPathSegment, kFree };

Faults name_faults(NameRule rule, std::string_view name, bool is_prefix);

// `namespaced`: whether the kind lives in namespaces.
void validate_meta(const metav1::ObjectMeta& meta, bool namespaced, NameRule rule, FieldErrors* errors);
void validate_meta_update(const metav1::ObjectMeta& meta, const metav1::ObjectMeta& current, FieldErrors* errors);

// Labels of a template or selector; protobuf's string map behind `labels`.
template <typename Map>
void validate_labels(const Map& labels, const FieldPath& path, FieldErrors* errors) {
  for (const auto& [key, value] : labels) {
    errors->invalid(path, key, qualified_name_faults(key));
    errors->invalid(path, value, label_value_faults(value));
  }
}
void validate_template_meta(const metav1::ObjectMeta& meta, const FieldPath& path, FieldErrors* errors);

void validate_label_selector(const metav1::LabelSelector& selector, const FieldPath& path, FieldErrors* errors);
// Whether the selector is one and selects `meta`'s labels. An empty selector selects everything.
bool selector_matches(const metav1::LabelSelector& selector, const metav1::ObjectMeta& meta);
// As Go prints it in messages: v1.LabelSelector{MatchLabels:map[string]string{"app":"x"}, …}.
ShownValue shown_selector(const metav1::LabelSelector& selector);
// map[string]string{"a":"b"} of the labels.
ShownValue shown_labels(const metav1::ObjectMeta& meta);

// The metadata of any kind's message; its field 1.
const metav1::ObjectMeta& meta_of(const google::protobuf::Message& object);
metav1::ObjectMeta* mutable_meta_of(google::protobuf::Message* object);

// Equal as messages, whatever the order of map entries.
bool same_message(const google::protobuf::Message& left, const google::protobuf::Message& right);

}  // namespace orlop::apikube
