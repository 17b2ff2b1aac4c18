#include "sdk/kubeapi/type_table.hpp"

#include <bit>
#include <shared_mutex>
#include <unordered_map>

#include <google/protobuf/descriptor.h>

namespace orlop::kube {
namespace {

namespace pb = google::protobuf;

ValueKind value_kind(const pb::FieldDescriptor& field) {
  switch (field.type()) {
    case pb::FieldDescriptor::TYPE_BYTES:
      return ValueKind::kBytes;
    case pb::FieldDescriptor::TYPE_BOOL:
      return ValueKind::kBool;
    case pb::FieldDescriptor::TYPE_INT32:
      return ValueKind::kInt32;
    case pb::FieldDescriptor::TYPE_INT64:
      return ValueKind::kInt64;
    case pb::FieldDescriptor::TYPE_DOUBLE:
      return ValueKind::kDouble;
    case pb::FieldDescriptor::TYPE_MESSAGE:
      return ValueKind::kMessage;
    default:
      return ValueKind::kString;
  }
}

std::unique_ptr<TableField> make_field(const pb::FieldDescriptor& field, std::optional<FieldSchema> schema) {
  auto out = std::make_unique<TableField>();
  out->descriptor = &field;
  out->value = &field;
  out->schema = schema;
  if (field.is_map()) {
    out->plurality = Plurality::kMap;
    out->map_key = field.message_type()->map_key();
    out->value = field.message_type()->map_value();
  } else if (field.is_repeated()) {
    out->plurality = Plurality::kList;
  }
  out->kind = value_kind(*out->value);
  if (out->kind == ValueKind::kMessage) out->shape = json_shape(*out->value->message_type());
  out->json_name = schema ? schema->json_name() : std::string_view(field.name());
  out->inlined = schema && schema->inlined();
  out->omit_empty = !schema || schema->omit_empty();
  out->pointer = !schema || schema->pointer();
  out->key = '"' + out->json_name + "\":";
  return out;
}

size_t hash_of(std::string_view text) {
  // FNV-1a: names are short.
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return static_cast<size_t>(hash ^ (hash >> 32));
}

}  // namespace

JsonShape json_shape(const pb::Descriptor& descriptor) {
  static const std::unordered_map<std::string_view, JsonShape> kShapes = {
      {"k8s.io.apimachinery.pkg.apis.meta.v1.Time", JsonShape::kTime},
      {"k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime", JsonShape::kMicroTime},
      {"k8s.io.apimachinery.pkg.apis.meta.v1.Duration", JsonShape::kDuration},
      {"k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1", JsonShape::kRaw},
      {"k8s.io.apimachinery.pkg.apis.meta.v1.Verbs", JsonShape::kStringList},
      {"k8s.io.apimachinery.pkg.api.resource.Quantity", JsonShape::kQuantity},
      {"k8s.io.apimachinery.pkg.util.intstr.IntOrString", JsonShape::kIntOrString},
      {"k8s.io.apimachinery.pkg.runtime.RawExtension", JsonShape::kRaw},
      {"k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON", JsonShape::kRaw},
      {"k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", JsonShape::kSchemaOrArray},
      {"k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", JsonShape::kSchemaOrBool},
      {"k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
       JsonShape::kSchemaOrStrings},
  };
  const auto found = kShapes.find(descriptor.full_name());
  if (found != kShapes.end()) return found->second;
  // Go's named slices ([]string) travel as a message with one list: ExtraValue, Verbs, …
  const bool wrapper = descriptor.field_count() == 1 && descriptor.field(0)->is_repeated() &&
                       descriptor.field(0)->name() == "items" &&
                       descriptor.field(0)->type() == pb::FieldDescriptor::TYPE_STRING;
  return wrapper ? JsonShape::kStringList : JsonShape::kObject;
}

const TypeTable* TableField::child() const {
  if (kind != ValueKind::kMessage) return nullptr;
  const TypeTable* known = child_.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  known = &TypeTable::of(*value->message_type());
  child_.store(known, std::memory_order_release);
  return known;
}

const TypeTable& TypeTable::of(const pb::Descriptor& descriptor) {
  // Never destroyed: threads may still encode while the process leaves main.
  static auto& lock = *new std::shared_mutex;
  static auto& known = *new std::unordered_map<const pb::Descriptor*, const TypeTable*>;
  {
    const std::shared_lock guard(lock);
    const auto found = known.find(&descriptor);
    if (found != known.end()) return *found->second;
  }
  // Built outside the lock: an inlined message's table is asked for on the way.
  auto made = std::make_unique<TypeTable>(descriptor);
  const std::unique_lock guard(lock);
  const auto [at, inserted] = known.emplace(&descriptor, made.get());
  if (inserted) static_cast<void>(made.release());
  return *at->second;
}

TypeTable::TypeTable(const pb::Descriptor& descriptor) : descriptor_(descriptor), shape_(json_shape(descriptor)) {
  const auto type = find_type(descriptor.full_name());
  has_type_meta_ = type && type->has_type_meta();
  if (type) {
    for (size_t i = 0; i < type->size(); ++i) {
      const FieldSchema schema = type->at(i);
      const auto* field = descriptor.FindFieldByNumber(schema.number());
      if (field != nullptr) fields_.push_back(make_field(*field, schema));
    }
  } else {
    for (int i = 0; i < descriptor.field_count(); ++i)
      fields_.push_back(make_field(*descriptor.field(i), std::nullopt));
  }
  for (size_t i = 0; i < fields_.size(); ++i) {
    const auto number = static_cast<size_t>(fields_[i]->descriptor->number());
    if (number >= by_number_.size()) by_number_.resize(number + 1, -1);
    by_number_[number] = static_cast<int16_t>(i);
  }
  // A list that holds nothing says so with []: clients in other languages stumble over null.
  const auto* metadata = descriptor.FindFieldByName("metadata");
  if (metadata != nullptr && metadata->message_type() != nullptr && metadata->message_type()->name() == "ListMeta") {
    for (const auto& field : fields_) field->never_null |= field->json_name == "items";
  }
  add_entries(*this, {});
  slots_.assign(std::bit_ceil(entries_.size() * 2 + 1), -1);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = hash_of(entries_[i].field->json_name) & (slots_.size() - 1);
    while (slots_[slot] >= 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = static_cast<int32_t>(i);
  }
}

void TypeTable::add_entries(const TypeTable& from, const std::vector<const TableField*>& owners) {
  for (const auto& field : from.fields_) {
    if (!field->inlined) {
      entries_.push_back({field.get(), owners});
      continue;
    }
    auto deeper = owners;
    deeper.push_back(field.get());
    add_entries(*field->child(), deeper);
  }
}

const std::string& TypeTable::go_name() const {
  return descriptor_.name();
}

const JsonEntry* TypeTable::find(std::string_view json_name) const {
  size_t slot = hash_of(json_name) & (slots_.size() - 1);
  while (slots_[slot] >= 0) {
    const JsonEntry& entry = entries_[static_cast<size_t>(slots_[slot])];
    if (entry.field->json_name == json_name) return &entry;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return nullptr;
}

}  // namespace orlop::kube
