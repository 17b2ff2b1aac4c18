// RFC 6902 over RFC 6901 pointers.
#include "plugins/api-kubernetes/patch/patch.hpp"

#include <charconv>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

constexpr size_t kDepthMax = 512;

Status does_not_apply(std::string detail) {
  // Kubernetes' sentence for the message; the cause says what was wrong.
  return {Code::kInvalid,
          "the server rejected our request due to an error in our request",
          {Cause{"UnexpectedServerResponse", std::move(detail), ""}}};
}

using Pointer = std::vector<std::string>;

Result<Pointer> parse_pointer(std::string_view text) {
  Pointer tokens;
  if (text.empty()) return tokens;
  if (text.front() != '/') return does_not_apply(fmt::format("path {} must start with '/'", text));
  std::string token;
  for (size_t i = 1; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '/') {
      tokens.push_back(std::move(token));
      token.clear();
      continue;
    }
    if (text[i] == '~') {
      const char next = i + 1 < text.size() ? text[i + 1] : '\0';
      if (next != '0' && next != '1') return does_not_apply(fmt::format("path {} has a bad escape", text));
      token += next == '0' ? '~' : '/';
      ++i;
    } else {
      token += text[i];
    }
  }
  if (tokens.size() > kDepthMax) return does_not_apply("path is too deep");
  return tokens;
}

// RFC 6901: digits without a leading zero.
std::optional<size_t> parse_index(std::string_view token) {
  if (token.empty() || token.size() > 9 || (token.size() > 1 && token.front() == '0')) return std::nullopt;
  size_t index = 0;
  auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc() || end != token.data() + token.size()) return std::nullopt;
  return index;
}

json::value* child(json::value& parent, const std::string& token) {
  if (auto* object = parent.if_object()) return object->if_contains(token);
  if (auto* array = parent.if_array()) {
    const auto index = parse_index(token);
    return index && *index < array->size() ? &(*array)[*index] : nullptr;
  }
  return nullptr;
}

json::value* find(json::value& document, const Pointer& pointer, size_t depth) {
  json::value* at = &document;
  for (size_t i = 0; at != nullptr && i < depth; ++i) at = child(*at, pointer[i]);
  return at;
}

Status add(json::value* document, const Pointer& pointer, std::string_view path, json::value value) {
  if (pointer.empty()) {
    *document = std::move(value);
    return Status::ok();
  }
  json::value* parent = find(*document, pointer, pointer.size() - 1);
  const std::string& token = pointer.back();
  if (parent != nullptr && parent->is_object()) {
    parent->as_object().insert_or_assign(token, std::move(value));
    return Status::ok();
  }
  if (parent == nullptr || !parent->is_array()) {
    return does_not_apply(
        fmt::format("add operation does not apply: doc is missing path: \"{}\": missing value", path));
  }
  auto& array = parent->as_array();
  if (token == "-") {
    array.push_back(std::move(value));
    return Status::ok();
  }
  const auto index = parse_index(token);
  if (!index || *index > array.size()) {
    return does_not_apply(fmt::format(
        "error in add for path: '{}': Unable to access invalid index: {}: invalid index referenced", path, token));
  }
  array.insert(array.begin() + static_cast<ptrdiff_t>(*index), std::move(value));
  return Status::ok();
}

Result<json::value> take(json::value* document, const Pointer& pointer, std::string_view path,
                         std::string_view operation) {
  if (pointer.empty())
    return does_not_apply(fmt::format("{} operation does not apply to the whole document", operation));
  json::value* parent = find(*document, pointer, pointer.size() - 1);
  json::value* target = parent == nullptr ? nullptr : child(*parent, pointer.back());
  if (parent == nullptr) {
    return does_not_apply(
        fmt::format("{} operation does not apply: doc is missing path: \"{}\": missing value", operation, path));
  }
  if (target == nullptr) {
    return does_not_apply(fmt::format("error in {} for path: '{}': Unable to remove nonexistent key: {}: missing value",
                                      operation, path, pointer.back()));
  }
  json::value value = std::move(*target);
  if (auto* object = parent->if_object()) {
    object->erase(pointer.back());
  } else {
    auto& array = parent->as_array();
    array.erase(array.begin() + static_cast<ptrdiff_t>(*parse_index(pointer.back())));
  }
  return value;
}

// Arrays and objects do not say how large they are; the walk stops beyond `limit`.
size_t size_of(const json::value& value, size_t limit) {
  size_t size = 8;
  if (auto* string = value.if_string()) return size + string->size();
  if (auto* array = value.if_array()) {
    for (const auto& element : *array) {
      if (size > limit) break;
      size += size_of(element, limit - size);
    }
  } else if (auto* object = value.if_object()) {
    for (const auto& member : *object) {
      if (size > limit) break;
      size += member.key().size() + size_of(member.value(), limit);
    }
  }
  return size;
}

class JsonPatch {
 public:
  JsonPatch(json::value document, const PatchLimits& limits) : document_(std::move(document)), limits_(limits) {}

  Status apply(const json::value& operation) {
    const auto* members = operation.if_object();
    if (members == nullptr) return {Code::kBadRequest, "error decoding patch: an operation must be an object"};
    ORLOP_ASSIGN(const std::string name, text(*members, "op", "operation missing op field"));
    ORLOP_ASSIGN(const std::string path, text(*members, "path", "operation missing path field"));
    ORLOP_ASSIGN(const Pointer pointer, parse_pointer(path));
    if (name == "add") {
      ORLOP_ASSIGN(auto value, value_of(*members));
      return add(&document_, pointer, path, std::move(value));
    }
    if (name == "remove") return take(&document_, pointer, path, name).status();
    if (name == "replace") return replace(*members, pointer, path);
    if (name == "test") return test(*members, pointer, path);
    if (name == "move" || name == "copy") return transfer(*members, pointer, path, name);
    return does_not_apply(fmt::format("Unexpected kind: {}", name));
  }

  json::value take_document() { return std::move(document_); }

 private:
  static Result<std::string> text(const json::object& members, std::string_view name, std::string_view complaint) {
    const auto* value = members.if_contains(name);
    if (value == nullptr || !value->is_string()) return does_not_apply(fmt::format("{}: missing value", complaint));
    return std::string(value->as_string());
  }
  static Result<json::value> value_of(const json::object& members) {
    const auto* value = members.if_contains("value");
    if (value == nullptr) return does_not_apply("operation, missing value field: missing value");
    return json::value(*value);
  }

  Status replace(const json::object& members, const Pointer& pointer, std::string_view path) {
    ORLOP_ASSIGN(auto value, value_of(members));
    json::value* target = find(document_, pointer, pointer.size());
    if (target == nullptr) {
      return does_not_apply(
          fmt::format("replace operation does not apply: doc is missing key: {}: missing value", path));
    }
    *target = std::move(value);
    return Status::ok();
  }

  // A test for null holds for an absent member too.
  Status test(const json::object& members, const Pointer& pointer, std::string_view path) {
    const auto* wanted = members.if_contains("value");
    json::value* target = find(document_, pointer, pointer.size());
    const bool wants_null = wanted == nullptr || wanted->is_null();
    const bool holds = target == nullptr ? wants_null : wants_null ? target->is_null() : *target == *wanted;
    if (holds) return Status::ok();
    return does_not_apply(fmt::format("testing value {} failed: test failed", path));
  }

  Status transfer(const json::object& members, const Pointer& pointer, std::string_view path, std::string_view name) {
    ORLOP_ASSIGN(const std::string from, text(members, "from", "operation missing from field"));
    ORLOP_ASSIGN(const Pointer source, parse_pointer(from));
    if (name == "move") {
      const bool into_itself =
          source.size() < pointer.size() && std::equal(source.begin(), source.end(), pointer.begin());
      if (into_itself) return does_not_apply(fmt::format("move operation does not apply: {} is inside {}", path, from));
      ORLOP_ASSIGN(auto value, take(&document_, source, from, name));
      return add(&document_, pointer, path, std::move(value));
    }
    const json::value* value = find(document_, source, source.size());
    if (value == nullptr) {
      return does_not_apply(
          fmt::format("copy operation does not apply: doc is missing from path: {}: missing value", from));
    }
    copied_bytes_ += size_of(*value, limits_.copied_bytes_max);
    if (copied_bytes_ > limits_.copied_bytes_max) {
      return {Code::kTooLarge,
              fmt::format("the copy operations of a JSON patch may not exceed {} bytes", limits_.copied_bytes_max)};
    }
    return add(&document_, pointer, path, json::value(*value));
  }

  json::value document_;
  PatchLimits limits_;
  size_t copied_bytes_ = 0;
};

}  // namespace

Result<json::value> json_patch(const json::value& document, const json::value& patch, const PatchLimits& limits) {
  const auto* operations = patch.if_array();
  if (operations == nullptr)
    return Status(Code::kBadRequest, "error decoding patch: a JSON patch must be an array of operations");
  if (operations->size() > limits.operations_max) {
    return Status(Code::kTooLarge, fmt::format("The allowed maximum operations in a JSON patch is {}, got {}",
                                               limits.operations_max, operations->size()));
  }
  JsonPatch state(document, limits);
  for (const auto& operation : *operations) ORLOP_TRY(state.apply(operation));
  return state.take_document();
}

}  // namespace orlop::apikube
