// NodeMetrics and PodMetrics of metrics.k8s.io/v1beta1, as JSON and as the bytes of upstream's protobuf messages
// (k8s.io/metrics/pkg/apis/metrics/v1beta1), which `kubectl top` asks for.
//
// Pure; any thread.
#pragma once

#include "orlop/pod_metrics.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::metrics_api {

inline constexpr std::string_view kApiVersion = "metrics.k8s.io/v1beta1";

// What an object of metrics takes over from the one that it is about.
struct Subject {
  std::string name_space;  // empty: a node
  std::string name;
  std::map<std::string, std::string> labels;
};

// `now_ns`: the moment of the answer, which is the object's creationTimestamp.
std::string node_json(const Subject& subject, const NodeMetrics& metrics, int64_t now_ns);
std::string pod_json(const Subject& subject, const PodMetrics& metrics, int64_t now_ns);
// `kind`: "PodMetricsList". The items are objects as above.
std::string list_json(std::string_view kind, const std::vector<std::string>& items);

// The same as protobuf, without the envelope.
std::string node_bytes(const Subject& subject, const NodeMetrics& metrics, int64_t now_ns);
std::string pod_bytes(const Subject& subject, const PodMetrics& metrics, int64_t now_ns);
std::string list_bytes(const std::vector<std::string>& items);

// As Go writes a duration: "15s", "1m2.5s", "500ms".
std::string duration_text(int64_t ns);

}  // namespace orlop::metrics_api
