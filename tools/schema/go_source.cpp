#include "tools/schema/go_source.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <set>

namespace orlop::schema_tables {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// The value of one key of a struct tag: tag_value(`json:"a,omitempty" protobuf:"…"`, "json") -> "a,omitempty".
std::string_view tag_value(std::string_view tag, std::string_view key) {
  const std::string opening = std::string(key) + ":\"";
  const auto at = tag.find(opening);
  if (at == std::string_view::npos) return {};
  const auto start = at + opening.size();
  return tag.substr(start, tag.find('"', start) - start);
}

bool has_tag(std::string_view tag, std::string_view key) {
  return tag.find(std::string(key) + ":\"") != tag.npos;
}

std::string_view last_part(std::string_view type) {
  while (!type.empty() && (type.front() == '*' || type.front() == '[' || type.front() == ']')) type.remove_prefix(1);
  const auto dot = type.rfind('.');
  return dot == std::string_view::npos ? type : type.substr(dot + 1);
}

// One line inside a struct. Lines without a json tag are comments, blank, or not part of the API.
bool parse_field(std::string_view line, GoField& field) {
  const auto tick = line.find('`');
  if (tick == std::string_view::npos || line.starts_with("//")) return false;
  const std::string_view tag = line.substr(tick + 1, line.rfind('`') - tick - 1);
  if (!has_tag(tag, "json")) return false;
  const std::string_view declaration = trim(line.substr(0, tick));
  const auto space = declaration.find_first_of(" \t");
  const auto json = split(tag_value(tag, "json"), ',');
  for (size_t i = 1; i < json.size(); ++i) {
    field.omit_empty |= json[i] == "omitempty";
    field.inlined |= json[i] == "inline";
  }
  field.json_name = json[0];
  field.type = space == std::string_view::npos ? declaration : trim(declaration.substr(space));
  field.name = space == std::string_view::npos ? last_part(declaration) : declaration.substr(0, space);
  field.inlined |= space == std::string_view::npos && field.json_name.empty();
  const auto protobuf = split(tag_value(tag, "protobuf"), ',');
  if (protobuf.size() > 1) std::from_chars(protobuf[1].data(), protobuf[1].data() + protobuf[1].size(), field.number);
  return field.json_name != "-";
}

struct Reader {
  GoPackage& package;
  std::set<std::string, std::less<>>& enum_types;
  std::multimap<std::string, std::string>& constants;  // type -> value
  std::vector<GoField>* current = nullptr;
  std::string current_name;
  bool enum_marker = false;

  void struct_line(std::string_view line) {
    if (line == "}") {
      current = nullptr;
      return;
    }
    GoField field;
    if (!parse_field(line, field)) return;
    if (field.inlined && field.name == "TypeMeta") {
      package.with_type_meta.insert(current_name);
    } else {
      current->push_back(std::move(field));
    }
  }

  void type_line(std::string_view line) {
    const std::string_view rest = line.substr(5);
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return;
    const std::string name(rest.substr(0, space));
    const std::string_view definition = trim(rest.substr(space));
    if (definition == "struct {") {
      current = &package.structs[name];
      current_name = name;
    } else if (enum_marker && definition == "string") {
      enum_types.insert(name);
    }
    enum_marker = false;
  }

  // `Name Type = "value"`, in a const block or behind `const`.
  void constant_line(std::string_view line) {
    if (line.starts_with("const ")) line = trim(line.substr(6));
    const auto equals = line.find(" = \"");
    if (equals == std::string_view::npos) return;
    const std::string_view left = trim(line.substr(0, equals));
    const auto space = left.find_first_of(" \t");
    if (space == std::string_view::npos) return;
    const auto start = equals + 4;
    constants.emplace(trim(left.substr(space)), line.substr(start, line.find('"', start) - start));
  }

  void line(std::string_view raw) {
    const std::string_view text = trim(raw);
    if (current != nullptr) return struct_line(text);
    if (text.starts_with("package ") && package.name.empty()) package.name = text.substr(8);
    if (text == "// +enum") enum_marker = true;
    if (raw.starts_with("type ")) return type_line(text);
    if (!text.starts_with("//")) {
      if (!text.empty()) enum_marker = false;
      constant_line(text);
    }
  }
};

bool is_hand_written(const std::string& name) {
  return name.ends_with(".go") && !name.ends_with("_test.go") && !name.ends_with(".pb.go") &&
         !name.starts_with("zz_") && name != "types_swagger_doc_generated.go";
}

}  // namespace

GoPackage read_go_package(const std::filesystem::path& folder) {
  GoPackage package;
  std::set<std::string, std::less<>> enum_types;
  std::multimap<std::string, std::string> constants;
  std::error_code ignored;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (is_hand_written(entry.path().filename())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    Reader reader{package, enum_types, constants};
    std::ifstream input(file);
    for (std::string line; std::getline(input, line);) reader.line(line);
  }
  for (const auto& type : enum_types) {
    auto& values = package.enums[type];
    const auto [begin, end] = constants.equal_range(type);
    for (auto at = begin; at != end; ++at) values.push_back(at->second);
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
  }
  return package;
}

std::string printed_go_type(std::string_view type, std::string_view package) {
  if (type.starts_with("*")) return printed_go_type(type.substr(1), package);
  if (type.starts_with("[]*")) return "[]*" + printed_go_type(type.substr(3), package);
  if (type == "[]byte") return "[]uint8";
  if (type.starts_with("[]")) return "[]" + printed_go_type(type.substr(2), package);
  if (type.starts_with("map[")) {
    const auto close = type.find(']');
    return "map[" + printed_go_type(type.substr(4, close - 4), package) + "]" +
           printed_go_type(type.substr(close + 1), package);
  }
  const auto dot = type.find('.');
  if (dot != std::string_view::npos) {
    // Import aliases are the sources' own; Go prints the package's name: v1 for metav1, corev1, apiv1, …
    std::string_view alias = type.substr(0, dot);
    if (alias.ends_with("v1") && alias != "v1") alias = "v1";
    return std::string(alias) + std::string(type.substr(dot));
  }
  if (!type.empty() && std::isupper(static_cast<unsigned char>(type.front())) != 0) {
    return std::string(package) + "." + std::string(type);
  }
  return std::string(type);
}

}  // namespace orlop::schema_tables
