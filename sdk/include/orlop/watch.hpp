// A plugin's view of a set of kinds, kept current: list once, then follow the change log.
//
// What is guaranteed, before any method:
// - Ordered: changes arrive in the order of their revisions; those of one transaction together.
// - Complete: between two resets no change is left out. First come all existing objects as kCreated, then what follows.
// - Reset: when the cursor has been compacted (the watch was away for too long), or a first list broke off, on_reset
//   runs, then all existing objects come again as kCreated. Whoever keeps a projection drops it in on_reset.
// - A handler sees each object as it was at that revision; reading the store again may show a newer one.
//
// Nothing is cached here: a handler keeps the numbers that it works with and reads the rest from the store when it
// needs it.
//
// Threads: drain() from one thread at a time. Handlers run inside drain().
#pragma once

#include "orlop/host.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace orlop {

struct WatchOptions {
  std::vector<std::string> kinds;
  bool want_previous = false;     // fill ChangeView::previous_value
  uint32_t batch_changes = 1000;  // at most so many in one pull
};

class Watch {
 public:
  using OnChange = std::function<void(const ChangeView&)>;
  using OnReset = std::function<void()>;

  Watch(Host host, WatchOptions options, OnChange on_change, OnReset on_reset = {})
      : host_(host), options_(std::move(options)), on_change_(std::move(on_change)), on_reset_(std::move(on_reset)) {}

  // Delivers what there is. Returns false when nothing was new. A failure (kUnavailable: the store is away) leaves the
  // cursor where it was: drain again later.
  Result<bool> drain() {
    bool delivered = false;
    if (!listed_) {
      ORLOP_TRY(list_all());
      delivered = true;
    }
    for (;;) {
      v1::PullRequest request;
      request.set_cursor(cursor_);
      for (const std::string& kind : options_.kinds) request.add_kinds(kind);
      request.set_want_previous(options_.want_previous);
      request.set_max_changes(options_.batch_changes);
      auto page = host_.pull(request, [&](const ChangeView& change) {
        delivered = true;
        on_change_(change);
        return true;
      });
      if (!page) {
        if (page.code() != Code::kGone) return page.status();
        listed_ = false;
        delivered_any_ = true;
        ORLOP_TRY(list_all());
        delivered = true;
        continue;
      }
      cursor_ = page->next_cursor();
      if (page->at_end()) return delivered;
    }
  }

  // Everything up to this revision has been delivered.
  [[nodiscard]] uint64_t cursor() const { return cursor_; }
  // True once all objects that existed at the start have been delivered.
  [[nodiscard]] bool synced() const { return listed_; }
  [[nodiscard]] const std::vector<std::string>& kinds() const { return options_.kinds; }

 private:
  Status list_all() {
    // What was delivered before, by a list that broke off or by the log, may be gone without a word by now.
    if (std::exchange(delivered_any_, false) && on_reset_) on_reset_();
    // All kinds are listed at one revision, so that what follows it in the log is all that is missing.
    const uint64_t start = host_.revision();
    for (const std::string& kind : options_.kinds) {
      v1::ListRequest request;
      request.set_kind(kind);
      request.set_at_revision(start);
      auto result = host_.list(request, [&](const RecordView& record) {
        delivered_any_ = true;
        on_change_({ChangeType::kCreated, record, 0, {}});
        return true;
      });
      if (!result) return result.status();
    }
    cursor_ = start;
    listed_ = true;
    return Status::ok();
  }

  Host host_;
  WatchOptions options_;
  OnChange on_change_;
  OnReset on_reset_;
  uint64_t cursor_ = 0;
  bool listed_ = false;
  bool delivered_any_ = false;  // something that a new list would contradict
};

}  // namespace orlop
