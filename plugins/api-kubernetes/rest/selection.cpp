#include "plugins/api-kubernetes/rest/selection.hpp"

#include "orlop/object_meta.hpp"
#include "orlop/wire.hpp"

#include <memory>
#include <utility>
#include <vector>

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

constexpr uint32_t kLabels = 11;  // of ObjectMeta

// An object's labels, read without decoding anything else of it.
class StoredLabels {
 public:
  using Item = std::pair<std::string, std::string>;

  explicit StoredLabels(std::string_view metadata) {
    wire::Walker walk(metadata);
    wire::Field field;
    while (walk.next(field)) {
      if (field.number != kLabels) continue;
      Item item;
      wire::Walker inner(field.bytes);
      wire::Field part;
      while (inner.next(part)) {
        if (part.number == 1) item.first = part.bytes;
        if (part.number == 2) item.second = part.bytes;
      }
      items_.push_back(std::move(item));
    }
  }
  [[nodiscard]] const Item* find(const std::string& key) const {
    for (const Item& item : items_) {
      if (item.first == key) return &item;
    }
    return nullptr;
  }
  [[nodiscard]] const Item* end() const { return nullptr; }

 private:
  std::vector<Item> items_;
};

std::string_view metadata_of(std::string_view stored) {
  wire::Walker walk(stored);
  wire::Field field;
  while (walk.next(field)) {
    if (field.number == meta::kMetadata) return field.bytes;
  }
  return {};
}

bool has_label_index(std::string_view id) {
  return id == "pods" || id == "replicasets.apps" || id == "endpointslices.discovery.k8s.io";
}

}  // namespace

Result<Selection> Selection::read(const KindEntry& entry, const http::Query& query) {
  Selection selection;
  selection.entry_ = entry.storage;
  std::string_view labels = query.get("labelSelector");
  if (!labels.empty()) {
    auto parsed = apikube::LabelSelector::parse(labels);
    if (!parsed) return parsed.status();
    selection.labels_ = std::move(*parsed);
  }
  std::string_view fields = query.get("fieldSelector");
  if (!fields.empty()) {
    auto parsed = apikube::FieldSelector::parse(fields);
    if (!parsed) return parsed.status();
    selection.fields_ = std::move(*parsed);
    ORLOP_TRY(selection.fields_.check(entry.id()));
  }
  return selection;
}

bool Selection::matches(std::string_view name_space, std::string_view name, std::string_view stored) const {
  if (!fields_.is_everything() && !fields_.matches_key(name_space, name)) return false;
  if (!labels_.is_everything() && !labels_.matches(StoredLabels(metadata_of(stored)))) return false;
  if (fields_.is_everything() || !fields_.needs_object()) return true;
  std::unique_ptr<google::protobuf::Message> message(entry_->prototype->New());
  if (!message->ParsePartialFromArray(stored.data(), static_cast<int>(stored.size()))) return false;
  return fields_.matches(entry_->id(), *message);
}

std::optional<std::string> Selection::index_term() const {
  if (auto term = fields_.index_term(entry_->id())) return term;
  if (has_label_index(entry_->id())) return labels_.index_term();
  return std::nullopt;
}

}  // namespace orlop::rest
