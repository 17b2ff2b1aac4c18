// The shape of the table that tools/schema writes at build time. Plain numbers and offsets into one block of strings:
// nothing is relocated or built at start-up, and a page that nobody asks for is never read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace orlop::kube::tables {

// The bits of RawField::flags.
inline constexpr unsigned kOptionalMarker = 1u << 0;  // +optional
inline constexpr unsigned kOmitEmpty = 1u << 1;       // JSON leaves it out when empty
inline constexpr unsigned kPointer = 1u << 2;         // a pointer in Go: absence differs from zero
inline constexpr unsigned kRequired = 1u << 3;        // neither +optional nor omitempty
inline constexpr unsigned kInlined = 1u << 4;         // its fields stand in the parent's JSON object
inline constexpr unsigned kAtomic = 1u << 5;          // +structType=atomic or +mapType=atomic
inline constexpr unsigned kPatchMerge = 1u << 6;
inline constexpr unsigned kPatchReplace = 1u << 7;
inline constexpr unsigned kPatchRetainKeys = 1u << 8;

// The bits of RawType::flags.
inline constexpr unsigned kHasTypeMeta = 1u << 0;  // its JSON may carry apiVersion and kind

// Offsets are into kStrings; 0 is the empty string. Lists are joined by '\n'.
struct RawField {
  uint32_t number;
  uint32_t json_name;
  uint32_t go_type;
  uint32_t doc;
  uint32_t default_value;
  uint32_t merge_key;
  uint32_t list_map_keys;
  uint32_t enum_values;
  uint16_t flags;
  uint16_t list_type;  // ListType of schema.hpp
};

struct RawType {
  uint32_t name;  // the message's full name; types are sorted by it
  uint32_t doc;
  uint32_t first_field;  // of kFields; the fields of a type stand in the order that JSON has them
  uint32_t field_count;
  uint32_t flags;
};

extern const RawType kTypes[];
extern const size_t kTypeCount;
extern const RawField kFields[];
extern const char kStrings[];

}  // namespace orlop::kube::tables
