// The troubles that the README lists, each with what has to happen.
#include "kernel/store/format.hpp"
#include "kernel/store/process_test_support.hpp"
#include "kernel/store/store_test_support.hpp"

#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include <dlfcn.h>
#include <lmdb.h>
#include <sys/mount.h>

namespace {
std::atomic<bool> sync_fails = false;
}  // namespace

// LMDB's own call ends here, as this program's symbols come first.
extern "C" __attribute__((visibility("default"))) int fdatasync(int fd) {
  if (sync_fails) {
    errno = EIO;
    return -1;
  }
  static const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
  return real(fd);
}

namespace orlop::store {
namespace {

using namespace testing;  // NOLINT: the helpers of this folder's tests

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(StoreFailureTest, TheMapGrowsUnderReadersAndWriters) {
  const TemporaryFolder folder;
  LmdbOptions options = options_for(folder / "store");
  options.map_bytes = 256u << 10;
  auto store = open_or_fail(std::move(options));
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        uint64_t bytes = 0;
        auto result =
            store->list({.kind = "things"}, [&](const RecordView& view) { return bytes += view.value.size(), true; });
        EXPECT_TRUE(result) << result.message();
        EXPECT_EQ(bytes, result->count * 10000);
      }
    });
  }
  for (int i = 0; i < 500; ++i) commit_or_fail(*store, {put(key_of(std::to_string(i)), std::string(10000, 'v'))});
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_GE(store->stats().map_growths, 4u);
  EXPECT_EQ(*store->count({.kind = "things"}), 500u);
  EXPECT_EQ(store->current_revision(), 500u);
}

TEST(StoreFailureTest, AMapThatMayNotGrowRefusesAndGoesOn) {
  const TemporaryFolder folder;
  LmdbOptions options = options_for(folder / "store");
  options.map_bytes = options.map_bytes_max = 1u << 20;
  auto store = open_or_fail(std::move(options));
  Result<CommitResult> result = commit(*store, {put(key_of("0"), "first")});
  for (int i = 1; result && i < 1000; ++i) {
    result = commit(*store, {put(key_of(std::to_string(i)), std::string(10000, 'v'))});
  }
  EXPECT_EQ(result.code(), Code::kUnavailable);
  EXPECT_NE(result.message().find("map_bytes_max"), std::string::npos) << result.message();
  EXPECT_EQ(store->get(key_of("0"))->value, "first");
}

TEST(StoreFailureTest, AFailedSyncEndsWritingUntilReopened) {
  const TemporaryFolder folder;
  auto store = open_or_fail(options_for(folder / "store"));
  commit_or_fail(*store, {put(key_of("a"), "1")});
  sync_fails = true;
  const auto failed = commit(*store, {put(key_of("a"), "2")});
  sync_fails = false;
  EXPECT_EQ(failed.code(), Code::kUnavailable);
  EXPECT_NE(failed.message().find("opened again"), std::string::npos) << failed.message();
  EXPECT_EQ(commit(*store, {put(key_of("a"), "3")}).code(), Code::kUnavailable);
  EXPECT_EQ(store->compact(1).code(), Code::kUnavailable);
  EXPECT_EQ(store->get(key_of("a"))->value, "1");
  store.reset();
  store = open_or_fail(options_for(folder / "store"));
  EXPECT_EQ(store->get(key_of("a"))->value, "1");
  EXPECT_EQ(commit_or_fail(*store, {put(key_of("a"), "4")}), 2u);
}

TEST(StoreFailureTest, AFailedSyncAlsoEndsTheWaitOfReadersForARelaxedWrite) {
  const TemporaryFolder folder;
  auto store = open_or_fail(options_for(folder / "store"));
  sync_fails = true;
  Transaction transaction;
  transaction.durability = Durability::kRelaxed;
  transaction.writes.push_back(put(key_of("a"), "1"));
  EXPECT_TRUE(store->commit_and_wait(std::move(transaction)));
  EXPECT_EQ(store->get(key_of("a")).code(), Code::kNotFound);
  sync_fails = false;
  EXPECT_EQ(commit(*store, {put(key_of("a"), "2")}).code(), Code::kUnavailable);
}

// A file system of 4 MiB that is gone with the test.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    std::filesystem::create_directory(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

void fill_and_free_disk(uint64_t reserve_bytes) {
  const TemporaryFolder folder;
  const SmallDisk disk(folder / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "a small disk can only be mounted by root";
  const std::string ballast = folder / "disk/ballast";
  std::ofstream(ballast) << std::string(1u << 20, 'x');
  LmdbOptions options = options_for(folder / "disk/store");
  options.disk_reserve_bytes = reserve_bytes;
  auto store = open_or_fail(options);
  int written = 0;
  Result<CommitResult> result = Status(Code::kInternal, "");
  do {
    result = commit(*store, {put(key_of(std::to_string(written)), std::string(5000, 'v'))});
    if (result) ++written;
  } while (result && written < 10000);
  ASSERT_EQ(result.code(), Code::kUnavailable) << result.message();
  EXPECT_NE(result.message().find(options.folder), std::string::npos) << result.message();
  EXPECT_NE(result.message().find("bytes free"), std::string::npos) << result.message();
  ASSERT_GT(written, 50);
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(commit(*store, {put(key_of("refused"), std::string(5000, 'v'))}));
    EXPECT_EQ(*store->count({.kind = "things"}), static_cast<uint64_t>(written));
  }
  std::filesystem::remove(ballast);
  EXPECT_TRUE(commit(*store, {put(key_of("room"), std::string(5000, 'v'))}));
  store.reset();
  store = open_or_fail(options);
  ASSERT_NE(store, nullptr);
  for (int i = 0; i < written; ++i) ASSERT_TRUE(store->get(key_of(std::to_string(i)))) << i;
  EXPECT_EQ(store->current_revision(), static_cast<Revision>(written) + 1);
  EXPECT_EQ(pull_all(*store, {}).size(), static_cast<std::size_t>(written) + 1);
}

TEST(StoreFailureTest, AFullDiskIsToldAndSurvived) {
  fill_and_free_disk(0);
}

TEST(StoreFailureTest, TheReserveIsKeptFree) {
  fill_and_free_disk(512u << 10);
}

TEST(StoreFailureTest, ASecondWriterIsRefusedByThePidOfTheFirst) {
  const TemporaryFolder folder;
  const std::string path = folder / "store";
  Child child([&](int up, int down) {
    auto store = open_lmdb_store(options_for(path));
    if (!store || !send(up, 'x')) return 1;
    wait_for_byte(down);
    return 0;
  });
  char ready = 0;
  ASSERT_TRUE(child.receive(ready));
  const auto second = open_lmdb_store(options_for(path));
  EXPECT_EQ(second.code(), Code::kConflict);
  EXPECT_NE(second.message().find(std::to_string(child.pid())), std::string::npos) << second.message();
  child.tell();
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(open_lmdb_store(options_for(path)).is_ok());
}

TEST(StoreFailureTest, AnotherProcessReadsAndFollowsBeyondTheFirstMap) {
  const TemporaryFolder folder;
  const std::string path = folder / "store";
  LmdbOptions options = options_for(path);
  options.map_bytes = 256u << 10;
  commit_or_fail(*open_or_fail(options), {put(key_of("0"), std::string(10000, 'v'))});
  Child child([&](int up, int) {
    auto reader = open_lmdb_reader(options);
    if (!reader || !(*reader)->get(key_of("0")) || !send(up, 'x')) return 1;
    Revision cursor = 0;
    uint64_t seen = 0;
    const bool all = eventually([&] {
      auto result = (*reader)->pull({.cursor = cursor}, [&](const ChangeView& change) {
        seen += change.value.size() == 10000 && change.revision > cursor ? 1 : 0;
        return true;
      });
      if (result) cursor = result->next_cursor;
      return !result || cursor == 300;
    });
    return all && seen == 300 && *(*reader)->count({.kind = "things"}) == 300 ? 0 : 2;
  });
  char ready = 0;
  ASSERT_TRUE(child.receive(ready));
  auto store = open_or_fail(options);
  for (int i = 1; i < 300; ++i) commit_or_fail(*store, {put(key_of(std::to_string(i)), std::string(10000, 'v'))});
  EXPECT_GE(store->stats().map_growths, 3u);
  EXPECT_EQ(child.wait(), 0);
}

TEST(StoreFailureTest, TheSlotOfADeadReaderIsFreed) {
  const TemporaryFolder folder;
  LmdbOptions options = options_for(folder / "store");
  options.housekeeping_ms = 1;
  commit_or_fail(*open_or_fail(options), {put(key_of("a"), "1")});
  Child child([&](int up, int down) {
    auto reader = open_lmdb_reader(options);
    if (!reader) return 1;
    (void)(*reader)->list({.kind = "things"}, [&](const RecordView&) { return send(up, 'x') && wait_for_byte(down); });
    return 0;
  });
  char reading = 0;
  ASSERT_TRUE(child.receive(reading));
  auto store = open_or_fail(options);
  const uint64_t with_child = store->stats().readers;
  EXPECT_GE(with_child, 2u);
  child.kill();
  EXPECT_TRUE(eventually([&] { return store->stats().readers < with_child; }));
}

TEST(StoreFailureTest, AFileThatIsNoneOfOursIsRefused) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "store");
  std::ofstream(folder / "store/data.mdb") << std::string(20000, 'x');
  const auto store = open_lmdb_store(options_for(folder / "store"));
  EXPECT_EQ(store.code(), Code::kInvalid) << store.message();
  EXPECT_NE(store.message().find(folder / "store"), std::string::npos);
}

TEST(StoreFailureTest, AFileThatIsCutOffIsRefused) {
  const TemporaryFolder folder;
  {
    auto store = open_or_fail(options_for(folder / "store"));
    for (int i = 0; i < 20; ++i) commit_or_fail(*store, {put(key_of(std::to_string(i)), std::string(10000, 'v'))});
  }
  std::filesystem::resize_file(folder / "store/data.mdb", 64u << 10);
  const auto store = open_lmdb_store(options_for(folder / "store"));
  EXPECT_EQ(store.code(), Code::kInvalid);
  EXPECT_NE(store.message().find("damaged"), std::string::npos) << store.message();
}

// Runs f on the unnamed table of an LMDB folder.
void with_raw_table(const std::string& folder, const std::function<void(MDB_txn*, MDB_dbi)>& f) {
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi table = 0;
  ASSERT_EQ(mdb_env_create(&env), 0);
  ASSERT_EQ(mdb_env_open(env, folder.c_str(), 0, 0600), 0);
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
  ASSERT_EQ(mdb_dbi_open(txn, nullptr, 0, &table), 0);
  f(txn, table);
  ASSERT_EQ(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
}

TEST(StoreFailureTest, SomebodyElsesLmdbFileIsRefused) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "store");
  with_raw_table(folder / "store", [](MDB_txn* txn, MDB_dbi table) {
    MDB_val key = to_val("theirs");
    MDB_val value = to_val("data");
    ASSERT_EQ(mdb_put(txn, table, &key, &value, 0), 0);
  });
  const auto store = open_lmdb_store(options_for(folder / "store"));
  EXPECT_EQ(store.code(), Code::kInvalid);
  EXPECT_NE(store.message().find("not made by this store"), std::string::npos) << store.message();
}

TEST(StoreFailureTest, ANewerFormatIsRefused) {
  const TemporaryFolder folder;
  commit_or_fail(*open_or_fail(options_for(folder / "store")), {put(key_of("a"), "1")});
  with_raw_table(folder / "store", [](MDB_txn* txn, MDB_dbi table) {
    MDB_val key = to_val(kStateKey);
    MDB_val value{};
    State state{};
    ASSERT_EQ(mdb_get(txn, table, &key, &value), 0);
    ASSERT_TRUE(decode_state(to_view(value), state));
    state.format_version = kFormatVersion + 1;
    value = {sizeof(state), &state};
    ASSERT_EQ(mdb_put(txn, table, &key, &value, 0), 0);
  });
  const auto store = open_lmdb_store(options_for(folder / "store"));
  EXPECT_EQ(store.code(), Code::kInvalid);
  EXPECT_NE(store.message().find("newer"), std::string::npos) << store.message();
  EXPECT_EQ(open_lmdb_reader(options_for(folder / "store")).code(), Code::kInvalid);
}

TEST(StoreFailureTest, AReaderNeedsAStore) {
  const TemporaryFolder folder;
  EXPECT_EQ(open_lmdb_reader(options_for(folder / "none")).code(), Code::kNotFound);
  EXPECT_EQ(open_lmdb_store(options_for(folder / "no/parent")).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace orlop::store
