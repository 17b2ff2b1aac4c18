// What a plugin says of itself, read without loading it: the YAML in its ELF section `orlop_manifest`.
//
// Threads: values.
#pragma once

#include "kernel/lifecycle/config_schema.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::lifecycle {

struct Manifest {
  struct Provided {
    std::string capability;
    std::string instance;  // may be empty
  };
  struct Required {
    std::string capability;
    bool optional = false;
  };
  std::string name;
  std::string version;  // MAJOR.MINOR.PATCH, with what semantic versions allow behind it
  std::string description;
  uint32_t abi_major = 0;
  uint32_t abi_minor = 0;
  std::vector<Provided> provides;
  std::vector<Required> requirements;
  std::vector<std::string> reads;  // kinds; "*": all
  std::vector<std::string> writes;
  bool reports_readiness = false;
  std::shared_ptr<const Schema> config;  // never null

  [[nodiscard]] bool provides_capability(std::string_view capability) const;
  [[nodiscard]] std::string abi() const;
};

// `origin` is named in what is wrong: kInvalid, one sentence for the first problem, the others follow it line by line.
// The ABI is looked at first: what else stands in a manifest of another major is not judged.
Result<Manifest> parse_manifest(std::string_view yaml, const std::string& origin);

// Reads and parses the manifest of a plugin's file. As read_elf_section and parse_manifest.
Result<Manifest> read_manifest(const std::string& path);

// Whether this kernel can load that ABI; kInvalid with a sentence when not.
Status check_abi(uint32_t major, uint32_t minor, const std::string& file);

}  // namespace orlop::lifecycle
