#include "plugins/api-kubernetes/metrics_api/objects.hpp"

#include "orlop/kube/json.hpp"
#include "orlop/kube/meta_v1.hpp"
#include "orlop/kube/quantity.hpp"
#include "orlop/wire.hpp"

#include <ctime>

namespace orlop::metrics_api {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

std::string text(std::string_view value) {
  std::string out;
  kube::append_json_string(value, out);
  return out;
}

std::string time_text(int64_t unix_ns) {
  const std::time_t seconds = unix_ns / kSecondNs;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char out[32];
  std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return out;
}

std::string metadata(const Subject& subject, int64_t now_ns) {
  std::string out = "\"metadata\":{\"name\":" + text(subject.name);
  if (!subject.name_space.empty()) out += ",\"namespace\":" + text(subject.name_space);
  out += ",\"creationTimestamp\":" + text(time_text(now_ns));
  if (!subject.labels.empty()) {
    out += ",\"labels\":{";
    bool first = true;
    for (const auto& [key, value] : subject.labels) {
      out += (first ? "" : ",") + text(key) + ":" + text(value);
      first = false;
    }
    out += "}";
  }
  return out + "}";
}

std::string cpu_text(const ResourceUsage& used) {
  return std::to_string(used.cpu_nano_cores) + (used.cpu_nano_cores == 0 ? "" : "n");
}

std::string memory_text(const ResourceUsage& used) {
  return kube::Quantity::of(static_cast<int64_t>(used.memory_bytes), kube::Quantity::Format::kBinarySi).to_string();
}

std::string usage(const ResourceUsage& used) {
  return "\"usage\":{\"cpu\":\"" + cpu_text(used) + "\",\"memory\":\"" + memory_text(used) + "\"}";
}

// --- protobuf: field numbers of upstream's generated.proto ---

// An entry of map<string, Quantity>.
void append_quantity(std::string& out, uint32_t number, std::string_view key, std::string_view value) {
  std::string quantity;
  wire::append_bytes_field(quantity, 1, value);
  std::string entry;
  wire::append_bytes_field(entry, 1, key);
  wire::append_bytes_field(entry, 2, quantity);
  wire::append_bytes_field(out, number, entry);
}

void append_usage(std::string& out, uint32_t number, const ResourceUsage& used) {
  append_quantity(out, number, "cpu", cpu_text(used));
  append_quantity(out, number, "memory", memory_text(used));
}

// Fields 1 to 3 of both kinds: metadata, timestamp, window.
std::string common_bytes(const Subject& subject, int64_t at_unix_ns, int64_t window_ns, int64_t now_ns) {
  k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta metadata;
  metadata.set_name(subject.name);
  if (!subject.name_space.empty()) metadata.set_namespace_(subject.name_space);
  metadata.mutable_creationtimestamp()->set_seconds(now_ns / kSecondNs);
  for (const auto& [key, value] : subject.labels) (*metadata.mutable_labels())[key] = value;
  std::string time, window, out;
  wire::append_varint_field(time, 1, static_cast<uint64_t>(at_unix_ns / kSecondNs));
  wire::append_varint_field(window, 1, static_cast<uint64_t>(window_ns));
  wire::append_bytes_field(out, 1, metadata.SerializeAsString());
  wire::append_bytes_field(out, 2, time);
  wire::append_bytes_field(out, 3, window);
  return out;
}

std::string head(std::string_view kind) {
  return "{\"kind\":" + text(kind) + ",\"apiVersion\":" + text(kApiVersion) + ",";
}

std::string moment(int64_t at_unix_ns, int64_t window_ns) {
  return "\"timestamp\":" + text(time_text(at_unix_ns)) + ",\"window\":" + text(duration_text(window_ns));
}

}  // namespace

std::string node_json(const Subject& subject, const NodeMetrics& metrics, int64_t now_ns) {
  return head("NodeMetrics") + metadata(subject, now_ns) + "," + moment(metrics.at_unix_ns, metrics.window_ns) + "," +
         usage(metrics.usage) + "}";
}

std::string pod_json(const Subject& subject, const PodMetrics& metrics, int64_t now_ns) {
  std::string containers;
  for (const ContainerMetrics& container : metrics.containers) {
    containers += (containers.empty() ? "" : ",");
    containers += "{\"name\":" + text(container.name) + "," + usage(container.usage) + "}";
  }
  return head("PodMetrics") + metadata(subject, now_ns) + "," + moment(metrics.at_unix_ns, metrics.window_ns) +
         ",\"containers\":[" + containers + "]}";
}

std::string list_json(std::string_view kind, const std::vector<std::string>& items) {
  std::string out = head(kind) + "\"metadata\":{},\"items\":[";
  bool first = true;
  for (const std::string& item : items) {
    if (!first) out += ",";
    out += item;
    first = false;
  }
  return out + "]}\n";
}

std::string node_bytes(const Subject& subject, const NodeMetrics& metrics, int64_t now_ns) {
  std::string out = common_bytes(subject, metrics.at_unix_ns, metrics.window_ns, now_ns);
  append_usage(out, 4, metrics.usage);
  return out;
}

std::string pod_bytes(const Subject& subject, const PodMetrics& metrics, int64_t now_ns) {
  std::string out = common_bytes(subject, metrics.at_unix_ns, metrics.window_ns, now_ns);
  for (const ContainerMetrics& container : metrics.containers) {
    std::string bytes;
    wire::append_bytes_field(bytes, 1, container.name);
    append_usage(bytes, 2, container.usage);
    wire::append_bytes_field(out, 4, bytes);
  }
  return out;
}

std::string list_bytes(const std::vector<std::string>& items) {
  std::string out;
  wire::append_bytes_field(out, 1, "");  // metadata
  for (const std::string& item : items) wire::append_bytes_field(out, 2, item);
  return out;
}

std::string duration_text(int64_t ns) {
  const auto with_fraction = [](int64_t value, int64_t unit, const char* name) {
    std::string out = std::to_string(value / unit);
    std::string fraction = std::to_string(unit + value % unit).substr(1);
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    return out + (fraction.empty() ? "" : "." + fraction) + name;
  };
  if (ns <= 0) return "0s";
  if (ns < 1'000) return std::to_string(ns) + "ns";
  if (ns < 1'000'000) return with_fraction(ns, 1'000, "µs");
  if (ns < kSecondNs) return with_fraction(ns, 1'000'000, "ms");
  const int64_t minutes = ns / (60 * kSecondNs);
  std::string out;
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  return out + with_fraction(ns % (60 * kSecondNs), kSecondNs, "s");
}

}  // namespace orlop::metrics_api
