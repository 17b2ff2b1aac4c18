#include "plugins/runtime-hollow/settings.hpp"

#include "orlop/kube/quantity.hpp"

#include <charconv>
#include <cmath>
#include <tuple>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace orlop::hollow {

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number);
  std::string_view unit(rest, static_cast<size_t>(end - rest));
  double factor = unit == "ms"                  ? 1e6
                  : unit.empty() || unit == "s" ? 1e9
                  : unit == "m"                 ? 60e9
                  : unit == "h"                 ? 3600e9
                                                : 0;
  double nanoseconds = number * factor;
  if (error != std::errc() || factor == 0 || !(nanoseconds >= 0) || nanoseconds > 9e18) {
    return Status(Code::kInvalid, fmt::format("\"{}\" is no duration; write 250ms, 1.5s, 2m or 1h", text));
  }
  return std::chrono::nanoseconds(std::llround(nanoseconds));
}

Result<std::optional<ExitPlan>> make_exit_plan(const std::string* after, const std::string* code) {
  if (after == nullptr) return std::optional<ExitPlan>();
  ExitPlan plan;
  auto duration = parse_duration(*after);
  if (!duration.is_ok()) {
    return Status(Code::kInvalid, "annotation hollow.orlop.dev/exit-after: " + duration.message());
  }
  plan.after = *duration;
  if (code != nullptr) {
    auto [rest, error] = std::from_chars(code->data(), code->data() + code->size(), plan.code);
    if (error != std::errc() || rest != code->data() + code->size() || plan.code < 0 || plan.code > 255) {
      return Status(Code::kInvalid,
                    fmt::format("annotation hollow.orlop.dev/exit-code: \"{}\" is no number from 0 to 255", *code));
    }
  }
  return std::optional<ExitPlan>(plan);
}

Result<Load> make_load(const std::string* cpu, const std::string* memory) {
  Load load;
  for (const auto& [word, text, value] : {std::tuple("cpu", cpu, &load.cpu_milli),  //
                                          std::tuple("memory", memory, &load.memory_bytes)}) {
    if (text == nullptr) continue;
    const auto quantity = kube::Quantity::parse(*text);
    if (!quantity || quantity->sign() < 0) {
      return Status(
          Code::kInvalid,
          fmt::format("annotation hollow.orlop.dev/{}: \"{}\" is no quantity; write 250m or 64Mi", word, *text));
    }
    *value = value == &load.cpu_milli ? quantity->to_milli() : quantity->to_value();
  }
  return load;
}

Result<int32_t> make_exec_code(const std::string* code) {
  if (code == nullptr) return 0;
  int32_t value = -1;
  const auto parsed = std::from_chars(code->data(), code->data() + code->size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != code->data() + code->size() || value < 0 || value > 255) {
    return Status(Code::kInvalid,
                  fmt::format("annotation hollow.orlop.dev/exec-code: \"{}\" is no exit code from 0 to 255", *code));
  }
  return value;
}

Result<IpPool> IpPool::parse(std::string_view range) {
  Status wrong(Code::kInvalid, fmt::format("ip_range: \"{}\" is no IPv4 range; write for example 10.128.0.0/9", range));
  size_t slash = range.find('/');
  if (slash == std::string_view::npos) return wrong;
  in_addr address{};
  unsigned bits = 0;
  std::string_view length = range.substr(slash + 1);
  auto [rest, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (::inet_pton(AF_INET, std::string(range.substr(0, slash)).c_str(), &address) != 1 || error != std::errc() ||
      rest != length.data() + length.size() || bits < 1 || bits > 30) {
    return wrong;
  }
  uint32_t mask = ~uint32_t{0} << (32 - bits);
  IpPool pool;
  // The first and the last address of a range are nobody's.
  pool.first_ = (ntohl(address.s_addr) & mask) + 1;
  pool.last_ = (ntohl(address.s_addr) | ~mask) - 1;
  pool.next_ = pool.first_;
  return pool;
}

Result<uint32_t> IpPool::take() {
  if (next_ <= last_) return next_++;
  if (returned_from_ == returned_.size()) {
    return Status(Code::kTooManyRequests, "every address of ip_range is in use; choose a larger range");
  }
  uint32_t address = returned_[returned_from_++];
  if (returned_from_ > 4096 && returned_from_ * 2 > returned_.size()) {
    returned_.erase(returned_.begin(), returned_.begin() + static_cast<std::ptrdiff_t>(returned_from_));
    returned_from_ = 0;
  }
  return address;
}

void IpPool::give_back(uint32_t address) {
  returned_.push_back(address);
}

std::string format_ip(uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
}

}  // namespace orlop::hollow
