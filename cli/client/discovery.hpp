// The kinds that the server serves, and how a word typed by a person becomes one of them.
//
// Specification: apidiscovery.k8s.io/v2 (aggregated discovery), with the older APIGroupList and APIResourceList when
// the server does not speak it.
//
// Threads: a Discovery is read-only once made.
#pragma once

#include "cli/client/http_client.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::client {

struct ResourceInfo {
  std::string group, version, plural, singular, kind;
  std::vector<std::string> short_names, categories, verbs;
  bool namespaced = false;
  bool preferred = true;  // of the version that the server prefers for the group

  [[nodiscard]] std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  // "deployments.apps", "pods"
  [[nodiscard]] std::string resource_name() const { return group.empty() ? plural : plural + "." + group; }
  // "deployment.apps", "pod": what stands before the slash of `-o name`
  [[nodiscard]] std::string singular_name() const;
  [[nodiscard]] bool can(std::string_view verb) const;
  // "/apis/apps/v1/namespaces/ns/deployments/name/sub"; empty parts are left out.
  [[nodiscard]] std::string path(std::string_view name_space, std::string_view name = {},
                                 std::string_view subresource = {}) const;
};

class Discovery {
 public:
  // Two requests. kUnavailable as HttpClient says; a refusal of the server as message_of_refusal() says.
  static Result<Discovery> fetch(HttpClient& client);
  explicit Discovery(std::vector<ResourceInfo> resources) : resources_(std::move(resources)) {}

  // Plural, singular, short name or kind, any case, with an optional ".group" or ".version.group".
  [[nodiscard]] const ResourceInfo* find(std::string_view word) const;
  // For a manifest's apiVersion and kind.
  [[nodiscard]] const ResourceInfo* find_kind(std::string_view api_version, std::string_view kind) const;
  [[nodiscard]] std::vector<const ResourceInfo*> in_category(std::string_view category) const;
  [[nodiscard]] const std::vector<ResourceInfo>& resources() const { return resources_; }

 private:
  std::vector<ResourceInfo> resources_;
};

// Reads one aggregated document (group "" for /api).
void read_aggregated(const json::value& document, std::vector<ResourceInfo>& out);

// kubectl's line for an answer that is an error: "Error from server (NotFound): …". `prefix` goes before the message.
Status refusal_of(const Response& response, std::string_view prefix = {});

}  // namespace orlop::client
