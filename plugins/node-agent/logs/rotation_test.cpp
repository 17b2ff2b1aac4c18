// Rotation against a runtime of the test's, reading across what it leaves, and last words.
#include "orlop/rfc3339.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/logs/log_files.hpp"
#include "plugins/node-agent/logs/log_reader.hpp"
#include "plugins/node-agent/logs/log_rotation.hpp"
#include "plugins/node-agent/logs/termination_message.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string make_folder() {
  char name[] = "/tmp/orlop-agent-XXXXXX";
  return ::mkdtemp(name);
}

class RotationTest : public ::testing::Test {
 protected:
  RotationTest() {
    path_ = folder_ + "/default_p_u1/c/0.log";
    fs::create_directories(fs::path(path_).parent_path());
    kernel_.provide("runtime", [this](const v1::CallTarget& target, const std::string&,
                                      testing::FakeKernel::Reply reply) { reply(answer(target.method())); });
  }
  ~RotationTest() override { fs::remove_all(folder_); }
  Result<std::string> answer(const std::string& method) {
    if (method.ends_with("/ReopenContainerLog")) {
      if (!reopens_) return Status(Code::kInternal, "it is deaf");
      std::ofstream(path_, std::ios::app).flush();
      return cri::ReopenContainerLogResponse().SerializeAsString();
    }
    cri::ListContainersResponse list;
    if (runs_) {
      auto& container = *list.add_containers();
      container.set_id("id");
      container.mutable_metadata()->set_name("c");
    }
    return list.SerializeAsString();
  }
  // A line with a time of its own, 40 bytes and more.
  void write_line(const std::string& text) {
    char time[40];
    std::snprintf(time, sizeof time, "2026-01-01T00:%02d:%02dZ", lines_ / 60, lines_ % 60);
    ++lines_;
    std::ofstream(path_, std::ios::app) << time << " stdout F " << text << "\n";
  }
  void look() {
    kernel_.advance(1s);
    rotation_.look();
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(fs::path(path_).parent_path())) {
      out.push_back(entry.path().filename());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  std::string read(LogOptions options) const {
    options.path = path_;
    std::string out;
    EXPECT_TRUE(read_log(options, -1, -1, [&](std::string_view part) {
      out += part;
      return true;
    }));
    return out;
  }

  testing::FakeKernel kernel_;
  std::string folder_ = make_folder();
  std::string path_;
  bool runs_ = true;
  bool reopens_ = true;
  int lines_ = 0;
  RuntimeClient runtime_{kernel_.host(), ""};
  LogRotation rotation_{kernel_.host(), runtime_, folder_, {60, 4}};
};

TEST_F(RotationTest, SmallFilesAndEndedContainersAreLeftAlone) {
  write_line("a");
  look();
  EXPECT_THAT(files(), ElementsAre("0.log"));
  EXPECT_THAT(kernel_.calls(), IsEmpty());
  write_line("b");
  runs_ = false;
  look();
  EXPECT_THAT(files(), ElementsAre("0.log"));
}

TEST_F(RotationTest, KeepsSoManyPacksThemAndReadsAcrossAll) {
  for (int i = 0; i < 12; ++i) {
    write_line("line" + std::to_string(i));
    if (i % 2 == 1) look();
  }
  EXPECT_THAT(files(), ElementsAre("0.log", HasSubstr("0.log.20231114-22132"), HasSubstr("0.log.20231114-22132"),
                                   HasSubstr("0.log.20231114-22132")));
  const auto rotated = rotated_logs(path_);
  ASSERT_EQ(rotated.size(), 3u);
  EXPECT_TRUE(rotated[0].packed && rotated[1].packed);
  EXPECT_FALSE(rotated[2].packed);
  EXPECT_EQ(read({}), "line6\nline7\nline8\nline9\nline10\nline11\n");
  write_line("line12");
  LogOptions options;
  for (const int64_t tail : {0, 1, 2, 3, 4, 5, 6, 7, 100}) {
    options.tail_lines = tail;
    std::string expected;
    for (int64_t i = 12; i > 12 - std::min<int64_t>(tail, 7); --i)
      expected = "line" + std::to_string(i) + "\n" + expected;
    EXPECT_EQ(read(options), expected) << tail;
  }
  options.tail_lines.reset();
  options.since_unix_ns = *parse_rfc3339_ns("2026-01-01T00:00:09Z");
  EXPECT_EQ(read(options), "line9\nline10\nline11\nline12\n");
  options.limit_bytes = 8;
  EXPECT_EQ(read(options), "line9\nli");
}

TEST_F(RotationTest, AWriterThatCannotReopenKeepsItsFile) {
  reopens_ = false;
  write_line("a");
  write_line("b");
  look();
  EXPECT_THAT(files(), ElementsAre("0.log"));
  EXPECT_TRUE(kernel_.logged("cannot be rotated: it is deaf"));
}

TEST_F(RotationTest, AClockThatGoesBackOverwritesNothing) {
  const std::string later = rotated_log_name(path_, kernel_.wall_now_ns() / 1'000'000'000 + 3600);
  std::ofstream(later) << "2025-12-31T00:00:00Z stdout F old\n";
  write_line("a");
  write_line("b");
  look();
  EXPECT_EQ(read({}), "old\na\nb\n");
}

TEST_F(RotationTest, AFollowerMissesNothingHoweverSlow) {
  LogOptions options;
  options.path = path_;
  options.follow = true;
  std::atomic<bool> runs = true;
  options.still_running = [&] { return runs.load(); };
  std::string seen;
  write_line("line0");
  write_line("line1");
  EXPECT_TRUE(read_log(options, -1, -1, [&](std::string_view part) {
    const bool is_first = seen.empty();
    seen += part;
    for (int i = 2; is_first && i < 7; ++i) {
      look();
      write_line("line" + std::to_string(i));
      write_line("line" + std::to_string(i) + "b");
    }
    if (seen.ends_with("line6b\n")) runs = false;
    return true;
  }));
  // Four files are kept: what was rotated out of them while nobody read is lost, the rest comes in order.
  EXPECT_THAT(seen, HasSubstr("line0\nline1\n"));
  EXPECT_TRUE(seen.ends_with("line4\nline4b\nline5\nline5b\nline6\nline6b\n")) << seen;
}

class LastWordsTest : public RotationTest {
 protected:
  LastWordsTest() {
    container_.set_name("c");
    container_.set_terminationmessagepath("/dev/termination-log");
    container_.set_terminationmessagepolicy("File");
    const auto mount = make_termination_file(folder_ + "/pod", container_, 0);
    EXPECT_TRUE(mount);
    file_ = mount->host_path;
    EXPECT_EQ(mount->container_path, "/dev/termination-log");
  }
  std::string words(int exit_code = 1, const std::string& of_runtime = "") {
    kube::Pod pod;
    *pod.mutable_spec()->add_containers() = container_;
    RuntimePod runtime;
    auto& status = runtime.containers.emplace_back();
    status.mutable_metadata()->set_name("c");
    status.set_state(cri::CONTAINER_EXITED);
    status.set_exit_code(exit_code);
    status.set_message(of_runtime);
    auto& mount = *status.add_mounts();
    mount.set_container_path("/dev/termination-log");
    mount.set_host_path(file_);
    add_termination_messages(pod, folder_ + "/default_p_u1", runtime);
    return runtime.containers.front().message();
  }
  void says(const std::string& text) const { std::ofstream(file_) << text; }

  Container container_;
  std::string file_;
};

TEST_F(LastWordsTest, AreReadFromTheFile) {
  EXPECT_EQ(words(), "");
  struct stat found {};
  ASSERT_EQ(::stat(file_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0666u);
  says("no disk\n");
  EXPECT_EQ(words(), "no disk\n");
  EXPECT_EQ(words(1, "failed"), "failed: no disk\n");
  says(std::string(5000, 'x') + "end");
  EXPECT_EQ(words().size(), 4096u);
  EXPECT_TRUE(words().ends_with("xend"));
  says("bad \xff byte");
  EXPECT_EQ(words(), "bad \xef\xbf\xbd byte");
  fs::remove(file_);
  fs::create_symlink("/etc/passwd", file_);
  EXPECT_THAT(words(), HasSubstr("Error on reading termination log"));
}

TEST_F(LastWordsTest, FallBackToTheLogOfWhatFailed) {
  write_line("first");
  for (int i = 0; i < 100; ++i) write_line("line" + std::to_string(i));
  EXPECT_EQ(words(), "");
  container_.set_terminationmessagepolicy("FallbackToLogsOnError");
  EXPECT_EQ(words(0), "");
  EXPECT_TRUE(words().starts_with("line20\n"));
  EXPECT_TRUE(words().ends_with("line99\n"));
  write_line(std::string(3000, 'x'));
  EXPECT_EQ(words().size(), 2048u);
  says("its own");
  EXPECT_EQ(words(), "its own");
}

}  // namespace
}  // namespace orlop::agent
