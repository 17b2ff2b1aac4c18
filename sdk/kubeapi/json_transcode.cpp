// wire_to_json: stored bytes to JSON without a message between. What it writes must stay what json_encode.cpp writes;
// the golden tests hold both against the same files.
#include "orlop/kube/json.hpp"
#include "sdk/kubeapi/json_values.hpp"
#include "sdk/kubeapi/type_table.hpp"
#include "sdk/kubeapi/wire_scan.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <vector>

#include <google/protobuf/descriptor.h>

namespace orlop::kube {
namespace {

namespace pb = google::protobuf;

constexpr int kDepthMax = 256;
constexpr uint32_t kNone = 0;

// A field as it was met on the wire; `next` is one above the index of the field's next occurrence.
struct Occurrence {
  WireField field;
  uint32_t next = kNone;
};

template <typename Integer>
void append_integer(Integer value, std::string& out) {
  char buffer[24];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  static_cast<void>(error);
  out.append(buffer, end);
}

class Transcoder {
 public:
  explicit Transcoder(std::string& out) : out_(out) { occurrences_.reserve(128); }

  [[nodiscard]] bool malformed() const { return malformed_; }

  void fields(std::string_view wire, const TypeTable& table, bool& first) {
    if (++depth_ > kDepthMax) malformed_ = true;
    if (malformed_) return;
    const size_t field_count = table.fields().size();
    const size_t occurrences_before = occurrences_.size();
    const size_t heads = heads_.size();
    heads_.resize(heads + 2 * field_count, kNone);
    scan(wire, table, heads, field_count);
    for (size_t i = 0; i < field_count && !malformed_; ++i) emit(*table.fields()[i], heads_[heads + i], first);
    heads_.resize(heads);
    occurrences_.resize(occurrences_before);
    --depth_;
  }

  void message_value(std::string_view wire, const TypeTable& table) {
    switch (table.shape()) {
      case JsonShape::kObject:
        object(wire, table);
        break;
      case JsonShape::kTime:
      case JsonShape::kMicroTime:
        time(wire, table.shape() == JsonShape::kMicroTime);
        break;
      case JsonShape::kDuration: {
        WireField nanos;
        last(wire, 1, nanos);
        out_ += '"';
        append_duration(static_cast<int64_t>(nanos.value), out_);
        out_ += '"';
        break;
      }
      case JsonShape::kQuantity: {
        WireField text;
        last(wire, 1, text);
        append_json_string(text.bytes.empty() ? std::string_view("0") : text.bytes, out_);
        break;
      }
      case JsonShape::kIntOrString:
        int_or_string(wire);
        break;
      case JsonShape::kRaw: {
        WireField raw;
        last(wire, 1, raw);
        out_ += raw.bytes.empty() ? std::string_view("null") : raw.bytes;
        break;
      }
      case JsonShape::kStringList:
        string_list(wire);
        break;
      case JsonShape::kSchemaOrArray:
      case JsonShape::kSchemaOrBool:
      case JsonShape::kSchemaOrStrings:
        schema_or(wire, table);
        break;
    }
  }

 private:
  // Chains the occurrences of each field: heads_[heads + i] the first, heads_[heads + count + i] the last.
  void scan(std::string_view wire, const TypeTable& table, size_t heads, size_t count) {
    WireReader reader(wire);
    Occurrence occurrence;
    while (reader.next(occurrence.field)) {
      const int index = table.index_of_number(occurrence.field.number);
      if (index < 0) continue;
      occurrences_.push_back(occurrence);
      const auto handle = static_cast<uint32_t>(occurrences_.size());
      uint32_t& tail = heads_[heads + count + static_cast<size_t>(index)];
      if (tail == kNone) {
        heads_[heads + static_cast<size_t>(index)] = handle;
      } else {
        occurrences_[tail - 1].next = handle;
      }
      tail = handle;
    }
    malformed_ |= reader.malformed();
  }

  [[nodiscard]] const Occurrence& at(uint32_t handle) const { return occurrences_[handle - 1]; }

  // The last value of a field, or nothing's zero. False when it does not occur.
  bool last(std::string_view wire, uint32_t number, WireField& out) {
    WireReader reader(wire);
    WireField field;
    bool found = false;
    while (reader.next(field)) {
      if (field.number != number) continue;
      out = field;
      found = true;
    }
    malformed_ |= reader.malformed();
    return found;
  }

  void object(std::string_view wire, const TypeTable& table) {
    out_ += '{';
    bool first = true;
    fields(wire, table, first);
    out_ += '}';
  }

  void key(const TableField& field, bool& first) {
    if (!first) out_ += ',';
    first = false;
    out_ += field.key;
  }

  void null_or_nothing(const TableField& field, bool& first) {
    if (field.omit_empty) return;
    key(field, first);
    out_ += field.never_null ? "[]" : "null";
  }

  void emit(const TableField& field, uint32_t handle, bool& first) {
    if (field.plurality == Plurality::kMap) {
      handle == kNone ? null_or_nothing(field, first) : map(field, handle, first);
    } else if (field.plurality == Plurality::kList) {
      handle == kNone ? null_or_nothing(field, first) : list(field, handle, first);
    } else if (field.kind == ValueKind::kMessage) {
      single_message(field, handle, first);
    } else {
      single_scalar(field, handle, first);
    }
  }

  void single_message(const TableField& field, uint32_t handle, bool& first) {
    // Protobuf merges the parts of a message that was written in several: so does putting their bytes together.
    std::string whole;
    std::string_view wire;
    if (handle != kNone) {
      wire = at(handle).field.bytes;
      for (uint32_t more = at(handle).next; more != kNone; more = at(more).next) {
        if (whole.empty()) whole = wire;
        whole += at(more).field.bytes;
        wire = whole;
      }
    }
    if (field.inlined) return fields(wire, *field.child(), first);
    if (field.shape == JsonShape::kStringList && wire.empty()) return null_or_nothing(field, first);
    if (handle == kNone && field.pointer) return null_or_nothing(field, first);
    key(field, first);
    message_value(wire, *field.child());
  }

  void single_scalar(const TableField& field, uint32_t handle, bool& first) {
    if (handle == kNone) {
      if (field.pointer || field.kind == ValueKind::kBytes) return null_or_nothing(field, first);
      if (field.omit_empty) return;
      key(field, first);
      return scalar(field.kind, WireField{});
    }
    while (at(handle).next != kNone) handle = at(handle).next;
    const WireField value = at(handle).field;
    const bool text = field.kind == ValueKind::kString || field.kind == ValueKind::kBytes;
    if (field.omit_empty && !field.pointer && (text ? value.bytes.empty() : value.value == 0)) return;
    key(field, first);
    scalar(field.kind, value);
  }

  void scalar(ValueKind kind, const WireField& value) {
    switch (kind) {
      case ValueKind::kString:
        append_json_string(value.bytes, out_);
        break;
      case ValueKind::kBytes:
        out_ += '"';
        append_base64(value.bytes, out_);
        out_ += '"';
        break;
      case ValueKind::kBool:
        out_ += value.value != 0 ? "true" : "false";
        break;
      case ValueKind::kInt32:
        append_integer(static_cast<int32_t>(value.value), out_);
        break;
      case ValueKind::kInt64:
        append_integer(static_cast<int64_t>(value.value), out_);
        break;
      case ValueKind::kDouble:
        append_double(std::bit_cast<double>(value.value), out_);
        break;
      case ValueKind::kMessage:
        break;
    }
  }

  void list(const TableField& field, uint32_t handle, bool& first) {
    key(field, first);
    out_ += '[';
    bool comma = false;
    for (; handle != kNone; handle = at(handle).next) {
      const WireField value = at(handle).field;
      const bool text = field.kind == ValueKind::kString || field.kind == ValueKind::kBytes;
      if (field.kind != ValueKind::kMessage && !text && value.type == WireType::kBytes) {
        packed(field.kind, value.bytes, comma);
        continue;
      }
      if (comma) out_ += ',';
      comma = true;
      if (field.kind == ValueKind::kMessage) {
        message_value(value.bytes, *field.child());
      } else {
        scalar(field.kind, value);
      }
    }
    out_ += ']';
  }

  void packed(ValueKind kind, std::string_view bytes, bool& comma) {
    WireReader reader(bytes);
    for (WireField value; reader.varint(value.value);) {
      if (comma) out_ += ',';
      comma = true;
      scalar(kind, value);
    }
  }

  struct Entry {
    std::string_view key;
    WireField value;
  };

  void map(const TableField& field, uint32_t handle, bool& first) {
    key(field, first);
    std::vector<Entry> entries;
    for (; handle != kNone; handle = at(handle).next) {
      Entry entry;
      WireReader reader(at(handle).field.bytes);
      for (WireField part; reader.next(part);) {
        if (part.number == 1) entry.key = part.bytes;
        if (part.number == 2) entry.value = part;
      }
      malformed_ |= reader.malformed();
      entries.push_back(entry);
    }
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
    out_ += '{';
    bool comma = false;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i + 1 < entries.size() && entries[i].key == entries[i + 1].key) continue;  // the last of two counts
      if (comma) out_ += ',';
      comma = true;
      append_json_string(entries[i].key, out_);
      out_ += ':';
      if (field.kind == ValueKind::kMessage) {
        message_value(entries[i].value.bytes, *field.child());
      } else {
        scalar(field.kind, entries[i].value);
      }
    }
    out_ += '}';
  }

  void time(std::string_view wire, bool micro) {
    WireField seconds;
    WireField nanos;
    const bool has_seconds = last(wire, 1, seconds);
    const bool has_nanos = last(wire, 2, nanos);
    if (!has_seconds && !has_nanos) {
      out_ += "null";
      return;
    }
    out_ += '"';
    append_time({static_cast<int64_t>(seconds.value), static_cast<int32_t>(nanos.value)}, micro, out_);
    out_ += '"';
  }

  void int_or_string(std::string_view wire) {
    WireField type;
    WireField value;
    last(wire, 1, type);
    if (type.value == 1) {
      last(wire, 3, value);
      append_json_string(value.bytes, out_);
    } else {
      last(wire, 2, value);
      append_integer(static_cast<int32_t>(value.value), out_);
    }
  }

  void string_list(std::string_view wire) {
    out_ += '[';
    bool comma = false;
    WireReader reader(wire);
    for (WireField item; reader.next(item);) {
      if (item.number != 1) continue;
      if (comma) out_ += ',';
      comma = true;
      append_json_string(item.bytes, out_);
    }
    malformed_ |= reader.malformed();
    out_ += ']';
  }

  void schema_or(std::string_view wire, const TypeTable& table) {
    WireField schema;
    WireField other;
    const TableField* schema_field = nullptr;
    const TableField* several = nullptr;
    for (const auto& field : table.fields()) {
      if (field->plurality == Plurality::kList) several = field.get();
      if (field->descriptor->name() == "schema") schema_field = field.get();
    }
    if (several != nullptr && last(wire, static_cast<uint32_t>(several->descriptor->number()), other)) {
      return schema_list(wire, *several);
    }
    if (schema_field != nullptr && last(wire, static_cast<uint32_t>(schema_field->descriptor->number()), schema)) {
      return message_value(schema.bytes, *schema_field->child());
    }
    if (table.shape() != JsonShape::kSchemaOrBool) {
      out_ += "null";
      return;
    }
    last(wire, 1, other);
    out_ += other.value != 0 ? "true" : "false";
  }

  void schema_list(std::string_view wire, const TableField& field) {
    out_ += '[';
    bool comma = false;
    WireReader reader(wire);
    for (WireField item; reader.next(item);) {
      if (item.number != static_cast<uint32_t>(field.descriptor->number())) continue;
      if (comma) out_ += ',';
      comma = true;
      if (field.kind == ValueKind::kMessage) {
        message_value(item.bytes, *field.child());
      } else {
        scalar(field.kind, item);
      }
    }
    out_ += ']';
  }

  std::string& out_;
  std::vector<Occurrence> occurrences_;  // a stack: each message's above its parent's
  std::vector<uint32_t> heads_;          // likewise
  int depth_ = 0;
  bool malformed_ = false;
};

}  // namespace

Status wire_to_json(const pb::Descriptor& descriptor, std::string_view wire, std::string_view api_version,
                    std::string_view kind, std::string& out) {
  const TypeTable& table = TypeTable::of(descriptor);
  const size_t before = out.size();
  Transcoder transcoder(out);
  if (table.shape() != JsonShape::kObject) {
    transcoder.message_value(wire, table);
  } else {
    bool first = begin_object(api_version, kind, out);
    transcoder.fields(wire, table, first);
    out += '}';
  }
  if (!transcoder.malformed()) return Status::ok();
  out.resize(before);
  return {Code::kInternal, "the stored bytes are no " + descriptor.full_name() +
                               "; the store may be damaged: restore a snapshot, or delete the object"};
}

}  // namespace orlop::kube
