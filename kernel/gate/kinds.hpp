// Which kinds there are, and which plugin provides each.
//
// Threads: any. Entries are immutable and shared: who holds one goes on with it when the registration changes.
#pragma once

#include "orlop/result.hpp"
#include "orlop/v1/api.pb.h"

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orlop::gate {

struct KindEntry {
  std::string provider;
  v1::KindInfo info;
  bool present = true;  // false: its provider is gone
};

class Kinds {
 public:
  // See Gate::register_kinds.
  Status add(const std::string& provider, std::vector<v1::KindInfo> kinds);
  void remove_provider(const std::string& provider);

  // kNotFound: never registered. kUnavailable: its provider is gone.
  [[nodiscard]] Result<std::shared_ptr<const KindEntry>> find(std::string_view kind) const;
  // Those that are present, by name.
  [[nodiscard]] std::vector<v1::KindInfo> all() const;
  [[nodiscard]] bool is_provider(std::string_view plugin) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  // With mutex_ held alone. Replaces the entries of the provider by ones that are not present.
  void retire_locked(const std::string& provider);

  mutable std::shared_mutex mutex_;  // guards what follows
  std::unordered_map<std::string, std::shared_ptr<const KindEntry>, Hash, std::equal_to<>> entries_;
  std::map<std::string, std::size_t, std::less<>> providers_;  // how many kinds each provides
};

}  // namespace orlop::gate
