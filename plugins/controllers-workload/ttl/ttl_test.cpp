#include "plugins/controllers-workload/ttl/ttl.hpp"

#include "orlop/testing/fake_kernel.hpp"

#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;

class TtlTest : public ::testing::Test {
 protected:
  TtlTest() { controllers_.add(std::make_unique<TtlAfterFinishedController>(kernel_.host())); }
  void make(int32_t ttl_s) {
    Job job;
    job.mutable_metadata()->set_name("done");
    job.mutable_metadata()->set_namespace_("default");
    job.mutable_metadata()->add_finalizers("test/hold");
    if (ttl_s >= 0) job.mutable_spec()->set_ttlsecondsafterfinished(ttl_s);
    ASSERT_TRUE(kernel_.create("jobs.batch", job));
    settle();
  }
  void finish(const std::string& type) {
    Job job = stored();
    *job.mutable_status()->add_conditions() = make_condition(type, true, "", "", kernel_.wall_now_ns() / 1'000'000'000);
    ASSERT_TRUE(kernel_.update("jobs.batch", job, "status"));
    settle();
  }
  Job stored() { return *kernel_.get<Job>("jobs.batch", "default", "done"); }
  bool is_going() { return stored().metadata().has_deletiontimestamp(); }
  void settle() {
    for (int i = 0; i < 30; ++i) {
      if (controllers_.run_until_idle() == 0 && i > 3) return;
      kernel_.advance(10ms);
    }
  }
  void pass(std::chrono::seconds by) {
    for (; by > 0s; by -= std::min<std::chrono::seconds>(by, 60s)) {
      kernel_.advance(std::min<std::chrono::seconds>(by, 60s));
      settle();
    }
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
};

TEST_F(TtlTest, DeletesInTheForegroundAWhileAfterTheEnd) {
  make(100);
  pass(200s);
  EXPECT_FALSE(is_going());
  finish("Complete");
  pass(98s);
  EXPECT_FALSE(is_going());
  pass(3s);
  EXPECT_TRUE(is_going());
  const Job job = stored();
  EXPECT_EQ(job.metadata().finalizers_size(), 2);
  EXPECT_EQ(job.metadata().finalizers(1), "foregroundDeletion");
}

TEST_F(TtlTest, AtOnceWhenItIsZero) {
  make(0);
  finish("Failed");
  EXPECT_TRUE(is_going());
}

TEST_F(TtlTest, NeverWithoutOne) {
  make(-1);
  finish("Complete");
  pass(1000s);
  EXPECT_FALSE(is_going());
}

TEST_F(TtlTest, ProlongedItWaitsLonger) {
  make(10);
  finish("Complete");
  Job job = stored();
  job.mutable_spec()->set_ttlsecondsafterfinished(100);
  ASSERT_TRUE(kernel_.update("jobs.batch", job));
  pass(50s);
  EXPECT_FALSE(is_going());
  pass(60s);
  EXPECT_TRUE(is_going());
}

}  // namespace
}  // namespace orlop::workload
