#include "sdk/kubeapi/json_decode.hpp"
#include "sdk/kubeapi/json_syntax.hpp"

#include <algorithm>

namespace orlop::kube {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kDepthMax = 512;

Status bad_request(std::string message) {
  return {Code::kBadRequest, std::move(message)};
}

}  // namespace

struct JsonDocument::State {
  dom::parser parser;
  dom::element root;
};

JsonDocument::JsonDocument(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

Result<JsonDocument> JsonDocument::parse(std::string_view json, const DecodeOptions& options) {
  if (json.size() > options.bytes_max) {
    return Status(Code::kTooLarge, "request body is " + std::to_string(json.size()) + " bytes; the limit is " +
                                       std::to_string(options.bytes_max));
  }
  auto state = std::make_unique<State>();
  if (state->parser.allocate(std::max<size_t>(json.size(), 64), kDepthMax) != simdjson::SUCCESS) {
    return Status(Code::kInternal, "no memory to parse a body of " + std::to_string(json.size()) + " bytes");
  }
  const simdjson::error_code error = state->parser.parse(json.data(), json.size(), true).get(state->root);
  if (error == simdjson::SUCCESS) return JsonDocument(std::move(state));
  if (error == simdjson::DEPTH_ERROR) return bad_request("exceeded max depth");
  return bad_request(explain_json_error(json));
}

Result<TypeMeta> JsonDocument::type() const {
  dom::object object;
  if (state_->root.get(object) != simdjson::SUCCESS) {
    return bad_request(
        "json: cannot unmarshal " + std::string(json_kind(state_->root)) +
        " into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
        "\"json:\\\"kind,omitempty\\\"\" }");
  }
  TypeMeta out;
  for (const auto [name, value] : object) {
    const bool is_kind = name == "kind";
    if (!is_kind && name != "apiVersion") continue;
    if (value.is_null()) continue;
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) {
      return bad_request("json: cannot unmarshal " + std::string(json_kind(value)) + " into Go struct field ." +
                         std::string(name) + " of type string");
    }
    (is_kind ? out.kind : out.api_version) = text;
  }
  return out;
}

Result<Decoded> JsonDocument::decode(google::protobuf::Message& message, const DecodeOptions& options) const {
  Decoded decoded;
  ORLOP_TRY(decode_json(state_->root, message, decoded));
  if (options.strict && !decoded.warnings.empty()) {
    std::string all = "strict decoding error: ";
    for (size_t i = 0; i < decoded.warnings.size(); ++i) all += (i > 0 ? ", " : "") + decoded.warnings[i];
    return bad_request(std::move(all));
  }
  return decoded;
}

Result<Decoded> from_json(std::string_view json, google::protobuf::Message& message, const DecodeOptions& options) {
  ORLOP_ASSIGN(const JsonDocument document, JsonDocument::parse(json, options));
  return document.decode(message, options);
}

}  // namespace orlop::kube
