// Records and changes as they cross a link: kRecords and kChanges hold them one behind the other until the frame's end.
// Written by the kernel, read by orlop-host.
#pragma once

#include "kernel/bus/wire.hpp"
#include "orlop/abi/host.h"

#include <string_view>

namespace orlop::lifecycle {

struct CodedRecord {
  std::string_view kind, name_space, name, value;
  uint64_t revision = 0;
  uint64_t create_revision = 0;
};

inline void write_record(bus::Writer& writer, const CodedRecord& record) {
  writer.bytes(record.kind).bytes(record.name_space).bytes(record.name);
  writer.number(record.revision).number(record.create_revision).bytes(record.value);
}

inline void write_change(bus::Writer& writer, uint64_t type, const CodedRecord& record, uint64_t previous_revision,
                         std::string_view previous_value) {
  writer.number(type);
  write_record(writer, record);
  writer.number(previous_revision).bytes(previous_value);
}

inline orlop_slice as_slice(std::string_view view) {
  return {view.data(), view.size()};
}

inline orlop_record read_record(bus::Reader& reader) {
  orlop_record record{};
  record.kind = as_slice(reader.bytes());
  record.name_space = as_slice(reader.bytes());
  record.name = as_slice(reader.bytes());
  record.revision = reader.number();
  record.create_revision = reader.number();
  record.value = as_slice(reader.bytes());
  return record;
}

inline orlop_change read_change(bus::Reader& reader) {
  orlop_change change{};
  change.type = static_cast<int32_t>(reader.number());
  change.record = read_record(reader);
  change.previous_revision = reader.number();
  change.previous_value = as_slice(reader.bytes());
  return change;
}

}  // namespace orlop::lifecycle
