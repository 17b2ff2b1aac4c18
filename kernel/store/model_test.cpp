// The store against a model of it that keeps every state in memory: random transactions, compactions, reopenings, and
// reads of every sort at random retained revisions. The seed is printed; ORLOP_SEED repeats a run.
#include "kernel/store/store_test_support.hpp"

#include <cstdlib>
#include <map>
#include <random>

namespace orlop::store {
namespace {

using namespace testing;  // NOLINT: the helpers of this folder's tests

struct ModelRecord {
  Revision create_revision = 0;
  Revision revision = 0;
  std::string value;
  std::vector<std::string> terms;
};
using ModelState = std::map<Key, ModelRecord>;

class Model {
 public:
  Model() { states_.emplace_back(); }

  // What the store should answer, and the state and changes that follow if it is a success.
  Code apply(const Transaction& transaction, int64_t now_ms) {
    const ModelState& before = states_.back();
    for (const Check& check : transaction.checks) {
      if (const Code code = holds(before, check.key, check.precondition); code != Code::kOk) return code;
    }
    for (const Write& write : transaction.writes) {
      if (const Code code = holds(before, write.key, write.precondition); code != Code::kOk) return code;
    }
    ModelState after = before;
    std::vector<SeenChange> changes;
    for (const Write& write : transaction.writes) write_one(write, now_ms, after, changes);
    for (SeenChange& change : changes) {
      change.first = changes.front().revision;
      change.last = changes.back().revision;
      log_.push_back(change);
      states_.push_back(after);  // a revision within a transaction stands for its end
    }
    return Code::kOk;
  }

  [[nodiscard]] Revision revision() const { return states_.size() - 1; }
  [[nodiscard]] const ModelState& at(Revision revision) const { return states_[revision]; }
  [[nodiscard]] Revision end_of(Revision revision) const { return revision == 0 ? 0 : log_[revision - 1].last; }
  [[nodiscard]] const std::vector<SeenChange>& log() const { return log_; }

 private:
  static Code holds(const ModelState& state, const Key& key, const Precondition& precondition) {
    const auto record = state.find(key);
    const bool exists = record != state.end();
    switch (precondition.kind) {
      case Precondition::Kind::kNone:
        return Code::kOk;
      case Precondition::Kind::kAbsent:
        return exists ? Code::kAlreadyExists : Code::kOk;
      case Precondition::Kind::kExists:
        return exists ? Code::kOk : Code::kNotFound;
      case Precondition::Kind::kAtRevision:
        break;
    }
    if (!exists) return Code::kNotFound;
    return record->second.revision == precondition.revision ? Code::kOk : Code::kConflict;
  }

  void write_one(const Write& write, int64_t now_ms, ModelState& state, std::vector<SeenChange>& changes) const {
    const auto old = state.find(write.key);
    const bool exists = old != state.end();
    const bool is_delete = write.operation == Operation::kDelete;
    if (is_delete && !exists) return;
    if (!is_delete && exists && write.skip_if_unchanged && old->second.value == write.value &&
        old->second.terms == write.index_terms) {
      return;
    }
    SeenChange change{};
    change.revision = revision() + changes.size() + 1;
    change.key = write.key;
    change.time_ms = now_ms;
    change.type = is_delete ? ChangeType::kDeleted : exists ? ChangeType::kUpdated : ChangeType::kCreated;
    change.create_revision = exists ? old->second.create_revision : change.revision;
    if (exists) {
      change.previous_revision = old->second.revision;
      change.previous_value = old->second.value;
    }
    change.value = is_delete ? old->second.value : write.value;
    change.terms = is_delete ? old->second.terms : write.index_terms;
    if (is_delete) {
      state.erase(old);
    } else {
      state[write.key] = {change.create_revision, change.revision, write.value, write.index_terms};
    }
    changes.push_back(change);
  }

  std::vector<ModelState> states_;
  std::vector<SeenChange> log_;
};

class ModelTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const char* given = std::getenv("ORLOP_SEED");
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    std::cout << "ORLOP_SEED=" << seed << "\n";
    random_.seed(seed + static_cast<uint64_t>(GetParam()));
    reopen();
  }

  uint64_t below(uint64_t bound) { return random_() % bound; }

  void reopen() {
    store_.reset();
    LmdbOptions options = options_for(folder_ / "store");
    options.unix_time_ms = clock_.reader();
    options.sealing_keys = {{7, {1, 2, 3}}};
    store_ = open_or_fail(std::move(options));
  }

  Key random_key() {
    return {below(4) == 0 ? "kind" : "kinds", std::string(below(3), 's'), "name" + std::to_string(below(8))};
  }
  std::vector<std::string> random_terms() {
    std::vector<std::string> terms;
    for (int i = 0; i < 3; ++i) {
      if (below(2) == 0) terms.push_back("term" + std::to_string(i));
    }
    return terms;
  }
  Precondition random_precondition(const Key& key) {
    const auto record = model_.at(model_.revision()).find(key);
    switch (below(8)) {
      case 0:
        return Precondition::absent();
      case 1:
        return Precondition::exists();
      case 2:
        return Precondition::at(record == model_.at(model_.revision()).end() ? 1 : record->second.revision);
      case 3:
        return Precondition::at(below(model_.revision() + 1) + 1);
      default:
        return Precondition::none();
    }
  }

  void random_commit() {
    Transaction transaction;
    std::map<Key, bool> used;
    for (uint64_t i = below(10) == 0 ? 6 : below(2) + 1; i > 0; --i) {
      Write write;
      write.key = random_key();
      if (!used.emplace(write.key, true).second) continue;
      write.operation = below(4) == 0 ? Operation::kDelete : Operation::kPut;
      if (write.operation == Operation::kPut) {
        // Long ones live in pages of their own.
        write.value = below(3) == 0 ? "same" : std::string(below(8) == 0 ? 9000 : below(40), 'a' + char(below(26)));
        write.index_terms = random_terms();
        write.sealed = write.key.kind == "kind";
        write.skip_if_unchanged = below(2) == 0;
      }
      write.precondition = random_precondition(write.key);
      transaction.writes.push_back(std::move(write));
    }
    if (below(6) == 0) {
      const Key key = random_key();
      transaction.checks.push_back({key, random_precondition(key)});
    }
    transaction.durability = below(4) == 0 ? Durability::kRelaxed : Durability::kDurable;
    *clock_.now += static_cast<int64_t>(below(5));
    const Code wanted = model_.apply(transaction, clock_.now->load());
    const auto result = store_->commit_and_wait(std::move(transaction));
    ASSERT_EQ(result.code(), wanted) << result.message();
    if (result) {
      ASSERT_EQ(result->revision, model_.revision());
    }
  }

  // One that is still retained, 0 at times.
  Revision random_revision() {
    const Revision oldest = store_->compacted_revision();
    return below(4) == 0 ? 0 : oldest + below(model_.revision() - oldest + 1);
  }

  void check_get() {
    const Revision at = random_revision();
    const Revision end = at == 0 ? model_.revision() : model_.end_of(at);
    const Key key = random_key();
    const auto wanted = model_.at(end).find(key);
    const auto got = store_->get(key, at);
    if (wanted == model_.at(end).end()) {
      ASSERT_EQ(got.code(), Code::kNotFound) << describe(key) << " at " << at;
      return;
    }
    ASSERT_TRUE(got) << got.message();
    ASSERT_EQ(got->value, wanted->second.value) << describe(key) << " at " << at;
    ASSERT_EQ(got->revision, wanted->second.revision);
    ASSERT_EQ(got->create_revision, wanted->second.create_revision);
    ASSERT_EQ(got->index_terms, wanted->second.terms);
  }

  void check_list() {
    ListRequest request;
    request.kind = below(4) == 0 ? "kind" : "kinds";
    if (below(2) == 0) request.name_space = std::string(below(3), 's');
    if (below(2) == 0) request.index_term = "term" + std::to_string(below(3));
    request.at_revision = random_revision();
    request.limit = below(3) == 0 ? 0 : below(4) + 1;
    const Revision end = request.at_revision == 0 ? model_.revision() : model_.end_of(request.at_revision);
    std::vector<std::pair<Key, ModelRecord>> wanted;
    for (const auto& [key, record] : model_.at(end)) {
      const auto& terms = record.terms;
      if (key.kind != request.kind || (request.name_space && *request.name_space != key.name_space)) continue;
      if (request.index_term && std::find(terms.begin(), terms.end(), *request.index_term) == terms.end()) continue;
      wanted.emplace_back(key, record);
    }
    const auto count = store_->count(request);
    ASSERT_TRUE(count) << count.message();
    ASSERT_EQ(*count, wanted.size());
    std::size_t position = 0;
    for (bool more = true; more;) {
      const auto result = store_->list(request, [&](const RecordView& view) {
        EXPECT_LT(position, wanted.size());
        if (position >= wanted.size()) return false;
        EXPECT_EQ(view.key.to_key(), wanted[position].first);
        EXPECT_EQ(view.value, wanted[position].second.value);
        EXPECT_EQ(view.revision, wanted[position].second.revision);
        EXPECT_EQ(view.index_terms.to_vector(), wanted[position].second.terms);
        request.start_after = view.key.to_key();
        ++position;
        return true;
      });
      ASSERT_TRUE(result) << result.message();
      ASSERT_EQ(result->revision, end);
      more = result->more;
      ASSERT_EQ(more, position < wanted.size());
      if (result->remaining) {
        ASSERT_EQ(*result->remaining, wanted.size() - position);
      }
      request.at_revision = result->revision;
      if (request.at_revision == 0) break;
    }
  }

  void check_pull() {
    PullRequest request;
    const Revision oldest = store_->compacted_revision();
    request.cursor = oldest + below(model_.revision() - oldest + 1);
    request.max_changes = below(3) == 0 ? 0 : below(5) + 1;
    request.max_bytes = below(3) == 0 ? 0 : below(10000) + 1;
    request.want_previous = below(2) == 0;
    if (below(3) == 0) request.kinds = {"kind"};
    if (below(3) == 0) request.name_space = std::string(below(3), 's');
    std::vector<SeenChange> wanted;
    for (std::size_t i = request.cursor; i < model_.log().size(); ++i) {
      SeenChange change = model_.log()[i];
      if (!request.kinds.empty() && change.key.kind != "kind") continue;
      if (request.name_space && change.key.name_space != *request.name_space) continue;
      if (!request.want_previous) change.previous_value.reset();
      wanted.push_back(std::move(change));
    }
    const auto got = pull_all(*store_, request);
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_TRUE(got[i] == wanted[i]) << "revision " << wanted[i].revision << ", seen " << got[i].revision;
    }
  }

  void random_compaction() {
    const Revision to = below(model_.revision() + 1);
    const Revision before = store_->compacted_revision();
    const auto result = store_->compact(to);
    ASSERT_TRUE(result) << result.message();
    ASSERT_GE(*result, before);
    ASSERT_LE(*result, std::max(before, to));
    ASSERT_EQ(model_.end_of(*result), *result);
    if (*result > 0) {
      ASSERT_EQ(store_->pull({.cursor = *result - 1}, [](const ChangeView&) { return true; }).code(), Code::kGone);
    }
  }

  TemporaryFolder folder_;
  ManualClock clock_;
  std::mt19937_64 random_;
  Model model_;
  std::unique_ptr<Store> store_;
};

TEST_P(ModelTest, AgreesOnEverything) {
  for (int step = 0; step < 1500 && !HasFatalFailure() && !HasNonfatalFailure(); ++step) {
    const uint64_t dice = below(100);
    if (dice < 40) {
      random_commit();
    } else if (dice < 60) {
      check_get();
    } else if (dice < 80) {
      check_list();
    } else if (dice < 97) {
      check_pull();
    } else if (dice < 99) {
      random_compaction();
    } else {
      reopen();
    }
  }
  ASSERT_EQ(store_->compact(model_.revision()).code(), Code::kOk);
  for (int step = 0; step < 20; ++step) check_list();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range(0, 4));

}  // namespace
}  // namespace orlop::store
