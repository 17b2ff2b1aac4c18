#include "plugins/node-agent/cgroups/node_resources.hpp"

#include "plugins/node-agent/cgroups/cgroup_tree.hpp"

#include <filesystem>

namespace orlop::agent {
namespace {

constexpr char kHugePagesPrefix[] = "hugepages-";

std::string in_ki(int64_t bytes) {
  return bytes % 1024 == 0 ? std::to_string(bytes / 1024) + "Ki" : std::to_string(bytes);
}

}  // namespace

Result<kube::Resources> parse_reserved(const std::string& option, const std::vector<std::string>& entries) {
  kube::Resources out;
  for (const std::string& entry : entries) {
    const size_t split = entry.find('=');
    const std::string name = entry.substr(0, split);
    const auto amount = kube::Quantity::parse(split == std::string::npos ? "" : entry.substr(split + 1));
    if (!amount || amount->sign() < 0) {
      return Status(Code::kInvalid, option + ": \"" + entry + "\" cannot be read; write for example memory=256Mi");
    }
    if (name == "cpu") {
      out.cpu_milli = amount->to_milli();
    } else if (name == "memory") {
      out.memory = amount->to_value();
    } else if (name == "ephemeral-storage") {
      out.ephemeral = amount->to_value();
    } else if (name == "pid") {
      out.extended[name] = amount->to_value();
    } else {
      return Status(Code::kInvalid,
                    option + ": \"" + name + "\" cannot be reserved; cpu, memory, ephemeral-storage and pid can");
    }
  }
  return out;
}

std::map<std::string, int64_t> read_hugepages(const std::string& folder) {
  std::map<std::string, int64_t> out;
  const std::pair<const char*, std::pair<const char*, int64_t>> sizes[] = {{"2Mi", {"2048kB", 2ll << 20}},
                                                                           {"1Gi", {"1048576kB", 1ll << 30}}};
  for (const auto& [name, kernel] : sizes) {
    const auto count = read_number(folder + "/hugepages-" + kernel.first + "/nr_hugepages");
    if (count) out[name] = static_cast<int64_t>(*count) * kernel.second;
  }
  return out;
}

NodeResources allocatable_of(const NodeResources& capacity, const kube::Resources& system_reserved,
                             const kube::Resources& own_reserved, const kube::Resources& kept_free) {
  NodeResources out = capacity;
  for (const kube::Resources* part : {&system_reserved, &own_reserved, &kept_free}) {
    out.amounts.cpu_milli -= part->cpu_milli;
    out.amounts.memory -= part->memory;
    out.amounts.ephemeral -= part->ephemeral;
  }
  for (const auto& [name, bytes] : capacity.amounts.extended) {
    if (name.starts_with(kHugePagesPrefix)) out.amounts.memory -= bytes;
  }
  for (int64_t* amount : {&out.amounts.cpu_milli, &out.amounts.memory, &out.amounts.ephemeral}) {
    *amount = std::max<int64_t>(0, *amount);
  }
  return out;
}

std::map<std::string, std::string> to_quantities(const NodeResources& resources) {
  std::map<std::string, std::string> out;
  const kube::Resources& amounts = resources.amounts;
  out["cpu"] = kube::Quantity::of_milli(amounts.cpu_milli).to_string();
  out["memory"] = in_ki(amounts.memory);
  out["ephemeral-storage"] = in_ki(amounts.ephemeral);
  out["pods"] = std::to_string(resources.pods);
  for (const auto& [name, amount] : amounts.extended) {
    const auto format =
        name.starts_with(kHugePagesPrefix) ? kube::Quantity::Format::kBinarySi : kube::Quantity::Format::kDecimalSi;
    out[name] = kube::Quantity::of(amount, format).to_string();
  }
  return out;
}

}  // namespace orlop::agent
