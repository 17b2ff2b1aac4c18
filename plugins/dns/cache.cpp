#include "plugins/dns/cache.hpp"

#include <algorithm>

namespace orlop::dns {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

// The four numbers that an SOA ends with, the last of which is the negative time.
std::optional<uint32_t> minimum_of(const Record& soa) {
  if (soa.rdata.size() < 22) return std::nullopt;
  uint32_t out = 0;
  for (size_t i = soa.rdata.size() - 4; i < soa.rdata.size(); ++i) out = out << 8 | static_cast<uint8_t>(soa.rdata[i]);
  return out;
}

// Seconds; 0: not to be kept.
uint32_t lifetime_of(const Response& response, const CacheSettings& settings) {
  if (response.rcode != Rcode::kNoError && response.rcode != Rcode::kNxDomain) return 0;
  uint32_t out = settings.seconds_most;
  for (const Record& record : response.answer) out = std::min(out, record.ttl);
  const bool only_aliases = std::all_of(response.answer.begin(), response.answer.end(),
                                        [](const Record& record) { return record.type == type::kCname; });
  if (response.rcode == Rcode::kNoError && !only_aliases) return out;
  for (const Record& record : response.authority) {
    if (record.type != type::kSoa) continue;
    const auto minimum = minimum_of(record);
    if (!minimum) return 0;
    return std::min({out, record.ttl, *minimum, settings.negative_seconds_most});
  }
  return 0;
}

void age(std::vector<Record>& records, uint32_t seconds) {
  for (Record& record : records) record.ttl -= std::min(record.ttl, seconds);
}

}  // namespace

std::string Cache::key_of(const Question& question, bool dnssec_ok, bool checking_disabled) {
  std::string key = question.key;
  for (const uint16_t value : {question.type, question.klass}) {
    key.push_back(static_cast<char>(value >> 8));
    key.push_back(static_cast<char>(value & 0xff));
  }
  key.push_back(static_cast<char>((dnssec_ok ? 1 : 0) | (checking_disabled ? 2 : 0)));
  return key;
}

std::optional<Response> Cache::find(const std::string& key, int64_t now_ns) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  if (found->second->until_ns <= now_ns) {
    entries_.erase(found->second);
    by_key_.erase(found);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  Response out = found->second->response;
  const auto seconds = static_cast<uint32_t>((now_ns - found->second->kept_at_ns) / kSecondNs);
  age(out.answer, seconds);
  age(out.authority, seconds);
  return out;
}

void Cache::put(const std::string& key, const Response& response, int64_t now_ns) {
  const uint32_t seconds = lifetime_of(response, settings_);
  if (seconds == 0 || settings_.entries_most == 0) return;
  if (const auto old = by_key_.find(key); old != by_key_.end()) {
    entries_.erase(old->second);
    by_key_.erase(old);
  }
  if (entries_.size() >= settings_.entries_most) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({key, response, now_ns, now_ns + int64_t{seconds} * kSecondNs});
  by_key_[key] = entries_.begin();
}

void Cache::clear() {
  by_key_.clear();
  entries_.clear();
}

}  // namespace orlop::dns
