#include "orlop/kube/json.hpp"
#include "orlop/kube/quantity.hpp"
#include "sdk/kubeapi/json_values.hpp"
#include "sdk/kubeapi/type_table.hpp"

#include <algorithm>
#include <charconv>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::kube {
namespace {

namespace pb = google::protobuf;

template <typename Integer>
void append_integer(Integer value, std::string& out) {
  char buffer[24];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  static_cast<void>(error);
  out.append(buffer, end);
}

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  // The fields of an object, without its braces. `first` says whether a comma is due before the next one.
  void fields(const pb::Message& message, const TypeTable& table, bool& first) {
    const pb::Reflection& reflection = *message.GetReflection();
    for (const auto& field : table.fields()) {
      if (field->inlined) {
        fields(reflection.GetMessage(message, field->descriptor), *field->child(), first);
      } else if (field->plurality == Plurality::kOne) {
        single(message, reflection, *field, first);
      } else {
        several(message, reflection, *field, first);
      }
    }
  }

  void message_value(const pb::Message& message, const TypeTable& table) {
    const pb::Reflection& reflection = *message.GetReflection();
    const auto& fields = table.fields();
    switch (table.shape()) {
      case JsonShape::kObject:
        object(message, table);
        break;
      case JsonShape::kTime:
      case JsonShape::kMicroTime:
        time(message, reflection, table);
        break;
      case JsonShape::kDuration:
        out_ += '"';
        append_duration(reflection.GetInt64(message, fields[0]->descriptor), out_);
        out_ += '"';
        break;
      case JsonShape::kQuantity: {
        const std::string& text = reflection.GetStringReference(message, fields[0]->descriptor, &scratch_);
        append_json_string(text.empty() ? std::string_view("0") : text, out_);
        break;
      }
      case JsonShape::kIntOrString:
        int_or_string(message, reflection, table.descriptor());
        break;
      case JsonShape::kRaw: {
        const std::string& raw = reflection.GetStringReference(message, table.descriptor().field(0), &scratch_);
        out_ += raw.empty() ? std::string_view("null") : std::string_view(raw);
        break;
      }
      case JsonShape::kStringList:
        list(message, reflection, *fields[0]);
        break;
      case JsonShape::kSchemaOrArray:
      case JsonShape::kSchemaOrBool:
      case JsonShape::kSchemaOrStrings:
        schema_or(message, reflection, table);
        break;
    }
  }

 private:
  void object(const pb::Message& message, const TypeTable& table) {
    out_ += '{';
    bool first = true;
    fields(message, table, first);
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

  void single(const pb::Message& message, const pb::Reflection& reflection, const TableField& field, bool& first) {
    const bool present = reflection.HasField(message, field.descriptor);
    if (field.kind == ValueKind::kMessage) {
      const pb::Message& value = reflection.GetMessage(message, field.descriptor);
      if (field.shape == JsonShape::kStringList && field.child()->fields().size() == 1 &&
          reflection_size(value, *field.child()->fields()[0]) == 0) {
        return null_or_nothing(field, first);
      }
      // A struct that is no pointer is always there in Go.
      if (!present && field.pointer) return null_or_nothing(field, first);
      key(field, first);
      message_value(value, *field.child());
      return;
    }
    if (!present && field.pointer) return null_or_nothing(field, first);
    if (!present && field.omit_empty) return;
    if (field.omit_empty && !field.pointer && is_zero(message, reflection, field)) return;
    if (field.kind == ValueKind::kBytes && !present) return null_or_nothing(field, first);
    key(field, first);
    scalar(message, reflection, field, -1);
  }

  static int reflection_size(const pb::Message& message, const TableField& field) {
    return message.GetReflection()->FieldSize(message, field.descriptor);
  }

  bool is_zero(const pb::Message& message, const pb::Reflection& reflection, const TableField& field) {
    switch (field.kind) {
      case ValueKind::kString:
      case ValueKind::kBytes:
        return reflection.GetStringReference(message, field.descriptor, &scratch_).empty();
      case ValueKind::kBool:
        return !reflection.GetBool(message, field.descriptor);
      case ValueKind::kInt32:
        return reflection.GetInt32(message, field.descriptor) == 0;
      case ValueKind::kInt64:
        return reflection.GetInt64(message, field.descriptor) == 0;
      case ValueKind::kDouble:
        return reflection.GetDouble(message, field.descriptor) == 0;
      case ValueKind::kMessage:
        return false;
    }
    return false;
  }

  // index < 0: the field itself, else an element of the list.
  void scalar(const pb::Message& message, const pb::Reflection& reflection, const TableField& field, int index) {
    scalar(message, reflection, field.plurality == Plurality::kMap ? field.value : field.descriptor, field.kind, index);
  }

  void scalar(const pb::Message& message, const pb::Reflection& reflection, const pb::FieldDescriptor* descriptor,
              ValueKind kind, int index) {
    const bool one = index < 0;
    switch (kind) {
      case ValueKind::kString:
      case ValueKind::kBytes: {
        const std::string& text = one ? reflection.GetStringReference(message, descriptor, &scratch_)
                                      : reflection.GetRepeatedStringReference(message, descriptor, index, &scratch_);
        if (kind == ValueKind::kString) {
          append_json_string(text, out_);
        } else {
          out_ += '"';
          append_base64(text, out_);
          out_ += '"';
        }
        break;
      }
      case ValueKind::kBool:
        out_ += (one ? reflection.GetBool(message, descriptor) : reflection.GetRepeatedBool(message, descriptor, index))
                    ? "true"
                    : "false";
        break;
      case ValueKind::kInt32:
        append_integer(
            one ? reflection.GetInt32(message, descriptor) : reflection.GetRepeatedInt32(message, descriptor, index),
            out_);
        break;
      case ValueKind::kInt64:
        append_integer(
            one ? reflection.GetInt64(message, descriptor) : reflection.GetRepeatedInt64(message, descriptor, index),
            out_);
        break;
      case ValueKind::kDouble:
        append_double(
            one ? reflection.GetDouble(message, descriptor) : reflection.GetRepeatedDouble(message, descriptor, index),
            out_);
        break;
      case ValueKind::kMessage:
        break;
    }
  }

  void several(const pb::Message& message, const pb::Reflection& reflection, const TableField& field, bool& first) {
    const int size = reflection.FieldSize(message, field.descriptor);
    if (size == 0) return null_or_nothing(field, first);
    key(field, first);
    if (field.plurality == Plurality::kMap) {
      map(message, reflection, field, size);
    } else {
      list(message, reflection, field);
    }
  }

  void list(const pb::Message& message, const pb::Reflection& reflection, const TableField& field) {
    const int size = reflection.FieldSize(message, field.descriptor);
    out_ += '[';
    for (int i = 0; i < size; ++i) {
      if (i > 0) out_ += ',';
      if (field.kind == ValueKind::kMessage) {
        message_value(reflection.GetRepeatedMessage(message, field.descriptor, i), *field.child());
      } else {
        scalar(message, reflection, field, i);
      }
    }
    out_ += ']';
  }

  void map(const pb::Message& message, const pb::Reflection& reflection, const TableField& field, int size) {
    std::vector<const pb::Message*> entries;
    entries.reserve(static_cast<size_t>(size));
    for (int i = 0; i < size; ++i) entries.push_back(&reflection.GetRepeatedMessage(message, field.descriptor, i));
    const pb::Reflection& entry_reflection = *entries[0]->GetReflection();
    std::string first_key;
    std::string second_key;
    std::sort(entries.begin(), entries.end(), [&](const pb::Message* a, const pb::Message* b) {
      return entry_reflection.GetStringReference(*a, field.map_key, &first_key) <
             entry_reflection.GetStringReference(*b, field.map_key, &second_key);
    });
    out_ += '{';
    bool first = true;
    for (const pb::Message* entry : entries) {
      if (!first) out_ += ',';
      first = false;
      append_json_string(entry_reflection.GetStringReference(*entry, field.map_key, &scratch_), out_);
      out_ += ':';
      if (field.kind == ValueKind::kMessage) {
        message_value(entry_reflection.GetMessage(*entry, field.value), *field.child());
      } else {
        scalar(*entry, entry_reflection, field, -1);
      }
    }
    out_ += '}';
  }

  void time(const pb::Message& message, const pb::Reflection& reflection, const TypeTable& table) {
    const auto* seconds = table.descriptor().FindFieldByNumber(1);
    const auto* nanos = table.descriptor().FindFieldByNumber(2);
    const Instant instant{reflection.GetInt64(message, seconds), reflection.GetInt32(message, nanos)};
    // Go's zero time, which its protobuf leaves empty.
    if (!reflection.HasField(message, seconds) && !reflection.HasField(message, nanos)) {
      out_ += "null";
      return;
    }
    out_ += '"';
    append_time(instant, table.shape() == JsonShape::kMicroTime, out_);
    out_ += '"';
  }

  void int_or_string(const pb::Message& message, const pb::Reflection& reflection, const pb::Descriptor& descriptor) {
    if (reflection.GetInt64(message, descriptor.FindFieldByNumber(1)) == 1) {
      append_json_string(reflection.GetStringReference(message, descriptor.FindFieldByNumber(3), &scratch_), out_);
    } else {
      append_integer(reflection.GetInt32(message, descriptor.FindFieldByNumber(2)), out_);
    }
  }

  void schema_or(const pb::Message& message, const pb::Reflection& reflection, const TypeTable& table) {
    const auto& descriptor = table.descriptor();
    const auto* schema = descriptor.FindFieldByName("schema");
    if (table.shape() == JsonShape::kSchemaOrBool) {
      if (reflection.HasField(message, schema))
        return message_value(reflection.GetMessage(message, schema), child(table));
      out_ += reflection.GetBool(message, descriptor.FindFieldByName("allows")) ? "true" : "false";
      return;
    }
    for (const auto& field : table.fields()) {
      if (field->plurality == Plurality::kList && reflection.FieldSize(message, field->descriptor) > 0) {
        return list(message, reflection, *field);
      }
    }
    if (reflection.HasField(message, schema))
      return message_value(reflection.GetMessage(message, schema), child(table));
    out_ += "null";
  }

  static const TypeTable& child(const TypeTable& table) {
    for (const auto& field : table.fields()) {
      if (field->descriptor->name() == "schema") return *field->child();
    }
    return table;
  }

  std::string& out_;
  std::string scratch_;
};

}  // namespace

bool begin_object(std::string_view api_version, std::string_view kind, std::string& out) {
  out += '{';
  bool first = true;
  if (!kind.empty()) {
    out += "\"kind\":";
    append_json_string(kind, out);
    first = false;
  }
  if (!api_version.empty()) {
    out += first ? "\"apiVersion\":" : ",\"apiVersion\":";
    append_json_string(api_version, out);
    first = false;
  }
  return first;
}

void to_json(const pb::Message& message, std::string_view api_version, std::string_view kind, std::string& out) {
  const TypeTable& table = TypeTable::of(*message.GetDescriptor());
  Encoder encoder(out);
  if (table.shape() != JsonShape::kObject) return encoder.message_value(message, table);
  bool first = begin_object(api_version, kind, out);
  encoder.fields(message, table, first);
  out += '}';
}

}  // namespace orlop::kube
