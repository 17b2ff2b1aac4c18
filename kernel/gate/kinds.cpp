#include "kernel/gate/kinds.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace orlop::gate {

Status Kinds::add(const std::string& provider, std::vector<v1::KindInfo> kinds) {
  const std::unique_lock lock(mutex_);
  for (const auto& info : kinds) {
    if (info.kind().empty()) {
      return {Code::kInvalid, "plugin \"" + provider + "\" describes a kind without a name"};
    }
    const auto found = entries_.find(info.kind());
    if (found != entries_.end() && found->second->present && found->second->provider != provider) {
      return {Code::kAlreadyExists, "kind \"" + info.kind() + "\" of plugin \"" + provider +
                                        "\" is provided already, by plugin \"" + found->second->provider +
                                        "\": disable one of the two"};
    }
  }
  retire_locked(provider);
  for (auto& info : kinds) {
    auto entry = std::make_shared<KindEntry>();
    entry->provider = provider;
    std::string name = info.kind();
    entry->info = std::move(info);
    entries_.insert_or_assign(std::move(name), std::move(entry));
  }
  providers_[provider] = kinds.size();
  return Status::ok();
}

void Kinds::remove_provider(const std::string& provider) {
  const std::unique_lock lock(mutex_);
  retire_locked(provider);
}

void Kinds::retire_locked(const std::string& provider) {
  providers_.erase(provider);
  for (auto& [name, entry] : entries_) {
    if (!entry->present || entry->provider != provider) continue;
    auto gone = std::make_shared<KindEntry>(*entry);
    gone->present = false;
    entry = std::move(gone);
  }
}

Result<std::shared_ptr<const KindEntry>> Kinds::find(std::string_view kind) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(kind);
  if (found == entries_.end()) {
    return Status(Code::kNotFound, "no running plugin provides kind \"" + std::string(kind) +
                                       "\": its objects can be read, and not be written until one does");
  }
  if (!found->second->present) {
    return Status(Code::kUnavailable, "plugin \"" + found->second->provider + "\", which provides kind \"" +
                                          std::string(kind) +
                                          "\", is not running: its objects can be read, and not be written until it is "
                                          "back");
  }
  return found->second;
}

std::vector<v1::KindInfo> Kinds::all() const {
  std::vector<v1::KindInfo> out;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [name, entry] : entries_) {
      if (entry->present) out.push_back(entry->info);
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.kind() < b.kind(); });
  return out;
}

bool Kinds::is_provider(std::string_view plugin) const {
  const std::shared_lock lock(mutex_);
  return providers_.find(plugin) != providers_.end();
}

}  // namespace orlop::gate
