// What the JSON codec knows about a message type, looked up once and kept: fields in the order of emission with their
// keys ready to copy, and a hash table from JSON names that sees through inlined messages.
//
// Threads: TypeTable::of from any thread; a table never changes once it is given out. Lifetime: never freed.
#pragma once

#include "orlop/kube/schema.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::kube {

class TypeTable;

enum class ValueKind : uint8_t { kString, kBool, kInt32, kInt64, kDouble, kBytes, kMessage };
enum class Plurality : uint8_t { kOne, kList, kMap };

struct TableField {
  const google::protobuf::FieldDescriptor* descriptor = nullptr;
  // For maps: of the entry's value; else the field itself.
  const google::protobuf::FieldDescriptor* value = nullptr;
  const google::protobuf::FieldDescriptor* map_key = nullptr;
  std::optional<FieldSchema> schema;
  std::string json_name;
  std::string key;  // "\"name\":"
  ValueKind kind = ValueKind::kString;
  Plurality plurality = Plurality::kOne;
  JsonShape shape = JsonShape::kObject;  // of a message
  bool omit_empty = true;
  bool pointer = false;
  bool inlined = false;
  bool never_null = false;  // an empty list is printed as []
  // The table of the message that the field (or a map's value) holds; nullptr for others.
  const TypeTable* child() const;

 private:
  mutable std::atomic<const TypeTable*> child_{nullptr};
};

struct JsonEntry {
  const TableField* field;
  std::vector<const TableField*> owners;  // inlined messages on the way, outermost first
};

class TypeTable {
 public:
  static const TypeTable& of(const google::protobuf::Descriptor& descriptor);

  explicit TypeTable(const google::protobuf::Descriptor& descriptor);

  [[nodiscard]] const google::protobuf::Descriptor& descriptor() const { return descriptor_; }
  [[nodiscard]] const std::string& go_name() const;  // "PodSpec"
  [[nodiscard]] bool has_type_meta() const { return has_type_meta_; }
  [[nodiscard]] JsonShape shape() const { return shape_; }
  [[nodiscard]] const std::vector<std::unique_ptr<TableField>>& fields() const { return fields_; }
  // The entry and its index (0 … entry_count() - 1), or nullptr.
  [[nodiscard]] const JsonEntry* find(std::string_view json_name) const;
  // The index in fields() of a field number, -1 when there is none.
  [[nodiscard]] int index_of_number(uint32_t number) const {
    return number < by_number_.size() ? by_number_[number] : -1;
  }
  [[nodiscard]] size_t index_of(const JsonEntry* entry) const { return static_cast<size_t>(entry - entries_.data()); }
  [[nodiscard]] size_t entry_count() const { return entries_.size(); }

 private:
  void add_entries(const TypeTable& from, const std::vector<const TableField*>& owners);

  const google::protobuf::Descriptor& descriptor_;
  bool has_type_meta_ = false;
  JsonShape shape_;
  std::vector<std::unique_ptr<TableField>> fields_;
  std::vector<int16_t> by_number_;
  std::vector<JsonEntry> entries_;
  std::vector<int32_t> slots_;  // open addressing over entries_; -1: free
};

// Appends the brace and the two names, each unless it is empty; true while no comma is due.
bool begin_object(std::string_view api_version, std::string_view kind, std::string& out);

}  // namespace orlop::kube
