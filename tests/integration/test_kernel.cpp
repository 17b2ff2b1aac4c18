#include "tests/integration/test_kernel.hpp"

#include "kernel/bus/clock.hpp"
#include "kernel/bus/doorbell.hpp"
#include "kernel/bus/timer.hpp"
#include "kernel/gate/gate.hpp"
#include "kernel/lifecycle/kernel_service.hpp"
#include "kernel/lifecycle/kind_providers.hpp"
#include "kernel/lifecycle/manager.hpp"
#include "kernel/lifecycle/wake_hub.hpp"
#include "kernel/store/lmdb_store.hpp"
#include "orlop/v1/kernel.pb.h"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

namespace orlop::integration {

bool eventually(const std::function<bool()>& condition, int64_t timeout_ns) {
  const int64_t end = bus::system_clock().monotonic_ns() + timeout_ns;
  while (!condition()) {
    if (bus::system_clock().monotonic_ns() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TempFolder::TempFolder() {
  char pattern[] = "/tmp/orlop-it-XXXXXX";
  path_ = ::mkdtemp(pattern);
}
TempFolder::~TempFolder() {
  std::filesystem::remove_all(path_);
}

std::string plugin_file(const std::string& name) {
  return std::string(ORLOP_TEST_PLUGINS) + "/" + name + ".so";
}

std::vector<int64_t> hosts_of(int64_t parent) {
  std::vector<int64_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stat(entry.path() / "stat"), command(entry.path() / "cmdline");
    std::string text, name;
    std::getline(stat, text);
    std::getline(command, name);
    const auto end = text.rfind(')');
    if (end == std::string::npos || name.find("/orlop-host") == std::string::npos) continue;
    std::istringstream rest(text.substr(end + 2));
    char state = 0;
    int64_t its_parent = 0;
    rest >> state >> its_parent;
    if (its_parent == parent && state != 'Z') found.push_back(std::stoll(pid));
  }
  return found;
}

bool is_alive(int64_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const auto end = text.rfind(')');
  return end != std::string::npos && text[end + 2] != 'Z';
}

lifecycle::PluginSpec spec(const std::string& name, const std::string& file, bool isolated, const std::string& config) {
  lifecycle::PluginSpec out;
  out.name = name;
  out.file = file;
  out.isolated = isolated;
  auto parsed = lifecycle::parse_yaml(config, "test.yaml");
  EXPECT_TRUE(parsed.problems.empty());
  out.config = parsed.tree;
  out.place = parsed.tree;
  out.place.entries.clear();
  return out;
}

struct TestKernel::Parts {
  Parts(const std::string& folder, std::vector<lifecycle::PluginSpec> specs)
      : logs(bus::system_clock(), lifecycle::LogLevel::kInfo, folder + "/log") {
    EXPECT_TRUE(logs.reopen().is_ok());
    store::LmdbOptions options;
    options.folder = folder + "/store";
    options.map_bytes = 64 << 20;
    auto opened = store::open_lmdb_store(std::move(options));
    EXPECT_TRUE(opened) << opened.message();
    store = std::move(*opened);
    gate.emplace(*store, providers);
    doorbell = std::move(*bus::Doorbell::open({"ipc://" + folder + "/doorbell.sock"}));
    wakes.emplace(*store, doorbell.get());
    processes = std::move(*lifecycle::ProcessHub::open());
    std::filesystem::create_directories(folder + "/data");
    std::filesystem::create_directories(folder + "/run");
    const lifecycle::KernelParts kernel{bus::system_clock(), timer, *store, *gate, router, *wakes, logs};
    lifecycle::ManagerOptions manager_options;
    manager_options.node_name = "test-node";
    manager_options.folders = {folder + "/config", folder + "/data", folder + "/run", ORLOP_TEST_PLUGINS,
                               ORLOP_TEST_BIN};
    manager_options.host_program = std::string(ORLOP_TEST_BIN) + "/orlop-host";
    manager.emplace(kernel, *processes, std::move(manager_options), std::move(specs));
    service = std::make_shared<lifecycle::KernelService>(kernel, *manager, folder);
    service->attach();
  }
  ~Parts() {
    router.detach("kernel", "the kernel is stopping");
    manager.reset();
    gate->stop();
    wakes.reset();
    router.stop();
    timer.stop();
  }

  lifecycle::LogBook logs;
  bus::Timer timer{bus::system_clock()};
  std::unique_ptr<store::Store> store;
  bus::CallRouter router{bus::system_clock(), timer};
  lifecycle::RouterKindProviders providers{router};
  std::optional<gate::Gate> gate;
  std::unique_ptr<bus::Doorbell> doorbell;
  std::optional<lifecycle::WakeHub> wakes;
  std::unique_ptr<lifecycle::ProcessHub> processes;
  std::optional<lifecycle::Manager> manager;
  std::shared_ptr<lifecycle::KernelService> service;
};

struct TestKernel::Pending::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  Answer answer;
};

bool TestKernel::Pending::done() const {
  std::lock_guard lock(state->mutex);
  return state->done;
}

TestKernel::Answer TestKernel::Pending::answer() const {
  std::unique_lock lock(state->mutex);
  state->changed.wait(lock, [this] { return state->done; });
  return state->answer;
}

TestKernel::TestKernel(std::vector<lifecycle::PluginSpec> specs)
    : parts_(std::make_unique<Parts>(folder_.path(), std::move(specs))) {}
TestKernel::~TestKernel() = default;

void TestKernel::start() {
  parts_->manager->start();
  EXPECT_TRUE(parts_->manager->wait_settled(30'000 * kMs));
}

void TestKernel::stop() {
  parts_->manager->stop();
}

TestKernel::Pending TestKernel::begin(const std::string& plugin, const std::string& method, const std::string& payload,
                                      uint32_t deadline_ms) {
  Pending pending{std::make_shared<Pending::State>()};
  parts_->router.call_plugin(
      plugin, method, payload, deadline_ms, [state = pending.state](Code code, std::string_view bytes) {
        std::lock_guard lock(state->mutex);
        state->done = true;
        state->answer.code = code;
        state->answer.text = code == Code::kOk ? std::string(bytes) : bus::decode_status(code, bytes).message();
        state->changed.notify_all();
      });
  return pending;
}

TestKernel::Answer TestKernel::call(const std::string& plugin, const std::string& method, const std::string& payload,
                                    uint32_t deadline_ms) {
  return begin(plugin, method, payload, deadline_ms).answer();
}

v1::PluginState TestKernel::state(const std::string& plugin) {
  v1::PluginsRequest request;
  request.set_name(plugin);
  const auto answer = call("kernel", "orlop.v1.Kernel/Plugins", request.SerializeAsString());
  v1::PluginsResponse response;
  EXPECT_TRUE(response.ParseFromString(answer.text)) << answer.text;
  return response.plugins_size() == 1 ? response.plugins(0) : v1::PluginState();
}

Status TestKernel::restart(const std::string& plugin) {
  v1::RestartPluginRequest request;
  request.set_name(plugin);
  const auto answer = call("kernel", "orlop.v1.Kernel/RestartPlugin", request.SerializeAsString());
  return {answer.code, answer.text};
}

std::string TestKernel::log(const std::string& name) {
  v1::PluginLogsRequest request;
  request.set_name(name);
  v1::PluginLogsResponse response;
  EXPECT_TRUE(response.ParseFromString(call("kernel", "orlop.v1.Kernel/PluginLogs", request.SerializeAsString()).text));
  std::string all;
  for (const auto& line : response.lines()) all += line.text() + "\n";
  return all;
}

store::Store& TestKernel::store() {
  return *parts_->store;
}
bus::CallRouter& TestKernel::router() {
  return parts_->router;
}

}  // namespace orlop::integration
