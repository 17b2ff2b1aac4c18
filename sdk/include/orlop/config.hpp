// A plugin's settings: what its manifest's schema describes, checked and filled with defaults by the kernel.
//
// Threads: a value. Ownership: holds its own copy. Reading a key that the schema does not name gives the fallback.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/struct.pb.h>

namespace orlop {

class Config {
 public:
  Config() = default;
  explicit Config(google::protobuf::Struct fields) : fields_(std::move(fields)) {}

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback = {}) const {
    const auto* value = find(key);
    return value != nullptr && value->has_string_value() ? value->string_value() : std::string(fallback);
  }
  [[nodiscard]] int64_t integer(std::string_view key, int64_t fallback = 0) const {
    const auto* value = find(key);
    return value != nullptr && value->has_number_value() ? static_cast<int64_t>(value->number_value()) : fallback;
  }
  [[nodiscard]] double number(std::string_view key, double fallback = 0) const {
    const auto* value = find(key);
    return value != nullptr && value->has_number_value() ? value->number_value() : fallback;
  }
  [[nodiscard]] bool boolean(std::string_view key, bool fallback = false) const {
    const auto* value = find(key);
    return value != nullptr && value->has_bool_value() ? value->bool_value() : fallback;
  }
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> out;
    const auto* value = find(key);
    if (value == nullptr || !value->has_list_value()) return out;
    for (const auto& item : value->list_value().values()) out.push_back(item.string_value());
    return out;
  }
  // A nested section; empty when absent.
  [[nodiscard]] Config section(std::string_view key) const {
    const auto* value = find(key);
    return value != nullptr && value->has_struct_value() ? Config(value->struct_value()) : Config();
  }

  // What the kernel adds for every plugin, under the reserved key "orlop".
  [[nodiscard]] std::string node_name() const { return section("orlop").text("node"); }
  // Folders (absolute paths): config, data, run: the daemon's; own_data, own_run: the plugin's alone, mode 0700; bin,
  // plugins.
  [[nodiscard]] std::string folder(std::string_view which) const {
    return section("orlop").section("folders").text(which);
  }
  [[nodiscard]] std::string instance_name() const { return section("orlop").text("name"); }

  [[nodiscard]] const google::protobuf::Struct& fields() const { return fields_; }

 private:
  [[nodiscard]] const google::protobuf::Value* find(std::string_view key) const {
    const auto found = fields_.fields().find(std::string(key));
    return found == fields_.fields().end() ? nullptr : &found->second;
  }

  google::protobuf::Struct fields_;
};

}  // namespace orlop
