// Against a private containerd in a temporary folder: the conformance suite, and what becomes of containers when
// containerd is killed. Needs root.
#include "plugins/runtime-containerd/runtime.hpp"

#include "orlop/testing/runtime_conformance.hpp"
#include "plugins/runtime-containerd/image_archive.hpp"
#include "plugins/runtime-containerd/mount_namespace.hpp"
#include "plugins/runtime-containerd/teardown.hpp"

#include <atomic>
#include <fstream>
#include <future>
#include <iterator>

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kImage = "orlop.test/program:1";

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

// One containerd for all tests of the program.
class PrivateContainerd {
 public:
  PrivateContainerd() {
    std::string name = (fs::temp_directory_path() / "orlop-containerd-XXXXXX").native();
    folder_ = ::mkdtemp(name.data());
    settings_.data_folder = folder_ / "data";
    settings_.run_folder = folder_ / "run";
    settings_.pause_image = ORLOP_PAUSE_IMAGE;
    settings_.shared_folders = {folder_ / "pods"};
    settings_.check_interval = milliseconds(200);
    settings_.hang_limit = milliseconds(4000);
    std::ofstream(folder_ / "program.tar", std::ios::binary)
        << containerd::image_archive({kImage, {"/program", "serve"}, {{"program", content_of(ORLOP_TEST_PROGRAM)}}});
    start();
    containerd::ContainerdProcess importer(settings_);
    Status status = importer.import_image(folder_ / "program.tar");
    if (!status.is_ok()) ADD_FAILURE() << status.message();
  }

  ~PrivateContainerd() {
    runtime_.reset();
    Status status = containerd::tear_down(settings_, [](std::string_view) {});
    EXPECT_TRUE(status.is_ok()) << status.message();
    EXPECT_FALSE(fs::exists(settings_.run_folder));
    fs::remove_all(folder_);
  }

  void start() {
    auto became_ready = std::make_shared<std::promise<void>>();
    auto once = std::make_shared<std::atomic<bool>>(false);
    containerd::Reports reports;
    reports.log = [](containerd::Severity, std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
    reports.ready = [became_ready, once](bool ready, std::string_view) {
      if (ready && !once->exchange(true)) became_ready->set_value();
    };
    auto future = became_ready->get_future();
    runtime_ = std::make_unique<containerd::Runtime>(settings_, reports);
    Status status = runtime_->start();
    EXPECT_TRUE(status.is_ok()) << status.message();
    EXPECT_EQ(future.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    // The event stream stands a moment later, which a reader hears of as a gap.
    v1::RuntimeEventsRequest request;
    v1::RuntimeEventsResponse response;
    for (int i = 0; i < 2 && response.cursor() == 0; ++i) {
      request.set_instance(response.instance());
      auto answer = call("orlop.v1.Runtime/Events", request.SerializeAsString(), std::chrono::seconds(10));
      ASSERT_TRUE(answer.is_ok() && response.ParseFromString(*answer));
    }
    EXPECT_GT(response.cursor(), 0u);
  }
  void stop() { runtime_.reset(); }

  Result<std::string> call(std::string_view method, std::string_view payload, milliseconds time) {
    auto answer = std::make_shared<std::promise<Result<std::string>>>();
    auto future = answer->get_future();
    runtime_->call(std::string(method), std::string(payload), steady_clock::now() + time,
                   [answer](const Status& status, std::string_view bytes) {
                     if (status.is_ok()) {
                       answer->set_value(std::string(bytes));
                     } else {
                       answer->set_value(status);
                     }
                   });
    return future.get();
  }

  [[nodiscard]] pid_t pid() const {
    auto identity = containerd::parse_identity(content_of(runtime_->layout().pid_file));
    return identity ? identity->pid : -1;
  }
  const containerd::Settings& settings() const { return settings_; }

  // The power fails: every process of it dies at once, and what was on tmpfs is gone.
  void cut_power() {
    stop();
    containerd::Layout layout(settings_);
    std::string address = layout.socket.native();
    for (bool found = true; found;) {
      found = false;
      for (const auto& entry : fs::directory_iterator("/proc")) {
        pid_t pid = std::atoi(entry.path().filename().c_str());
        if (pid <= 0 || content_of(entry.path() / "cmdline").find(settings_.run_folder.native()) == std::string::npos) {
          continue;
        }
        auto stat = containerd::read_stat(pid);
        if (stat && stat->state != 'Z' && stat->identity.pid != ::getpid()) found = ::kill(pid, SIGKILL) == 0;
      }
    }
    ASSERT_TRUE(containerd::remove_mounts(layout).is_ok());
    fs::remove_all(settings_.run_folder);
  }

 private:
  fs::path folder_;
  containerd::Settings settings_;
  std::unique_ptr<containerd::Runtime> runtime_;
};

std::shared_ptr<PrivateContainerd> shared_containerd;

class OneContainerd : public ::testing::Environment {
 public:
  void SetUp() override {
    if (::geteuid() == 0) shared_containerd = std::make_shared<PrivateContainerd>();
  }
  void TearDown() override { shared_containerd.reset(); }
};
[[maybe_unused]] const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new OneContainerd);

class ContainerdUnderTest final : public RuntimeUnderTest {
 public:
  Result<std::string> call(std::string_view method, std::string_view payload, milliseconds time) override {
    return shared_containerd->call(method, payload, time);
  }
  std::string image() override { return kImage; }
  void adapt(cri::PodSandboxConfig& config) override {
    auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_network(cri::NODE);
  }
  void run_until_stopped(cri::ContainerConfig& config) override { command(config, {"/program", "serve"}); }
  void end_with(cri::ContainerConfig& config, int code) override {
    command(config, {"/program", "exit", std::to_string(code)});
  }
  std::vector<std::string> hello_command() override { return {"/program", "echo", "hello"}; }

 private:
  static void command(cri::ContainerConfig& config, const std::vector<std::string>& words) {
    config.clear_command();
    for (const std::string& word : words) config.add_command(word);
    auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_network(cri::NODE);
    options->set_pid(cri::CONTAINER);
  }
};

INSTANTIATE_TEST_SUITE_P(Containerd, RuntimeConformance,
                         ::testing::Values(RuntimeCase{"containerd",
                                                       [] { return std::make_shared<ContainerdUnderTest>(); }}),
                         runtime_case_name);

// The helpers of the conformance suite, for tests of containerd alone.
class ContainerdTest : public RuntimeConformance {
 protected:
  // A pod with one container that runs; its id.
  std::string running_container(const std::string& name) {
    auto pod = sandbox_config(name);
    std::string sandbox = run_sandbox(pod);
    std::string id = create(sandbox, pod, container_config("one"));
    EXPECT_TRUE(start(id).is_ok());
    return id;
  }
};
INSTANTIATE_TEST_SUITE_P(Containerd, ContainerdTest,
                         ::testing::Values(RuntimeCase{"containerd",
                                                       [] { return std::make_shared<ContainerdUnderTest>(); }}),
                         runtime_case_name);

TEST_P(ContainerdTest, KilledContainerdIsBackWithItsContainers) {
  std::string id = running_container("survives");
  auto before = status(id);
  ASSERT_TRUE(before.is_ok());
  ASSERT_TRUE(events(std::chrono::seconds(1)).is_ok());
  pid_t old = shared_containerd->pid();
  ASSERT_GT(old, 0);
  auto killed = steady_clock::now();
  ASSERT_EQ(::kill(old, SIGKILL), 0);
  // The event reader is told that it may have missed something, and calls are answered again.
  auto told = events(std::chrono::seconds(10));
  ASSERT_TRUE(told.is_ok()) << told.message();
  EXPECT_TRUE(told->lost());
  auto after = status(id);
  auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - killed);
  ASSERT_TRUE(after.is_ok()) << after.message();
  EXPECT_LT(took.count(), 1000);
  EXPECT_NE(shared_containerd->pid(), old);
  EXPECT_EQ(after->status().state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(after->status().started_at(), before->status().started_at());
  EXPECT_TRUE(stop(id).is_ok());
}

TEST_P(ContainerdTest, HungContainerdIsKilledAndBack) {
  std::string id = running_container("hang");
  pid_t old = shared_containerd->pid();
  ASSERT_EQ(::kill(old, SIGSTOP), 0);
  auto end = steady_clock::now() + std::chrono::seconds(30);
  while (shared_containerd->pid() == old && steady_clock::now() < end) {
    (void)events(std::chrono::milliseconds(200));
  }
  EXPECT_NE(shared_containerd->pid(), old);
  auto after = status(id);
  ASSERT_TRUE(after.is_ok()) << after.message();
  EXPECT_EQ(after->status().state(), cri::CONTAINER_RUNNING);
}

TEST_P(ContainerdTest, RestartedPluginTakesOverWhatRuns) {
  std::string id = running_container("adopted");
  pid_t old = shared_containerd->pid();
  shared_containerd->stop();
  ASSERT_EQ(::kill(old, 0), 0) << "the plugin's end leaves containerd alone";
  shared_containerd->start();
  EXPECT_EQ(shared_containerd->pid(), old);
  auto after = status(id);
  ASSERT_TRUE(after.is_ok()) << after.message();
  EXPECT_EQ(after->status().state(), cri::CONTAINER_RUNNING);
}

TEST_P(ContainerdTest, ContainerdIsFoundWithoutItsPidFile) {
  pid_t old = shared_containerd->pid();
  shared_containerd->stop();
  fs::remove(shared_containerd->settings().run_folder / "containerd.pid");
  shared_containerd->start();
  EXPECT_EQ(shared_containerd->pid(), old);
}

TEST_P(ContainerdTest, EveryHandlerRunsPods) {
  for (const char* handler : {"crun", "runc"}) {
    if (containerd::find_program(handler, shared_containerd->settings().program_path).empty()) continue;
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = sandbox_config(std::string("handler-") + handler);
    request.set_runtime_handler(handler);
    auto response = call<cri::RunPodSandboxResponse>("runtime.v1.RuntimeService/RunPodSandbox", request);
    ASSERT_TRUE(response.is_ok()) << handler << ": " << response.message();
    sandboxes_.push_back(response->pod_sandbox_id());
    std::string id = create(response->pod_sandbox_id(), request.config(), container_config("one"));
    EXPECT_TRUE(start(id).is_ok()) << handler;
  }
}

TEST_P(ContainerdTest, MountMadeAfterItsStartReachesContainers) {
  fs::path volume = shared_containerd->settings().shared_folders[0] / "volume";
  fs::create_directories(volume);
  ASSERT_EQ(::mount("tmpfs", volume.c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(volume / "file") << "from the tmpfs\n";
  auto pod = sandbox_config("volume");
  std::string sandbox = run_sandbox(pod);
  auto config = container_config("one");
  auto* mount = config.add_mounts();
  mount->set_host_path(volume.native());
  mount->set_container_path("/volume");
  std::string id = create(sandbox, pod, config);
  EXPECT_TRUE(start(id).is_ok());
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  for (const char* word : {"/program", "read", "/volume/file"}) request.add_cmd(word);
  auto response = call<cri::ExecSyncResponse>("runtime.v1.RuntimeService/ExecSync", request);
  ASSERT_TRUE(response.is_ok()) << response.message();
  EXPECT_EQ(response->stdout(), "from the tmpfs\n");
  EXPECT_TRUE(stop_sandbox(sandbox).is_ok());
  EXPECT_EQ(::umount2(volume.c_str(), MNT_DETACH), 0);
}

TEST_P(ContainerdTest, AfterAPowerCutPodsAreThereAsDead) {
  auto pod = sandbox_config("power");
  std::string sandbox = run_sandbox(pod);
  std::string id = create(sandbox, pod, container_config("one"));
  ASSERT_TRUE(start(id).is_ok());
  ASSERT_NO_FATAL_FAILURE(shared_containerd->cut_power());
  shared_containerd->start();
  auto state = sandbox_status(sandbox);
  ASSERT_TRUE(state.is_ok()) << state.message();
  EXPECT_EQ(state->status().state(), cri::SANDBOX_NOTREADY);
  auto container = status(id);
  ASSERT_TRUE(container.is_ok()) << container.message();
  EXPECT_NE(container->status().state(), cri::CONTAINER_RUNNING);
  EXPECT_TRUE(stop_sandbox(sandbox).is_ok());
  EXPECT_TRUE(remove_sandbox(sandbox).is_ok());
  EXPECT_FALSE(run_sandbox(pod).empty()) << "the name is free again, the sandbox image still there";
}

TEST_P(ContainerdTest, SocketIsForRootAlone) {
  struct stat state {};
  ASSERT_EQ(::stat((shared_containerd->settings().run_folder / "containerd.sock").c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(shared_containerd->settings().run_folder.c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0700u);
}

TEST_P(ContainerdTest, CallBeyondItsDeadlineEnds) {
  auto answer = shared_containerd->call("runtime.v1.RuntimeService/Version", "", milliseconds(-1));
  EXPECT_EQ(answer.code(), Code::kTimeout) << answer.message();
}

}  // namespace
}  // namespace orlop::testing
