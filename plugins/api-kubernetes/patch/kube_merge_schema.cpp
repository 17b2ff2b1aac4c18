// MergeSchema over Kubernetes' own types.
#include "orlop/kube/schema.hpp"
#include "plugins/api-kubernetes/patch/merge_schema.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <google/protobuf/descriptor.h>

namespace orlop::apikube {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

const MergeSchema* schema_of(const Descriptor& descriptor);

// The type whose members a value of this field has; nullptr for scalars and for what has a form of its own.
const MergeSchema* value_schema(const FieldDescriptor& field) {
  const auto* value = &field;
  if (field.is_map()) value = field.message_type()->map_value();
  if (value->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return nullptr;
  if (kube::json_shape(*value->message_type()) != kube::JsonShape::kObject) return nullptr;
  return schema_of(*value->message_type());
}

class KubeMergeSchema final : public MergeSchema {
 public:
  explicit KubeMergeSchema(const Descriptor& descriptor) : descriptor_(descriptor) {}

  FieldMerge field(std::string_view name) const override {
    FieldMerge merge;
    const auto found = kube::find_json_field(descriptor_, name);
    if (!found) return merge;
    merge.known = true;
    merge.list = found->field->is_repeated() && !found->field->is_map();
    merge.type = value_schema(*found->field);
    if (!found->schema) return merge;
    merge.merge = found->schema->patch_merge();
    merge.replace = found->schema->patch_replace();
    merge.retain_keys = found->schema->patch_retain_keys();
    merge.merge_key = found->schema->patch_merge_key();
    return merge;
  }

 private:
  const Descriptor& descriptor_;
};

const MergeSchema* schema_of(const Descriptor& descriptor) {
  static std::mutex mutex;
  static std::map<const Descriptor*, std::unique_ptr<KubeMergeSchema>> schemas;  // guarded by mutex
  const std::lock_guard lock(mutex);
  auto& schema = schemas[&descriptor];
  if (!schema) schema = std::make_unique<KubeMergeSchema>(descriptor);
  return schema.get();
}

}  // namespace

const MergeSchema* merge_schema(std::string_view message) {
  const auto* descriptor = kube::find_message(message);
  return descriptor == nullptr ? nullptr : schema_of(*descriptor);
}

}  // namespace orlop::apikube
