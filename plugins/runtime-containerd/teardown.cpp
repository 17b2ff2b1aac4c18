#include "plugins/runtime-containerd/teardown.hpp"

#include "containerd.pb.h"
#include "plugins/runtime-containerd/containerd_process.hpp"
#include "plugins/runtime-containerd/cri_client.hpp"
#include "plugins/runtime-containerd/mount_namespace.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

namespace orlop::containerd {

namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using std::chrono::steady_clock;

std::vector<std::string> sandboxes(CriClient& client) {
  std::vector<std::string> out;
  auto answer = client.call_and_wait("runtime.v1.RuntimeService/ListPodSandbox", "", steady_clock::now() + seconds(20));
  wire::CriListPodSandboxResponse response;
  if (!answer.is_ok() || !response.ParseFromString(*answer)) return out;
  for (const auto& item : response.items()) out.push_back(item.id());
  return out;
}

// All at once: containerd itself knows how many it can do at a time.
void call_for_each(CriClient& client, const char* method, const std::vector<std::string>& ids) {
  std::vector<std::future<void>> answers;
  for (const std::string& id : ids) {
    wire::CriStatusByIdRequest request;
    request.set_id(id);
    auto done = std::make_shared<std::promise<void>>();
    answers.push_back(done->get_future());
    client.call(method, request.SerializeAsString(), steady_clock::now() + seconds(60),
                [done](const Status&, std::string_view) { done->set_value(); });
  }
  for (auto& answer : answers) answer.wait();
}

std::vector<std::string> arguments_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> out;
  while (!text.empty()) {
    size_t end = std::min(text.find('\0'), text.size());
    out.push_back(text.substr(0, end));
    text.erase(0, end + 1);
  }
  return out;
}

// Shims that serve this containerd's socket, and everything below them.
std::vector<ProcessIdentity> shims_and_children(const fs::path& socket) {
  std::map<pid_t, ProcessStat> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().native();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (auto stat = read_stat(std::stoi(name))) all[stat->identity.pid] = *stat;
  }
  auto is_ours = [&](pid_t pid) {
    auto arguments = arguments_of(pid);
    return !arguments.empty() && arguments[0].find("containerd-shim") != std::string::npos &&
           std::find(arguments.begin(), arguments.end(), socket.native()) != arguments.end();
  };
  std::vector<pid_t> found;
  for (const auto& [pid, stat] : all) {
    if (is_ours(pid)) found.push_back(pid);
  }
  for (size_t i = 0; i < found.size(); ++i) {
    for (const auto& [pid, stat] : all) {
      if (stat.parent == found[i] && std::find(found.begin(), found.end(), pid) == found.end()) found.push_back(pid);
    }
  }
  std::vector<ProcessIdentity> out;
  // Children first: a container whose shim is killed before it would be left to the machine's init.
  for (auto pid = found.rbegin(); pid != found.rend(); ++pid) out.push_back(all[*pid].identity);
  return out;
}

Status kill_left_over(const fs::path& socket, const std::function<void(std::string_view)>& say) {
  auto end = steady_clock::now() + seconds(10);
  for (bool told = false;;) {
    auto left = shims_and_children(socket);
    if (left.empty()) return Status();
    if (!told) say(fmt::format("killing {} processes of containers that are left", left.size()));
    told = true;
    std::vector<OwnedFd> watches;
    for (const auto& identity : left) {
      auto watch = watch_process(identity);
      if (!watch.is_ok()) continue;
      ::kill(identity.pid, SIGKILL);
      watches.push_back(std::move(*watch));
    }
    for (const auto& watch : watches) (void)wait_for_exit(watch, std::chrono::milliseconds(2000));
    if (steady_clock::now() > end) {
      return Status(Code::kTimeout, fmt::format("process {} does not end", left.front().pid));
    }
  }
}

}  // namespace

Status tear_down(const Settings& settings, const std::function<void(std::string_view)>& say) {
  ContainerdProcess process(settings);
  const Layout& layout = process.layout();
  if (fs::exists(layout.pid_file)) {
    Status running = process.prepare();
    if (running.is_ok()) running = process.ensure_running();
    if (running.is_ok()) {
      CriClient client(layout.socket);
      auto ids = sandboxes(client);
      if (!ids.empty()) say(fmt::format("removing {} pods", ids.size()));
      call_for_each(client, "runtime.v1.RuntimeService/StopPodSandbox", ids);
      call_for_each(client, "runtime.v1.RuntimeService/RemovePodSandbox", ids);
    } else {
      say("containerd cannot be asked: " + running.message());
    }
    ORLOP_TRY(process.end());
    say("containerd has ended");
  }
  ORLOP_TRY(kill_left_over(layout.socket, say));
  ORLOP_TRY(remove_mounts(layout));
  std::error_code error;
  fs::remove_all(settings.run_folder, error);
  if (error) {
    return Status(Code::kUnavailable, fmt::format("{}: {}", settings.run_folder.native(), error.message()));
  }
  return Status();
}

}  // namespace orlop::containerd
