#include "kernel/lifecycle/plan.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace orlop::lifecycle {
namespace {

class Planner {
 public:
  Planner(const std::vector<PlanInput>& plugins, const std::vector<std::string>& built_in)
      : plugins_(plugins), built_in_(built_in), entries_(plugins.size()), startable_(plugins.size()) {}

  std::vector<PlanEntry> run() {
    for (std::size_t i = 0; i < plugins_.size(); ++i) gather_needs(i);
    spread_startable();
    for (std::size_t i = 0; i < plugins_.size(); ++i) {
      if (!startable_[i] && entries_[i].refusal.empty()) refuse_cycle(i);
    }
    for (std::size_t i = 0; i < plugins_.size(); ++i) gather_optional(i);
    return std::move(entries_);
  }

 private:
  [[nodiscard]] std::vector<std::size_t> providers_of(const std::string& capability, std::size_t but) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < plugins_.size(); ++i) {
      const auto& provides = plugins_[i].provides;
      if (i != but && std::find(provides.begin(), provides.end(), capability) != provides.end()) found.push_back(i);
    }
    return found;
  }

  [[nodiscard]] bool provided_by_itself(std::size_t i, const std::string& capability) const {
    const auto& own = plugins_[i].provides;
    return std::find(own.begin(), own.end(), capability) != own.end() ||
           std::find(built_in_.begin(), built_in_.end(), capability) != built_in_.end();
  }

  void gather_needs(std::size_t i) {
    for (const auto& required : plugins_[i].requirements) {
      if (required.optional || provided_by_itself(i, required.capability)) continue;
      PlanEntry::Need need{required.capability, providers_of(required.capability, i)};
      if (need.providers.empty() && entries_[i].refusal.empty()) {
        entries_[i].refusal = fmt::format(
            "plugin {} requires the capability {}, which no plugin that can be loaded provides; add or mend "
            "one that does, or disable {}",
            plugins_[i].name, required.capability, plugins_[i].name);
      }
      entries_[i].needs.push_back(std::move(need));
    }
  }

  // Whether each need has a provider that can start, found by going round until nothing is added. One that lacks a
  // provider counts as startable here: those behind it wait for it and say so, they are in no cycle.
  void spread_startable() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < plugins_.size(); ++i) {
        if (startable_[i]) continue;
        const bool can = !entries_[i].refusal.empty() ||
                         std::all_of(entries_[i].needs.begin(), entries_[i].needs.end(), [&](const auto& need) {
                           return std::any_of(need.providers.begin(), need.providers.end(),
                                              [&](std::size_t p) { return startable_[p]; });
                         });
        if (can) startable_[i] = changed = true;
      }
    }
  }

  // The first need of `i` that nothing startable meets.
  [[nodiscard]] const PlanEntry::Need& blocking(std::size_t i) const {
    return *std::find_if(entries_[i].needs.begin(), entries_[i].needs.end(), [&](const auto& need) {
      return std::none_of(need.providers.begin(), need.providers.end(), [&](std::size_t p) { return startable_[p]; });
    });
  }

  void refuse_cycle(std::size_t from) {
    std::vector<std::size_t> path;
    std::size_t at = from;
    while (std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      at = blocking(at).providers.front();
    }
    const auto start = std::find(path.begin(), path.end(), at);
    std::vector<std::string> names, steps;
    for (auto it = start; it != path.end(); ++it) {
      const auto& need = blocking(*it);
      names.push_back(plugins_[*it].name);
      steps.push_back(fmt::format("{} requires {} of {}", plugins_[*it].name, need.capability,
                                  plugins_[need.providers.front()].name));
    }
    const std::string sentence = fmt::format(
        "plugins {} require each other in a cycle, so none of them can start first: {}; make one of these "
        "requirements optional, or disable one of the plugins",
        fmt::join(names, " and "), fmt::join(steps, ", "));
    for (auto it = start; it != path.end(); ++it) entries_[*it].refusal = sentence;
    for (auto it = path.begin(); it != start; ++it) {
      if (!entries_[*it].refusal.empty()) continue;
      const auto& need = blocking(*it);
      entries_[*it].refusal =
          fmt::format("plugin {} requires the capability {} of {}, which cannot start: {}", plugins_[*it].name,
                      need.capability, plugins_[need.providers.front()].name, sentence);
    }
  }

  void gather_optional(std::size_t i) {
    for (const auto& required : plugins_[i].requirements) {
      if (!required.optional || provided_by_itself(i, required.capability)) continue;
      for (std::size_t provider : providers_of(required.capability, i)) {
        std::vector<bool> seen(plugins_.size());
        if (!reaches(provider, i, seen)) entries_[i].after.push_back(provider);
      }
    }
  }

  bool reaches(std::size_t from, std::size_t to, std::vector<bool>& seen) const {
    if (from == to) return true;
    if (seen[from]) return false;
    seen[from] = true;
    for (const auto& need : entries_[from].needs) {
      for (std::size_t next : need.providers) {
        if (reaches(next, to, seen)) return true;
      }
    }
    return std::any_of(entries_[from].after.begin(), entries_[from].after.end(),
                       [&](std::size_t next) { return reaches(next, to, seen); });
  }

  const std::vector<PlanInput>& plugins_;
  const std::vector<std::string>& built_in_;
  std::vector<PlanEntry> entries_;
  std::vector<bool> startable_;
};

}  // namespace

std::vector<PlanEntry> make_plan(const std::vector<PlanInput>& plugins, const std::vector<std::string>& built_in) {
  return Planner(plugins, built_in).run();
}

}  // namespace orlop::lifecycle
