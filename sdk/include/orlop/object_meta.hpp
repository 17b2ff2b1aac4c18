// The metadata of an object, read and changed in the object's bytes: field 1 of every kind's message, laid out as
// orlop.v1.ObjectMeta, which is k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta. Whatever is not changed keeps its
// bytes, fields unknown here included; nothing outside metadata is decoded.
//
// Threads: values and pure functions. Views point into the bytes that were given.
#pragma once

#include "orlop/result.hpp"
#include "orlop/wire.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::meta {

// Field numbers of ObjectMeta and of the messages inside it.
inline constexpr uint32_t kMetadata = 1;  // of the object
inline constexpr uint32_t kName = 1;
inline constexpr uint32_t kNamespace = 3;
inline constexpr uint32_t kUid = 5;
inline constexpr uint32_t kResourceVersion = 6;
inline constexpr uint32_t kGeneration = 7;
inline constexpr uint32_t kCreationTimestamp = 8;
inline constexpr uint32_t kDeletionTimestamp = 9;
inline constexpr uint32_t kDeletionGracePeriod = 10;
inline constexpr uint32_t kOwnerReferences = 13;
inline constexpr uint32_t kFinalizers = 14;
inline constexpr uint32_t kOwnerUid = 4;     // of OwnerReference
inline constexpr uint32_t kTimeSeconds = 1;  // of Time

// What the rules of metadata look at. Views into the object's bytes.
struct MetaView {
  std::string_view metadata;  // field 1's payload; empty when the object has none
  std::string_view name;
  std::string_view name_space;
  std::string_view uid;
  int64_t generation = 0;
  std::optional<std::string_view> creation_timestamp;  // the Time message's bytes
  std::optional<std::string_view> deletion_timestamp;
  std::optional<int64_t> deletion_grace_period_s;
  std::vector<std::string_view> finalizers;
  std::vector<std::string_view> owner_uids;

  [[nodiscard]] bool has_finalizer(std::string_view finalizer) const {
    for (const auto& each : finalizers) {
      if (each == finalizer) return true;
    }
    return false;
  }
};

inline Status malformed(std::string_view what) {
  return {Code::kBadRequest, "the object is not a protobuf message with metadata as field 1: " + std::string(what)};
}

// The seconds of a Time message; 0 when it has none.
inline int64_t time_seconds(std::string_view time) {
  wire::Walker walk(time);
  wire::Field field;
  int64_t seconds = 0;
  while (walk.next(field)) {
    if (field.number == kTimeSeconds && field.type == wire::Type::kVarint) seconds = static_cast<int64_t>(field.varint);
  }
  return seconds;
}

inline std::string encode_time(int64_t seconds) {
  std::string time;
  if (seconds != 0) wire::append_varint_field(time, kTimeSeconds, static_cast<uint64_t>(seconds));
  return time;
}

namespace detail {

inline bool parse_owner(std::string_view owner, std::vector<std::string_view>& uids) {
  wire::Walker walk(owner);
  wire::Field field;
  std::string_view uid;
  while (walk.next(field)) {
    if (field.number == kOwnerUid && field.type == wire::Type::kBytes) uid = field.bytes;
  }
  if (!uid.empty()) uids.push_back(uid);
  return !walk.malformed();
}

// False: the field's wire type is not the one that ObjectMeta gives it.
inline bool take_bytes(const wire::Field& field, std::string_view& out) {
  out = field.bytes;
  return field.type == wire::Type::kBytes;
}

inline bool take_field(const wire::Field& field, MetaView& view) {
  std::string_view bytes;
  switch (field.number) {
    case kName:
      return take_bytes(field, view.name);
    case kNamespace:
      return take_bytes(field, view.name_space);
    case kUid:
      return take_bytes(field, view.uid);
    case kGeneration:
      view.generation = static_cast<int64_t>(field.varint);
      return field.type == wire::Type::kVarint;
    case kCreationTimestamp:
      if (!take_bytes(field, bytes)) return false;
      view.creation_timestamp = bytes;
      return true;
    case kDeletionTimestamp:
      if (!take_bytes(field, bytes)) return false;
      view.deletion_timestamp = bytes;
      return true;
    case kDeletionGracePeriod:
      view.deletion_grace_period_s = static_cast<int64_t>(field.varint);
      return field.type == wire::Type::kVarint;
    case kOwnerReferences:
      return take_bytes(field, bytes) && parse_owner(bytes, view.owner_uids);
    case kFinalizers:
      if (!take_bytes(field, bytes)) return false;
      view.finalizers.push_back(bytes);
      return true;
    default:
      return true;
  }
}

}  // namespace detail

// Reads an object's metadata; an object without any reads as empty metadata.
// kBadRequest: the bytes are no message, a field of metadata has a wrong type, or metadata stands there twice.
inline Result<MetaView> parse(std::string_view object) {
  MetaView view;
  wire::Walker walk(object);
  wire::Field field;
  bool found = false;
  while (walk.next(field)) {
    if (field.number != kMetadata) continue;
    if (field.type != wire::Type::kBytes) return malformed("field 1 is not a message");
    if (found) return malformed("field 1 stands there twice");
    found = true;
    view.metadata = field.bytes;
  }
  if (walk.malformed()) return malformed("it ends early or holds no field");
  wire::Walker inner(view.metadata);
  while (inner.next(field)) {
    if (!detail::take_field(field, view)) {
      return malformed("field " + std::to_string(field.number) + " of metadata has a wrong type");
    }
  }
  if (inner.malformed()) return malformed("metadata ends early or holds no field");
  return view;
}

// Changes to metadata; what is unset stays as it is. An empty string, a generation of 0 and std::nullopt inside the
// outer optional take the field away. resourceVersion is always taken away: the record's revision is it.
struct Edits {
  std::optional<std::string_view> name;
  std::optional<std::string_view> name_space;
  std::optional<std::string_view> uid;
  std::optional<int64_t> generation;
  std::optional<std::optional<std::string_view>> creation_timestamp;  // Time messages
  std::optional<std::optional<std::string_view>> deletion_timestamp;
  std::optional<std::optional<int64_t>> deletion_grace_period_s;
  std::optional<std::vector<std::string>> finalizers;
};

namespace detail {

// The fields of an Edits, encoded, by ascending number; an empty text takes the field away.
struct Replacement {
  uint32_t number = 0;
  std::string text;
};

inline std::vector<Replacement> replacements(const Edits& edits) {
  std::vector<Replacement> out;
  out.reserve(10);
  const auto text = [&out](uint32_t number, const std::optional<std::string_view>& value) {
    if (!value) return;
    auto& added = out.emplace_back(Replacement{number, {}});
    if (!value->empty()) wire::append_bytes_field(added.text, number, *value);
  };
  const auto message = [&out](uint32_t number, const std::optional<std::optional<std::string_view>>& value) {
    if (!value) return;
    auto& added = out.emplace_back(Replacement{number, {}});
    if (*value) wire::append_bytes_field(added.text, number, **value);
  };
  text(kName, edits.name);
  text(kNamespace, edits.name_space);
  text(kUid, edits.uid);
  out.push_back({kResourceVersion, {}});
  if (edits.generation) {
    auto& added = out.emplace_back(Replacement{kGeneration, {}});
    if (*edits.generation != 0) {
      wire::append_varint_field(added.text, kGeneration, static_cast<uint64_t>(*edits.generation));
    }
  }
  message(kCreationTimestamp, edits.creation_timestamp);
  message(kDeletionTimestamp, edits.deletion_timestamp);
  if (edits.deletion_grace_period_s) {
    auto& added = out.emplace_back(Replacement{kDeletionGracePeriod, {}});
    if (*edits.deletion_grace_period_s) {
      wire::append_varint_field(added.text, kDeletionGracePeriod,
                                static_cast<uint64_t>(**edits.deletion_grace_period_s));
    }
  }
  if (edits.finalizers) {
    auto& added = out.emplace_back(Replacement{kFinalizers, {}});
    for (const auto& finalizer : *edits.finalizers) wire::append_bytes_field(added.text, kFinalizers, finalizer);
  }
  return out;
}

// Replaced fields are put where their number belongs, so that a message in the order of its numbers, as every encoder
// writes it, stays in it: equal metadata has equal bytes.
inline std::string edit_metadata(std::string_view metadata, const Edits& edits) {
  const auto changes = replacements(edits);
  std::string out;
  out.reserve(metadata.size() + 128);
  std::size_t next = 0;
  wire::Walker walk(metadata);
  wire::Field field;
  while (walk.next(field)) {
    while (next < changes.size() && changes[next].number <= field.number) out += changes[next++].text;
    bool replaced = false;
    for (const auto& change : changes) replaced = replaced || change.number == field.number;
    if (!replaced) out.append(field.raw);
  }
  while (next < changes.size()) out += changes[next++].text;
  return out;
}

}  // namespace detail

// The object with its metadata changed. `object` has passed parse(). An object without metadata gets some.
inline std::string edit(std::string_view object, const Edits& edits) {
  std::string out;
  out.reserve(object.size() + 160);
  bool found = false;
  wire::Walker walk(object);
  wire::Field field;
  while (walk.next(field)) {
    if (field.number == kMetadata) {
      wire::append_bytes_field(out, kMetadata, detail::edit_metadata(field.bytes, edits));
      found = true;
    } else {
      out.append(field.raw);
    }
  }
  if (found) return out;
  std::string with_metadata;
  wire::append_bytes_field(with_metadata, kMetadata, detail::edit_metadata({}, edits));
  return with_metadata + out;
}

// Whether two objects differ outside metadata and `status_field` (0: the kind has none). Field by field, in bytes: two
// encodings of equal messages differ when a map's entries stand in another order, so whoever encodes objects for the
// store does it deterministically (protobuf's SetSerializationDeterministic).
inline bool differs_outside_metadata(std::string_view a, std::string_view b, uint32_t status_field) {
  const auto next = [status_field](wire::Walker& walk, wire::Field& field) {
    while (walk.next(field)) {
      if (field.number != kMetadata && (status_field == 0 || field.number != status_field)) return true;
    }
    return false;
  };
  wire::Walker walk_a(a);
  wire::Walker walk_b(b);
  wire::Field field_a;
  wire::Field field_b;
  while (true) {
    const bool more_a = next(walk_a, field_a);
    const bool more_b = next(walk_b, field_b);
    if (more_a != more_b) return true;
    if (!more_a) return false;
    if (field_a.raw != field_b.raw) return true;
  }
}

// The index terms that follow from metadata alone: "owner/UID" for each owner, none twice.
inline void append_owner_terms(const MetaView& view, std::vector<std::string>& terms) {
  for (const auto& uid : view.owner_uids) {
    std::string term = "owner/" + std::string(uid);
    bool known = false;
    for (const auto& each : terms) known = known || each == term;
    if (!known) terms.push_back(std::move(term));
  }
}

}  // namespace orlop::meta
