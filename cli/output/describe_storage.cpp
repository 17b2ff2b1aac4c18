// The texts of `describe` for claims, volumes and storage classes.
#include "cli/output/describe.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace orlop::cli {

namespace json = boost::json;
using client::flag_of;
using client::list_of;
using client::map_of;
using client::pick;
using client::scalar_text;
using client::text_of;

namespace {

constexpr int kIn = 2;  // below "Source:"

std::string listed(const json::array& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : " ") + scalar_text(item);
  return "[" + out + "]";
}

std::string access_modes(const json::value& object, std::string_view path) {
  const auto& modes = list_of(object, path);
  std::string out;
  for (const auto& [mode, word] : {std::pair{"ReadWriteOnce", "RWO"},
                                   {"ReadOnlyMany", "ROX"},
                                   {"ReadWriteMany", "RWX"},
                                   {"ReadWriteOncePod", "RWOP"}}) {
    const bool has = std::any_of(modes.begin(), modes.end(),
                                 [name = std::string(mode)](const auto& item) { return scalar_text(item) == name; });
    if (has) out += (out.empty() ? "" : ",") + std::string(word);
  }
  return out;
}

std::string status_of(const json::value& object) {
  return text_of(object, "metadata.deletionTimestamp").empty() ? text_of(object, "status.phase") : "Terminating";
}

void names_of(const std::vector<json::value>& pods, DescribeText& out) {
  if (pods.empty()) out.field(0, "Used By", "<none>");
  for (size_t i = 0; i < pods.size(); ++i) {
    out.line(0, (i == 0 ? "Used By:\t" : "\t") + text_of(pods[i], "metadata.name"));
  }
}

void node_affinity(const json::value& volume, DescribeText& out) {
  const auto& terms = list_of(volume, "spec.nodeAffinity.required.nodeSelectorTerms");
  if (terms.empty()) {
    out.field(0, "Node Affinity", "<none>");
    return;
  }
  out.field(0, "Node Affinity", "");
  out.field(1, "Required Terms", "");
  for (size_t i = 0; i < terms.size(); ++i) {
    std::string text;
    for (const auto& rule : list_of(terms[i], "matchExpressions")) {
      std::string how = text_of(rule, "operator");
      std::transform(how.begin(), how.end(), how.begin(), [](unsigned char c) { return std::tolower(c); });
      const auto& values = list_of(rule, "values");
      text += (text.empty() ? "" : ", ") + text_of(rule, "key") + " " + how;
      if (!values.empty()) {
        std::string joined;
        for (const auto& value : values) joined += (joined.empty() ? "" : ", ") + scalar_text(value);
        text += " [" + joined + "]";
      }
    }
    out.field(2, "Term " + std::to_string(i), text);
  }
}

void source_of(const json::value& volume, DescribeText& out) {
  out.line(0, "Source:");
  if (const auto* host = pick(volume, "spec.hostPath")) {
    out.field(kIn, "Type", "HostPath (bare host directory volume)");
    out.field(kIn, "Path", text_of(*host, "path"));
    out.field(kIn, "HostPathType", text_of(*host, "type"));
  } else if (const auto* local = pick(volume, "spec.local")) {
    out.field(kIn, "Type", "LocalVolume (a persistent volume backed by local storage on a node)");
    out.field(kIn, "Path", text_of(*local, "path"));
  } else if (const auto* csi = pick(volume, "spec.csi")) {
    out.field(kIn, "Type", "CSI (a Container Storage Interface (CSI) volume source)");
    out.field(kIn, "Driver", text_of(*csi, "driver"));
    out.field(kIn, "FSType", text_of(*csi, "fsType"));
    out.field(kIn, "VolumeHandle", text_of(*csi, "volumeHandle"));
    out.field(kIn, "ReadOnly", flag_of(*csi, "readOnly") ? "true" : "false");
    out.labels(kIn, "VolumeAttributes", map_of(*csi, "volumeAttributes"));
  } else if (const auto* nfs = pick(volume, "spec.nfs")) {
    out.field(kIn, "Type", "NFS (an NFS mount that lasts the lifetime of a pod)");
    out.field(kIn, "Server", text_of(*nfs, "server"));
    out.field(kIn, "Path", text_of(*nfs, "path"));
    out.field(kIn, "ReadOnly", flag_of(*nfs, "readOnly") ? "true" : "false");
  } else {
    out.field(kIn, "Type", "<unknown>");
  }
}

}  // namespace

std::string describe_claim(const json::value& claim, const DescribeContext& context) {
  DescribeText out;
  const bool bound = !text_of(claim, "spec.volumeName").empty();
  out.field(0, "Name", text_of(claim, "metadata.name"));
  out.field(0, "Namespace", text_of(claim, "metadata.namespace"));
  out.field(0, "StorageClass", text_of(claim, "spec.storageClassName"));
  out.field(0, "Status", status_of(claim));
  out.field(0, "Volume", text_of(claim, "spec.volumeName"));
  out.labels(0, "Labels", map_of(claim, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(claim, "metadata.annotations"));
  out.field(0, "Finalizers", listed(list_of(claim, "metadata.finalizers")));
  out.field(0, "Capacity", bound ? text_of(claim, "status.capacity.storage") : "");
  out.field(0, "Access Modes", bound ? access_modes(claim, "status.accessModes") : "");
  out.field(0, "VolumeMode", text_of(claim, "spec.volumeMode"));
  names_of(context.pods, out);
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

std::string describe_volume(const json::value& volume, const DescribeContext& context) {
  DescribeText out;
  const auto claim = text_of(volume, "spec.claimRef.name");
  out.field(0, "Name", text_of(volume, "metadata.name"));
  out.labels(0, "Labels", map_of(volume, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(volume, "metadata.annotations"));
  out.field(0, "Finalizers", listed(list_of(volume, "metadata.finalizers")));
  out.field(0, "StorageClass", text_of(volume, "spec.storageClassName"));
  out.field(0, "Status", status_of(volume));
  out.field(0, "Claim", claim.empty() ? "" : text_of(volume, "spec.claimRef.namespace") + "/" + claim);
  out.field(0, "Reclaim Policy", text_of(volume, "spec.persistentVolumeReclaimPolicy"));
  out.field(0, "Access Modes", access_modes(volume, "spec.accessModes"));
  out.field(0, "VolumeMode", text_of(volume, "spec.volumeMode"));
  out.field(0, "Capacity", text_of(volume, "spec.capacity.storage"));
  node_affinity(volume, out);
  out.field(0, "Message", text_of(volume, "status.message"));
  source_of(volume, out);
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

std::string describe_storage_class(const json::value& storage_class, const DescribeContext& context) {
  DescribeText out;
  const auto& annotations = map_of(storage_class, "metadata.annotations");
  const auto* marked = annotations.if_contains("storageclass.kubernetes.io/is-default-class");
  const auto* expands = pick(storage_class, "allowVolumeExpansion");
  const auto& options = list_of(storage_class, "mountOptions");
  std::string joined;
  for (const auto& option : options) joined += (joined.empty() ? "" : ",") + scalar_text(option);
  out.field(0, "Name", text_of(storage_class, "metadata.name"));
  out.field(0, "IsDefaultClass", marked != nullptr && scalar_text(*marked) == "true" ? "Yes" : "No");
  out.annotations(0, "Annotations", annotations);
  out.field(0, "Provisioner", text_of(storage_class, "provisioner"));
  out.labels(0, "Parameters", map_of(storage_class, "parameters"));
  out.field(0, "AllowVolumeExpansion", expands == nullptr ? "<unset>" : scalar_text(*expands));
  out.field(0, "MountOptions", joined.empty() ? "<none>" : joined);
  out.field(0, "ReclaimPolicy", text_of(storage_class, "reclaimPolicy"));
  out.field(0, "VolumeBindingMode", text_of(storage_class, "volumeBindingMode"));
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

}  // namespace orlop::cli
