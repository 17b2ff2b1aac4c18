// A store in memory, for tests of what stands above the store: the same answers as the real one, nothing on disk,
// commits on the caller's thread or held back until the test lets them go.
#pragma once

#include "kernel/store/store.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orlop::gate {

// Threads: any; completions run on the committing thread, without the lock.
class MemoryStore : public store::Store {
 public:
  Result<store::Revision> get(std::span<const store::Key> keys, store::Revision,
                              const store::GetVisitor& visitor) override {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto found = records_.find(keys[i]);
      if (found == records_.end()) {
        if (!visitor(i, nullptr)) break;
        continue;
      }
      const auto view = view_of(found->second);
      if (!visitor(i, &view)) break;
    }
    return revision_;
  }
  using Store::get;

  Result<store::ListResult> list(const store::ListRequest& request, const store::RecordVisitor& visitor) override {
    const std::lock_guard lock(mutex_);
    store::ListResult result;
    result.revision = revision_;
    for (const auto& [key, stored] : records_) {
      if (key.kind != request.kind) continue;
      if (request.name_space && key.name_space != *request.name_space) continue;
      if (request.start_after && !(key > *request.start_after)) continue;
      if (request.index_term && !stored.terms.contains(*request.index_term)) continue;
      if (request.limit != 0 && result.count == request.limit) {
        result.more = true;
        break;
      }
      ++result.count;
      if (!visitor(view_of(stored))) break;
    }
    return result;
  }

  Result<uint64_t> count(const store::ListRequest& request) override {
    ORLOP_ASSIGN(const auto listed, list(request, [](const store::RecordView&) { return true; }));
    return listed.count;
  }

  Result<store::PullResult> pull(const store::PullRequest& request, const store::ChangeVisitor& visitor) override {
    const std::lock_guard lock(mutex_);
    store::PullResult result;
    for (const auto& change : log_) {
      if (change.revision <= request.cursor) continue;
      if (!request.kinds.empty() &&
          std::find(request.kinds.begin(), request.kinds.end(), change.key.kind) == request.kinds.end()) {
        continue;
      }
      store::ChangeView view;
      view.type = change.type;
      view.key = {change.key.kind, change.key.name_space, change.key.name};
      view.revision = change.revision;
      view.value = change.value;
      ++result.changes;
      if (!visitor(view)) break;
    }
    result.next_cursor = revision_;
    result.reached_end = true;
    return result;
  }

  store::Revision current_revision() override {
    const std::lock_guard lock(mutex_);
    return revision_;
  }
  store::Revision compacted_revision() override { return 0; }
  store::Stats stats() override { return {}; }

  void commit(store::Transaction transaction, store::CommitCallback done) override {
    std::unique_lock lock(mutex_);
    if (before_commit) {
      auto hook = std::exchange(before_commit, nullptr);
      lock.unlock();
      hook();
      lock.lock();
    }
    durability = transaction.durability;
    auto result = apply(std::move(transaction));
    lock.unlock();
    done(std::move(result));
  }

  uint64_t on_commit(store::CommitListener) override { return 0; }
  void remove_listener(uint64_t) override {}
  Result<store::Revision> compact(store::Revision) override { return revision_; }
  Result<store::Revision> snapshot(const std::string&) override { return revision_; }

  // Runs once, before the next commit is looked at: where a test lets somebody else be faster.
  std::function<void()> before_commit;
  store::Durability durability = store::Durability::kDurable;  // of the last transaction

 private:
  struct Stored {
    store::Key key;
    store::Revision create_revision = 0;
    store::Revision revision = 0;
    std::string value;
    std::set<std::string> terms;
    std::string encoded_terms;
    bool sealed = false;
  };
  struct Change {
    store::ChangeType type;
    store::Key key;
    store::Revision revision;
    std::string value;
  };

  static store::RecordView view_of(const Stored& stored) {
    return {{stored.key.kind, stored.key.name_space, stored.key.name},
            stored.create_revision,
            stored.revision,
            stored.value,
            store::TermsView(stored.encoded_terms),
            stored.sealed};
  }

  Status check(const store::Key& key, const store::Precondition& precondition, const std::string& where) const {
    using Kind = store::Precondition::Kind;
    const auto found = records_.find(key);
    const bool exists = found != records_.end();
    const auto failed = [&](Code code) {
      return Status(code, "a precondition does not hold", {{"Precondition", "", where}});
    };
    if (precondition.kind == Kind::kAbsent && exists) return failed(Code::kAlreadyExists);
    if (precondition.kind == Kind::kExists && !exists) return failed(Code::kNotFound);
    if (precondition.kind == Kind::kAtRevision) {
      if (!exists) return failed(Code::kNotFound);
      if (found->second.revision != precondition.revision) return failed(Code::kConflict);
    }
    return Status::ok();
  }

  Result<store::CommitResult> apply(store::Transaction transaction) {
    for (std::size_t i = 0; i < transaction.writes.size(); ++i) {
      const auto& write = transaction.writes[i];
      ORLOP_TRY(check(write.key, write.precondition, "writes[" + std::to_string(i) + "]"));
    }
    for (std::size_t i = 0; i < transaction.checks.size(); ++i) {
      const auto& each = transaction.checks[i];
      ORLOP_TRY(check(each.key, each.precondition, "checks[" + std::to_string(i) + "]"));
    }
    store::CommitResult result;
    for (auto& write : transaction.writes) {
      result.writes.push_back(write.operation == store::Operation::kPut ? put(write) : remove(write));
      if (!result.writes.back().changed) continue;
      if (result.first == 0) result.first = result.writes.back().revision;
      result.last = result.writes.back().revision;
    }
    result.revision = revision_;
    return result;
  }

  store::WriteOutcome put(store::Write& write) {
    auto& stored = records_[write.key];
    store::WriteOutcome outcome;
    const std::set<std::string> terms(write.index_terms.begin(), write.index_terms.end());
    if (write.skip_if_unchanged && stored.revision != 0 && stored.value == write.value && stored.terms == terms) {
      outcome.revision = stored.revision;
      outcome.create_revision = stored.create_revision;
      return outcome;
    }
    outcome.changed = true;
    outcome.previous_revision = stored.revision;
    outcome.revision = ++revision_;
    if (stored.revision == 0) stored.create_revision = revision_;
    outcome.create_revision = stored.create_revision;
    stored.key = write.key;
    stored.revision = revision_;
    stored.value = std::move(write.value);
    stored.terms = terms;
    stored.sealed = write.sealed;
    stored.encoded_terms.clear();
    for (const auto& term : write.index_terms) {
      stored.encoded_terms.push_back(static_cast<char>(term.size() & 0xff));
      stored.encoded_terms.push_back(static_cast<char>(term.size() >> 8));
      stored.encoded_terms += term;
    }
    log_.push_back({outcome.previous_revision == 0 ? store::ChangeType::kCreated : store::ChangeType::kUpdated,
                    stored.key, revision_, stored.value});
    return outcome;
  }

  store::WriteOutcome remove(const store::Write& write) {
    store::WriteOutcome outcome;
    const auto found = records_.find(write.key);
    if (found == records_.end()) return outcome;
    outcome.changed = true;
    outcome.previous_revision = found->second.revision;
    outcome.create_revision = found->second.create_revision;
    outcome.revision = ++revision_;
    log_.push_back({store::ChangeType::kDeleted, write.key, revision_, std::move(found->second.value)});
    records_.erase(found);
    return outcome;
  }

  std::mutex mutex_;  // guards what follows, and before_commit
  store::Revision revision_ = 0;
  std::map<store::Key, Stored> records_;
  std::deque<Change> log_;
};

}  // namespace orlop::gate
