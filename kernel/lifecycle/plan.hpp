// In which order plugins start: each after what it requires. Pure: names in, decisions out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace orlop::lifecycle {

struct PlanInput {
  struct Required {
    std::string capability;
    bool optional = false;
  };
  std::string name;
  std::vector<std::string> provides;  // capabilities
  std::vector<Required> requirements;
};

struct PlanEntry {
  // One sentence for a person when it can never start: a requirement that nobody provides, or a cycle. Else empty.
  std::string refusal;
  // For each hard requirement: the plugins of which one has to run.
  struct Need {
    std::string capability;
    std::vector<std::size_t> providers;
  };
  std::vector<Need> needs;
  // Providers of optional requirements: started before, if they can; never waited for when they fail.
  std::vector<std::size_t> after;
};

// `built_in`: capabilities that are always there. Indices are those of `plugins`, which stand in the order of the
// config.
std::vector<PlanEntry> make_plan(const std::vector<PlanInput>& plugins, const std::vector<std::string>& built_in);

}  // namespace orlop::lifecycle
