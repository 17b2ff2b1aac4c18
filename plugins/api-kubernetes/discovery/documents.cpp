#include "plugins/api-kubernetes/discovery/documents.hpp"

#include "orlop/kube/kinds.hpp"
#include "plugins/api-kubernetes/auth/encoding.hpp"

#include <span>
#include <vector>

namespace orlop::discovery {
namespace {

// A kind of ours, beside Kubernetes' own.
constexpr std::string_view kPluginShortNames[] = {"plugin"};
constexpr kube::Kind kPluginKind = {
    "orlop.dev", "v1", "Plugin", "PluginList", "plugins", "plugin",
    {},          {},   false,    "",           {},        kube::kVerbGet | kube::kVerbList,
    false,       "",   "",       true,         false,     false};

// Computed, not stored: what nodes and pods use (metrics_api/).
constexpr kube::Kind metrics_kind(std::string_view kind, std::string_view list_kind, std::string_view plural,
                                  bool namespaced) {
  return {"metrics.k8s.io",
          "v1beta1",
          kind,
          list_kind,
          plural,
          "",
          {},
          {},
          namespaced,
          "",
          {},
          kube::kVerbGet | kube::kVerbList,
          false,
          "",
          "",
          true,
          false,
          false};
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::string list(std::span<const std::string_view> items) {
  std::string out = "[";
  for (std::string_view item : items) out += (out.size() > 1 ? "," : "") + in_quotes(item);
  return out + "]";
}

std::string verbs(kube::Verbs verbs) {
  std::vector<std::string_view> names;
  for (const kube::VerbName& item : kube::kVerbNames) {
    if ((verbs & item.verb) != 0) names.push_back(item.name);
  }
  return list(names);
}

std::string response_kind(std::string_view group, std::string_view version, std::string_view kind) {
  return "{\"group\":" + in_quotes(group) + ",\"version\":" + in_quotes(version) + ",\"kind\":" + in_quotes(kind) + "}";
}

std::vector<kube::Kind> served() {
  std::vector<kube::Kind> kinds(kube::kinds().begin(), kube::kinds().end());
  kinds.push_back(metrics_kind("NodeMetrics", "NodeMetricsList", "nodes", false));
  kinds.push_back(metrics_kind("PodMetrics", "PodMetricsList", "pods", true));
  kinds.push_back(kPluginKind);
  return kinds;
}

// The groups in the order of the table, each with its versions.
struct Group {
  std::string_view name;
  std::vector<std::string_view> versions;
  std::string_view preferred;
};

std::vector<Group> groups_of(const std::vector<kube::Kind>& kinds) {
  std::vector<Group> groups;
  for (const kube::Kind& kind : kinds) {
    Group* group = nullptr;
    for (Group& known : groups) {
      if (known.name == kind.group) group = &known;
    }
    if (group == nullptr) group = &groups.emplace_back(Group{kind.group, {}, {}});
    bool known = false;
    for (std::string_view version : group->versions) known = known || version == kind.version;
    if (!known) group->versions.push_back(kind.version);
    if (kind.preferred && group->preferred.empty()) group->preferred = kind.version;
  }
  for (Group& group : groups) {
    if (group.preferred.empty()) group.preferred = group.versions.front();
  }
  return groups;
}

std::string group_version(std::string_view group, std::string_view version) {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

std::string version_entry(const Group& group, std::string_view version) {
  return "{\"groupVersion\":" + in_quotes(group_version(group.name, version)) + ",\"version\":" + in_quotes(version) +
         "}";
}

std::string group_body(const Group& group) {
  std::string out = "\"name\":" + in_quotes(group.name) + ",\"versions\":[";
  bool first = true;
  for (std::string_view version : group.versions) {
    out += (first ? "" : ",") + version_entry(group, version);
    first = false;
  }
  return out + "],\"preferredVersion\":" + version_entry(group, group.preferred);
}

std::string plain_resource(const kube::Kind& kind) {
  std::string out = "{\"name\":" + in_quotes(kind.plural) + ",\"singularName\":" + in_quotes(kind.singular) +
                    ",\"namespaced\":" + (kind.namespaced ? "true" : "false") + ",\"kind\":" + in_quotes(kind.kind) +
                    ",\"verbs\":" + verbs(kind.verbs);
  if (!kind.short_names.empty()) out += ",\"shortNames\":" + list(kind.short_names);
  if (!kind.categories.empty()) out += ",\"categories\":" + list(kind.categories);
  if (kind.persistent) out += ",\"storageVersionHash\":" + in_quotes(auth::base64(auth::sha256(kind.id).substr(0, 8)));
  out += "}";
  for (const kube::Subresource& sub : kind.subresources) {
    out += ",{\"name\":\"" + std::string(kind.plural) + "/" + std::string(sub.name) +
           "\",\"singularName\":\"\",\"namespaced\":" + (kind.namespaced ? "true" : "false");
    if (sub.group != kind.group || sub.version != kind.version) {
      out += ",\"group\":" + in_quotes(sub.group) + ",\"version\":" + in_quotes(sub.version);
    }
    out += ",\"kind\":" + in_quotes(sub.kind) + ",\"verbs\":" + verbs(sub.verbs) + "}";
  }
  return out;
}

std::string aggregated_resource(const kube::Kind& kind) {
  std::string out = "{\"resource\":" + in_quotes(kind.plural) +
                    ",\"responseKind\":" + response_kind(kind.group, kind.version, kind.kind) +
                    ",\"scope\":" + (kind.namespaced ? "\"Namespaced\"" : "\"Cluster\"") +
                    ",\"singularResource\":" + in_quotes(kind.singular) + ",\"verbs\":" + verbs(kind.verbs);
  if (!kind.short_names.empty()) out += ",\"shortNames\":" + list(kind.short_names);
  if (!kind.categories.empty()) out += ",\"categories\":" + list(kind.categories);
  if (!kind.subresources.empty()) {
    out += ",\"subresources\":[";
    bool first = true;
    for (const kube::Subresource& sub : kind.subresources) {
      out += std::string(first ? "" : ",") + "{\"subresource\":" + in_quotes(sub.name) +
             ",\"responseKind\":" + response_kind(sub.group, sub.version, sub.kind) + ",\"verbs\":" + verbs(sub.verbs) +
             "}";
      first = false;
    }
    out += "]";
  }
  return out + "}";
}

std::string aggregated_group(const Group& group, const std::vector<kube::Kind>& kinds) {
  std::string out = "{\"metadata\":{";
  if (!group.name.empty()) out += "\"name\":" + in_quotes(group.name) + ",";
  out += "\"creationTimestamp\":null},\"versions\":[";
  // The preferred version comes first.
  std::vector<std::string_view> versions = {group.preferred};
  for (std::string_view version : group.versions) {
    if (version != group.preferred) versions.push_back(version);
  }
  bool first = true;
  for (std::string_view version : versions) {
    out += std::string(first ? "" : ",") + "{\"version\":" + in_quotes(version) + ",\"resources\":[";
    first = false;
    bool first_resource = true;
    for (const kube::Kind& kind : kinds) {
      if (kind.group != group.name || kind.version != version) continue;
      out += (first_resource ? "" : ",") + aggregated_resource(kind);
      first_resource = false;
    }
    out += "],\"freshness\":\"Current\"}";
  }
  return out + "]}";
}

Document aggregated_list(const std::string& items, std::string_view version) {
  Document document;
  document.json = "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/" + std::string(version) +
                  "\",\"metadata\":{},\"items\":[" + items + "]}\n";
  document.etag = "\"" + auth::hex(auth::sha256(document.json)).substr(0, 32) + "\"";
  return document;
}

}  // namespace

Documents::Documents() {
  std::vector<kube::Kind> kinds = served();
  for (kube::Kind& kind : kinds) {
    if (kind.group == "orlop.dev") kind.short_names = kPluginShortNames;
  }
  std::string core;
  std::string others;
  std::string entries;
  for (const Group& group : groups_of(kinds)) {
    for (std::string_view version : group.versions) {
      std::string name = group_version(group.name, version);
      std::string& out = resources_[name];
      out = "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":" + in_quotes(name) +
            ",\"resources\":[";
      bool first = true;
      for (const kube::Kind& kind : kinds) {
        if (kind.group != group.name || kind.version != version) continue;
        out += (first ? "" : ",") + plain_resource(kind);
        first = false;
      }
      out += "]}\n";
    }
    if (group.name.empty()) {
      core = aggregated_group(group, kinds);
      continue;
    }
    others += (others.empty() ? "" : ",") + aggregated_group(group, kinds);
    entries += (entries.empty() ? "{" : ",{") + group_body(group) + "}";
    groups_[std::string(group.name)] = "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," + group_body(group) + "}\n";
  }
  group_list_ = "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[" + entries + "]}\n";
  core_v2_ = aggregated_list(core, "v2");
  core_v2beta1_ = aggregated_list(core, "v2beta1");
  groups_v2_ = aggregated_list(others, "v2");
  groups_v2beta1_ = aggregated_list(others, "v2beta1");
}

std::string Documents::api_versions(std::string_view server_address) const {
  return "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{\"clientCIDR\":\"0.0.0.0/"
         "0\","
         "\"serverAddress\":" +
         in_quotes(server_address) + "}]}\n";
}

const std::string* Documents::group(std::string_view name) const {
  auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

const std::string* Documents::resources(std::string_view group_version) const {
  auto found = resources_.find(group_version);
  return found == resources_.end() ? nullptr : &found->second;
}

const Document& Documents::aggregated(bool core, std::string_view version) const {
  if (core) return version == "v2" ? core_v2_ : core_v2beta1_;
  return version == "v2" ? groups_v2_ : groups_v2beta1_;
}

}  // namespace orlop::discovery
