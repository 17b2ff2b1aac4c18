// The lists by which clients find out what is served: /api, /apis, /api/v1, /apis/GROUP, /apis/GROUP/VERSION, and the
// aggregated form of apidiscovery.k8s.io. Built once from the kinds table.
//
// Threads: immutable; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace orlop::discovery {

struct Document {
  std::string json;
  std::string etag;
};

class Documents {
 public:
  Documents();
  [[nodiscard]] std::string api_versions(std::string_view server_address) const;
  [[nodiscard]] const std::string& group_list() const { return group_list_; }
  // Null: no such group; no such group and version.
  [[nodiscard]] const std::string* group(std::string_view name) const;
  [[nodiscard]] const std::string* resources(std::string_view group_version) const;
  // `core`: /api, else /apis. `version`: "v2" or "v2beta1".
  [[nodiscard]] const Document& aggregated(bool core, std::string_view version) const;

 private:
  std::string group_list_;
  std::map<std::string, std::string, std::less<>> groups_;
  std::map<std::string, std::string, std::less<>> resources_;  // "v1", "apps/v1"
  Document core_v2_, core_v2beta1_, groups_v2_, groups_v2beta1_;
};

}  // namespace orlop::discovery
