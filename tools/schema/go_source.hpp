// What Kubernetes' Go sources say and its .proto files do not: how a field is spelled in JSON, whether it is a pointer,
// whether empty values are left out, which values an enumeration has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::schema_tables {

struct GoField {
  std::string name;       // "Replicas"; for an embedded struct its type's last part
  std::string type;       // as written, "*int32", "[]Container", "metav1.Time"
  std::string json_name;  // "replicas"; empty for an inlined one
  int32_t number = 0;     // of the protobuf tag; 0: none
  bool omit_empty = false;
  bool inlined = false;
};

struct GoPackage {
  std::string name;                                       // "v1"
  std::map<std::string, std::vector<GoField>> structs;    // fields in the order of the source
  std::set<std::string, std::less<>> with_type_meta;      // structs that embed metav1.TypeMeta
  std::map<std::string, std::vector<std::string>> enums;  // values of the types marked +enum, sorted
};

// Reads every hand-written .go file of one folder. An unreadable or absent folder gives an empty package.
GoPackage read_go_package(const std::filesystem::path& folder);

// The type of a field as Go's own messages print it: "*Protocol" in package v1 -> "v1.Protocol", "[]metav1.Time" ->
// "[]v1.Time", "int32" -> "int32".
std::string printed_go_type(std::string_view type, std::string_view package);

}  // namespace orlop::schema_tables
