#include "plugins/api-kubernetes/selector/fields.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

constexpr std::string_view kName = "metadata.name";
constexpr std::string_view kNamespace = "metadata.namespace";

Status bad(std::string message) {
  return {Code::kBadRequest, std::move(message)};
}

// Splits at commas that no backslash escapes.
std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> terms;
  size_t begin = 0;
  bool escaped = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (escaped) {
      escaped = false;
    } else if (text[i] == '\\') {
      escaped = true;
    } else if (text[i] == ',') {
      terms.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  terms.push_back(text.substr(begin));
  return terms;
}

struct Parts {
  std::string_view field;
  std::string_view value;
  bool equal;
};

// At the first of !=, ==, =. Field names have no escapes.
std::optional<Parts> split_operator(std::string_view term) {
  for (size_t i = 0; i < term.size(); ++i) {
    const auto rest = term.substr(i);
    if (rest.starts_with("!=")) return Parts{term.substr(0, i), rest.substr(2), false};
    if (rest.starts_with("==")) return Parts{term.substr(0, i), rest.substr(2), true};
    if (rest.starts_with("=")) return Parts{term.substr(0, i), rest.substr(1), true};
  }
  return std::nullopt;
}

Result<std::string> unescape(std::string_view value) {
  std::string out;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\\') {
      if (i + 1 == value.size()) return bad("invalid field selector: invalid escape sequence: \\");
      const char next = value[++i];
      if (next != '\\' && next != ',' && next != '=') {
        return bad(fmt::format("invalid field selector: invalid escape sequence: \\{}", next));
      }
      out += next;
    } else if (c == ',' || c == '=') {
      return bad(fmt::format("invalid field selector: unescaped character in value: {}", static_cast<int>(c)));
    } else {
      out += c;
    }
  }
  return out;
}

std::string escape(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == ',' || c == '=') out += '\\';
    out += c;
  }
  return out;
}

constexpr std::string_view kPodFields[] = {
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase",  "status.podIP",       "status.podIPs",      "status.nominatedNodeName"};
constexpr std::string_view kEventFields[] = {"involvedObject.kind",
                                             "involvedObject.namespace",
                                             "involvedObject.name",
                                             "involvedObject.uid",
                                             "involvedObject.apiVersion",
                                             "involvedObject.resourceVersion",
                                             "involvedObject.fieldPath",
                                             "reason",
                                             "reportingComponent",
                                             "source",
                                             "type"};
constexpr std::string_view kNodeFields[] = {"spec.unschedulable"};
constexpr std::string_view kNamespaceFields[] = {"status.phase"};
constexpr std::string_view kSecretFields[] = {"type"};
constexpr std::string_view kReplicaFields[] = {"status.replicas"};
constexpr std::string_view kJobFields[] = {"status.successful"};
constexpr std::string_view kCertificateFields[] = {"spec.signerName"};
constexpr std::string_view kServiceFields[] = {"spec.clusterIP", "spec.type"};

}  // namespace

std::span<const std::string_view> selectable_fields(std::string_view kind_id) {
  if (kind_id == "pods") return kPodFields;
  if (kind_id == "events" || kind_id == "events.events.k8s.io") return kEventFields;
  if (kind_id == "nodes") return kNodeFields;
  if (kind_id == "namespaces") return kNamespaceFields;
  if (kind_id == "secrets") return kSecretFields;
  if (kind_id == "services") return kServiceFields;
  if (kind_id == "replicationcontrollers" || kind_id == "replicasets.apps") return kReplicaFields;
  if (kind_id == "jobs.batch") return kJobFields;
  if (kind_id == "certificatesigningrequests.certificates.k8s.io") return kCertificateFields;
  return {};
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector selector;
  for (auto term : split_terms(text)) {
    if (term.empty()) continue;
    const auto parts = split_operator(term);
    if (!parts) return bad(fmt::format("invalid selector: '{}'; can't understand '{}'", text, term));
    ORLOP_ASSIGN(auto value, unescape(parts->value));
    selector.terms_.push_back({std::string(parts->field), std::move(value), parts->equal});
  }
  return selector;
}

Status FieldSelector::check(std::string_view kind_id) const {
  const auto known = selectable_fields(kind_id);
  for (const auto& term : terms_) {
    if (term.field == kName || term.field == kNamespace) continue;
    if (std::find(known.begin(), known.end(), term.field) == known.end()) {
      return bad(fmt::format("field label not supported: {}", term.field));
    }
  }
  return Status::ok();
}

std::optional<std::string_view> FieldSelector::required(std::string_view field) const {
  for (const auto& term : terms_) {
    if (term.equal && term.field == field) return term.value;
  }
  return std::nullopt;
}

bool FieldSelector::needs_object() const {
  return std::any_of(terms_.begin(), terms_.end(),
                     [](const auto& term) { return term.field != kName && term.field != kNamespace; });
}

std::optional<std::string> FieldSelector::index_term(std::string_view kind_id) const {
  if (kind_id != "pods") return std::nullopt;
  const auto node = required("spec.nodeName");
  if (!node || node->empty()) return std::nullopt;
  return fmt::format("node/{}", *node);
}

bool FieldSelector::matches_key(std::string_view name_space, std::string_view name) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const auto& term) {
    if (term.field == kName) return (term.value == name) == term.equal;
    if (term.field == kNamespace) return (term.value == name_space) == term.equal;
    return true;
  });
}

bool FieldSelector::matches(std::string_view kind_id, const google::protobuf::Message& object) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const auto& term) {
    return (field_value(kind_id, object, term.field) == term.value) == term.equal;
  });
}

std::string FieldSelector::text() const {
  std::string text;
  for (const auto& term : terms_) {
    if (!text.empty()) text += ',';
    text += fmt::format("{}{}{}", term.field, term.equal ? "=" : "!=", escape(term.value));
  }
  return text;
}

}  // namespace orlop::apikube
