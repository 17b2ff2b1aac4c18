#include "plugins/node-agent/static_pods/static_pods.hpp"

#include "orlop/objects.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/api.pb.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kAdmitDeadlineMs = 5000;
constexpr int kLookAgainMs = 20'000;  // the kubelet's fileCheckFrequency
constexpr int kApiAgainMs = 500;
constexpr int kSettleMs = 50;  // an editor writes in several steps
constexpr uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_ATTRIB;

bool is_away(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kTimeout || status.code() == Code::kCancelled;
}

}  // namespace

StaticPods::StaticPods(Host host, std::string folder, std::string node, OnChange on_change)
    : host_(host), folder_(std::move(folder)), node_(std::move(node)), on_change_(std::move(on_change)) {}

Status StaticPods::start() {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return {Code::kUnavailable, "cannot make the folder of static pods " + folder_ + ": " + error.message()};
  stop_event_ = ::eventfd(0, EFD_CLOEXEC);
  if (stop_event_ < 0) return {Code::kUnavailable, "cannot watch " + folder_ + ": " + std::strerror(errno)};
  read();
  thread_ = std::thread([this] { loop(); });
  return Status::ok();
}

void StaticPods::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_event_, &one, sizeof one);
  thread_.join();
  ::close(stop_event_);
}

void StaticPods::loop() {
  const int changes = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  for (bool settled = false;;) {
    // Again each time: the folder may have been replaced.
    ::inotify_add_watch(changes, folder_.c_str(), kChanges);
    settled = read();
    std::array<pollfd, 2> waits{{{changes, POLLIN, 0}, {stop_event_, POLLIN, 0}}};
    ::poll(waits.data(), waits.size(), settled ? kLookAgainMs : kApiAgainMs);
    if (waits[0].revents != 0) {
      pollfd stop{stop_event_, POLLIN, 0};
      ::poll(&stop, 1, kSettleMs);
    }
    std::array<char, 4096> events;
    while (::read(changes, events.data(), events.size()) > 0) {
    }
    pollfd stop{stop_event_, POLLIN, 0};
    if (::poll(&stop, 1, 0) > 0) break;
  }
  ::close(changes);
}

bool StaticPods::read() {
  std::map<std::string, File> files;
  bool settled = true;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    std::error_code ignored;
    if (name.starts_with('.') || !entry.is_regular_file(ignored)) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    File& file = files[name];
    if (const auto known = files_.find(name); known != files_.end()) file = known->second;
    if (content.find_first_not_of(" \t\r\n") == std::string::npos) {
      file = {content, {}, false};  // being written, or emptied
    } else if (file.waits || content != file.content) {
      read_file(name, file, content);
    }
    settled = settled && !file.waits;
  }
  take_over(std::move(files), settled);
  return settled;
}

void StaticPods::read_file(const std::string& name, File& file, const std::string& content) {
  const std::string path = folder_ + "/" + name;
  std::vector<std::shared_ptr<const kube::Pod>> pods;
  bool is_bad = false;
  file.waits = false;
  for (ManifestPod& entry : read_manifest(content, path, node_)) {
    Status status = entry.status;
    for (const std::string& warning : entry.warnings) {
      host_.log_warn("static pod manifest " + path + ":" + std::to_string(entry.line) + ": " + warning);
    }
    if (status) status = admit(entry.pod);
    if (!status && is_away(status)) {
      file.waits = true;
      return;
    }
    if (status) {
      pods.push_back(std::make_shared<kube::Pod>(std::move(entry.pod)));
    } else {
      is_bad = true;
      host_.log_warn("static pod manifest " + path + ":" + std::to_string(entry.line) + ": " + status.message());
    }
  }
  file.content = content;
  // A slip of the pen must not take down what runs.
  if (!is_bad || !pods.empty()) file.pods = std::move(pods);
}

Status StaticPods::admit(kube::Pod& pod) const {
  auto value = ask(pod);
  if (!value && value.code() == Code::kNotFound) {
    // Its namespace is not there (yet): what the namespace decides does not apply to what a machine runs anyway.
    kube::Pod elsewhere = pod;
    elsewhere.mutable_metadata()->set_namespace_("default");
    value = ask(elsewhere);
  }
  if (!value) return value.status();
  kube::Pod admitted;
  if (!admitted.ParseFromString(*value)) return {Code::kInternal, "the API gave a pod that cannot be read"};
  *pod.mutable_spec() = admitted.spec();
  pod.mutable_status()->set_phase("Pending");
  pod.mutable_status()->set_qosclass(admitted.status().qosclass());
  return Status::ok();
}

// The stored form of the pod as the API would take it.
Result<std::string> StaticPods::ask(const kube::Pod& pod) const {
  kube::Pod mirror = pod;
  mirror.mutable_metadata()->clear_uid();
  (*mirror.mutable_metadata()->mutable_annotations())[kConfigMirror] = pod.metadata().uid();
  v1::AdmitRequest request;
  request.mutable_actor()->set_user("system:node:" + node_);
  request.mutable_actor()->add_groups("system:nodes");
  auto& write = *request.add_reviews()->mutable_write();
  write = make_write<kube::Pod>(v1::CREATE, mirror.metadata().namespace_(), mirror.metadata().name());
  mirror.SerializeToString(write.mutable_value());
  ORLOP_ASSIGN(auto answer,
               call<v1::AdmitResponse>(host_, {"api", "", kAdmitDeadlineMs}, "orlop.v1.Kinds/Admit", request));
  if (answer.verdicts_size() != 1) return Status(Code::kInternal, "the API gave no verdict");
  auto& verdict = *answer.mutable_verdicts(0);
  if (verdict.status().code() != 0) return from_message(verdict.status());
  return verdict.value().empty() ? write.value() : verdict.value();
}

void StaticPods::take_over(std::map<std::string, File> files, bool settled) {
  files_ = std::move(files);
  std::map<ObjectKey, std::shared_ptr<const kube::Pod>> now;
  std::vector<std::string> doubled;
  for (const auto& [name, file] : files_) {
    for (const auto& pod : file.pods) {
      const ObjectKey key{pod->metadata().namespace_(), pod->metadata().name()};
      if (!now.emplace(key, pod).second) doubled.push_back(folder_ + "/" + name + " holds pod " + key.text());
    }
  }
  std::set<ObjectKey> changed;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, pod] : pods_) {
      const auto same = now.find(key);
      if (same != now.end() && same->second->metadata().uid() == pod->metadata().uid()) continue;
      leaving_[pod->metadata().uid()] = {key, pod};
      changed.insert(key);
    }
    for (const auto& [key, pod] : now) {
      const auto before = pods_.find(key);
      if (before != pods_.end() && before->second->metadata().uid() == pod->metadata().uid()) continue;
      leaving_.erase(pod->metadata().uid());  // the old content is back
      changed.insert(key);
    }
    pods_ = std::move(now);
    settled_ = settled;
  }
  if (changed.empty()) return;
  for (const std::string& text : doubled) host_.log_warn("static pod manifest " + text + ", which another file holds");
  on_change_(changed);
}

std::shared_ptr<const kube::Pod> StaticPods::find(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(key);
  return found == pods_.end() ? nullptr : found->second;
}

std::shared_ptr<const kube::Pod> StaticPods::leaving(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [uid, entry] : leaving_) {
    if (entry.first == key) return entry.second;
  }
  return nullptr;
}

void StaticPods::has_left(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  leaving_.erase(uid);
}

Result<std::set<std::string>> StaticPods::uids() const {
  const std::lock_guard lock(mutex_);
  if (!settled_) return Status(Code::kUnavailable, "static pods are not read yet: the API does not answer");
  std::set<std::string> out;
  for (const auto& [key, pod] : pods_) out.insert(pod->metadata().uid());
  for (const auto& [uid, entry] : leaving_) out.insert(uid);
  return out;
}

}  // namespace orlop::agent
