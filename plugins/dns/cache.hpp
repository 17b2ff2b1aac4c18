// Answers of other servers, as long as they said that they hold.
//
// Bounded: the one that was not asked for the longest goes first. Threads: one.
#pragma once

#include "plugins/dns/packet.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

namespace orlop::dns {

struct CacheSettings {
  size_t entries_most = 10'000;
  uint32_t seconds_most = 3600;         // of an answer with records
  uint32_t negative_seconds_most = 30;  // of "no such name" and "no such record"
};

class Cache {
 public:
  explicit Cache(CacheSettings settings) : settings_(settings) {}

  static std::string key_of(const Question& question, bool dnssec_ok, bool checking_disabled);
  // With what is left of each record's time.
  std::optional<Response> find(const std::string& key, int64_t now_ns);
  // Keeps it when it may be kept: NoError and NxDomain, those without an answer only with the zone's SOA (RFC 2308).
  void put(const std::string& key, const Response& response, int64_t now_ns);
  void clear();
  [[nodiscard]] size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    Response response;
    int64_t kept_at_ns = 0;
    int64_t until_ns = 0;
  };
  CacheSettings settings_;
  std::list<Entry> entries_;  // the one that was used last stands first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace orlop::dns
