// A whole kernel in the test's process, over a folder of its own: store, gate, router, lifecycle, and real plugins.
#pragma once

#include "kernel/bus/call_router.hpp"
#include "kernel/lifecycle/prepare.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orlop::v1 {
class PluginState;
}
namespace orlop::store {
class Store;
}

namespace orlop::integration {

constexpr int64_t kMs = 1'000'000;

// Looks again and again until the condition holds; false when the time has passed.
bool eventually(const std::function<bool()>& condition, int64_t timeout_ns = 10'000 * kMs);

// A folder that goes with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The path of a test plugin's file.
std::string plugin_file(const std::string& name);
// The children of a process that are called orlop-host (by their command line).
std::vector<int64_t> hosts_of(int64_t parent);
bool is_alive(int64_t pid);

// An entry of the configuration; `config` is YAML.
lifecycle::PluginSpec spec(const std::string& name, const std::string& file, bool isolated,
                           const std::string& config = "");

class TestKernel {
 public:
  struct Answer {
    Code code = Code::kOk;
    std::string text;  // the payload, or the status's message
  };

  explicit TestKernel(std::vector<lifecycle::PluginSpec> specs);
  ~TestKernel();

  void start();  // and waits until all has settled
  void stop();

  Answer call(const std::string& plugin, const std::string& method, const std::string& payload = "",
              uint32_t deadline_ms = 5000);
  // Begins a call; the answer is there when done() says so.
  struct Pending {
    [[nodiscard]] bool done() const;
    [[nodiscard]] Answer answer() const;
    struct State;
    std::shared_ptr<State> state;
  };
  Pending begin(const std::string& plugin, const std::string& method, const std::string& payload, uint32_t deadline_ms);

  v1::PluginState state(const std::string& plugin);
  Status restart(const std::string& plugin);
  // All kept log lines of a name, one under the other.
  std::string log(const std::string& name);
  store::Store& store();
  bus::CallRouter& router();
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  struct Parts;
  TempFolder folder_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace orlop::integration
