#include "plugins/net-iptables/table.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace orlop::net {

namespace {

constexpr std::string_view kServices = "ORLOP-SERVICES";
constexpr std::string_view kNodePorts = "ORLOP-NODEPORTS";

void line(std::string& out, std::string_view verb, std::string_view chain, std::string_view rule = {}) {
  out.append(verb).append(" ").append(chain);
  if (!rule.empty()) out.append(" ").append(rule);
  out.push_back('\n');
}

void declare(std::string& out, std::string_view chain) {
  out.append(":").append(chain).append(" - [0:0]\n");
}

bool has_jump(const SavedTable& table, const Jump& jump) {
  const auto chain = table.find(jump.from);
  if (chain == table.end()) return false;
  const std::string end = "-j " + jump.to;
  return std::any_of(chain->second.begin(), chain->second.end(),
                     [&end](const std::string& rule) { return rule.ends_with(end); });
}

const SavedTable& table_of(const SavedTables& present, const std::string& name) {
  static const SavedTable none;
  const auto found = present.find(name);
  return found == present.end() ? none : found->second;
}

const Rules& services_rules(const ServiceRules& service, bool nat) {
  return nat ? service.nat_services : service.filter_services;
}

std::string full_table(const TableFrame& frame, std::span<const ServiceRules* const> services,
                       const SavedTable& present) {
  const bool nat = frame.table == "nat";
  std::string heads;
  std::string body;
  for (const auto& [chain, rules] : frame.chains) {
    declare(heads, chain);
    for (const std::string& rule : rules) line(body, "-A", chain, rule);
  }
  std::map<std::string_view, bool> wanted;
  for (const ServiceRules* service : services) {
    for (const std::string& rule : services_rules(*service, nat)) line(body, "-A", kServices, rule);
    if (!nat) continue;
    for (const std::string& rule : service->nat_node_ports) line(body, "-A", kNodePorts, rule);
    for (const auto& [chain, rules] : service->nat_chains) {
      wanted[chain] = true;
      declare(heads, chain);
      for (const std::string& rule : rules) line(body, "-A", chain, rule);
    }
  }
  for (const std::string& rule : frame.services_last) line(body, "-A", kServices, rule);
  for (const Jump& jump : frame.jumps) {
    if (!has_jump(present, jump)) line(body, "-I", jump.from, jump.rule + " -j " + jump.to);
  }
  for (const auto& [chain, rules] : present) {
    if (!nat || !is_service_chain(chain) || wanted.contains(chain)) continue;
    declare(heads, chain);
    line(body, "-X", chain);
  }
  return "*" + frame.table + "\n" + heads + body + "COMMIT\n";
}

// Sorted, so that set_difference can tell what came and what went.
Rules sorted(const Rules* rules) {
  Rules out = rules == nullptr ? Rules() : *rules;
  std::sort(out.begin(), out.end());
  return out;
}

void edit(std::string& removals, std::string& additions, std::string_view chain, const Rules* before,
          const Rules* after) {
  if (before != nullptr && after != nullptr && *before == *after) return;
  const Rules old_rules = sorted(before);
  const Rules new_rules = sorted(after);
  Rules gone;
  Rules come;
  std::set_difference(old_rules.begin(), old_rules.end(), new_rules.begin(), new_rules.end(), std::back_inserter(gone));
  std::set_difference(new_rules.begin(), new_rules.end(), old_rules.begin(), old_rules.end(), std::back_inserter(come));
  for (const std::string& rule : gone) line(removals, "-D", chain, rule);
  for (const std::string& rule : come) line(additions, "-I", chain, rule);
}

template <typename Member>
const auto* member_of(const ServiceRules* service, Member member) {
  return service == nullptr ? nullptr : &(service->*member);
}

struct Delta {
  std::string heads, removals, chains, additions, deletions;

  void nat_chains(const ServiceChange& change) {
    static const Chains none;
    const Chains& before = change.before == nullptr ? none : change.before->nat_chains;
    const Chains& after = change.after == nullptr ? none : change.after->nat_chains;
    for (const auto& [chain, rules] : after) {
      const auto old_chain = before.find(chain);
      if (old_chain != before.end() && old_chain->second == rules) continue;
      declare(heads, chain);
      for (const std::string& rule : rules) line(chains, "-A", chain, rule);
    }
    for (const auto& [chain, rules] : before) {
      if (after.contains(chain)) continue;
      declare(heads, chain);
      line(deletions, "-X", chain);
    }
  }

  [[nodiscard]] std::string text(std::string_view table) const {
    const std::string all = heads + chains + removals + additions + deletions;
    return all.empty() ? all : "*" + std::string(table) + "\n" + all + "COMMIT\n";
  }
};

// What a chain should hold: its number of rules.
using Counts = std::map<std::string_view, size_t>;

Counts counts_of(const TableFrame& frame, std::span<const ServiceRules* const> services) {
  const bool nat = frame.table == "nat";
  Counts counts;
  for (const auto& [chain, rules] : frame.chains) counts[chain] = rules.size();
  counts[kServices] += frame.services_last.size();
  for (const ServiceRules* service : services) {
    counts[kServices] += services_rules(*service, nat).size();
    if (!nat) continue;
    counts[kNodePorts] += service->nat_node_ports.size();
    for (const auto& [chain, rules] : service->nat_chains) counts[chain] = rules.size();
  }
  return counts;
}

}  // namespace

SavedTables parse_save(std::string_view text) {
  SavedTables out;
  SavedTable* table = nullptr;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (row.starts_with('*')) {
      table = &out[std::string(row.substr(1))];
    } else if (table != nullptr && row.starts_with(':')) {
      (*table)[std::string(row.substr(1, row.find(' ') - 1))];
    } else if (table != nullptr && row.starts_with("-A ")) {
      row.remove_prefix(3);
      const size_t blank = std::min(row.find(' '), row.size());
      (*table)[std::string(row.substr(0, blank))].emplace_back(row.substr(std::min(blank + 1, row.size())));
    }
  }
  return out;
}

std::string full_restore(std::span<const TableFrame> frame, std::span<const ServiceRules* const> services,
                         const SavedTables& present) {
  std::string out;
  for (const TableFrame& table : frame) out += full_table(table, services, table_of(present, table.table));
  return out;
}

std::string delta_restore(std::span<const ServiceChange> changes) {
  Delta nat;
  Delta filter;
  for (const ServiceChange& change : changes) {
    nat.nat_chains(change);
    edit(nat.removals, nat.additions, kServices, member_of(change.before, &ServiceRules::nat_services),
         member_of(change.after, &ServiceRules::nat_services));
    edit(nat.removals, nat.additions, kNodePorts, member_of(change.before, &ServiceRules::nat_node_ports),
         member_of(change.after, &ServiceRules::nat_node_ports));
    edit(filter.removals, filter.additions, kServices, member_of(change.before, &ServiceRules::filter_services),
         member_of(change.after, &ServiceRules::filter_services));
  }
  return nat.text("nat") + filter.text("filter");
}

std::string difference(std::span<const TableFrame> frame, std::span<const ServiceRules* const> services,
                       const SavedTables& present) {
  for (const TableFrame& wanted : frame) {
    const SavedTable& table = table_of(present, wanted.table);
    for (const auto& [chain, count] : counts_of(wanted, services)) {
      const auto found = table.find(chain);
      if (found == table.end()) return "chain " + std::string(chain) + " of " + wanted.table + " is gone";
      if (found->second.size() != count) {
        return "chain " + std::string(chain) + " of " + wanted.table + " has " + std::to_string(found->second.size()) +
               " rules and should have " + std::to_string(count);
      }
    }
    for (const Jump& jump : wanted.jumps) {
      if (!has_jump(table, jump)) return "the jump from " + jump.from + " to " + jump.to + " is gone";
    }
  }
  return {};
}

}  // namespace orlop::net
