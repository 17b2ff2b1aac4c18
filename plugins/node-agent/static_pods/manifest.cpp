#include "plugins/node-agent/static_pods/manifest.hpp"

#include "orlop/kube/json.hpp"
#include "orlop/kube/yaml.hpp"

#include <cstdint>
#include <cstdio>
#include <utility>

namespace orlop::agent {
namespace {

// 128 bits by two FNV-1a of different beginnings, as hexadecimal digits: an identity, no secret.
std::string hash_of(const std::string& bytes) {
  std::string out;
  for (uint64_t hash : {14695981039346656037ull, 9650029242287828579ull}) {
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ull;
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
    out += text;
  }
  return out;
}

Result<kube::Pod> read_pod(const std::string& json, std::vector<std::string>& warnings) {
  ORLOP_ASSIGN(const auto document, kube::JsonDocument::parse(json));
  ORLOP_ASSIGN(const kube::TypeMeta type, document.type());
  if (type.api_version != "v1" || type.kind != "Pod") {
    return Status(Code::kBadRequest,
                  "a static pod is a v1 Pod, not apiVersion \"" + type.api_version + "\", kind \"" + type.kind + "\"");
  }
  kube::Pod pod;
  ORLOP_ASSIGN(auto decoded, document.decode(pod));
  warnings = std::move(decoded.warnings);
  if (pod.metadata().name().empty()) return Status(Code::kInvalid, "metadata.name: Required value");
  return pod;
}

void make_static(kube::Pod& pod, const std::string& json, const std::string& path, const std::string& node) {
  auto& metadata = *pod.mutable_metadata();
  const std::string hash = hash_of(node + '\n' + path + '\n' + json);
  metadata.set_name(metadata.name() + "-" + node);
  if (metadata.namespace_().empty()) metadata.set_namespace_("default");
  metadata.set_uid(hash);
  metadata.clear_generatename();
  metadata.clear_resourceversion();
  metadata.clear_ownerreferences();
  metadata.clear_finalizers();
  metadata.clear_deletiontimestamp();
  auto& annotations = *metadata.mutable_annotations();
  annotations[kConfigSource] = "file";
  annotations[kConfigHash] = metadata.uid();
  annotations.erase(kConfigMirror);
  pod.mutable_spec()->set_nodename(node);
  pod.clear_status();
  auto& toleration = *pod.mutable_spec()->add_tolerations();
  toleration.set_operator_("Exists");
  toleration.set_effect("NoExecute");
}

}  // namespace

std::vector<ManifestPod> read_manifest(std::string_view text, const std::string& path, const std::string& node) {
  std::vector<ManifestPod> out;
  const auto documents = kube::yaml_documents(text);
  if (!documents) {
    out.push_back({1, documents.status(), {}, {}});
    return out;
  }
  for (const kube::YamlDocument& document : *documents) {
    ManifestPod& entry = out.emplace_back();
    entry.line = document.line;
    auto pod = read_pod(document.json, entry.warnings);
    if (!pod) {
      entry.status = pod.status();
      continue;
    }
    entry.pod = std::move(*pod);
    make_static(entry.pod, document.json, path, node);
  }
  return out;
}

}  // namespace orlop::agent
