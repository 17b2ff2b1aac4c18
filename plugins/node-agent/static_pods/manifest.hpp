// A file of static pods. Pure.
//
// Follows the kubelet's file source: the node's name is appended to the pod's, the namespace is "default" where none is
// given, the uid comes from the file and its content, NoExecute taints are tolerated.
#pragma once

#include "orlop/pods.hpp"
#include "orlop/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

inline constexpr char kConfigSource[] = "kubernetes.io/config.source";
inline constexpr char kConfigHash[] = "kubernetes.io/config.hash";
inline constexpr char kConfigMirror[] = "kubernetes.io/config.mirror";

// What one document of a file gave: a pod, or why there is none.
struct ManifestPod {
  int line = 1;  // where the document begins, from 1
  Status status;
  std::vector<std::string> warnings;  // unknown and doubled fields
  kube::Pod pod;                      // when status is good; defaults are not filled in
};

// YAML (several documents) or JSON. A document that is no Pod is told and does not keep the others away.
std::vector<ManifestPod> read_manifest(std::string_view text, const std::string& path, const std::string& node);

// The object stands for a static pod.
inline bool is_mirror(const kube::Pod& pod) {
  return pod.metadata().annotations().contains(kConfigMirror);
}

}  // namespace orlop::agent
