// The runtime's own floor: as many pods up and down again as orlop_bench's section `hundred`, asked of containerd
// directly over CRI, with nobody in between. For the same run as that section, on the same containerd.
//
//   cri_floor --socket PATH [--pods N] [--at-once N] [--image NAME] [--json FILE]
#include "cri/api.pb.h"
#include "plugins/runtime-containerd/cri_client.hpp"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace orlop::bench {
namespace {

namespace cri = ::runtime::v1;
using Clock = std::chrono::steady_clock;
constexpr int64_t kMemoryLimit = 64 << 20;
constexpr auto kCallAtMost = std::chrono::seconds(60);

struct Options {
  std::string socket;
  std::string image = "docker.io/library/nginx:latest";
  std::string json;
  std::size_t pods = 100;
  std::size_t at_once = 8;
};

struct Pod {
  std::string sandbox;
  std::string container;
};

class Floor {
 public:
  explicit Floor(Options options) : options_(std::move(options)), client_(options_.socket), pods_(options_.pods) {
    logs_ = std::filesystem::temp_directory_path() / fmt::format("orlop-floor-{}", ::getpid());
    std::filesystem::create_directories(logs_);
  }
  ~Floor() {
    client_.shutdown();
    std::error_code ignored;
    std::filesystem::remove_all(logs_, ignored);
  }

  Result<double> up() {
    return timed([this](std::size_t number) { return start(number); });
  }
  Result<double> down() {
    return timed([this](std::size_t number) { return remove(number); });
  }

 private:
  // The work for each pod, so many at once; how long all of it took, ms.
  Result<double> timed(const std::function<Status(std::size_t)>& work) {
    const auto begin = Clock::now();
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    Status failure;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < options_.at_once; ++i) {
      threads.emplace_back([&] {
        for (std::size_t number = next++; number < options_.pods; number = next++) {
          const Status status = work(number);
          const std::lock_guard lock(mutex);
          if (!status) failure = status;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (!failure) return failure;
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  }

  template <typename Answer, typename Request>
  Result<Answer> call(const char* method, const Request& request) {
    ORLOP_ASSIGN(const std::string bytes,
                 client_.call_and_wait(std::string("runtime.v1.RuntimeService/") + method, request.SerializeAsString(),
                                       Clock::now() + kCallAtMost));
    Answer answer;
    answer.ParseFromString(bytes);
    return answer;
  }

  cri::PodSandboxConfig sandbox(std::size_t number) const {
    cri::PodSandboxConfig config;
    auto& metadata = *config.mutable_metadata();
    metadata.set_name(fmt::format("floor-{}", number));
    metadata.set_namespace_("floor");
    metadata.set_uid(fmt::format("floor-{}-{}", ::getpid(), number));
    config.set_hostname(metadata.name());
    config.set_log_directory(logs_ / metadata.name());
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
    return config;
  }

  Status start(std::size_t number) {
    cri::RunPodSandboxRequest run;
    *run.mutable_config() = sandbox(number);
    std::filesystem::create_directories(run.config().log_directory());
    ORLOP_ASSIGN(const auto made, call<cri::RunPodSandboxResponse>("RunPodSandbox", run));
    pods_[number].sandbox = made.pod_sandbox_id();
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(made.pod_sandbox_id());
    *create.mutable_sandbox_config() = run.config();
    auto& config = *create.mutable_config();
    config.mutable_metadata()->set_name("main");
    config.mutable_image()->set_image(options_.image);
    config.set_log_path("main.log");
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(kMemoryLimit);
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
    security.set_no_new_privs(true);
    security.mutable_namespace_options()->set_pid(cri::CONTAINER);
    ORLOP_ASSIGN(const auto created, call<cri::CreateContainerResponse>("CreateContainer", create));
    pods_[number].container = created.container_id();
    cri::StartContainerRequest start;
    start.set_container_id(created.container_id());
    return call<cri::StartContainerResponse>("StartContainer", start).status();
  }

  Status remove(std::size_t number) {
    cri::StopContainerRequest stop;
    stop.set_container_id(pods_[number].container);
    stop.set_timeout(1);
    ORLOP_TRY(call<cri::StopContainerResponse>("StopContainer", stop).status());
    cri::StopPodSandboxRequest stop_sandbox;
    stop_sandbox.set_pod_sandbox_id(pods_[number].sandbox);
    ORLOP_TRY(call<cri::StopPodSandboxResponse>("StopPodSandbox", stop_sandbox).status());
    cri::RemovePodSandboxRequest remove_sandbox;
    remove_sandbox.set_pod_sandbox_id(pods_[number].sandbox);
    return call<cri::RemovePodSandboxResponse>("RemovePodSandbox", remove_sandbox).status();
  }

  const Options options_;
  containerd::CriClient client_;
  std::filesystem::path logs_;
  std::vector<Pod> pods_;
};

Result<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    const std::string& value = arguments[i + 1];
    const auto count = [&](std::size_t& field) { std::from_chars(value.data(), value.data() + value.size(), field); };
    if (name == "--socket") {
      options.socket = value;
    } else if (name == "--image") {
      options.image = value;
    } else if (name == "--json") {
      options.json = value;
    } else if (name == "--pods") {
      count(options.pods);
    } else if (name == "--at-once") {
      count(options.at_once);
    } else {
      return Status(Code::kBadRequest, "unknown option " + name);
    }
  }
  if (options.socket.empty() || arguments.size() % 2 != 0 || options.pods == 0 || options.at_once == 0) {
    return Status(Code::kBadRequest,
                  "usage: cri_floor --socket PATH [--pods N] [--at-once N] [--image NAME] [--json FILE]");
  }
  return options;
}

int main_of(const std::vector<std::string>& arguments) {
  const auto options = parse(arguments);
  if (!options) {
    fmt::print(stderr, "cri_floor: {}\n", options.message());
    return 2;
  }
  Floor floor(*options);
  const auto up = floor.up();
  const auto down = floor.down();
  for (const auto* figure : {&up, &down}) {
    if (*figure) continue;
    fmt::print(stderr, "cri_floor: {}\n", figure->message());
    return 1;
  }
  fmt::print("containerd alone, {} pods, {} at once: up {:.0f} ms, down {:.0f} ms\n", options->pods, options->at_once,
             *up, *down);
  if (!options->json.empty()) {
    std::ofstream(options->json) << fmt::format(
        R"({{"targets":["orlop"],"notes":[],"rows":[{{"key":"floor.up","unit":"ms","values":[{}]}},)"
        R"({{"key":"floor.down","unit":"ms","values":[{}]}}]}})",
        *up, *down);
  }
  return 0;
}

}  // namespace
}  // namespace orlop::bench

int main(int argc, char** argv) {
  return orlop::bench::main_of(std::vector<std::string>(argv + 1, argv + argc));
}
