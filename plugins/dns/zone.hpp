// The names of the cluster, in memory: each owner (a Service, a Namespace, the zone itself) gives the records that it
// stands for, and takes its former ones back by the same word.
//
// Threads: any; a change is seen whole or not at all by a find() that holds one lock.
#pragma once

#include "plugins/dns/packet.hpp"

#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orlop::dns {

struct Entry {
  std::string key;    // the name that has it, lower case
  uint16_t type = 0;  // 0: the name exists, and no more is said
  std::string rdata;
  std::string target;  // SRV and CNAME: the key that they lead to
  auto operator<=>(const Entry&) const = default;
};

class Zone {
 public:
  struct Item {
    uint64_t owner = 0;
    uint16_t type = 0;
    std::string rdata;
    std::string target;
  };
  using Items = std::vector<Item>;

  // Replaces what the owner has given; none: takes it back.
  void set(const std::string& owner, std::vector<Entry> entries);
  void clear();
  [[nodiscard]] size_t names() const;

  // Holds the zone still while it lives; pointers are good so long.
  class Look {
   public:
    explicit Look(const Zone& zone) : lock_(zone.mutex_), names_(zone.names_) {}
    [[nodiscard]] const Items* find(const std::string& key) const {
      const auto found = names_.find(key);
      return found == names_.end() ? nullptr : &found->second;
    }

   private:
    std::shared_lock<std::shared_mutex> lock_;
    const std::unordered_map<std::string, Items>& names_;
  };

 private:
  struct Owner {
    uint64_t id = 0;
    std::vector<std::string> keys;
  };

  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Items> names_;   // guarded by mutex_
  std::unordered_map<std::string, Owner> owners_;  // guarded by mutex_
  uint64_t last_id_ = 0;                           // guarded by mutex_
};

}  // namespace orlop::dns
