#include "plugins/node-agent/pressure/thresholds.hpp"

#include "orlop/kube/quantity.hpp"

#include <charconv>
#include <optional>
#include <utility>

namespace orlop::agent {
namespace {

constexpr Signal kSignals[] = {Signal::kMemoryAvailable,  Signal::kNodeFsAvailable,   Signal::kNodeFsInodesFree,
                               Signal::kImageFsAvailable, Signal::kImageFsInodesFree, Signal::kPidAvailable};

std::optional<Signal> find_signal(const std::string& name) {
  for (const Signal signal : kSignals) {
    if (name == name_of(signal)) return signal;
  }
  return std::nullopt;
}

std::optional<Amount> parse_amount(const std::string& text) {
  Amount out;
  if (text.ends_with('%')) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.percent);
    if (error != std::errc() || end != text.data() + text.size() - 1 || out.percent < 0 || out.percent > 100)
      return std::nullopt;
    return out;
  }
  const auto quantity = kube::Quantity::parse(text);
  if (!quantity || quantity->sign() < 0) return std::nullopt;
  out.absolute = quantity->to_value();
  return out;
}

// "1m30s", "45s", "2h"
std::optional<int64_t> parse_seconds(const std::string& text) {
  int64_t total = 0;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    int64_t number = 0;
    const auto [rest, error] = std::from_chars(at, end, number);
    if (error != std::errc() || rest == end || number < 0) return std::nullopt;
    const int64_t unit = *rest == 'h' ? 3600 : *rest == 'm' ? 60 : *rest == 's' ? 1 : 0;
    if (unit == 0) return std::nullopt;
    total += number * unit;
    at = rest + 1;
  }
  return text.empty() ? std::nullopt : std::optional(total);
}

Status unreadable(const char* option, const std::string& entry, const char* example) {
  return {Code::kInvalid, std::string(option) + ": \"" + entry + "\" cannot be read; write for example " + example};
}

// "signal<value" or "signal=value"
Result<std::pair<Signal, std::string>> split(const char* option, const std::string& entry, char by,
                                             const char* example) {
  const size_t at = entry.find(by);
  if (at == std::string::npos) return unreadable(option, entry, example);
  const auto signal = find_signal(entry.substr(0, at));
  if (!signal) {
    return Status(Code::kInvalid, std::string(option) + ": there is no signal \"" + entry.substr(0, at) + "\"");
  }
  return std::pair(*signal, entry.substr(at + 1));
}

Status add_thresholds(const char* option, const std::vector<std::string>& entries, bool soft,
                      std::vector<Threshold>& out) {
  constexpr char kExample[] = "memory.available<100Mi";
  for (const std::string& entry : entries) {
    ORLOP_ASSIGN(const auto parts, split(option, entry, '<', kExample));
    const auto amount = parse_amount(parts.second);
    if (!amount) return unreadable(option, entry, kExample);
    Threshold threshold;
    threshold.signal = parts.first;
    threshold.value = *amount;
    threshold.grace_ns = soft ? 1 : 0;
    // A threshold of 0 is one that is switched off.
    if (amount->absolute != 0 || amount->percent != 0) out.push_back(threshold);
  }
  return Status::ok();
}

}  // namespace

const char* name_of(Signal signal) {
  switch (signal) {
    case Signal::kMemoryAvailable:
      return "memory.available";
    case Signal::kNodeFsAvailable:
      return "nodefs.available";
    case Signal::kNodeFsInodesFree:
      return "nodefs.inodesFree";
    case Signal::kImageFsAvailable:
      return "imagefs.available";
    case Signal::kImageFsInodesFree:
      return "imagefs.inodesFree";
    case Signal::kPidAvailable:
      return "pid.available";
  }
  return "";
}

const char* resource_of(Signal signal) {
  switch (signal) {
    case Signal::kMemoryAvailable:
      return "memory";
    case Signal::kNodeFsAvailable:
    case Signal::kImageFsAvailable:
      return "ephemeral-storage";
    case Signal::kNodeFsInodesFree:
    case Signal::kImageFsInodesFree:
      return "inodes";
    case Signal::kPidAvailable:
      return "pids";
  }
  return "";
}

const char* condition_of(Signal signal) {
  switch (signal) {
    case Signal::kMemoryAvailable:
      return "MemoryPressure";
    case Signal::kPidAvailable:
      return "PIDPressure";
    default:
      return "DiskPressure";
  }
}

Result<std::vector<Threshold>> parse_thresholds(const EvictionOptions& options) {
  std::vector<Threshold> out;
  ORLOP_TRY(add_thresholds("eviction_hard", options.hard, false, out));
  ORLOP_TRY(add_thresholds("eviction_soft", options.soft, true, out));
  std::map<Signal, int64_t> graces;
  for (const std::string& entry : options.grace) {
    constexpr char kExample[] = "memory.available=1m30s";
    ORLOP_ASSIGN(const auto parts, split("eviction_soft_grace", entry, '=', kExample));
    const auto seconds = parse_seconds(parts.second);
    if (!seconds || *seconds == 0) return unreadable("eviction_soft_grace", entry, kExample);
    graces[parts.first] = *seconds * 1'000'000'000;
  }
  for (const std::string& entry : options.reclaim) {
    constexpr char kExample[] = "memory.available=50Mi";
    ORLOP_ASSIGN(const auto parts, split("eviction_reclaim", entry, '=', kExample));
    const auto amount = parse_amount(parts.second);
    if (!amount) return unreadable("eviction_reclaim", entry, kExample);
    for (Threshold& threshold : out) {
      if (threshold.signal == parts.first) threshold.reclaim = *amount;
    }
  }
  for (Threshold& threshold : out) {
    if (threshold.is_hard()) continue;
    const auto grace = graces.find(threshold.signal);
    if (grace == graces.end()) {
      return Status(Code::kInvalid,
                    std::string("eviction_soft: ") + name_of(threshold.signal) + " needs an eviction_soft_grace");
    }
    threshold.grace_ns = grace->second;
  }
  return out;
}

bool is_met(const Threshold& threshold, const Observations& observations, bool with_reclaim) {
  const auto observed = observations.find(threshold.signal);
  if (observed == observations.end()) return false;
  int64_t wanted = threshold.value.of(observed->second.capacity);
  if (with_reclaim) wanted += threshold.reclaim.of(observed->second.capacity);
  return observed->second.available < wanted;
}

}  // namespace orlop::agent
