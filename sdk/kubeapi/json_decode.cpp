#include "sdk/kubeapi/json_decode.hpp"

#include "orlop/kube/quantity.hpp"
#include "sdk/kubeapi/json_values.hpp"
#include "sdk/kubeapi/type_table.hpp"

#include <algorithm>
#include <bitset>
#include <limits>
#include <unordered_set>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::kube {
namespace {

namespace pb = google::protobuf;
namespace dom = simdjson::dom;

constexpr size_t kWarningsMax = 100;
constexpr size_t kEntriesMax = 128;  // fields of one JSON object; the widest type has 44

Status bad_request(std::string message) {
  return {Code::kBadRequest, std::move(message)};
}

// Where we are, for messages only: a list on the stack, walked when something is wrong.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  int index = -1;       // of a list's element; then there is no name
  bool is_key = false;  // a map's key: no field of Go's

  void append(std::string& out, bool with_indexes) const {
    if (parent != nullptr) parent->append(out, with_indexes);
    if (index >= 0) {
      if (with_indexes) out += '[' + std::to_string(index) + ']';
    } else if (!name.empty() && (with_indexes || !is_key)) {
      if (!out.empty()) out += '.';
      out += name;
    }
  }
};

std::string_view kind_of_value(dom::element value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "array";
    case dom::element_type::OBJECT:
      return "object";
    case dom::element_type::STRING:
      return "string";
    case dom::element_type::BOOL:
      return "bool";
    case dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "number";
  }
}

std::string number_text(dom::element value) {
  std::string out;
  if (value.type() == dom::element_type::DOUBLE) {
    append_double(value.get_double(), out);
  } else {
    out = simdjson::minify(value);
  }
  return out;
}

class Decoder {
 public:
  explicit Decoder(Decoded& decoded) : decoded_(decoded) {}

  Status object(dom::object object, pb::Message& message, const TypeTable& table, const Path& path) {
    const TypeTable* const outer = type_;
    type_ = &table;
    Status status = object_fields(object, message, table, path);
    type_ = outer;
    return status;
  }

  Status value(dom::element value, pb::Message& message, const TypeTable& table, const TableField* field,
               const Path& path) {
    const pb::Reflection& reflection = *message.GetReflection();
    const pb::Descriptor& descriptor = table.descriptor();
    if (value.is_null()) return Status::ok();
    switch (table.shape()) {
      case JsonShape::kObject: {
        dom::object members;
        if (value.get(members) != simdjson::SUCCESS) return mismatch(field, path, kind_of_value(value));
        return object(members, message, table, path);
      }
      case JsonShape::kTime:
      case JsonShape::kMicroTime:
        return time(value, message, table);
      case JsonShape::kDuration:
        return duration(value, message, descriptor);
      case JsonShape::kQuantity:
        return quantity(value, message, descriptor);
      case JsonShape::kIntOrString:
        return int_or_string(value, message, descriptor);
      case JsonShape::kRaw: {
        reflection.SetString(&message, descriptor.field(0), std::string(simdjson::minify(value)));
        return Status::ok();
      }
      case JsonShape::kStringList:
        return list(value, message, *table.fields()[0], field, path);
      case JsonShape::kSchemaOrArray:
      case JsonShape::kSchemaOrBool:
      case JsonShape::kSchemaOrStrings:
        return schema_or(value, message, table, path);
    }
    return Status::ok();
  }

 private:
  Status object_fields(dom::object object, pb::Message& message, const TypeTable& table, const Path& path) {
    std::bitset<kEntriesMax> seen;
    std::unordered_set<std::string_view> unknown;
    bool seen_kind = false;
    bool seen_version = false;
    for (const auto [name, value] : object) {
      const JsonEntry* entry = table.find(name);
      const Path here{&path, name};
      if (entry == nullptr) {
        const bool is_kind = name == "kind";
        if (table.has_type_meta() && (is_kind || name == "apiVersion")) {
          bool& before = is_kind ? seen_kind : seen_version;
          if (before) warn("duplicate", here);
          before = true;
          if (!value.is_string() && !value.is_null()) return mismatch_as(value, "string", here);
          continue;
        }
        if (unknown.insert(name).second) {
          warn("unknown", here);
        } else {
          warn("duplicate", here);
        }
        continue;
      }
      const size_t index = table.index_of(entry);
      const TableField& field = *entry->field;
      if (index < kEntriesMax && seen.test(index)) {
        warn("duplicate", here);
        clear(message, *entry);
      }
      if (index < kEntriesMax) seen.set(index);
      pb::Message* owner = &message;
      for (const TableField* inlined : entry->owners) {
        owner = owner->GetReflection()->MutableMessage(owner, inlined->descriptor);
      }
      ORLOP_TRY(member(value, *owner, field, here));
    }
    return Status::ok();
  }

  static void clear(pb::Message& message, const JsonEntry& entry) {
    pb::Message* owner = &message;
    for (const TableField* inlined : entry.owners) {
      owner = owner->GetReflection()->MutableMessage(owner, inlined->descriptor);
    }
    // As in Go, the last of two scalars or lists counts, and two objects become one.
    if (entry.field->plurality != Plurality::kMap &&
        (entry.field->kind != ValueKind::kMessage || entry.field->plurality == Plurality::kList)) {
      owner->GetReflection()->ClearField(owner, entry.field->descriptor);
    }
  }

  Status member(dom::element value, pb::Message& message, const TableField& field, const Path& path) {
    if (value.is_null()) return Status::ok();
    const pb::Reflection& reflection = *message.GetReflection();
    switch (field.plurality) {
      case Plurality::kList:
        return list(value, message, field, &field, path);
      case Plurality::kMap:
        return map(value, message, field, path);
      case Plurality::kOne:
        break;
    }
    if (field.kind == ValueKind::kMessage) {
      return this->value(value, *reflection.MutableMessage(&message, field.descriptor), *field.child(), &field, path);
    }
    return scalar(value, message, reflection, field.descriptor, field, path, false);
  }

  Status list(dom::element value, pb::Message& message, const TableField& field, const TableField* named,
              const Path& path) {
    dom::array array;
    if (value.get(array) != simdjson::SUCCESS) return mismatch(named, path, kind_of_value(value));
    const pb::Reflection& reflection = *message.GetReflection();
    int index = 0;
    for (const dom::element element : array) {
      const Path here{&path, {}, index++};
      if (field.kind == ValueKind::kMessage) {
        ORLOP_TRY(
            this->value(element, *reflection.AddMessage(&message, field.descriptor), *field.child(), &field, here));
      } else {
        ORLOP_TRY(scalar(element, message, reflection, field.descriptor, field, here, true));
      }
    }
    return Status::ok();
  }

  Status map(dom::element value, pb::Message& message, const TableField& field, const Path& path) {
    dom::object object;
    if (value.get(object) != simdjson::SUCCESS) {
      return mismatch_as(value, field.schema ? field.schema->go_type() : std::string_view(), path);
    }
    const pb::Reflection& reflection = *message.GetReflection();
    std::unordered_set<std::string_view> seen;
    const bool check = object.size() > 1;
    for (const auto [name, element] : object) {
      const Path here{&path, name, -1, true};
      if (check && !seen.insert(name).second) warn("duplicate", here);
      pb::Message* entry = reflection.AddMessage(&message, field.descriptor);
      const pb::Reflection& entry_reflection = *entry->GetReflection();
      entry_reflection.SetString(entry, field.map_key, std::string(name));
      if (field.kind == ValueKind::kMessage) {
        pb::Message* held = entry_reflection.MutableMessage(entry, field.value);
        ORLOP_TRY(this->value(element, *held, *field.child(), &field, here));
      } else {
        // A map's null is its zero value, and there: set it so.
        if (element.is_null()) {
          set_zero(*entry, entry_reflection, field);
          continue;
        }
        ORLOP_TRY(scalar(element, *entry, entry_reflection, field.value, field, path, false));
      }
    }
    return Status::ok();
  }

  static void set_zero(pb::Message& entry, const pb::Reflection& reflection, const TableField& field) {
    if (field.kind == ValueKind::kString || field.kind == ValueKind::kBytes)
      reflection.SetString(&entry, field.value, "");
  }

  // One scalar, set or added.
  Status scalar(dom::element value, pb::Message& message, const pb::Reflection& reflection,
                const pb::FieldDescriptor* descriptor, const TableField& field, const Path& path, bool add) {
    switch (field.kind) {
      case ValueKind::kString: {
        std::string_view text;
        if (!value.is_null() && value.get(text) != simdjson::SUCCESS)
          return mismatch(&field, path, kind_of_value(value));
        if (add) {
          reflection.AddString(&message, descriptor, std::string(text));
        } else {
          reflection.SetString(&message, descriptor, std::string(text));
        }
        return Status::ok();
      }
      case ValueKind::kBytes: {
        std::string_view text;
        if (!value.is_null() && value.get(text) != simdjson::SUCCESS)
          return mismatch(&field, path, kind_of_value(value));
        ORLOP_ASSIGN(std::string bytes, decode_base64(text));
        if (add) {
          reflection.AddString(&message, descriptor, std::move(bytes));
        } else {
          reflection.SetString(&message, descriptor, std::move(bytes));
        }
        return Status::ok();
      }
      case ValueKind::kBool: {
        bool truth = false;
        if (!value.is_null() && value.get(truth) != simdjson::SUCCESS)
          return mismatch(&field, path, kind_of_value(value));
        if (add) {
          reflection.AddBool(&message, descriptor, truth);
        } else {
          reflection.SetBool(&message, descriptor, truth);
        }
        return Status::ok();
      }
      case ValueKind::kInt32:
      case ValueKind::kInt64:
        return integer(value, message, reflection, descriptor, field, path, add);
      case ValueKind::kDouble: {
        double number = 0;
        if (!value.is_null() && value.get(number) != simdjson::SUCCESS)
          return mismatch(&field, path, kind_of_value(value));
        if (add) {
          reflection.AddDouble(&message, descriptor, number);
        } else {
          reflection.SetDouble(&message, descriptor, number);
        }
        return Status::ok();
      }
      case ValueKind::kMessage:
        break;
    }
    return Status::ok();
  }

  Status integer(dom::element value, pb::Message& message, const pb::Reflection& reflection,
                 const pb::FieldDescriptor* descriptor, const TableField& field, const Path& path, bool add) {
    int64_t number = 0;
    if (!value.is_null() && value.get(number) != simdjson::SUCCESS) return mismatch(&field, path, described(value));
    if (field.kind == ValueKind::kInt64) {
      if (add) {
        reflection.AddInt64(&message, descriptor, number);
      } else {
        reflection.SetInt64(&message, descriptor, number);
      }
      return Status::ok();
    }
    if (number > std::numeric_limits<int32_t>::max() || number < std::numeric_limits<int32_t>::min()) {
      return mismatch(&field, path, described(value));
    }
    if (add) {
      reflection.AddInt32(&message, descriptor, static_cast<int32_t>(number));
    } else {
      reflection.SetInt32(&message, descriptor, static_cast<int32_t>(number));
    }
    return Status::ok();
  }

  // "number 1.5" for what an integer field cannot hold; else the bare kind.
  static std::string described(dom::element value) {
    return value.is_number() ? "number " + number_text(value) : std::string(kind_of_value(value));
  }

  static Status time(dom::element value, pb::Message& message, const TypeTable& table) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return custom_mismatch(value, "string");
    const bool micro = table.shape() == JsonShape::kMicroTime;
    ORLOP_ASSIGN(const Instant instant, parse_time(text, micro));
    const pb::Reflection& reflection = *message.GetReflection();
    reflection.SetInt64(&message, table.descriptor().FindFieldByNumber(1), instant.seconds);
    reflection.SetInt32(&message, table.descriptor().FindFieldByNumber(2), instant.nanos);
    return Status::ok();
  }

  static Status duration(dom::element value, pb::Message& message, const pb::Descriptor& descriptor) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return custom_mismatch(value, "string");
    ORLOP_ASSIGN(const int64_t nanos, parse_duration(text));
    message.GetReflection()->SetInt64(&message, descriptor.field(0), nanos);
    return Status::ok();
  }

  static Status quantity(dom::element value, pb::Message& message, const pb::Descriptor& descriptor) {
    std::string number;
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) {
      number = value.is_number() ? number_text(value) : std::string(simdjson::minify(value));
      text = number;
    }
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    ORLOP_ASSIGN(const Quantity parsed, Quantity::parse(text));
    message.GetReflection()->SetString(&message, descriptor.field(0), parsed.to_string());
    return Status::ok();
  }

  static Status int_or_string(dom::element value, pb::Message& message, const pb::Descriptor& descriptor) {
    const pb::Reflection& reflection = *message.GetReflection();
    std::string_view text;
    int64_t number = 0;
    const bool is_text = value.get(text) == simdjson::SUCCESS;
    if (!is_text) {
      const bool whole = value.get(number) == simdjson::SUCCESS;
      const bool fits =
          whole && number <= std::numeric_limits<int32_t>::max() && number >= std::numeric_limits<int32_t>::min();
      if (!fits) return custom_mismatch(value, "int32");
    }
    reflection.SetInt64(&message, descriptor.FindFieldByNumber(1), is_text ? 1 : 0);
    reflection.SetInt32(&message, descriptor.FindFieldByNumber(2), static_cast<int32_t>(number));
    reflection.SetString(&message, descriptor.FindFieldByNumber(3), std::string(text));
    return Status::ok();
  }

  Status schema_or(dom::element value, pb::Message& message, const TypeTable& table, const Path& path) {
    const pb::Reflection& reflection = *message.GetReflection();
    dom::array ignored;
    const bool is_array = value.get(ignored) == simdjson::SUCCESS;
    const TableField* schema = nullptr;
    const TableField* several = nullptr;
    for (const auto& field : table.fields()) {
      if (field->plurality == Plurality::kList) several = field.get();
      if (field->descriptor->name() == "schema") schema = field.get();
    }
    if (is_array && several != nullptr) return list(value, message, *several, several, path);
    if (table.shape() == JsonShape::kSchemaOrBool) {
      const auto* allows = table.descriptor().FindFieldByName("allows");
      bool truth = true;
      if (value.is_bool()) {
        truth = value.get_bool();
        reflection.SetBool(&message, allows, truth);
        return Status::ok();
      }
      if (value.is_object()) reflection.SetBool(&message, allows, true);
    }
    dom::object object_value;
    if (value.get(object_value) != simdjson::SUCCESS) {
      return bad_request(table.shape() == JsonShape::kSchemaOrBool ? "boolean or JSON schema expected"
                                                                   : "array or JSON schema expected");
    }
    return object(object_value, *reflection.MutableMessage(&message, schema->descriptor), *schema->child(), path);
  }

  void warn(std::string_view what, const Path& path) {
    if (decoded_.warnings.size() >= kWarningsMax) return;
    std::string text(what);
    text += " field \"";
    path.append(text_path_, true);
    text += text_path_ + '"';
    text_path_.clear();
    decoded_.warnings.push_back(std::move(text));
  }

  // The Go type of what stands here: the element's when it stands in a list or a map.
  Status mismatch(const TableField* field, const Path& path, std::string_view what) const {
    std::string_view type = field != nullptr && field->schema ? field->schema->go_type() : std::string_view();
    if (path.index >= 0 && type.starts_with("[]")) type.remove_prefix(2);
    if (field != nullptr && field->plurality == Plurality::kMap && type.starts_with("map[")) {
      type.remove_prefix(type.find(']') + 1);
    }
    if (type.starts_with('*')) type.remove_prefix(1);
    return mismatch_text(what, type, path);
  }

  Status mismatch_as(dom::element value, std::string_view type, const Path& path) const {
    return mismatch_text(kind_of_value(value), type, path);
  }

  Status mismatch_text(std::string_view what, std::string_view type, const Path& path) const {
    std::string where;
    path.append(where, false);
    std::string out = "json: cannot unmarshal " + std::string(what) + " into Go ";
    out +=
        where.empty() ? "value" : "struct field " + (type_ != nullptr ? type_->go_name() : std::string()) + "." + where;
    out += " of type " + std::string(type.empty() ? "string" : type);
    return bad_request(std::move(out));
  }

  // Types that read themselves know nothing of the field that they stand in.
  static Status custom_mismatch(dom::element value, std::string_view type) {
    const std::string what = type == "string" ? std::string(kind_of_value(value)) : described(value);
    return bad_request("json: cannot unmarshal " + what + " into Go value of type " + std::string(type));
  }

  Decoded& decoded_;
  const TypeTable* type_ = nullptr;  // the innermost struct, as Go names it in its errors
  std::string text_path_;
};

}  // namespace

Status decode_json(dom::element root, pb::Message& message, Decoded& decoded) {
  Decoder decoder(decoded);
  const TypeTable& table = TypeTable::of(*message.GetDescriptor());
  const Path path;
  if (table.shape() != JsonShape::kObject) return decoder.value(root, message, table, nullptr, path);
  dom::object object;
  if (root.get(object) == simdjson::SUCCESS) return decoder.object(object, message, table, path);
  return bad_request("json: cannot unmarshal " + std::string(json_kind(root)) + " into Go value of type v1." +
                     table.go_name());
}

std::string_view json_kind(dom::element value) {
  return kind_of_value(value);
}

}  // namespace orlop::kube
