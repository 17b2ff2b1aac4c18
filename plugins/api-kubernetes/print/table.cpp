#include "plugins/api-kubernetes/print/table.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/schema.hpp"
#include "plugins/api-kubernetes/print/cells.hpp"

#include <map>
#include <memory>

#include <fmt/format.h>

namespace orlop::apikube {

const KindPrinter* find_printer(std::string_view kind_id) {
  static const auto table = [] {
    std::map<std::string_view, const KindPrinter*> map;
    for (auto printers : {pod_printers(), workload_printers(), network_printers(), core_printers(), storage_printers(),
                          cluster_printers()}) {
      for (const auto& printer : printers) map.emplace(printer.id, &printer);
    }
    return map;
  }();
  auto found = table.find(kind_id);
  return found == table.end() ? nullptr : found->second;
}

namespace {

constexpr ColumnSpec kPlainColumns[] = {
    kNameColumn, {"Created At", "date", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta#creationTimestamp"}};

std::string_view description_of(std::string_view text) {
  const size_t hash = text.find('#');
  if (hash == std::string_view::npos) return text;
  const auto* descriptor = kube::find_message(text.substr(0, hash));
  if (descriptor == nullptr) return "";
  const auto field = kube::find_json_field(*descriptor, text.substr(hash + 1));
  return field && field->schema ? field->schema->doc() : "";
}

std::vector<TableColumn> columns_of(std::span<const ColumnSpec> specs) {
  std::vector<TableColumn> columns;
  for (const auto& spec : specs)
    columns.push_back({spec.name, spec.type, spec.format, description_of(spec.description), spec.priority});
  return columns;
}

const metav1::ObjectMeta& metadata_of(const Message& object) {
  const auto* field = object.GetDescriptor()->FindFieldByNumber(1);
  if (field == nullptr || field->message_type() != metav1::ObjectMeta::descriptor())
    return metav1::ObjectMeta::default_instance();
  return static_cast<const metav1::ObjectMeta&>(object.GetReflection()->GetMessage(object, field));
}

void append_columns(std::string_view kind_id, std::string* out) {
  *out += "[";
  bool first = true;
  for (const auto& column : table_columns(kind_id)) {
    if (!first) *out += ',';
    first = false;
    *out += "{\"name\":";
    kube::append_json_string(column.name, *out);
    *out += ",\"type\":";
    kube::append_json_string(column.type, *out);
    *out += ",\"format\":";
    kube::append_json_string(column.format, *out);
    *out += ",\"description\":";
    kube::append_json_string(column.description, *out);
    *out += fmt::format(",\"priority\":{}}}", column.priority);
  }
  *out += "]";
}

// Clients grey out what has ended.
std::string_view row_conditions(std::string_view kind_id, const Message& object) {
  if (kind_id != "pods") return "";
  const auto& phase = as<k8s::io::api::core::v1::Pod>(object).status().phase();
  if (phase == "Succeeded") {
    return R"(,"conditions":[{"type":"Completed","status":"True","reason":"Succeeded",)"
           R"("message":"The pod has completed successfully."}])";
  }
  if (phase == "Failed")
    return R"(,"conditions":[{"type":"Completed","status":"True","reason":"Failed","message":"The pod failed."}])";
  return "";
}

}  // namespace

std::span<const TableColumn> table_columns(std::string_view kind_id) {
  static const auto tables = [] {
    std::map<std::string_view, std::vector<TableColumn>> map;
    for (auto printers : {pod_printers(), workload_printers(), network_printers(), core_printers(), storage_printers(),
                          cluster_printers()}) {
      for (const auto& printer : printers) map.emplace(printer.id, columns_of(printer.columns));
    }
    map.emplace("", columns_of(kPlainColumns));
    return map;
  }();
  auto found = tables.find(kind_id);
  return found == tables.end() ? tables.at("") : found->second;
}

void append_table_cells(std::string_view kind_id, const Message& object, WallTime now, std::string* out) {
  *out += '[';
  Cells cells(out, now);
  if (const auto* printer = find_printer(kind_id)) {
    printer->cells(object, &cells);
  } else {
    const auto& meta = metadata_of(object);
    cells.text(meta.name());
    cells.date(meta.creationtimestamp());
  }
  *out += ']';
}

TableWriter::TableWriter(std::string* out, std::string_view kind_id, std::string_view api_version,
                         const TableMeta& meta, bool with_columns, WallTime now)
    : out_(out), kind_id_(kind_id), now_(now) {
  *out_ += "{\"kind\":\"Table\",\"apiVersion\":";
  kube::append_json_string(api_version, *out_);
  *out_ += ",\"metadata\":{\"resourceVersion\":";
  kube::append_json_string(meta.resource_version, *out_);
  if (!meta.continue_token.empty()) {
    *out_ += ",\"continue\":";
    kube::append_json_string(meta.continue_token, *out_);
  }
  if (meta.remaining > 0) *out_ += fmt::format(",\"remainingItemCount\":{}", meta.remaining);
  *out_ += "},\"columnDefinitions\":";
  if (with_columns) {
    append_columns(kind_id_, out_);
  } else {
    *out_ += "null";
  }
  *out_ += ",\"rows\":[";
}

void TableWriter::row(const Message& object, std::string_view object_json) {
  if (!first_) *out_ += ',';
  first_ = false;
  *out_ += "{\"cells\":";
  append_table_cells(kind_id_, object, now_, out_);
  *out_ += row_conditions(kind_id_, object);
  *out_ += ",\"object\":";
  *out_ += object_json.empty() ? std::string_view("null") : object_json;
  *out_ += '}';
}

void TableWriter::finish() {
  *out_ += "]}";
}

}  // namespace orlop::apikube
