// schema-tables: DESCRIPTOR_SET SCHEMA_ROOT OUTPUT.cpp
//
// Joins the .proto files' descriptors and comments with the Go sources beside them into the table behind
// orlop/kube/schema.hpp.
#include "sdk/kubeapi/schema_tables.hpp"
#include "tools/schema/go_source.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <google/protobuf/descriptor.pb.h>

namespace orlop::schema_tables {
namespace {

namespace pb = google::protobuf;
using kube::tables::RawField;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// Every string once; the empty one is at 0.
class Strings {
 public:
  Strings() { add(""); }
  uint32_t add(const std::string& text) {
    const auto [at, inserted] = offsets_.try_emplace(text, static_cast<uint32_t>(size_));
    if (inserted) {
      order_.push_back(&at->first);
      size_ += text.size() + 1;
    }
    return at->second;
  }
  [[nodiscard]] const std::vector<const std::string*>& in_order() const { return order_; }

 private:
  std::unordered_map<std::string, uint32_t> offsets_;
  std::vector<const std::string*> order_;
  size_t size_ = 0;
};

struct Comment {
  std::string doc;
  std::vector<std::string> markers;  // without the plus sign

  [[nodiscard]] bool has(std::string_view marker) const {
    return std::find(markers.begin(), markers.end(), marker) != markers.end();
  }
  [[nodiscard]] std::vector<std::string> values(std::string_view key) const {
    std::vector<std::string> out;
    for (const auto& marker : markers) {
      if (marker.starts_with(key) && marker.size() > key.size() && marker[key.size()] == '=') {
        out.emplace_back(trim(std::string_view(marker).substr(key.size() + 1)));
      }
    }
    return out;
  }
  [[nodiscard]] std::string value(std::string_view key) const {
    const auto all = values(key);
    return all.empty() ? std::string() : all.front();
  }
};

// The text as Kubernetes publishes it: lines are joined, blank lines and indented ones keep their breaks, notes to
// Kubernetes' own developers are left out.
Comment parse_comment(const std::string& raw) {
  Comment comment;
  std::string& doc = comment.doc;
  const auto drop_trailing_space = [&doc] {
    if (!doc.empty() && doc.back() == ' ') doc.pop_back();
  };
  bool cut = false;
  size_t position = 0;
  while (position < raw.size()) {
    auto end = raw.find('\n', position);
    if (end == std::string::npos) end = raw.size();
    std::string_view line(raw.data() + position, end - position);
    position = end + 1;
    if (line.starts_with(' ')) line.remove_prefix(1);
    while (line.ends_with(' ')) line.remove_suffix(1);
    const std::string_view bare = trim(line);
    if (bare.starts_with('+')) {
      comment.markers.emplace_back(bare.substr(1));
      continue;
    }
    cut |= bare == "---";
    if (cut || bare.starts_with("TO"
                                "DO"))
      continue;
    if (line.empty()) {
      drop_trailing_space();
      doc += "\n\n";
    } else if (line.front() == ' ' || line.front() == '\t') {
      drop_trailing_space();
      doc.append("\n").append(line).append("\n");
    } else {
      doc.append(line).append(" ");
    }
  }
  while (!doc.empty() && (doc.back() == '\n' || doc.back() == ' ')) doc.pop_back();
  doc.erase(0, doc.find_first_not_of('\n') == std::string::npos ? doc.size() : doc.find_first_not_of('\n'));
  return comment;
}

std::string joined(const std::vector<std::string>& values) {
  std::string out;
  for (const auto& value : values) out += (out.empty() ? "" : "\n") + value;
  return out;
}

uint16_t list_type_number(const std::string& name) {
  if (name == "atomic") return 1;
  if (name == "set") return 2;
  return name == "map" ? 3 : 0;
}

struct Type {
  std::string name;
  uint32_t doc = 0;
  unsigned flags = 0;
  std::vector<RawField> fields;
};

class Builder {
 public:
  explicit Builder(std::filesystem::path root) : root_(std::move(root)) {}

  void add_file(const pb::FileDescriptorProto& file) {
    std::map<std::vector<int>, std::string> comments;
    for (const auto& location : file.source_code_info().location()) {
      comments[{location.path().begin(), location.path().end()}] = location.leading_comments();
    }
    const auto folder = std::filesystem::path(file.name()).parent_path();
    const GoPackage package = read_go_package(root_ / folder);
    for (int i = 0; i < file.message_type_size(); ++i) {
      add_message(file, i, comments, package);
    }
  }

  bool write(const std::filesystem::path& path) {
    std::sort(types_.begin(), types_.end(), [](const Type& a, const Type& b) { return a.name < b.name; });
    std::string out =
        "// Written by tools/schema at build time.\n#include \"sdk/kubeapi/schema_tables.hpp\"\n\n"
        "namespace orlop::kube::tables {\n\nextern const RawType kTypes[] = {\n";
    size_t first = 0;
    std::string fields;
    for (const Type& type : types_) {
      out += "{" + std::to_string(strings_.add(type.name)) + "," + std::to_string(type.doc) + "," +
             std::to_string(first) + "," + std::to_string(type.fields.size()) + "," + std::to_string(type.flags) +
             "},\n";
      first += type.fields.size();
      for (const RawField& f : type.fields) {
        for (const uint32_t value : {f.number, f.json_name, f.go_type, f.doc, f.default_value, f.merge_key,
                                     f.list_map_keys, f.enum_values, uint32_t{f.flags}, uint32_t{f.list_type}}) {
          fields += (fields.empty() || fields.back() == '\n' ? "{" : ",") + std::to_string(value);
        }
        fields += "},\n";
      }
    }
    out += "};\nextern const size_t kTypeCount = " + std::to_string(types_.size()) +
           ";\n\nextern const RawField kFields[] = {\n" + fields + "};\n\nextern const char kStrings[] =\n";
    for (const std::string* text : strings_.in_order()) out += literal(*text);
    out += ";\n\n}  // namespace orlop::kube::tables\n";
    std::ofstream file(path, std::ios::binary);
    file << out;
    return static_cast<bool>(file.flush());
  }

 private:
  static std::string literal(const std::string& text) {
    std::string out = "\"";
    char octal[5];
    for (const char c : text) {
      if (c == '"' || c == '\\' || c == '?' || c < 0x20 || c > 0x7e) {
        std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += octal;
      } else {
        out += c;
      }
    }
    return out + "\\000\"\n";
  }

  void add_message(const pb::FileDescriptorProto& file, int index,
                   const std::map<std::vector<int>, std::string>& comments, const GoPackage& package) {
    const auto& message = file.message_type(index);
    const auto comment_at = [&](const std::vector<int>& path) {
      const auto found = comments.find(path);
      return parse_comment(found == comments.end() ? std::string() : found->second);
    };
    Type type;
    type.name = file.package() + "." + message.name();
    type.doc = strings_.add(comment_at({pb::FileDescriptorProto::kMessageTypeFieldNumber, index}).doc);
    const auto go = package.structs.find(message.name());
    std::vector<std::pair<size_t, RawField>> ordered;
    for (int i = 0; i < message.field_size(); ++i) {
      const auto& field = message.field(i);
      const Comment comment = comment_at(
          {pb::FileDescriptorProto::kMessageTypeFieldNumber, index, pb::DescriptorProto::kFieldFieldNumber, i});
      const GoField* go_field = nullptr;
      size_t place = static_cast<size_t>(i);
      if (go != package.structs.end()) {
        for (size_t at = 0; at < go->second.size(); ++at) {
          if (go->second[at].number != field.number()) continue;
          go_field = &go->second[at];
          place = at;
        }
      }
      ordered.emplace_back(place, make_field(field, comment, go_field, package));
    }
    std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [place, field] : ordered) type.fields.push_back(field);
    // In our own files every top-level object has metadata, but for the reviews.
    const bool object = go == package.structs.end() && package.structs.empty() && message.field_size() > 0 &&
                        (message.field(0).name() == "metadata" || message.name().ends_with("Review"));
    if (object || package.with_type_meta.contains(message.name())) type.flags |= kube::tables::kHasTypeMeta;
    types_.push_back(std::move(type));
  }

  RawField make_field(const pb::FieldDescriptorProto& field, const Comment& comment, const GoField* go,
                      const GoPackage& package) {
    using namespace kube::tables;
    RawField raw{};
    raw.number = static_cast<uint32_t>(field.number());
    raw.doc = strings_.add(comment.doc);
    raw.default_value = strings_.add(comment.value("default"));
    raw.merge_key = strings_.add(comment.value("patchMergeKey"));
    raw.list_map_keys = strings_.add(joined(comment.values("listMapKey")));
    raw.list_type = list_type_number(comment.value("listType"));
    const bool optional = comment.has("optional");
    unsigned flags = optional ? kOptionalMarker : 0u;
    if (go != nullptr) {
      raw.json_name = strings_.add(go->inlined ? std::string() : go->json_name);
      raw.go_type = strings_.add(printed_go_type(go->type, package.name));
      raw.enum_values = strings_.add(enum_values(go->type, package));
      flags |= (go->omit_empty ? kOmitEmpty : 0u) | (go->inlined ? kInlined : 0u) |
               (go->type.starts_with('*') ? kPointer : 0u);
    } else {
      // Files of ours, without Go sources beside them: +pointer and +printed say what Go's tags would.
      raw.json_name = strings_.add(field.json_name());
      raw.go_type = strings_.add(go_type_of(field));
      flags |= (optional && !comment.has("printed") ? kOmitEmpty : 0u) | (comment.has("pointer") ? kPointer : 0u);
    }
    if (!optional && (flags & (kOmitEmpty | kInlined)) == 0) flags |= kRequired;
    if (comment.value("structType") == "atomic" || comment.value("mapType") == "atomic") flags |= kAtomic;
    const std::string strategy = comment.value("patchStrategy");
    if (strategy.find("merge") != std::string::npos) flags |= kPatchMerge;
    if (strategy.find("replace") != std::string::npos) flags |= kPatchReplace;
    if (strategy.find("retainKeys") != std::string::npos) flags |= kPatchRetainKeys;
    raw.flags = static_cast<uint16_t>(flags);
    return raw;
  }

  static std::string go_type_of(const pb::FieldDescriptorProto& field) {
    std::string element;
    switch (field.type()) {
      case pb::FieldDescriptorProto::TYPE_STRING:
        element = "string";
        break;
      case pb::FieldDescriptorProto::TYPE_BOOL:
        element = "bool";
        break;
      case pb::FieldDescriptorProto::TYPE_INT32:
        element = "int32";
        break;
      case pb::FieldDescriptorProto::TYPE_INT64:
        element = "int64";
        break;
      case pb::FieldDescriptorProto::TYPE_DOUBLE:
        element = "float64";
        break;
      case pb::FieldDescriptorProto::TYPE_BYTES:
        element = "[]uint8";
        break;
      default:
        element = "v1" + field.type_name().substr(field.type_name().rfind('.'));
        break;
    }
    const bool map = field.type_name().ends_with("Entry");
    if (map) return "map[string]v1.JSONSchemaProps";
    return field.label() == pb::FieldDescriptorProto::LABEL_REPEATED ? "[]" + element : element;
  }

  std::string enum_values(std::string_view type, const GoPackage& package) {
    while (!type.empty() && (type.front() == '*' || type.front() == '[' || type.front() == ']')) type.remove_prefix(1);
    const auto dot = type.find('.');
    const GoPackage* home = &package;
    if (dot != std::string_view::npos) {
      // Enumerations that one group borrows from another are core/v1's.
      const std::string_view alias = type.substr(0, dot);
      if (alias != "v1" && alias != "corev1" && alias != "apiv1" && alias != "core") return {};
      if (!core_) core_ = std::make_unique<GoPackage>(read_go_package(root_ / "k8s.io/api/core/v1"));
      home = core_.get();
      type.remove_prefix(dot + 1);
    }
    const auto found = home->enums.find(std::string(type));
    return found == home->enums.end() ? std::string() : joined(found->second);
  }

  std::filesystem::path root_;
  Strings strings_;
  std::vector<Type> types_;
  std::unique_ptr<GoPackage> core_;
};

}  // namespace
}  // namespace orlop::schema_tables

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: schema-tables DESCRIPTOR_SET SCHEMA_ROOT OUTPUT.cpp\n");
    return 2;
  }
  google::protobuf::FileDescriptorSet set;
  std::ifstream input(argv[1], std::ios::binary);
  if (!input || !set.ParseFromIstream(&input)) {
    std::fprintf(stderr, "schema-tables: %s is not a descriptor set; build again from a clean tree\n", argv[1]);
    return 1;
  }
  orlop::schema_tables::Builder builder(argv[2]);
  for (const auto& file : set.file()) builder.add_file(file);
  if (!builder.write(argv[3])) {
    std::fprintf(stderr, "schema-tables: cannot write %s\n", argv[3]);
    return 1;
  }
  return 0;
}
