// The gate over the real store: what only shows with a committer of its own, group commits and many threads.
#include "kernel/gate/gate.hpp"
#include "kernel/store/lmdb_store.hpp"
#include "orlop/object_meta.hpp"
#include "orlop/wire.hpp"

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include <gtest/gtest.h>

namespace orlop::gate {
namespace {

constexpr uint32_t kSpec = 2;

std::string object(std::string_view spec) {
  std::string out;
  wire::append_bytes_field(out, kSpec, spec);
  return out;
}

std::string spec_of(std::string_view value) {
  wire::Walker walk(value);
  wire::Field field;
  std::string out;
  while (walk.next(field)) {
    if (field.number == kSpec) out = field.bytes;
  }
  return out;
}

// Appends the new spec to the stored one: so every write that was acknowledged can be counted in the end.
class Appender : public KindProviders {
 public:
  void admit(const std::string&, const v1::AdmitRequest& request, std::chrono::milliseconds, AdmitDone done) override {
    v1::AdmitResponse out;
    for (const auto& review : request.reviews()) {
      std::string value(review.write().value());
      if (review.write().verb() == v1::UPDATE) value = object(spec_of(review.current()) + spec_of(value));
      out.add_verdicts()->set_value(value);
    }
    done(std::move(out));
  }
};

class GateLmdbTest : public ::testing::Test {
 protected:
  GateLmdbTest() {
    folder = std::filesystem::temp_directory_path() / "orlop-gate-XXXXXX";
    std::string path = folder.string();
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    folder = path;
    store::LmdbOptions options;
    options.folder = (folder / "store").string();
    auto opened = store::open_lmdb_store(options);
    EXPECT_TRUE(opened) << opened.message();
    store = std::move(*opened);
    gate = std::make_unique<Gate>(*store, providers);
    std::vector<v1::KindInfo> kinds(2);
    kinds[0].set_kind("widgets.test");
    kinds[0].set_tracks_generation(true);
    kinds[1].set_kind("leases.test");
    kinds[1].set_relaxed(true);
    EXPECT_TRUE(gate->register_kinds("api", kinds));
  }
  ~GateLmdbTest() override {
    gate.reset();
    store.reset();
    std::filesystem::remove_all(folder);
  }

  static v1::CommitRequest request(v1::Verb verb, std::string_view spec, const std::string& name = "a",
                                   const std::string& kind = "widgets.test") {
    v1::CommitRequest out;
    auto* write = out.add_writes();
    write->mutable_key()->set_kind(kind);
    write->mutable_key()->set_name(name);
    write->set_verb(verb);
    write->set_value(object(spec));
    write->set_admitted(true);
    return out;
  }

  store::Record stored(const std::string& name = "a") { return *store->get(store::Key{"widgets.test", "", name}); }

  static void in_threads(int count, const std::function<void(int)>& body) {
    std::vector<std::thread> threads;
    for (int t = 0; t < count; ++t) threads.emplace_back(body, t);
    for (auto& thread : threads) thread.join();
  }

  std::filesystem::path folder;
  Appender providers;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Gate> gate;
  std::shared_ptr<const Actor> api = std::make_shared<Actor>(Actor{"api", {"*"}, {"*"}});
  std::shared_ptr<const Actor> other = std::make_shared<Actor>(Actor{"other", {"*"}, {"*"}});
};

TEST_F(GateLmdbTest, NoIncrementOf64ThreadsIsLost) {
  ASSERT_TRUE(gate->commit_and_wait(api, request(v1::CREATE, "0")));
  constexpr int kEach = 3;
  in_threads(64, [&](int) {
    for (int done = 0; done < kEach;) {
      const auto record = stored();
      auto update = request(v1::UPDATE, std::to_string(std::stoi(spec_of(record.value)) + 1));
      update.mutable_writes(0)->set_if_revision(record.revision);
      const auto result = gate->commit_and_wait(api, update);
      if (result) {
        ++done;
      } else {
        ASSERT_EQ(result.code(), Code::kConflict) << result.message();
      }
    }
  });
  EXPECT_EQ(spec_of(stored().value), std::to_string(64 * kEach));
  EXPECT_EQ(meta::parse(stored().value)->generation, 64 * kEach + 1);
}

TEST_F(GateLmdbTest, WithoutARevision64WritersTakeTurnsAndNoneFails) {
  ASSERT_TRUE(gate->commit_and_wait(api, request(v1::CREATE, "")));
  constexpr int kEach = 3;
  in_threads(64, [&](int) {
    for (int i = 0; i < kEach; ++i) {
      const auto result = gate->commit_and_wait(other, request(v1::UPDATE, "x"));
      ASSERT_TRUE(result) << result.message();
    }
  });
  EXPECT_EQ(spec_of(stored().value), std::string(64 * kEach, 'x'));
}

TEST_F(GateLmdbTest, CreatedOnceByManyThreads) {
  std::atomic<int> created{0};
  in_threads(32, [&](int) {
    const auto result = gate->commit_and_wait(other, request(v1::CREATE, "x"));
    if (result) {
      ++created;
    } else {
      EXPECT_EQ(result.code(), Code::kAlreadyExists);
    }
  });
  EXPECT_EQ(created, 1);
}

TEST_F(GateLmdbTest, ACompletionMayCommitOnTheCommitter) {
  ASSERT_TRUE(gate->commit_and_wait(api, request(v1::CREATE, "0", "l", "leases.test")));
  std::promise<Result<v1::CommitResult>> answer;
  std::atomic<int> left{200};
  std::function<void(Result<v1::CommitResult>)> next = [&](Result<v1::CommitResult> result) {
    if (!result || --left == 0) {
      answer.set_value(std::move(result));
      return;
    }
    gate->commit(api, request(v1::UPDATE, std::to_string(left), "l", "leases.test"), next);
  };
  gate->commit(api, request(v1::UPDATE, "first", "l", "leases.test"), next);
  auto answered = answer.get_future();
  ASSERT_EQ(answered.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  const auto last = answered.get();
  EXPECT_TRUE(last) << last.message();
}

TEST_F(GateLmdbTest, ADeletedObjectMayComeBackWithANewUid) {
  const auto first = gate->commit_and_wait(api, request(v1::CREATE, "1"));
  ASSERT_TRUE(first) << first.message();
  const auto gone = gate->commit_and_wait(api, request(v1::DELETE, ""));
  ASSERT_TRUE(gone) << gone.message();
  EXPECT_TRUE(gone->written(0).deleted());
  EXPECT_GT(gone->written(0).revision(), first->written(0).revision());
  const auto second = gate->commit_and_wait(api, request(v1::CREATE, "2"));
  ASSERT_TRUE(second) << second.message();
  EXPECT_NE(meta::parse(first->written(0).value())->uid, meta::parse(second->written(0).value())->uid);
  auto late = request(v1::UPDATE, "3");
  late.mutable_writes(0)->set_if_uid(std::string(meta::parse(first->written(0).value())->uid));
  EXPECT_EQ(gate->commit_and_wait(api, late).code(), Code::kConflict);
}

}  // namespace
}  // namespace orlop::gate
