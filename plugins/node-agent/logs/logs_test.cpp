// One container's log as it is read.
#include "orlop/rfc3339.hpp"
#include "plugins/node-agent/logs/log_files.hpp"
#include "plugins/node-agent/logs/log_reader.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSecondNs = 1'000'000'000;

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    char name[] = "/tmp/orlop-agent-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~FolderTest() override { fs::remove_all(folder_); }
  std::string folder_;
};

class LogTest : public FolderTest {
 protected:
  LogTest() { options_.path = folder_ + "/0.log"; }
  void append(const std::string& text) { std::ofstream(options_.path, std::ios::app) << text; }
  std::string read_all() {
    std::string out;
    EXPECT_TRUE(read_log(options_, -1, -1, [&](std::string_view part) {
      out += part;
      return true;
    }));
    return out;
  }
  LogOptions options_;
};

TEST_F(LogTest, PutsPartsTogether) {
  append("2024-01-01T00:00:01.5Z stdout P one \n2024-01-01T00:00:01.6Z stdout F line\n");
  append("2024-01-01T00:00:02Z stderr F two\n2024-01-01T00:00:03Z stdout F \n");
  EXPECT_EQ(read_all(), "one line\ntwo\n\n");
  options_.timestamps = true;
  EXPECT_EQ(read_all(), "2024-01-01T00:00:01.5Z one line\n2024-01-01T00:00:02Z two\n2024-01-01T00:00:03Z \n");
}

TEST_F(LogTest, TailSinceAndLimit) {
  for (int i = 0; i < 10; ++i)
    append("2024-01-01T00:00:0" + std::to_string(i) + "Z stdout F line" + std::to_string(i) + "\n");
  options_.tail_lines = 2;
  EXPECT_EQ(read_all(), "line8\nline9\n");
  options_.tail_lines = 0;
  EXPECT_EQ(read_all(), "");
  options_.tail_lines = 100;
  EXPECT_EQ(read_all().size(), 60u);
  options_.tail_lines.reset();
  options_.since_unix_ns = *parse_rfc3339_ns("2024-01-01T00:00:07Z");
  EXPECT_EQ(read_all(), "line7\nline8\nline9\n");
  options_.since_unix_ns.reset();
  options_.limit_bytes = 8;
  EXPECT_EQ(read_all(), "line0\nli");
}

TEST_F(LogTest, FollowsThroughRotationUntilTheContainerEnds) {
  append("2024-01-01T00:00:01Z stdout F one\n");
  options_.follow = true;
  std::atomic<bool> running = true;
  options_.still_running = [&] { return running.load(); };
  std::string seen;
  std::thread reader([&] {
    EXPECT_TRUE(read_log(options_, -1, -1, [&](std::string_view part) {
      seen += part;
      if (seen == "one\n") {
        append("2024-01-01T00:00:02Z stdout F two\n");
        fs::rename(options_.path, options_.path + ".old");
        append("2024-01-01T00:00:03Z stdout F three\n");
      }
      if (seen.ends_with("three\n")) running = false;
      return true;
    }));
  });
  reader.join();
  EXPECT_EQ(seen, "one\ntwo\nthree\n");
}

TEST_F(LogTest, EndsWhenItIsToldTo) {
  append("");
  options_.follow = true;
  options_.still_running = [] { return true; };
  const int stop = ::eventfd(1, EFD_CLOEXEC);
  EXPECT_TRUE(read_log(options_, stop, -1, [](std::string_view) { return true; }));
  ::close(stop);
  options_.path = folder_ + "/absent.log";
  EXPECT_EQ(read_log(options_, -1, -1, [](std::string_view) { return true; }).code(), Code::kNotFound);
}

TEST(LogTime, WithFractionsAndOffsets) {
  EXPECT_EQ(*parse_rfc3339_ns("1970-01-01T00:00:01.000000002Z"), kSecondNs + 2);
  EXPECT_EQ(*parse_rfc3339_ns("1970-01-01T02:00:00+02:00"), 0);
  EXPECT_FALSE(parse_rfc3339_ns("yesterday"));
}

}  // namespace
}  // namespace orlop::agent
