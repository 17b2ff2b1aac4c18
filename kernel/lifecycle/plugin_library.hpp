// Loads a plugin's file and holds what it exports against the ABI before anything in it is believed. Used by the kernel
// (inline) and by orlop-host (isolated).
//
// A library is loaded with RTLD_NOW and RTLD_LOCAL and never unloaded: whatever it handed out stays valid.
//
// Threads: any.
#pragma once

#include "orlop/abi/plugin.h"
#include "orlop/result.hpp"

#include <string>
#include <string_view>

namespace orlop::lifecycle {

// The plugin's entry, checked in this order: the file loads, the symbol is there, its magic, its ABI version, its size,
// its function. kInvalid with one sentence that names the file; kNotFound: there is no such file.
Result<const orlop_entry*> load_entry(const std::string& path);

// Makes the plugin's object. `host` must outlive it. kInternal: create() refused, or left a function out.
Result<orlop_plugin> create_plugin(const orlop_entry& entry, const orlop_host& host, const std::string& path);

// init and start with their answers as a Status. A plugin that breaks the rule (no answer, or another code than it
// answered with) gives kInternal.
Status run_init(const orlop_plugin& plugin, std::string_view config);
Status run_start(const orlop_plugin& plugin);

inline orlop_slice slice_of_bytes(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
inline std::string_view view_of_slice(orlop_slice slice) {
  return slice.data == nullptr ? std::string_view()
                               : std::string_view(static_cast<const char*>(slice.data), slice.size);
}

}  // namespace orlop::lifecycle
