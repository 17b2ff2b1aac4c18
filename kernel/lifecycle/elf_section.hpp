// Reads one section of an ELF64 file of this machine's byte order without loading it. Every offset in the file is held
// against its size before it is followed, so that a broken or hostile file gives an error and nothing else.
//
// Specification: System V ABI, "Object Files" (ELF-64).
// Threads: any.
#pragma once

#include "orlop/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace orlop::lifecycle {

// The bytes of the section `name`, at most `bytes_max`. kNotFound: there is no such file, or no such section in it.
// kInvalid: no ELF64 file of this byte order, or one whose tables point outside of it; or a larger section.
// kUnavailable: it cannot be read.
Result<std::string> read_elf_section(const std::string& path, std::string_view name, std::size_t bytes_max);

}  // namespace orlop::lifecycle
