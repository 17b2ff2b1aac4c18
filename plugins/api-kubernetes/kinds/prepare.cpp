#include "plugins/api-kubernetes/kinds/prepare.hpp"

#include "orlop/kube/meta_v1.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::apikube {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* status_field(const kube::Kind& kind, const Message& object) {
  if (kind.subresource("status") == nullptr) return nullptr;
  const auto* field = object.GetDescriptor()->FindFieldByName("status");
  return field != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated() ? field
                                                                                                            : nullptr;
}

void copy_field(const FieldDescriptor* field, const Message& from, Message* to) {
  if (from.GetReflection()->HasField(from, field)) {
    to->GetReflection()->MutableMessage(to, field)->CopyFrom(from.GetReflection()->GetMessage(from, field));
  } else {
    to->GetReflection()->ClearField(to, field);
  }
}

// What the store alone decides; a writer that leaves it out or sends something else changes nothing.
void keep_system_metadata(metav1::ObjectMeta* meta, const metav1::ObjectMeta& current) {
  if (current.has_creationtimestamp()) *meta->mutable_creationtimestamp() = current.creationtimestamp();
  if (meta->uid().empty()) meta->set_uid(current.uid());
  meta->set_generation(current.generation());
  if (current.has_deletiontimestamp()) {
    *meta->mutable_deletiontimestamp() = current.deletiontimestamp();
  } else {
    meta->clear_deletiontimestamp();
  }
  if (current.has_deletiongraceperiodseconds()) {
    meta->set_deletiongraceperiodseconds(current.deletiongraceperiodseconds());
  } else {
    meta->clear_deletiongraceperiodseconds();
  }
  meta->clear_selflink();
}

}  // namespace

void strip_for_create(const kube::Kind& kind, Message* object) {
  if (const auto* status = status_field(kind, *object)) object->GetReflection()->ClearField(object, status);
  auto* meta = mutable_meta_of(object);
  if (meta == nullptr) return;
  meta->clear_uid();
  meta->clear_creationtimestamp();
  meta->clear_deletiontimestamp();
  meta->clear_deletiongraceperiodseconds();
  meta->clear_generation();
  meta->clear_selflink();
}

void keep_for_update(const kube::Kind& kind, Message* object, const Message& current, std::string_view subresource) {
  const auto* status = status_field(kind, *object);
  auto* meta = mutable_meta_of(object);
  if (meta != nullptr) keep_system_metadata(meta, meta_of(current));
  if (status == nullptr) return;
  // A signing request's approval stands in its status: that path writes conditions, and its own rules say which.
  if (subresource == "approval") return;
  if (subresource != "status") {
    copy_field(status, current, object);
    return;
  }
  const auto* descriptor = object->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field == status || field->number() == 1) continue;
    if (!field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      copy_field(field, current, object);
  }
  // Labels say what an object is, not how it fares; for pods and nodes, whose agents label them, they may change.
  if (meta != nullptr && kind.id != "pods" && kind.id != "nodes") *meta->mutable_labels() = meta_of(current).labels();
}

}  // namespace orlop::apikube
