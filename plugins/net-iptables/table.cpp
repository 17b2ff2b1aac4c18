#include "plugins/net-iptables/table.hpp"

#include <algorithm>
#include <iterator>
#include <set>
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

// One table on its way from what is there to what should be.
class Resync {
 public:
  Resync(const TableFrame& frame, const SavedTable& present)
      : frame_(frame), nat_(frame.table == "nat"), present_(present) {
    for (const auto& [chain, rules] : frame.chains) {
      const auto found = present.find(chain);
      if (chain == kServices || chain == kNodePorts) {
        begin_edited(chain, found == present.end() ? nullptr : &found->second);
      } else if (found == present.end() || found->second != rules) {
        declare(delta_.heads, chain);
        for (const std::string& rule : rules) line(delta_.chains, "-A", chain, rule);
      }
    }
    for (const Jump& jump : frame.jumps) {
      if (!has_jump(present, jump)) line(delta_.additions, "-I", jump.from, jump.rule + " -j " + jump.to);
    }
  }

  void add(const ServiceRules& service) {
    keep_or_insert(kServices, services_rules(service, nat_));
    if (!nat_) return;
    keep_or_insert(kNodePorts, service.nat_node_ports);
    for (const auto& [chain, rules] : service.nat_chains) {
      wanted_.insert(chain);
      const auto found = present_.find(chain);
      if (found != present_.end() && found->second == rules) continue;
      declare(delta_.heads, chain);
      for (const std::string& rule : rules) line(delta_.chains, "-A", chain, rule);
    }
  }

  // After all Services: what is left over goes.
  void finish() {
    for (const auto& [chain, rules] : left_) {
      for (const auto& [rule, count] : rules) {
        for (size_t i = 0; i < count; ++i) line(delta_.removals, "-D", chain, rule);
      }
    }
    if (!nat_) return;
    for (const auto& [chain, rules] : present_) {
      if (!is_service_chain(chain) || wanted_.contains(chain)) continue;
      declare(delta_.heads, chain);
      line(delta_.deletions, "-X", chain);
    }
  }

  std::string take() { return std::exchange(delta_, Delta()).text(frame_.table); }

 private:
  // A chain that is changed rule by rule, unless its end is not what it should be: then it is made anew.
  void begin_edited(const std::string& chain, const Rules* there) {
    const Rules& last = chain == kServices ? frame_.services_last : none_;
    if (there != nullptr && there->size() >= last.size() && std::equal(last.rbegin(), last.rend(), there->rbegin())) {
      for (size_t i = 0; i < there->size() - last.size(); ++i) ++left_[chain][(*there)[i]];
      return;
    }
    declare(delta_.heads, chain);
    for (const std::string& rule : last) line(delta_.chains, "-A", chain, rule);
  }

  void keep_or_insert(std::string_view chain, const Rules& rules) {
    auto& left = left_[std::string(chain)];
    for (const std::string& rule : rules) {
      const auto found = left.find(rule);
      if (found == left.end()) {
        line(delta_.additions, "-I", chain, rule);
      } else if (--found->second == 0) {
        left.erase(found);
      }
    }
  }

  const Rules none_;
  const TableFrame& frame_;
  const bool nat_;
  const SavedTable& present_;
  Delta delta_;
  std::map<std::string, std::map<std::string, size_t>> left_;  // rules that nobody has asked for yet
  std::set<std::string_view> wanted_;
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

std::vector<std::string> resync_restore(std::span<const TableFrame> frame,
                                        std::span<const ServiceRules* const> services, const SavedTables& present,
                                        size_t services_each) {
  std::vector<Resync> tables;
  for (const TableFrame& table : frame) tables.emplace_back(table, table_of(present, table.table));
  std::vector<std::string> texts;
  auto cut = [&] {
    std::string text;
    for (Resync& table : tables) text += table.take();
    if (!text.empty()) texts.push_back(std::move(text));
  };
  size_t held = 0;
  for (const ServiceRules* service : services) {
    if (held == services_each) {
      cut();
      held = 0;
    }
    for (Resync& table : tables) table.add(*service);
    ++held;
  }
  for (Resync& table : tables) table.finish();
  cut();
  return texts;
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
