#include "plugins/net-iptables/iptables.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace orlop::net {

namespace {

// Full loads of thousands of Services take seconds with nft.
constexpr std::chrono::seconds kTime(120);

bool has_chain(const SavedTables& tables, std::string_view chain) {
  const auto nat = tables.find("nat");
  return nat != tables.end() && nat->second.contains(std::string(chain));
}

// Rules of somebody else's: not ours, not those that CNI programs leave.
bool has_foreign_rules(const SavedTables& tables) {
  for (const auto& [table, chains] : tables) {
    for (const auto& [chain, rules] : chains) {
      if (chain.starts_with("ORLOP-") || chain.starts_with("CNI-")) continue;
      for (const std::string& rule : rules) {
        if (rule.find("-j ORLOP-") == std::string::npos && rule.find("-j CNI-") == std::string::npos) return true;
      }
    }
  }
  return false;
}

}  // namespace

std::string Iptables::program(const std::string& backend, std::string_view suffix) const {
  return "iptables-" + backend + std::string(suffix);
}

bool Iptables::legacy_in_use() const {
  std::ifstream file(proc_ + "/net/ip_tables_names");
  std::string name;
  return static_cast<bool>(file >> name);
}

Result<SavedTables> Iptables::save_with(const std::string& backend) {
  SavedTables out;
  for (const char* table : {"nat", "filter"}) {
    ORLOP_ASSIGN(const std::string text, run_checked(runner_, {program(backend, "-save"), "-t", table}, "", kTime));
    out.merge(parse_save(text));
  }
  return out;
}

Status Iptables::choose() {
  if (!backend_.empty()) return Status::ok();
  auto works = [this](const std::string& backend) { return save_with(backend).status(); };
  if (wanted_ != "auto") {
    ORLOP_TRY(works(wanted_));
    backend_ = wanted_;
    return Status::ok();
  }
  SavedTables legacy;
  if (legacy_in_use()) {
    if (auto saved = save_with("legacy")) legacy = std::move(*saved);
  }
  auto nft = save_with("nft");
  if (has_chain(legacy, "ORLOP-SERVICES")) {
    backend_ = "legacy";
  } else if (nft && has_chain(*nft, "ORLOP-SERVICES")) {
    backend_ = "nft";
  } else if (has_foreign_rules(legacy)) {
    backend_ = "legacy";
  } else if (nft && has_foreign_rules(*nft)) {
    backend_ = "nft";
  } else if (nft) {
    // A change costs it an eighth of what it costs the other, which writes the whole table each time.
    backend_ = "nft";
  } else {
    if (!works("legacy").is_ok()) return nft.status();
    backend_ = "legacy";
  }
  return Status::ok();
}

Result<SavedTables> Iptables::save() {
  ORLOP_TRY(choose());
  return save_with(backend_);
}

Status Iptables::restore(std::string_view text) {
  ORLOP_TRY(choose());
  return run_checked(runner_, {program(backend_, "-restore"), "--noflush", "-w", "5"}, text, kTime).status();
}

}  // namespace orlop::net
