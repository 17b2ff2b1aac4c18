#include "plugins/node-agent/logs/log_rotation.hpp"

#include "plugins/node-agent/logs/log_files.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <utility>
#include <vector>

#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr std::string_view kLog = ".log";

}  // namespace

std::string rotated_log_name(const std::string& path, int64_t unix_s) {
  const auto moment = static_cast<time_t>(unix_s);
  std::tm parts{};
  ::gmtime_r(&moment, &parts);
  char text[32];
  std::strftime(text, sizeof text, ".%Y%m%d-%H%M%S", &parts);
  return path + text;
}

LogRotation::LogRotation(Host host, const RuntimeClient& runtime, std::string folder, LogRotationSettings settings)
    : host_(host), runtime_(runtime), folder_(std::move(folder)), settings_(settings) {}

void LogRotation::look() {
  if (settings_.bytes_max <= 0) return;
  std::vector<Log> big;
  std::error_code error;
  for (const auto& pod : fs::directory_iterator(folder_, error)) {
    const std::string pod_name = pod.path().filename();
    for (const auto& container : fs::directory_iterator(pod.path(), error)) {
      for (const auto& file : fs::directory_iterator(container.path(), error)) {
        const std::string name = file.path().filename();
        if (!name.ends_with(kLog) || static_cast<int64_t>(file.file_size(error)) < settings_.bytes_max) continue;
        Log log{file.path(), pod_name.substr(pod_name.rfind('_') + 1), container.path().filename(), 0};
        std::from_chars(name.data(), name.data() + name.size() - kLog.size(), log.attempt);
        big.push_back(std::move(log));
      }
    }
  }
  for (const Log& log : big) rotate(log);
}

Result<std::string> LogRotation::running_container(const Log& log) const {
  cri::ListContainersRequest request;
  request.mutable_filter()->mutable_state()->set_state(cri::CONTAINER_RUNNING);
  (*request.mutable_filter()->mutable_label_selector())[kPodUidLabel] = log.pod_uid;
  ORLOP_ASSIGN(const auto list, runtime_.invoke<cri::ListContainersResponse>("RuntimeService/ListContainers", request));
  for (const cri::Container& container : list.containers()) {
    if (container.metadata().name() == log.container && container.metadata().attempt() == log.attempt) {
      return container.id();
    }
  }
  return std::string();
}

void LogRotation::rotate(const Log& log) {
  const auto id = running_container(log);
  if (!id) return host_.log_warn("the log " + log.path + " cannot be rotated: " + id.message());
  if (id->empty()) return;
  tidy(log.path);
  // Never onto an earlier one: the clock may have been set back, or the limit be tiny.
  int64_t second = host_.wall_now_ns() / kSecondNs;
  const auto rotated = rotated_logs(log.path);
  std::string name = rotated_log_name(log.path, second);
  while (!rotated.empty() && rotated.back().path.compare(0, name.size(), name) >= 0) {
    name = rotated_log_name(log.path, ++second);
  }
  if (::rename(log.path.c_str(), name.c_str()) != 0) {
    return host_.log_warn("the log " + log.path + " cannot be rotated: " + std::strerror(errno));
  }
  cri::ReopenContainerLogRequest request;
  request.set_container_id(*id);
  const auto reopened = runtime_.invoke<cri::ReopenContainerLogResponse>("RuntimeService/ReopenContainerLog", request);
  if (reopened) return;
  // It goes on writing into the file that it has open.
  ::rename(name.c_str(), log.path.c_str());
  host_.log_warn("the log " + log.path + " cannot be rotated: " + reopened.message());
}

// Makes room for one more rotated file, and packs those that stay.
void LogRotation::tidy(const std::string& path) {
  auto rotated = rotated_logs(path);
  const auto kept = static_cast<size_t>(settings_.files_max > 2 ? settings_.files_max - 2 : 0);
  while (rotated.size() > kept) {
    ::unlink(rotated.front().path.c_str());
    rotated.erase(rotated.begin());
  }
  for (const RotatedLog& log : rotated) {
    if (log.packed) continue;
    const Status packed = pack_log(log.path);
    if (!packed) host_.log_warn(packed.message());
  }
}

}  // namespace orlop::agent
