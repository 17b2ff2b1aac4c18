// Sealed values, and snapshots.
#include "kernel/store/seal.hpp"
#include "kernel/store/store_test_support.hpp"

#include <fstream>
#include <sstream>

namespace orlop::store {
namespace {

using namespace testing;  // NOLINT: the helpers of this folder's tests

const SealingKey kFirst{1, {1, 2, 3}};
const SealingKey kSecond{2, {4, 5, 6}};

Write put_sealed(const std::string& name, std::string value) {
  Write write = put(key_of(name), std::move(value), {"term"});
  write.sealed = true;
  return write;
}

std::string bytes_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

LmdbOptions sealing_options(const std::string& folder, std::vector<SealingKey> keys) {
  LmdbOptions options = options_for(folder);
  options.sealing_keys = std::move(keys);
  return options;
}

TEST(SealingTest, AValueIsPlainToReadersAndNowhereOnDisk) {
  const TemporaryFolder folder;
  const std::string secret = "the-password-is-swordfish";
  {
    auto store = open_or_fail(sealing_options(folder / "store", {kFirst}));
    commit_or_fail(*store, {put_sealed("a", secret + "1")});
    commit_or_fail(*store, {put_sealed("a", secret + "2")});
    EXPECT_EQ(store->get(key_of("a"))->value, secret + "2");
    EXPECT_TRUE(store->get(key_of("a"))->sealed);
    EXPECT_EQ(store->get(key_of("a"), 1)->value, secret + "1");
    EXPECT_EQ(list_all(*store, {.kind = "things", .index_term = "term"})[0].value, secret + "2");
    commit_or_fail(*store, {erase(key_of("a"))});
    const auto changes = pull_all(*store, {.want_previous = true});
    ASSERT_EQ(changes.size(), 3u);
    EXPECT_EQ(changes[0].value, secret + "1");
    EXPECT_EQ(changes[1].value, secret + "2");
    EXPECT_EQ(changes[1].previous_value, secret + "1");
    EXPECT_EQ(changes[2].value, secret + "2");
  }
  EXPECT_EQ(bytes_of(folder / "store/data.mdb").find("swordfish"), std::string::npos);
}

TEST(SealingTest, KeysCanBeReplaced) {
  const TemporaryFolder folder;
  {
    auto store = open_or_fail(sealing_options(folder / "store", {kFirst}));
    commit_or_fail(*store, {put_sealed("a", "x")});
    Write same = put_sealed("a", "x");
    same.skip_if_unchanged = true;
    EXPECT_FALSE(commit(*store, {same})->writes[0].changed);
  }
  {
    auto store = open_or_fail(sealing_options(folder / "store", {kSecond, kFirst}));
    EXPECT_EQ(store->get(key_of("a"))->value, "x");
    Write same = put_sealed("a", "x");
    same.skip_if_unchanged = true;
    EXPECT_TRUE(commit(*store, {same})->writes[0].changed);
  }
  auto store = open_or_fail(sealing_options(folder / "store", {kSecond}));
  EXPECT_EQ(store->get(key_of("a"))->value, "x");
  const auto older = store->get(key_of("a"), 1);
  EXPECT_EQ(older.code(), Code::kUnavailable);
  EXPECT_NE(older.message().find("key 1"), std::string::npos) << older.message();
}

TEST(SealingTest, WithoutAKeyNothingIsSealedOrOpened) {
  const TemporaryFolder folder;
  auto store = open_or_fail(options_for(folder / "store"));
  EXPECT_EQ(commit(*store, {put_sealed("a", "x")}).code(), Code::kInvalid);
}

TEST(SealingTest, ASealIsBoundToItsKeyAndNoticesChange) {
  const Sealer sealer({kFirst});
  std::string sealed;
  std::string plain;
  ASSERT_TRUE(sealer.seal("value", "here", sealed));
  EXPECT_TRUE(sealer.open(1, sealed, "here", plain));
  EXPECT_EQ(plain, "value");
  EXPECT_EQ(sealer.open(1, sealed, "there", plain).code(), Code::kInternal);
  sealed.back() ^= 1;
  EXPECT_EQ(sealer.open(1, sealed, "here", plain).code(), Code::kInternal);
  EXPECT_EQ(sealer.open(1, "short", "here", plain).code(), Code::kInternal);
}

TEST(SnapshotTest, IsTheStoreAtItsRevision) {
  const TemporaryFolder folder;
  const std::string path = folder / "snapshot";
  auto store = open_or_fail(sealing_options(folder / "store", {kFirst}));
  for (int i = 0; i < 100; ++i) commit_or_fail(*store, {put(key_of(std::to_string(i)), std::string(3000, 'v'))});
  commit_or_fail(*store, {put_sealed("secret", "x")});
  auto revision = store->snapshot(path);
  ASSERT_TRUE(revision) << revision.message();
  EXPECT_EQ(*revision, 101u);
  EXPECT_EQ(store->snapshot(path).code(), Code::kAlreadyExists);
  commit_or_fail(*store, {erase(key_of("5"))});
  const auto info = verify_snapshot(path);
  ASSERT_TRUE(info) << info.message();
  EXPECT_EQ(info->revision, 101u);
  EXPECT_EQ(info->sha256.size(), 64u);
  const auto restored = restore_snapshot(path, folder / "copy");
  ASSERT_TRUE(restored) << restored.message();
  EXPECT_EQ(restored->sha256, info->sha256);
  EXPECT_EQ(restore_snapshot(path, folder / "copy").code(), Code::kAlreadyExists);
  auto copy = open_or_fail(sealing_options(folder / "copy", {kFirst}));
  EXPECT_EQ(copy->current_revision(), 101u);
  EXPECT_EQ(*copy->count({.kind = "things"}), 101u);
  EXPECT_EQ(copy->get(key_of("secret"))->value, "x");
  EXPECT_EQ(pull_all(*copy, {}).size(), 101u);
  EXPECT_EQ(commit_or_fail(*copy, {put(key_of("new"), "")}), 102u);
}

TEST(SnapshotTest, HoldsNoPlainSecretOfNowOrBefore) {
  const TemporaryFolder folder;
  auto store = open_or_fail(sealing_options(folder / "store", {kFirst}));
  commit_or_fail(*store, {put_sealed("a", "swordfish-old")});
  commit_or_fail(*store, {put_sealed("a", "swordfish-new")});
  commit_or_fail(*store, {put(key_of("b"), "plain-to-see")});
  ASSERT_TRUE(store->snapshot(folder / "snapshot"));
  ASSERT_TRUE(restore_snapshot(folder / "snapshot", folder / "copy"));
  for (const char* path : {"snapshot", "copy/data.mdb"}) {
    const std::string bytes = bytes_of(folder / path);
    EXPECT_EQ(bytes.find("swordfish"), std::string::npos) << path;
    EXPECT_NE(bytes.find("plain-to-see"), std::string::npos) << path;
  }
}

TEST(SnapshotTest, DamageIsFound) {
  const TemporaryFolder folder;
  const std::string path = folder / "snapshot";
  auto store = open_or_fail(options_for(folder / "store"));
  commit_or_fail(*store, {put(key_of("a"), "1")});
  ASSERT_TRUE(store->snapshot(path));
  std::string bytes = bytes_of(path);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(folder / "changed", std::ios::binary) << bytes;
  EXPECT_EQ(verify_snapshot(folder / "changed").code(), Code::kInvalid);
  EXPECT_EQ(restore_snapshot(folder / "changed", folder / "copy").code(), Code::kInvalid);
  EXPECT_FALSE(std::filesystem::exists(folder / "copy/data.mdb"));
  std::ofstream(folder / "short", std::ios::binary) << bytes.substr(0, bytes.size() - 5000);
  EXPECT_EQ(verify_snapshot(folder / "short").code(), Code::kInvalid);
  EXPECT_EQ(verify_snapshot(folder / "none").code(), Code::kNotFound);
}

}  // namespace
}  // namespace orlop::store
