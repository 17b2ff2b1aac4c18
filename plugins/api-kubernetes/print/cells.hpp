// What the printers of single kinds share.
#pragma once

#include "plugins/api-kubernetes/print/table.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace k8s::io::api::core::v1 {
class LoadBalancerStatus;
class PodSpec;
}  // namespace k8s::io::api::core::v1
namespace k8s::io::apimachinery::pkg::apis::meta::v1 {
class LabelSelector;
class MicroTime;
class ObjectMeta;
class Time;
}  // namespace k8s::io::apimachinery::pkg::apis::meta::v1
namespace google::protobuf {
template <typename Key, typename T>
class Map;
}

namespace orlop::apikube {

namespace metav1 = k8s::io::apimachinery::pkg::apis::meta::v1;
using google::protobuf::Message;
using StringMap = google::protobuf::Map<std::string, std::string>;

// The cells of one row, as JSON.
class Cells {
 public:
  Cells(std::string* out, WallTime now) : out_(out), now_(now) {}

  void text(std::string_view value);
  // The value, or `absent` where it is empty.
  void text_or(std::string_view value, std::string_view absent) { text(value.empty() ? absent : value); }
  void integer(int64_t value);
  void boolean(bool value);
  // How long ago, in words; "<unknown>" for an unset time.
  void age(const metav1::ObjectMeta& meta);
  void since(const metav1::Time& time);
  // The time itself, RFC 3339.
  void date(const metav1::Time& time);
  // Two cells: the containers' names and their images.
  void containers(const k8s::io::api::core::v1::PodSpec& spec);

  [[nodiscard]] std::string age_text(const metav1::Time& time) const;
  [[nodiscard]] std::string age_text(const metav1::MicroTime& time) const;
  [[nodiscard]] WallTime now() const { return now_; }

 private:
  void next();
  std::string* out_;
  WallTime now_;
  bool first_ = true;
};

struct ColumnSpec {
  std::string_view name;
  std::string_view type;
  // A sentence, or "message#field": the field's documentation in the schema.
  std::string_view description;
  int32_t priority = 0;
  std::string_view format = "";
};

inline constexpr std::string_view kMetaDoc = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta#";
inline constexpr ColumnSpec kNameColumn = {"Name", "string", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta#name", 0,
                                           "name"};
inline constexpr ColumnSpec kAgeColumn = {"Age", "string",
                                          "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta#creationTimestamp"};
inline constexpr ColumnSpec kContainersColumn = {"Containers", "string", "Names of each container in the template.", 1};
inline constexpr ColumnSpec kImagesColumn = {"Images", "string", "Images referenced by each container in the template.",
                                             1};

struct KindPrinter {
  std::string_view id;
  std::span<const ColumnSpec> columns;
  void (*cells)(const Message& object, Cells* cells);
};

std::span<const KindPrinter> pod_printers();
std::span<const KindPrinter> workload_printers();
std::span<const KindPrinter> network_printers();
std::span<const KindPrinter> core_printers();
std::span<const KindPrinter> storage_printers();
std::span<const KindPrinter> cluster_printers();

// nullptr: the kind prints its name and its creation alone.
const KindPrinter* find_printer(std::string_view kind_id);

template <typename T>
const T& as(const Message& message) {
  return static_cast<const T&>(message);
}

// "a=b,c=d", sorted; "<none>" when empty.
std::string labels_text(const StringMap& labels);
std::string selector_text(const metav1::LabelSelector& selector);
// The balancer's addresses, sorted, joined by commas.
std::string load_balancer_text(const std::vector<std::string>& addresses);
// Joined by commas, at most three, then "+ 2 more..."; `absent` for none.
std::string shortened(const std::vector<std::string>& all, std::string_view absent);
std::string comma_joined(const std::vector<std::string>& parts);
std::string lowered(std::string_view text);

}  // namespace orlop::apikube
