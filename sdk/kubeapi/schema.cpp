#include "orlop/kube/schema.hpp"

#include "sdk/kubeapi/schema_tables.hpp"
#include "sdk/kubeapi/type_table.hpp"

#include <algorithm>
#include <span>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::kube {
namespace {

namespace pb = google::protobuf;

std::string_view text_at(uint32_t offset) {
  return tables::kStrings + offset;
}

std::vector<std::string_view> lines_at(uint32_t offset) {
  std::vector<std::string_view> out;
  std::string_view rest = text_at(offset);
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    out.push_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return out;
}

// Where a group's messages live. The short names are those of Kubernetes' source folders.
std::string package_of(std::string_view group, std::string_view version) {
  if (group == "apiextensions.k8s.io")
    return "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions." + std::string(version);
  if (group == "apiregistration.k8s.io")
    return "k8s.io.kube_aggregator.pkg.apis.apiregistration." + std::string(version);
  std::string_view folder = group.substr(0, group.find('.'));
  if (group.empty()) folder = "core";
  return "k8s.io.api." + std::string(folder) + "." + std::string(version);
}

}  // namespace

int FieldSchema::number() const {
  return static_cast<int>(raw_->number);
}
std::string_view FieldSchema::json_name() const {
  return text_at(raw_->json_name);
}
std::string_view FieldSchema::doc() const {
  return text_at(raw_->doc);
}
std::string_view FieldSchema::go_type() const {
  return text_at(raw_->go_type);
}
bool FieldSchema::required() const {
  return (raw_->flags & tables::kRequired) != 0;
}
bool FieldSchema::optional_marker() const {
  return (raw_->flags & tables::kOptionalMarker) != 0;
}
bool FieldSchema::omit_empty() const {
  return (raw_->flags & tables::kOmitEmpty) != 0;
}
bool FieldSchema::pointer() const {
  return (raw_->flags & tables::kPointer) != 0;
}
bool FieldSchema::inlined() const {
  return (raw_->flags & tables::kInlined) != 0;
}
bool FieldSchema::atomic() const {
  return (raw_->flags & tables::kAtomic) != 0;
}
bool FieldSchema::patch_merge() const {
  return (raw_->flags & tables::kPatchMerge) != 0;
}
bool FieldSchema::patch_replace() const {
  return (raw_->flags & tables::kPatchReplace) != 0;
}
bool FieldSchema::patch_retain_keys() const {
  return (raw_->flags & tables::kPatchRetainKeys) != 0;
}
std::string_view FieldSchema::patch_merge_key() const {
  return text_at(raw_->merge_key);
}
ListType FieldSchema::list_type() const {
  return static_cast<ListType>(raw_->list_type);
}
std::vector<std::string_view> FieldSchema::list_map_keys() const {
  return lines_at(raw_->list_map_keys);
}
std::string_view FieldSchema::default_value() const {
  return text_at(raw_->default_value);
}
std::vector<std::string_view> FieldSchema::enum_values() const {
  return lines_at(raw_->enum_values);
}

std::string_view TypeSchema::name() const {
  return text_at(raw_->name);
}
std::string_view TypeSchema::doc() const {
  return text_at(raw_->doc);
}
bool TypeSchema::has_type_meta() const {
  return (raw_->flags & tables::kHasTypeMeta) != 0;
}
size_t TypeSchema::size() const {
  return raw_->field_count;
}
FieldSchema TypeSchema::at(size_t index) const {
  return FieldSchema(&tables::kFields[raw_->first_field + index]);
}

std::optional<FieldSchema> TypeSchema::field(int number) const {
  for (size_t i = 0; i < size(); ++i) {
    if (at(i).number() == number) return at(i);
  }
  return std::nullopt;
}

std::optional<TypeSchema> find_type(std::string_view message_name) {
  const std::span types(tables::kTypes, tables::kTypeCount);
  const auto found =
      std::lower_bound(types.begin(), types.end(), message_name,
                       [](const auto& type, std::string_view name) { return text_at(type.name) < name; });
  if (found == types.end() || text_at(found->name) != message_name) return std::nullopt;
  return TypeSchema(&*found);
}

std::optional<FieldSchema> find_field(const pb::FieldDescriptor& field) {
  const auto type = find_type(field.containing_type()->full_name());
  return type ? type->field(field.number()) : std::nullopt;
}

std::optional<JsonField> find_json_field(const pb::Descriptor& descriptor, std::string_view json_name) {
  const JsonEntry* entry = TypeTable::of(descriptor).find(json_name);
  if (entry == nullptr) return std::nullopt;
  JsonField out{entry->field->descriptor, {}, entry->field->schema};
  for (const TableField* owner : entry->owners) out.owners.push_back(owner->descriptor);
  return out;
}

const pb::Descriptor* find_message(std::string_view full_name) {
  return pb::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(full_name));
}

const pb::Descriptor* find_message(std::string_view group, std::string_view version, std::string_view kind) {
  const std::string suffix = "." + std::string(kind);
  if (const auto* found = find_message(package_of(group, version) + suffix)) return found;
  // Options and statuses are registered in every group.
  const auto* meta = find_message("k8s.io.apimachinery.pkg.apis.meta.v1" + suffix);
  if (meta == nullptr) return nullptr;
  const bool shared = kind.ends_with("Options") || kind == "Status" || kind == "WatchEvent" || kind.starts_with("API");
  const auto type = find_type(meta->full_name());
  const bool known = shared || (type && type->has_type_meta());
  return known ? meta : nullptr;
}

const pb::Message* prototype(const pb::Descriptor& descriptor) {
  return pb::MessageFactory::generated_factory()->GetPrototype(&descriptor);
}

}  // namespace orlop::kube
