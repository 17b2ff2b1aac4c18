#include "orlop/kube/json.hpp"
#include "sdk/kubeapi/json_syntax.hpp"
#include "sdk/kubeapi/json_values.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <simdjson.h>

namespace orlop::kube {
namespace {

namespace dom = simdjson::dom;

// Recursion ends where the parser's limit on depth does.
void append(dom::element value, std::string& out) {
  switch (value.type()) {
    case dom::element_type::OBJECT: {
      std::vector<std::pair<std::string_view, dom::element>> members;
      for (const auto [name, member] : dom::object(value)) members.emplace_back(name, member);
      std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      char separator = '{';
      for (size_t i = 0; i < members.size(); ++i) {
        const auto& [name, member] = members[i];
        if (i + 1 < members.size() && members[i + 1].first == name) continue;  // the last of several counts
        out += std::exchange(separator, ',');
        append_json_string(name, out);
        out += ':';
        append(member, out);
      }
      out += members.empty() ? "{}" : "}";
      return;
    }
    case dom::element_type::ARRAY: {
      char separator = '[';
      for (const dom::element member : dom::array(value)) {
        out += std::exchange(separator, ',');
        append(member, out);
      }
      out += separator == '[' ? "[]" : "]";
      return;
    }
    case dom::element_type::STRING:
      append_json_string(std::string_view(value), out);
      return;
    case dom::element_type::INT64:
      out += std::to_string(int64_t(value));
      return;
    case dom::element_type::UINT64:
      out += std::to_string(uint64_t(value));
      return;
    case dom::element_type::DOUBLE:
      append_double(double(value), out);
      return;
    case dom::element_type::BOOL:
      out += bool(value) ? "true" : "false";
      return;
    case dom::element_type::NULL_VALUE:
      out += "null";
      return;
  }
}

}  // namespace

Result<std::string> canonical_json(std::string_view json) {
  constexpr size_t kDepthMax = 512;
  dom::parser parser;
  dom::element root;
  if (parser.allocate(std::max<size_t>(json.size(), 64), kDepthMax) != simdjson::SUCCESS) {
    return Status(Code::kInternal, "no memory to parse a text of " + std::to_string(json.size()) + " bytes");
  }
  const simdjson::error_code error = parser.parse(json.data(), json.size(), true).get(root);
  if (error == simdjson::DEPTH_ERROR) return Status(Code::kBadRequest, "exceeded max depth");
  if (error != simdjson::SUCCESS) return Status(Code::kBadRequest, explain_json_error(json));
  std::string out;
  out.reserve(json.size());
  append(root, out);
  return out;
}

}  // namespace orlop::kube
