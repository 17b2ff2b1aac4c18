// The programs iptables-save and iptables-restore of one backend.
//
// Threads: one at a time.
#pragma once

#include "orlop/result.hpp"
#include "plugins/net-iptables/process_runner.hpp"
#include "plugins/net-iptables/table.hpp"

#include <string>
#include <string_view>

namespace orlop::net {

class Iptables {
 public:
  // `wanted`: auto, nft or legacy. `proc`: the folder /proc.
  Iptables(ProcessRunner& runner, std::string wanted, std::string proc = "/proc")
      : runner_(runner), wanted_(std::move(wanted)), proc_(std::move(proc)) {}

  // Decides on the backend; once is enough, again does no harm. For `auto`: the one that has rules of ours; else the
  // one that others have rules in; else nft where it works, else legacy. kNotFound: iptables
  // is not installed. kInternal: it does not work here, with its words.
  Status choose();
  // "nft" or "legacy"; empty before choose().
  [[nodiscard]] const std::string& backend() const { return backend_; }

  // The tables nat and filter.
  Result<SavedTables> save();
  Status restore(std::string_view text);

 private:
  [[nodiscard]] std::string program(const std::string& backend, std::string_view suffix) const;
  Result<SavedTables> save_with(const std::string& backend);
  // Whether the older backend holds tables here; asking its programs would load them.
  [[nodiscard]] bool legacy_in_use() const;

  ProcessRunner& runner_;
  const std::string wanted_;
  const std::string proc_;
  std::string backend_;
};

}  // namespace orlop::net
