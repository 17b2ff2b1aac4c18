// Changes on their way to watchers. The change log is pulled once for all watchers of a kind and each change is encoded
// once; the recent ones stand in a bounded ring.
//
// What is guaranteed: take() gives every change of the kind after the cursor, in the order of revisions, none twice. A
// watcher that is too slow for the ring reads the change log itself, from its own cursor; nothing is kept for it. kGone
// when the log no longer reaches back.
#pragma once

#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "plugins/api-kubernetes/http/exchange.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace orlop::rest {

// One change. Immutable but for its encodings, which are made when first wanted and shared.
class WatchEvent {
 public:
  ChangeType type = ChangeType::kCreated;
  uint64_t revision = 0;
  std::string name_space;
  std::string name;
  std::string value;     // deleted: the last one
  std::string previous;  // updated: what it was before

  // The encoding of `value` under this key. Any thread.
  std::shared_ptr<const std::string> encoded(uint32_t key, const std::function<std::string()>& make) const;

 private:
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<uint32_t, std::shared_ptr<const std::string>>> encodings_;  // guarded by mutex_
};

using WatchEventPtr = std::shared_ptr<const WatchEvent>;

class WatchHubs {
 public:
  explicit WatchHubs(Host host);
  ~WatchHubs();  // stops
  WatchHubs(const WatchHubs&) = delete;
  WatchHubs& operator=(const WatchHubs&) = delete;

  void start();
  void stop();
  // Something has changed. Any thread, returns at once.
  void wake();

  struct Batch {
    std::vector<WatchEventPtr> events;
    uint64_t next_cursor = 0;
    bool at_end = true;  // nothing more for now
  };
  // Any thread. `name_space`: only read where the log is read; else the caller filters.
  Result<Batch> take(std::string_view kind, std::string_view name_space, uint64_t cursor);

  // From its making to its end, the exchange is notified of changes of the kind.
  class Subscription {
   public:
    Subscription(WatchHubs& hubs, std::string_view kind, http::Exchange& exchange);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

   private:
    WatchHubs& hubs_;
    std::string kind_;
    http::Exchange& exchange_;
  };

 private:
  struct Hub {
    std::deque<WatchEventPtr> ring;
    size_t ring_bytes = 0;
    uint64_t covered_from = 0;  // the ring holds every change after this revision …
    uint64_t covered_to = 0;    // … up to this one
    std::set<http::Exchange*> watchers;
  };
  using Fresh = std::map<std::string, std::vector<WatchEventPtr>, std::less<>>;

  void run();
  bool pull_once();
  void append(Hub& hub, std::vector<WatchEventPtr> events, uint64_t cursor);
  void reset_rings();
  Result<Batch> take_from_log(std::string_view kind, std::string_view name_space, uint64_t cursor) const;

  Host host_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool pending_ = false;                          // guarded by mutex_
  bool stopping_ = false;                         // guarded by mutex_
  uint64_t cursor_ = 0;                           // guarded by mutex_
  std::map<std::string, Hub, std::less<>> hubs_;  // those with watchers; guarded by mutex_
  std::thread thread_;
};

}  // namespace orlop::rest
