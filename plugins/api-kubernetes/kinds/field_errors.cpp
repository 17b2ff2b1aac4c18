#include "plugins/api-kubernetes/kinds/field_errors.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {

std::string FieldPath::text() const {
  std::string text;
  for (size_t i = 0; i < size_; ++i) {
    const auto& step = steps_[i];
    if (step.index >= 0) {
      text += fmt::format("[{}]", step.index);
    } else if (step.key) {
      text += fmt::format("[{}]", step.name);
    } else {
      if (!text.empty()) text += '.';
      text += step.name;
    }
  }
  return text;
}

void FieldErrors::add(std::string_view reason, const FieldPath& path, std::string message) {
  causes_.push_back({std::string(reason), std::move(message), path.text()});
}

void FieldErrors::required(const FieldPath& path, std::string_view detail) {
  add("FieldValueRequired", path, detail.empty() ? "Required value" : fmt::format("Required value: {}", detail));
}

void FieldErrors::invalid(const FieldPath& path, const ShownValue& value, std::string_view detail) {
  add("FieldValueInvalid", path,
      detail.empty() ? fmt::format("Invalid value: {}", value.text)
                     : fmt::format("Invalid value: {}: {}", value.text, detail));
}

void FieldErrors::invalid(const FieldPath& path, const ShownValue& value, const Faults& faults) {
  for (const auto& fault : faults) invalid(path, value, fault);
}

void FieldErrors::duplicate(const FieldPath& path, const ShownValue& value) {
  add("FieldValueDuplicate", path, fmt::format("Duplicate value: {}", value.text));
}

void FieldErrors::not_found(const FieldPath& path, const ShownValue& value) {
  add("FieldValueNotFound", path, fmt::format("Not found: {}", value.text));
}

void FieldErrors::forbidden(const FieldPath& path, std::string_view detail) {
  add("FieldValueForbidden", path, fmt::format("Forbidden: {}", detail));
}

void FieldErrors::too_long(const FieldPath& path, size_t bytes_max) {
  add("FieldValueTooLong", path, fmt::format("Too long: may not be more than {} bytes", bytes_max));
}

void FieldErrors::too_many(const FieldPath& path, size_t count, size_t count_max) {
  add("FieldValueTooMany", path, fmt::format("Too many: {}: must have at most {} items", count, count_max));
}

void FieldErrors::not_supported(const FieldPath& path, const ShownValue& value,
                                const std::vector<std::string_view>& supported) {
  std::string list;
  for (auto candidate : supported) {
    if (!list.empty()) list += ", ";
    list += in_quotes(candidate);
  }
  add("FieldValueNotSupported", path, fmt::format("Unsupported value: {}: supported values: {}", value.text, list));
}

void FieldErrors::not_supported(const FieldPath& path, const ShownValue& value,
                                std::initializer_list<std::string_view> supported) {
  not_supported(path, value, std::vector<std::string_view>(supported));
}

void FieldErrors::non_negative(const FieldPath& path, int64_t value) {
  if (value < 0) invalid(path, value, "must be greater than or equal to 0");
}

Status FieldErrors::status(std::string_view group, std::string_view kind, std::string_view name) const {
  if (causes_.empty()) return Status::ok();
  std::vector<std::string> texts;
  for (const auto& cause : causes_) {
    auto text = fmt::format("{}: {}", cause.field, cause.message);
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
  }
  const std::string all = texts.size() == 1 ? texts.front() : "[" + joined(texts, ", ") + "]";
  const std::string qualified = group.empty() ? std::string(kind) : fmt::format("{}.{}", kind, group);
  return {Code::kInvalid, fmt::format("{} {} is invalid: {}", qualified, in_quotes(name), all), causes_};
}

}  // namespace orlop::apikube
