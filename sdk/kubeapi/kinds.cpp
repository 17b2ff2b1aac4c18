#include "orlop/kube/kinds.hpp"

#include <algorithm>

namespace orlop::kube {
namespace {

#include "kinds_table.inc"

template <typename Predicate>
const Kind* find_if(Predicate predicate) {
  const auto* found = std::find_if(std::begin(kKinds), std::end(kKinds), predicate);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace

const Subresource* Kind::subresource(std::string_view name) const {
  for (const Subresource& candidate : subresources) {
    if (candidate.name == name) return &candidate;
  }
  return nullptr;
}

std::string Kind::api_version() const {
  std::string out(group);
  if (!out.empty()) out += '/';
  out += version;
  return out;
}

std::span<const Kind> kinds() {
  return kKinds;
}

const Kind* find_kind(std::string_view group, std::string_view version, std::string_view kind) {
  return find_if([&](const Kind& row) { return row.kind == kind && row.group == group && row.version == version; });
}

const Kind* find_resource(std::string_view group, std::string_view version, std::string_view plural) {
  return find_if([&](const Kind& row) { return row.plural == plural && row.group == group && row.version == version; });
}

const Kind* find_storage(std::string_view id) {
  return find_if([&](const Kind& row) { return row.storage && row.id == id; });
}

const Kind* find_kind_of(std::string_view api_version, std::string_view kind) {
  const GroupVersion parts = split_api_version(api_version);
  return find_kind(parts.group, parts.version, kind);
}

}  // namespace orlop::kube
