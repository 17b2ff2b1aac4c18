// What the tests of this folder share.
#pragma once

#include "kernel/store/lmdb_store.hpp"

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace orlop::store::testing {

// A folder of its own that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "orlop-store-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A clock that stands still until it is moved.
struct ManualClock {
  std::shared_ptr<std::atomic<int64_t>> now = std::make_shared<std::atomic<int64_t>>(1'000'000'000'000);
  [[nodiscard]] std::function<int64_t()> reader() const {
    return [now = now] { return now->load(); };
  }
};

inline LmdbOptions options_for(const std::string& folder) {
  LmdbOptions options;
  options.folder = folder;
  options.map_bytes = 64u << 20;
  options.log_age_ms_max = 0;
  options.log_bytes_max = 0;
  options.housekeeping_ms = 0;
  options.disk_reserve_bytes = 0;
  return options;
}

inline std::unique_ptr<Store> open_or_fail(LmdbOptions options) {
  auto store = open_lmdb_store(std::move(options));
  EXPECT_TRUE(store.is_ok()) << store.message();
  return store ? std::move(*store) : nullptr;
}

inline Key key_of(std::string name, std::string name_space = "default", std::string kind = "things") {
  return {std::move(kind), std::move(name_space), std::move(name)};
}

inline Write put(Key key, std::string value, std::vector<std::string> terms = {}, Precondition precondition = {}) {
  Write write;
  write.key = std::move(key);
  write.value = std::move(value);
  write.index_terms = std::move(terms);
  write.precondition = precondition;
  return write;
}

inline Write erase(Key key, Precondition precondition = {}) {
  Write write;
  write.key = std::move(key);
  write.operation = Operation::kDelete;
  write.precondition = precondition;
  return write;
}

inline Result<CommitResult> commit(Store& store, std::vector<Write> writes, std::vector<Check> checks = {}) {
  Transaction transaction;
  transaction.writes = std::move(writes);
  transaction.checks = std::move(checks);
  return store.commit_and_wait(std::move(transaction));
}

inline Revision commit_or_fail(Store& store, std::vector<Write> writes) {
  auto result = commit(store, std::move(writes));
  EXPECT_TRUE(result.is_ok()) << result.message();
  return result ? result->revision : 0;
}

inline std::vector<Record> list_all(Reader& store, const ListRequest& request) {
  std::vector<Record> records;
  auto result = store.list(request, [&](const RecordView& view) {
    records.push_back({view.key.to_key(), view.create_revision, view.revision, std::string(view.value),
                       view.index_terms.to_vector(), view.sealed});
    return true;
  });
  EXPECT_TRUE(result.is_ok()) << result.message();
  return records;
}

inline std::vector<std::string> names_of(Reader& store, const ListRequest& request) {
  std::vector<std::string> names;
  for (const Record& record : list_all(store, request)) names.push_back(record.key.name);
  return names;
}

// A change, owned.
struct SeenChange {
  ChangeType type;
  Key key;
  Revision revision;
  Revision previous_revision;
  Revision create_revision;
  Revision first;
  Revision last;
  int64_t time_ms;
  std::string value;
  std::vector<std::string> terms;
  std::optional<std::string> previous_value;
  bool operator==(const SeenChange&) const = default;
};

inline SeenChange seen(const ChangeView& view) {
  SeenChange change{view.type,
                    view.key.to_key(),
                    view.revision,
                    view.previous_revision,
                    view.create_revision,
                    view.transaction_first,
                    view.transaction_last,
                    view.commit_time_ms,
                    std::string(view.value),
                    view.index_terms.to_vector(),
                    std::nullopt};
  if (view.previous_value) change.previous_value = std::string(*view.previous_value);
  return change;
}

inline std::vector<SeenChange> pull_all(Reader& store, PullRequest request) {
  std::vector<SeenChange> changes;
  for (;;) {
    auto result = store.pull(request, [&](const ChangeView& view) {
      changes.push_back(seen(view));
      return true;
    });
    EXPECT_TRUE(result.is_ok()) << result.message();
    if (!result || result->reached_end) return changes;
    request.cursor = result->next_cursor;
  }
}

}  // namespace orlop::store::testing
