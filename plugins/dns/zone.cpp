#include "plugins/dns/zone.hpp"

#include <algorithm>
#include <utility>

namespace orlop::dns {

void Zone::set(const std::string& owner, std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  const std::unique_lock lock(mutex_);
  if (const auto known = owners_.find(owner); known != owners_.end()) {
    for (const std::string& key : known->second.keys) {
      const auto name = names_.find(key);
      if (name == names_.end()) continue;
      std::erase_if(name->second, [&](const Item& item) { return item.owner == known->second.id; });
      if (name->second.empty()) names_.erase(name);
    }
    owners_.erase(known);
  }
  if (entries.empty()) return;
  Owner given;
  given.id = ++last_id_;
  for (Entry& entry : entries) {
    names_[entry.key].push_back({given.id, entry.type, std::move(entry.rdata), std::move(entry.target)});
    if (given.keys.empty() || given.keys.back() != entry.key) given.keys.push_back(std::move(entry.key));
  }
  owners_.emplace(owner, std::move(given));
}

void Zone::clear() {
  const std::unique_lock lock(mutex_);
  names_.clear();
  owners_.clear();
}

size_t Zone::names() const {
  const std::shared_lock lock(mutex_);
  return names_.size();
}

}  // namespace orlop::dns
