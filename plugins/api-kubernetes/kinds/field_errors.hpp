// What is wrong with which field, in the words of Kubernetes' field errors.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/selector/names.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::apikube {

// The path of a field, "spec.containers[0].name". Cheap to extend: text is made when a fault is found only. Names must
// outlive it (literals, keys of the object that is looked at). At most 16 steps deep.
class FieldPath {
 public:
  FieldPath() = default;
  explicit FieldPath(std::string_view root) { push({root, -1, false}); }

  [[nodiscard]] FieldPath child(std::string_view name) const { return with({name, -1, false}); }
  template <typename... More>
  [[nodiscard]] FieldPath child(std::string_view name, std::string_view next, More... more) const {
    return child(name).child(next, more...);
  }
  [[nodiscard]] FieldPath index(size_t position) const { return with({{}, static_cast<int64_t>(position), false}); }
  [[nodiscard]] FieldPath key(std::string_view key) const { return with({key, -1, true}); }
  [[nodiscard]] std::string text() const;

 private:
  struct Step {
    std::string_view name;
    int64_t index;
    bool key;
  };
  void push(Step step) {
    if (size_ < steps_.size()) steps_[size_++] = step;
  }
  [[nodiscard]] FieldPath with(Step step) const {
    FieldPath path = *this;
    path.push(step);
    return path;
  }
  std::array<Step, 16> steps_{};
  size_t size_ = 0;
};

// A value as a message shows it: strings quoted, numbers and booleans plain, anything else as the caller words it.
struct ShownValue {
  std::string text;
  ShownValue(std::string_view value) : text(in_quotes(value)) {}    // NOLINT: implicit by intent
  ShownValue(const std::string& value) : text(in_quotes(value)) {}  // NOLINT: implicit by intent
  ShownValue(const char* value) : text(in_quotes(value)) {}         // NOLINT: implicit by intent
  ShownValue(bool value) : text(value ? "true" : "false") {}        // NOLINT: implicit by intent
  template <std::integral T>
  requires(!std::same_as<T, bool>) ShownValue(T value) : text(std::to_string(value)) {}  // NOLINT: implicit by intent
  static ShownValue raw(std::string text) {
    ShownValue value("");
    value.text = std::move(text);
    return value;
  }
};

// Collects faults; the order of the calls is the order of the message.
class FieldErrors {
 public:
  void required(const FieldPath& path, std::string_view detail = "");
  void invalid(const FieldPath& path, const ShownValue& value, std::string_view detail);
  // One for each of `faults`.
  void invalid(const FieldPath& path, const ShownValue& value, const Faults& faults);
  void duplicate(const FieldPath& path, const ShownValue& value);
  void not_found(const FieldPath& path, const ShownValue& value);
  void forbidden(const FieldPath& path, std::string_view detail);
  void too_long(const FieldPath& path, size_t bytes_max);
  void too_many(const FieldPath& path, size_t count, size_t count_max);
  // `supported` in the order that the message lists them.
  void not_supported(const FieldPath& path, const ShownValue& value, std::initializer_list<std::string_view> supported);
  void not_supported(const FieldPath& path, const ShownValue& value, const std::vector<std::string_view>& supported);

  void non_negative(const FieldPath& path, int64_t value);

  [[nodiscard]] bool empty() const { return causes_.empty(); }
  [[nodiscard]] const std::vector<Cause>& causes() const { return causes_; }

  // kInvalid: `Deployment.apps "x" is invalid: [a, b]`, one cause each. Ok when nothing was found.
  [[nodiscard]] Status status(std::string_view group, std::string_view kind, std::string_view name) const;

 private:
  void add(std::string_view reason, const FieldPath& path, std::string message);
  std::vector<Cause> causes_;
};

}  // namespace orlop::apikube
