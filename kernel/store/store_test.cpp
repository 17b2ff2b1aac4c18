// What the interface promises, one thing at a time.
#include "kernel/store/store_test_support.hpp"

#include <future>
#include <thread>

namespace orlop::store {
namespace {

using namespace testing;  // NOLINT: the helpers of this folder's tests

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { store_ = open_or_fail(options_for(folder_ / "store")); }
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, BeginsEmptyAtRevisionZero) {
  EXPECT_EQ(store_->current_revision(), 0u);
  EXPECT_EQ(store_->compacted_revision(), 0u);
  EXPECT_EQ(store_->get(key_of("a")).code(), Code::kNotFound);
  EXPECT_TRUE(list_all(*store_, {.kind = "things"}).empty());
  EXPECT_TRUE(pull_all(*store_, {}).empty());
}

TEST_F(StoreTest, EachChangeTakesOneRevision) {
  auto created = commit(*store_, {put(key_of("a"), "1"), put(key_of("b"), "2")});
  ASSERT_TRUE(created) << created.message();
  EXPECT_EQ(created->first, 1u);
  EXPECT_EQ(created->last, 2u);
  EXPECT_EQ(created->writes[1].revision, 2u);
  EXPECT_EQ(created->writes[1].create_revision, 2u);
  auto updated = commit(*store_, {put(key_of("a"), "3")});
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->revision, 3u);
  EXPECT_EQ(updated->writes[0].previous_revision, 1u);
  EXPECT_EQ(updated->writes[0].create_revision, 1u);
  auto record = store_->get(key_of("a"));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->value, "3");
  EXPECT_EQ(record->revision, 3u);
  EXPECT_EQ(record->create_revision, 1u);
}

TEST_F(StoreTest, PreconditionsDecideAndSayWhich) {
  commit_or_fail(*store_, {put(key_of("a"), "1")});
  EXPECT_EQ(commit(*store_, {put(key_of("a"), "x", {}, Precondition::absent())}).code(), Code::kAlreadyExists);
  EXPECT_EQ(commit(*store_, {put(key_of("b"), "x", {}, Precondition::exists())}).code(), Code::kNotFound);
  EXPECT_EQ(commit(*store_, {put(key_of("b"), "x", {}, Precondition::at(1))}).code(), Code::kNotFound);
  EXPECT_EQ(commit(*store_, {erase(key_of("a"), Precondition::at(7))}).code(), Code::kConflict);
  auto both = commit(*store_, {put(key_of("c"), "x"), put(key_of("a"), "x", {}, Precondition::at(9))});
  EXPECT_EQ(both.code(), Code::kConflict);
  ASSERT_EQ(both.status().causes().size(), 1u);
  EXPECT_EQ(both.status().causes()[0].field, "writes[1]");
  EXPECT_EQ(store_->get(key_of("c")).code(), Code::kNotFound);
  auto checked = commit(*store_, {put(key_of("d"), "x")}, {{key_of("a"), Precondition::absent()}});
  EXPECT_EQ(checked.code(), Code::kAlreadyExists);
  EXPECT_EQ(checked.status().causes()[0].field, "checks[0]");
  EXPECT_EQ(store_->current_revision(), 1u);
  EXPECT_TRUE(commit(*store_, {put(key_of("a"), "2", {}, Precondition::at(1))}));
  EXPECT_TRUE(commit(*store_, {erase(key_of("a"), Precondition::at(2))}));
  EXPECT_TRUE(commit(*store_, {put(key_of("a"), "3", {}, Precondition::absent())}));
  EXPECT_EQ(store_->get(key_of("a"))->create_revision, 4u);
}

TEST_F(StoreTest, RefusesWhatCannotBeAKey) {
  const std::string nul("a\0b", 3);
  EXPECT_EQ(commit(*store_, {put(key_of(nul), "x")}).code(), Code::kInvalid);
  EXPECT_EQ(commit(*store_, {put(key_of(""), "x")}).code(), Code::kInvalid);
  EXPECT_EQ(commit(*store_, {put({"", "a", "b"}, "x")}).code(), Code::kInvalid);
  EXPECT_EQ(commit(*store_, {put(key_of(std::string(500, 'x')), "x")}).code(), Code::kInvalid);
  EXPECT_EQ(store_->get(key_of(std::string(500, 'x'))).code(), Code::kInvalid);
  const Key longest{std::string(100, 'k'), std::string(63, 's'), std::string(253, 'n')};
  EXPECT_TRUE(commit(*store_, {put(longest, "x", {"label/app=nginx"})}));
  EXPECT_EQ(list_all(*store_, {.kind = longest.kind, .index_term = "label/app=nginx"}).size(), 1u);
  EXPECT_EQ(commit(*store_, {put(key_of("a"), "1"), erase(key_of("a"))}).code(), Code::kBadRequest);
  EXPECT_EQ(commit(*store_, {put(key_of("a"), "1", {std::string(2000, 't')})}).code(), Code::kInvalid);
  EXPECT_EQ(commit(*store_, {put(key_of("a"), std::string(33u << 20, 'v'))}).code(), Code::kTooLarge);
}

TEST_F(StoreTest, DeletingWhatIsNotThereChangesNothing) {
  auto result = commit(*store_, {erase(key_of("a"))});
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->writes[0].changed);
  EXPECT_EQ(result->last, 0u);
  EXPECT_EQ(store_->current_revision(), 0u);
}

TEST_F(StoreTest, SkipsAnUnchangedPutOnlyWhenAsked) {
  commit_or_fail(*store_, {put(key_of("a"), "1", {"t"})});
  Write same = put(key_of("a"), "1", {"t"});
  same.skip_if_unchanged = true;
  auto skipped = commit(*store_, {same});
  ASSERT_TRUE(skipped);
  EXPECT_FALSE(skipped->writes[0].changed);
  EXPECT_EQ(skipped->writes[0].revision, 1u);
  Write other_terms = put(key_of("a"), "1", {"u"});
  other_terms.skip_if_unchanged = true;
  EXPECT_EQ(commit_or_fail(*store_, {other_terms}), 2u);
  EXPECT_EQ(commit_or_fail(*store_, {put(key_of("a"), "1", {"u"})}), 3u);
}

TEST_F(StoreTest, ListsInOrderByNameSpaceAndPage) {
  commit_or_fail(*store_, {put(key_of("b", "x"), ""), put(key_of("a", "y"), ""), put(key_of("a", "x"), ""),
                           put(key_of("c", "x"), ""), put(key_of("z", "x", "thing"), ""), put(key_of("q", ""), "")});
  EXPECT_EQ(names_of(*store_, {.kind = "things"}), (std::vector<std::string>{"q", "a", "b", "c", "a"}));
  EXPECT_EQ(names_of(*store_, {.kind = "things", .name_space = "x"}), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(names_of(*store_, {.kind = "things", .name_space = ""}), (std::vector<std::string>{"q"}));
  ListRequest page{.kind = "things", .limit = 2};
  std::vector<std::string> names;
  std::vector<uint64_t> remaining;
  for (bool more = true; more;) {
    Key last;
    auto result = store_->list(page, [&](const RecordView& view) {
      names.emplace_back(view.key.name);
      last = view.key.to_key();
      return true;
    });
    ASSERT_TRUE(result);
    more = result->more;
    remaining.push_back(result->remaining.value_or(99));
    page.start_after = last;
    page.at_revision = result->revision;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"q", "a", "b", "c", "a"}));
  EXPECT_EQ(remaining, (std::vector<uint64_t>{3, 1, 0}));
  EXPECT_EQ(*store_->count({.kind = "things"}), 5u);
  EXPECT_EQ(*store_->count({.kind = "things", .name_space = "x"}), 3u);
  EXPECT_EQ(store_->list({}, [](const RecordView&) { return true; }).code(), Code::kInvalid);
}

TEST_F(StoreTest, OlderRevisionsAreReadAsTheyWere) {
  commit_or_fail(*store_, {put(key_of("a"), "a1", {"t"})});  // 1
  commit_or_fail(*store_, {put(key_of("b"), "b2")});         // 2
  commit_or_fail(*store_, {put(key_of("a"), "a3", {"u"})});  // 3
  commit_or_fail(*store_, {erase(key_of("a"))});             // 4
  commit_or_fail(*store_, {put(key_of("a"), "a5", {"t"})});  // 5
  EXPECT_EQ(store_->get(key_of("a"), 1)->value, "a1");
  EXPECT_EQ(store_->get(key_of("a"), 2)->value, "a1");
  EXPECT_EQ(store_->get(key_of("a"), 3)->value, "a3");
  EXPECT_EQ(store_->get(key_of("a"), 3)->create_revision, 1u);
  EXPECT_EQ(store_->get(key_of("a"), 4).code(), Code::kNotFound);
  EXPECT_EQ(store_->get(key_of("a"), 5)->value, "a5");
  EXPECT_EQ(store_->get(key_of("b"), 1).code(), Code::kNotFound);
  EXPECT_EQ(names_of(*store_, {.kind = "things", .at_revision = 1}), (std::vector<std::string>{"a"}));
  EXPECT_EQ(names_of(*store_, {.kind = "things", .at_revision = 4}), (std::vector<std::string>{"b"}));
  EXPECT_EQ(names_of(*store_, {.kind = "things", .index_term = "t", .at_revision = 1}),
            (std::vector<std::string>{"a"}));
  EXPECT_TRUE(names_of(*store_, {.kind = "things", .index_term = "t", .at_revision = 3}).empty());
  EXPECT_EQ(names_of(*store_, {.kind = "things", .index_term = "u", .at_revision = 3}),
            (std::vector<std::string>{"a"}));
  EXPECT_EQ(*store_->count({.kind = "things", .at_revision = 3}), 2u);
  EXPECT_EQ(store_->get(key_of("a"), 6).code(), Code::kBadRequest);
}

TEST_F(StoreTest, HalfATransactionIsNeverRead) {
  commit_or_fail(*store_, {put(key_of("a"), "1"), put(key_of("b"), "1"), put(key_of("c"), "1")});
  commit_or_fail(*store_, {put(key_of("a"), "2"), put(key_of("b"), "2"), put(key_of("c"), "2")});
  auto result = store_->list({.kind = "things", .at_revision = 4}, [](const RecordView& view) {
    EXPECT_EQ(view.value, "2");
    return true;
  });
  ASSERT_TRUE(result);
  EXPECT_EQ(result->revision, 6u);
}

TEST_F(StoreTest, PullTellsEveryChangeOnce) {
  commit_or_fail(*store_, {put(key_of("a"), "1", {"t"}), put(key_of("b"), "1")});
  commit_or_fail(*store_, {put(key_of("a"), "2", {"u"})});
  commit_or_fail(*store_, {erase(key_of("a"))});
  const auto changes = pull_all(*store_, {.max_changes = 1, .want_previous = true});
  ASSERT_EQ(changes.size(), 4u);
  EXPECT_EQ(changes[0].type, ChangeType::kCreated);
  EXPECT_EQ(changes[0].value, "1");
  EXPECT_EQ(changes[0].terms, std::vector<std::string>{"t"});
  EXPECT_EQ(changes[0].first, 1u);
  EXPECT_EQ(changes[0].last, 2u);
  EXPECT_FALSE(changes[0].previous_value);
  EXPECT_EQ(changes[2].type, ChangeType::kUpdated);
  EXPECT_EQ(changes[2].value, "2");
  EXPECT_EQ(changes[2].previous_value, "1");
  EXPECT_EQ(changes[2].previous_revision, 1u);
  EXPECT_EQ(changes[2].create_revision, 1u);
  EXPECT_EQ(changes[3].type, ChangeType::kDeleted);
  EXPECT_EQ(changes[3].value, "2");
  EXPECT_EQ(changes[3].revision, 4u);
  EXPECT_EQ(changes[3].previous_revision, 3u);
}

TEST_F(StoreTest, PullNeverSplitsATransaction) {
  commit_or_fail(*store_, {put(key_of("a"), "1"), put(key_of("b"), "1"), put(key_of("c"), "1")});
  commit_or_fail(*store_, {put(key_of("a"), "2")});
  int seen = 0;
  auto first = store_->pull({.max_changes = 1}, [&](const ChangeView&) { return ++seen, true; });
  ASSERT_TRUE(first);
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(first->next_cursor, 3u);
  EXPECT_FALSE(first->reached_end);
  auto stopped = store_->pull({}, [&](const ChangeView&) { return false; });
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->changes, 3u);
  EXPECT_EQ(stopped->next_cursor, 3u);
  auto from_within = store_->pull({.cursor = 1, .max_changes = 1}, [&](const ChangeView&) { return true; });
  EXPECT_EQ(from_within->next_cursor, 3u);
}

TEST_F(StoreTest, PullFiltersAndStillMovesOn) {
  commit_or_fail(*store_, {put(key_of("a", "x", "k1"), ""), put(key_of("b", "y", "k1"), "")});
  commit_or_fail(*store_, {put(key_of("c", "x", "k2"), "")});
  EXPECT_EQ(pull_all(*store_, {.kinds = {"k1"}}).size(), 2u);
  EXPECT_EQ(pull_all(*store_, {.kinds = {"k2", "k1"}, .name_space = "x"}).size(), 2u);
  auto none = store_->pull({.kinds = {"k3"}}, [](const ChangeView&) { return true; });
  ASSERT_TRUE(none);
  EXPECT_EQ(none->changes, 0u);
  EXPECT_EQ(none->next_cursor, 3u);
  EXPECT_TRUE(none->reached_end);
  EXPECT_EQ(store_->pull({.cursor = 4}, [](const ChangeView&) { return true; }).code(), Code::kBadRequest);
}

TEST_F(StoreTest, CompactionForgetsWhatIsOlderAndNothingElse) {
  commit_or_fail(*store_, {put(key_of("a"), "1", {"t"})});  // 1
  commit_or_fail(*store_, {put(key_of("a"), "2")});         // 2
  commit_or_fail(*store_, {put(key_of("b"), "3")});         // 3
  commit_or_fail(*store_, {erase(key_of("b"))});            // 4
  EXPECT_EQ(*store_->compact(3), 3u);
  EXPECT_EQ(store_->compacted_revision(), 3u);
  EXPECT_EQ(store_->get(key_of("a"), 2).code(), Code::kGone);
  EXPECT_EQ(store_->pull({.cursor = 2}, [](const ChangeView&) { return true; }).code(), Code::kGone);
  EXPECT_EQ(store_->get(key_of("b"), 3)->value, "3");
  EXPECT_EQ(store_->get(key_of("a"), 3)->value, "2");
  EXPECT_EQ(pull_all(*store_, {.cursor = 3}).size(), 1u);
  commit_or_fail(*store_, {put(key_of("a"), "5")});  // 5: its former version's log entry has gone
  EXPECT_EQ(store_->get(key_of("a"), 4)->value, "2");
  EXPECT_EQ(*store_->compact(5), 5u);
  EXPECT_EQ(*store_->compact(1), 5u);
  EXPECT_EQ(store_->stats().log_entries, 0u);
  EXPECT_EQ(store_->stats().log_bytes, 0u);
  EXPECT_EQ(store_->get(key_of("a"), 5)->value, "5");
  EXPECT_EQ(store_->compact(9).code(), Code::kBadRequest);
}

TEST_F(StoreTest, CompactionEndsAtATransactionsEnd) {
  commit_or_fail(*store_, {put(key_of("a"), "1")});
  commit_or_fail(*store_, {put(key_of("a"), "2"), put(key_of("b"), "2")});
  EXPECT_EQ(*store_->compact(2), 1u);
}

TEST_F(StoreTest, ManyVersionsOfOneObjectAreFoundFast) {
  for (int i = 1; i <= 3000; i += 100) {
    std::vector<std::future<void>> answers;
    for (int j = i; j < i + 100; ++j) {
      auto promise = std::make_shared<std::promise<void>>();
      answers.push_back(promise->get_future());
      Transaction transaction;
      transaction.writes.push_back(put(key_of("hot"), std::to_string(j)));
      store_->commit(std::move(transaction), [promise](Result<CommitResult> result) {
        EXPECT_TRUE(result) << result.message();
        promise->set_value();
      });
    }
    for (auto& answer : answers) answer.get();
  }
  for (Revision revision = 1; revision <= 3000; ++revision) {
    auto record = store_->get(key_of("hot"), revision);
    ASSERT_TRUE(record) << record.message();
    EXPECT_EQ(record->value, std::to_string(revision));
  }
  const auto changes = pull_all(*store_, {});
  ASSERT_EQ(changes.size(), 3000u);
  EXPECT_EQ(changes[1234].value, "1235");
}

TEST_F(StoreTest, GetShowsEachKeyInOrderFromOneSnapshot) {
  commit_or_fail(*store_, {put(key_of("a"), "1"), put(key_of("c"), "3")});
  const std::vector<Key> keys{key_of("c"), key_of("b"), key_of("a")};
  std::vector<std::string> seen;
  auto revision = store_->get(keys, 0, [&](std::size_t index, const RecordView* view) {
    seen.push_back(std::to_string(index) + (view == nullptr ? "-" : std::string(view->value)));
    return true;
  });
  ASSERT_TRUE(revision);
  EXPECT_EQ(*revision, 2u);
  EXPECT_EQ(seen, (std::vector<std::string>{"03", "1-", "21"}));
}

TEST_F(StoreTest, ListenersHearOfRevisionsAndKinds) {
  std::vector<std::pair<Revision, std::vector<std::string>>> heard;
  const uint64_t token = store_->on_commit([&](Revision revision, std::span<const std::string> kinds) {
    EXPECT_EQ(store_->current_revision(), revision);
    heard.emplace_back(revision, std::vector<std::string>(kinds.begin(), kinds.end()));
  });
  commit_or_fail(*store_, {put(key_of("a", "", "k2"), ""), put(key_of("a", "", "k1"), "")});
  EXPECT_FALSE(commit(*store_, {put(key_of("a", "", "k1"), "", {}, Precondition::absent())}));
  commit_or_fail(*store_, {erase(key_of("a", "", "k2"))});
  store_->remove_listener(token);
  commit_or_fail(*store_, {put(key_of("a", "", "k1"), "")});
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[0], (std::pair<Revision, std::vector<std::string>>{2, {"k1", "k2"}}));
  EXPECT_EQ(heard[1], (std::pair<Revision, std::vector<std::string>>{3, {"k2"}}));
}

TEST_F(StoreTest, AListenerMayRemoveItself) {
  int calls = 0;
  uint64_t token = 0;
  token = store_->on_commit([&](Revision, std::span<const std::string>) {
    ++calls;
    store_->remove_listener(token);
  });
  commit_or_fail(*store_, {put(key_of("a"), "1")});
  commit_or_fail(*store_, {put(key_of("a"), "2")});
  EXPECT_EQ(calls, 1);
}

TEST_F(StoreTest, ARelaxedWriteIsSeenByTheReadAfterItsAnswer) {
  for (int i = 0; i < 50; ++i) {
    Transaction transaction;
    transaction.writes.push_back(put(key_of("lease"), std::to_string(i)));
    transaction.durability = Durability::kRelaxed;
    auto result = store_->commit_and_wait(std::move(transaction));
    ASSERT_TRUE(result);
    auto record = store_->get(key_of("lease"));
    ASSERT_TRUE(record);
    EXPECT_EQ(record->value, std::to_string(i));
    EXPECT_TRUE(store_->get(key_of("lease"), result->revision));
  }
}

TEST_F(StoreTest, ConcurrentWritersAreStrictlySerialised) {
  commit_or_fail(*store_, {put(key_of("counter"), "0")});
  constexpr int kThreads = 8;
  constexpr int kIncrements = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int done = 0; done < kIncrements;) {
        auto record = store_->get(key_of("counter"));
        ASSERT_TRUE(record);
        auto result = commit(*store_, {put(key_of("counter"), std::to_string(std::stoi(record->value) + 1), {},
                                           Precondition::at(record->revision))});
        if (result) {
          ++done;
        } else {
          ASSERT_EQ(result.code(), Code::kConflict);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_->get(key_of("counter"))->value, std::to_string(kThreads * kIncrements));
  EXPECT_EQ(store_->current_revision(), 1u + kThreads * kIncrements);
}

TEST_F(StoreTest, EverythingIsThereAfterReopening) {
  commit_or_fail(*store_, {put(key_of("a"), "1", {"t"}), put(key_of("b"), "2")});
  commit_or_fail(*store_, {erase(key_of("b"))});
  store_.reset();
  store_ = open_or_fail(options_for(folder_ / "store"));
  EXPECT_EQ(store_->current_revision(), 3u);
  EXPECT_EQ(names_of(*store_, {.kind = "things", .index_term = "t"}), std::vector<std::string>{"a"});
  EXPECT_EQ(*store_->count({.kind = "things"}), 1u);
  EXPECT_EQ(store_->get(key_of("b"), 2)->value, "2");
  EXPECT_EQ(commit_or_fail(*store_, {put(key_of("c"), "4")}), 4u);
}

TEST(StoreOptionsTest, RelaxedDurabilityCanBeSwitchedOff) {
  const TemporaryFolder folder;
  LmdbOptions options = options_for(folder / "store");
  options.relaxed_durability_allowed = false;
  auto store = open_or_fail(std::move(options));
  Transaction transaction;
  transaction.writes.push_back(put(key_of("lease"), "1"));
  transaction.durability = Durability::kRelaxed;
  Revision at_answer = 0;
  std::promise<void> answered;
  store->commit(std::move(transaction), [&](const Result<CommitResult>&) {
    at_answer = store->current_revision();
    answered.set_value();
  });
  answered.get_future().get();
  EXPECT_EQ(at_answer, 1u);
}

TEST(StoreOptionsTest, TheLogIsCompactedByAge) {
  const TemporaryFolder folder;
  const ManualClock clock;
  LmdbOptions options = options_for(folder / "store");
  options.log_age_ms_max = 1000;
  options.unix_time_ms = clock.reader();
  auto store = open_or_fail(std::move(options));
  commit_or_fail(*store, {put(key_of("a"), "1")});
  *clock.now += 600;
  commit_or_fail(*store, {put(key_of("a"), "2")});
  EXPECT_EQ(store->compacted_revision(), 0u);
  *clock.now += 600;
  commit_or_fail(*store, {put(key_of("a"), "3")});
  EXPECT_EQ(store->compacted_revision(), 1u);
  EXPECT_EQ(pull_all(*store, {.cursor = 1}).size(), 2u);
}

TEST(StoreOptionsTest, TheLogIsCompactedBySize) {
  const TemporaryFolder folder;
  LmdbOptions options = options_for(folder / "store");
  options.log_bytes_max = 10000;
  auto store = open_or_fail(std::move(options));
  for (int i = 0; i < 100; ++i) commit_or_fail(*store, {put(key_of("a"), std::string(1000, 'v'))});
  EXPECT_LE(store->stats().log_bytes, 10000u);
  EXPECT_GE(store->compacted_revision(), 88u);
  EXPECT_LE(store->compacted_revision(), 95u);
}

TEST(StoreOptionsTest, ClosingAnswersWhatIsQueued) {
  const TemporaryFolder folder;
  std::atomic<int> answered = 0;
  {
    auto store = open_or_fail(options_for(folder / "store"));
    for (int i = 0; i < 200; ++i) {
      Transaction transaction;
      transaction.writes.push_back(put(key_of(std::to_string(i)), "v"));
      store->commit(std::move(transaction), [&](const Result<CommitResult>& result) { answered += result ? 1 : 0; });
    }
  }
  EXPECT_EQ(answered, 200);
  EXPECT_EQ(*open_or_fail(options_for(folder / "store"))->count({.kind = "things"}), 200u);
}

}  // namespace
}  // namespace orlop::store
