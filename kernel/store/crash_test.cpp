// kill -9 at any moment: what was acknowledged is there, with its revision, and the log has no gap.
#include "kernel/store/process_test_support.hpp"
#include "kernel/store/store_test_support.hpp"

#include <cstdlib>
#include <map>
#include <random>

namespace orlop::store {
namespace {

using namespace testing;  // NOLINT: the helpers of this folder's tests

struct Acknowledgement {
  uint64_t round;
  uint64_t number;
  Revision revision;  // of the second of its two writes
};

std::string name_of(uint64_t round, uint64_t number) {
  return std::to_string(round) + "-" + std::to_string(number);
}

// Writes pairs without end, 32 transactions under way at a time, from the callbacks of the store itself.
int write_until_killed(const std::string& folder, uint64_t round, int acknowledge) {
  auto store = open_lmdb_store(options_for(folder));
  if (!store) return 1;
  std::atomic<uint64_t> next = 0;
  std::function<void()> write_one = [&] {
    const uint64_t number = next++;
    Transaction transaction;
    transaction.writes.push_back(put(key_of(name_of(round, number), "a"), std::string(number % 3000, 'v'), {"term"}));
    transaction.writes.push_back(put(key_of("last", "b"), name_of(round, number)));
    (*store)->commit(std::move(transaction), [&, number](const Result<CommitResult>& result) {
      if (!result || !send(acknowledge, Acknowledgement{round, number, result->last})) ::_exit(2);
      write_one();
    });
  };
  for (int i = 0; i < 32; ++i) write_one();
  for (;;) ::pause();
}

TEST(StoreCrashTest, NoAcknowledgedWriteIsLost) {
  const TemporaryFolder folder;
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  std::map<std::string, Revision> acknowledged;
  for (uint64_t round = 0; round < 30; ++round) {
    {
      Child child([&](int up, int) { return write_until_killed(folder / "store", round, up); });
      const uint64_t wanted = random() % 400;
      Acknowledgement one{};
      for (uint64_t got = 0; got < wanted; ++got) {
        ASSERT_TRUE(child.receive(one)) << "the child ended by itself";
        acknowledged[name_of(one.round, one.number)] = one.revision;
      }
      child.kill();
      while (child.receive(one)) acknowledged[name_of(one.round, one.number)] = one.revision;
    }
    auto store = open_or_fail(options_for(folder / "store"));
    ASSERT_NE(store, nullptr);
    for (const auto& [name, revision] : acknowledged) {
      const auto record = store->get(key_of(name, "a"));
      ASSERT_TRUE(record) << name << " was acknowledged at " << revision << " and is lost in round " << round;
      ASSERT_EQ(record->revision + 1, revision);
    }
    Revision expected = 1;
    for (const SeenChange& change : pull_all(*store, {})) {
      ASSERT_EQ(change.revision, expected++);
      ASSERT_EQ(change.last - change.first, 1u);
    }
    ASSERT_EQ(expected, store->current_revision() + 1);
    ASSERT_EQ(store->current_revision() % 2, 0u);
    ASSERT_EQ(*store->count({.kind = "things", .name_space = "a"}), store->current_revision() / 2);
  }
  std::cout << acknowledged.size() << " acknowledged writes\n";
}

}  // namespace
}  // namespace orlop::store
