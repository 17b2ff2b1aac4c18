// What iptables-restore is given, and what iptables-save tells. Pure.
//
// Every text is for `iptables-restore --noflush`: it touches no chain but ours and the jumps into them, and each table
// changes at once or not at all.
//
// Threads: values and pure functions.
#pragma once

#include "plugins/net-iptables/rules.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::net {

// chain → its rules, as iptables-save writes them.
using SavedTable = std::map<std::string, Rules, std::less<>>;
// table → chains.
using SavedTables = std::map<std::string, SavedTable, std::less<>>;

SavedTables parse_save(std::string_view text);

// From whatever is there to all rules of all Services: only what differs, nothing when nothing does. Chains of ours
// that no Service has any more go; jumps that are missing come. Texts are to be applied one after another; each holds
// at most `services_each` Services, since the nft backend takes a time that grows with the square of a text.
std::vector<std::string> resync_restore(std::span<const TableFrame> frame,
                                        std::span<const ServiceRules* const> services, const SavedTables& present,
                                        size_t services_each = SIZE_MAX);

struct ServiceChange {
  const ServiceRules* before = nullptr;  // null: there was none
  const ServiceRules* after = nullptr;   // null: it goes
};

// Only what differs; empty when nothing does. Right only when `before` is what is applied.
std::string delta_restore(std::span<const ServiceChange> changes);

// What is missing or too much in `present`, in one sentence; empty when all is there. Chains are compared by their
// numbers of rules: the kernel prints a rule in other words than it was given.
std::string difference(std::span<const TableFrame> frame, std::span<const ServiceRules* const> services,
                       const SavedTables& present);

}  // namespace orlop::net
