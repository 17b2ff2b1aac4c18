// metav1.Table, as `kubectl get` asks for it (Accept: application/json;as=Table;v=v1;g=meta.k8s.io).
//
// Columns and cells are those of Kubernetes 1.32's server-side printers. The writer appends JSON to a string: no object
// model in between, a list of 10,000 pods is one buffer.
//
// Threads: pure functions over constant data.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace google::protobuf {
class Message;
}

namespace orlop::apikube {

struct TableColumn {
  std::string_view name;
  std::string_view type;    // "string", "integer", "boolean", "date"
  std::string_view format;  // "name" or ""
  std::string_view description;
  int32_t priority = 0;  // 0: always shown; 1: with -o wide
};

using WallTime = std::chrono::system_clock::time_point;

// The columns of a kind by its storage id ("pods", "deployments.apps"); Name and Created At for one that has no
// printer.
std::span<const TableColumn> table_columns(std::string_view kind_id);

// Appends the row's cells as a JSON array, one for each column. `now`: what ages count from.
void append_table_cells(std::string_view kind_id, const google::protobuf::Message& object, WallTime now,
                        std::string* out);

// The list's own metadata.
struct TableMeta {
  std::string_view resource_version;
  std::string_view continue_token;
  int64_t remaining = 0;  // 0: not told
};

// Appends one whole Table. Usage: construct, row() for each object, finish(). For a watch: one Table for each event,
// columns in the first alone.
class TableWriter {
 public:
  // `out` must outlive it. `api_version`: "meta.k8s.io/v1" (or v1beta1, as asked).
  TableWriter(std::string* out, std::string_view kind_id, std::string_view api_version, const TableMeta& meta,
              bool with_columns, WallTime now);
  // `object_json`: what includeObject asked for (PartialObjectMetadata, the whole object) or empty for None.
  void row(const google::protobuf::Message& object, std::string_view object_json);
  void finish();

 private:
  std::string* out_;
  std::string kind_id_;
  WallTime now_;
  bool first_ = true;
};

// Ages as k8s.io/apimachinery/pkg/util/duration.HumanDuration words them: "5s", "2m3s", "3h5m", "2d", "1y30d".
std::string human_duration(std::chrono::seconds age);

}  // namespace orlop::apikube
