#include "plugins/api-kubernetes/rest/negotiate.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace orlop::rest {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kYaml = "application/yaml";
constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view take(std::string_view& text, char separator) {
  size_t at = text.find(separator);
  std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return trim(head);
}

struct Candidate {
  OutputFormat format;
  double weight = 1;
};

std::optional<Candidate> read_candidate(std::string_view item) {
  std::string type(take(item, ';'));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Candidate candidate;
  if (type == kJson || type == "application/*" || type == "*/*") {
    candidate.format.encoding = Encoding::kJson;
  } else if (type == kYaml) {
    candidate.format.encoding = Encoding::kYaml;
  } else if (type == kProtobuf) {
    candidate.format.encoding = Encoding::kProtobuf;
  } else {
    return std::nullopt;
  }
  std::string_view as;
  std::string_view group;
  std::string_view version;
  while (!item.empty()) {
    std::string_view value = take(item, ';');
    std::string_view key = take(value, '=');
    if (key == "as") as = value;
    if (key == "g") group = value;
    if (key == "v") version = value;
    if (key == "q") candidate.weight = std::strtod(std::string(value).c_str(), nullptr);
  }
  if (as.empty()) return candidate;
  if (group != "meta.k8s.io" || (version != "v1" && version != "v1beta1")) return std::nullopt;
  candidate.format.meta_version = version == "v1" ? "v1" : "v1beta1";
  if (as == "Table" && candidate.format.encoding != Encoding::kProtobuf) {
    candidate.format.shape = Shape::kTable;
  } else if (as == "PartialObjectMetadata" || as == "PartialObjectMetadataList") {
    candidate.format.shape = Shape::kPartial;
  } else {
    return std::nullopt;
  }
  return candidate;
}

}  // namespace

std::string_view OutputFormat::content_type() const {
  switch (encoding) {
    case Encoding::kJson:
      return kJson;
    case Encoding::kYaml:
      return kYaml;
    case Encoding::kProtobuf:
      return kProtobuf;
  }
  return kJson;
}

Result<OutputFormat> negotiate_output(std::string_view accept) {
  if (accept.empty() || accept == kJson || accept == "*/*") return OutputFormat{};
  std::optional<Candidate> best;
  while (!accept.empty()) {
    auto candidate = read_candidate(take(accept, ','));
    if (candidate && candidate->weight > 0 && (!best || candidate->weight > best->weight)) best = candidate;
  }
  if (best) return best->format;
  return Status(Code::kNotAcceptable,
                "only the following media types are accepted: application/json, application/yaml, "
                "application/vnd.kubernetes.protobuf");
}

std::string media_type(std::string_view content_type) {
  std::string type(take(content_type, ';'));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type;
}

Result<Encoding> negotiate_input(std::string_view content_type) {
  std::string type = media_type(content_type);
  if (type.empty() || type == kJson) return Encoding::kJson;
  if (type == kYaml) return Encoding::kYaml;
  if (type == kProtobuf) return Encoding::kProtobuf;
  return Status(Code::kUnsupportedMediaType,
                "the body of the request was in an unknown format - accepted media types include: application/json, "
                "application/yaml, application/vnd.kubernetes.protobuf");
}

}  // namespace orlop::rest
