#include "cli/client/discovery.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace orlop::client {
namespace {

constexpr char kAggregated[] =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> texts(const json::array& array) {
  std::vector<std::string> out;
  for (const auto& item : array) out.push_back(scalar_text(item));
  return out;
}

Status read_old_list(HttpClient& client, const std::string& path, const std::string& group, const std::string& version,
                     bool preferred, std::vector<ResourceInfo>& out) {
  ORLOP_ASSIGN(const auto response, client.request("GET", path));
  if (response.status != 200) return refusal_of(response);
  json::value list;
  if (!parse_json(response.body, list)) return {Code::kInternal, "error: the server's discovery answer is no JSON"};
  for (const auto& item : list_of(list, "resources")) {
    ResourceInfo info;
    info.plural = text_of(item, "name");
    if (info.plural.find('/') != std::string::npos) continue;
    info.group = group;
    info.version = version;
    info.singular = text_of(item, "singularName");
    info.kind = text_of(item, "kind");
    info.namespaced = flag_of(item, "namespaced");
    info.short_names = texts(list_of(item, "shortNames"));
    info.categories = texts(list_of(item, "categories"));
    info.verbs = texts(list_of(item, "verbs"));
    info.preferred = preferred;
    if (info.singular.empty()) info.singular = lower(info.kind);
    out.push_back(std::move(info));
  }
  return {};
}

Status read_old_form(HttpClient& client, std::vector<ResourceInfo>& out) {
  ORLOP_TRY(read_old_list(client, "/api/v1", "", "v1", true, out));
  ORLOP_ASSIGN(const auto response, client.request("GET", "/apis"));
  if (response.status != 200) return refusal_of(response);
  json::value groups;
  if (!parse_json(response.body, groups)) return {Code::kInternal, "error: the server's discovery answer is no JSON"};
  for (const auto& group : list_of(groups, "groups")) {
    const auto name = text_of(group, "name");
    const auto preferred = text_of(group, "preferredVersion.version");
    for (const auto& version : list_of(group, "versions")) {
      const auto number = text_of(version, "version");
      ORLOP_TRY(read_old_list(client, "/apis/" + name + "/" + number, name, number, number == preferred, out));
    }
  }
  return {};
}

// The lines of an Invalid answer's causes, each once, as kubectl joins them.
std::string causes_text(const json::value& status) {
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const auto& cause : list_of(status, "details.causes")) {
    auto line = text_of(cause, "message");
    const auto field = text_of(cause, "field");
    if (!field.empty()) line = field + ": " + line;
    if (seen.insert(line).second) lines.push_back(std::move(line));
  }
  if (lines.empty()) return {};
  if (lines.size() == 1) return ": " + lines.front();
  std::string out = ": ";
  for (const auto& line : lines) out += "\n* " + line;
  return out;
}

Code code_of(int status, const std::string& reason) {
  if (reason == "AlreadyExists") return Code::kAlreadyExists;
  if (reason == "Invalid" || status == 422) return Code::kInvalid;
  switch (status) {
    case 400:
      return Code::kBadRequest;
    case 401:
      return Code::kUnauthorized;
    case 403:
      return Code::kForbidden;
    case 404:
      return Code::kNotFound;
    case 405:
      return Code::kMethodNotAllowed;
    case 406:
      return Code::kNotAcceptable;
    case 409:
      return Code::kConflict;
    case 410:
      return Code::kGone;
    case 413:
      return Code::kTooLarge;
    case 415:
      return Code::kUnsupportedMediaType;
    case 429:
      return Code::kTooManyRequests;
    case 503:
      return Code::kUnavailable;
    case 504:
      return Code::kTimeout;
    default:
      return Code::kInternal;
  }
}

}  // namespace

std::string ResourceInfo::singular_name() const {
  const auto& name = singular.empty() ? lower(kind) : singular;
  return group.empty() ? name : name + "." + group;
}

bool ResourceInfo::can(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

std::string ResourceInfo::path(std::string_view name_space, std::string_view name, std::string_view subresource) const {
  std::string out = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  if (namespaced && !name_space.empty()) out.append("/namespaces/").append(name_space);
  out.append("/").append(plural);
  if (!name.empty()) out.append("/").append(name);
  if (!subresource.empty()) out.append("/").append(subresource);
  return out;
}

void read_aggregated(const json::value& document, std::vector<ResourceInfo>& out) {
  for (const auto& group : list_of(document, "items")) {
    bool first = true;  // versions come best first
    for (const auto& version : list_of(group, "versions")) {
      for (const auto& item : list_of(version, "resources")) {
        ResourceInfo info;
        info.group = text_of(group, "metadata.name");
        info.version = text_of(version, "version");
        info.plural = text_of(item, "resource");
        info.singular = text_of(item, "singularResource");
        info.kind = text_of(item, "responseKind.kind");
        info.namespaced = text_of(item, "scope") == "Namespaced";
        info.short_names = texts(list_of(item, "shortNames"));
        info.categories = texts(list_of(item, "categories"));
        info.verbs = texts(list_of(item, "verbs"));
        info.preferred = first;
        if (info.singular.empty()) info.singular = lower(info.kind);
        out.push_back(std::move(info));
      }
      first = false;
    }
  }
}

Result<Discovery> Discovery::fetch(HttpClient& client) {
  std::vector<ResourceInfo> resources;
  for (const auto* path : {"/api", "/apis"}) {
    ORLOP_ASSIGN(const auto response, client.request("GET", path, {{"Accept", kAggregated}}));
    if (response.status != 200) return refusal_of(response);
    json::value document;
    if (!parse_json(response.body, document)) {
      return {Code::kInternal, "error: the server's discovery answer is no JSON"};
    }
    if (text_of(document, "kind") != "APIGroupDiscoveryList") {
      resources.clear();
      ORLOP_TRY(read_old_form(client, resources));
      break;
    }
    read_aggregated(document, resources);
  }
  return Discovery(std::move(resources));
}

const ResourceInfo* Discovery::find(std::string_view word) const {
  const auto wanted = lower(word);
  const auto dot = wanted.find('.');
  const auto name = wanted.substr(0, dot);
  const auto rest = dot == std::string::npos ? std::string() : wanted.substr(dot + 1);
  const auto second = rest.find('.');
  const auto matches_group = [&](const ResourceInfo& info) {
    if (dot == std::string::npos) return info.preferred;
    if (rest == info.group) return info.preferred;
    if (rest == info.version && info.group.empty()) return true;
    return rest.substr(0, second) == info.version && second != std::string::npos &&
           rest.substr(second + 1) == info.group;
  };
  const ResourceInfo* by_short = nullptr;
  for (const auto& info : resources_) {
    if (!matches_group(info)) continue;
    if (info.plural == name || info.singular == name || lower(info.kind) == name) return &info;
    if (by_short == nullptr &&
        std::find(info.short_names.begin(), info.short_names.end(), name) != info.short_names.end()) {
      by_short = &info;
    }
  }
  return by_short;
}

const ResourceInfo* Discovery::find_kind(std::string_view api_version, std::string_view kind) const {
  for (const auto& info : resources_) {
    if (info.kind == kind && info.api_version() == api_version) return &info;
  }
  return nullptr;
}

std::vector<const ResourceInfo*> Discovery::in_category(std::string_view category) const {
  std::vector<const ResourceInfo*> out;
  for (const auto& info : resources_) {
    const auto& categories = info.categories;
    if (info.preferred && std::find(categories.begin(), categories.end(), category) != categories.end()) {
      out.push_back(&info);
    }
  }
  return out;
}

Status refusal_of(const Response& response, std::string_view prefix) {
  json::value status;
  if (!parse_json(response.body, status) || text_of(status, "kind") != "Status") {
    const auto message = response.body.empty()
                             ? "the server answered with HTTP status " + std::to_string(response.status)
                             : response.body;
    return {code_of(response.status, ""), "Error from server: " + std::string(prefix) + message};
  }
  const auto reason = text_of(status, "reason");
  const auto message = std::string(prefix) + text_of(status, "message");
  const auto code = code_of(response.status, reason);
  if (code == Code::kUnauthorized) {
    return {code, "error: You must be logged in to the server (" + message + ")"};
  }
  if (reason == "Invalid") {
    const auto kind = text_of(status, "details.kind");
    const auto name = text_of(status, "details.name");
    const auto causes = causes_text(status);
    if (!kind.empty() || !name.empty()) return {code, "The " + kind + " \"" + name + "\" is invalid" + causes};
    if (causes.empty()) return {code, "The request is invalid: " + message};
    return {code, "The request is invalid" + causes};
  }
  if (reason.empty()) return {code, "Error from server: " + message};
  return {code, "Error from server (" + reason + "): " + message};
}

}  // namespace orlop::client
