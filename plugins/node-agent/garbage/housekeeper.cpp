#include "plugins/node-agent/garbage/housekeeper.hpp"

#include <chrono>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kStepNs = 10 * kSecondNs;        // how often logs are looked at, as the kubelet does
constexpr int64_t kContainersNs = 60 * kSecondNs;  // between two looks at containers
constexpr int64_t kCollectNs = 300 * kSecondNs;    // between two looks at the disk of images
constexpr int64_t kFailedNs = 30 * kSecondNs;      // the runtime could not be asked

}  // namespace

Housekeeper::Housekeeper(Host host, LogRotation& logs, ContainerGarbage& containers, ImageGarbage& images,
                         std::function<void()> on_images)
    : host_(host), logs_(logs), containers_(containers), images_(images), on_images_(std::move(on_images)) {}

void Housekeeper::start() {
  running_ = true;
  thread_ = std::thread([this] { loop(); });
}

void Housekeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    stopped_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Housekeeper::note_event() {
  const std::lock_guard lock(mutex_);
  images_dirty_ = true;
  containers_dirty_ = true;
}

void Housekeeper::loop() {
  std::unique_lock lock(mutex_);
  while (running_) {
    lock.unlock();
    const int64_t pause_ns = step();
    lock.lock();
    stopped_.wait_for(lock, std::chrono::nanoseconds(pause_ns), [this] { return !running_; });
  }
}

int64_t Housekeeper::step() {
  const int64_t now = host_.monotonic_now_ns();
  bool look_at_images = false;
  bool look_at_containers = false;
  {
    const std::lock_guard lock(mutex_);
    look_at_images = images_dirty_ && now >= images_due_ns_;
    look_at_containers = containers_dirty_ && now >= containers_due_ns_;
    if (look_at_images) images_dirty_ = false;
    if (look_at_containers) containers_dirty_ = false;
  }
  logs_.look();
  if (now >= collect_due_ns_) {
    const Status collected = images_.collect();
    collect_due_ns_ = now + (collected ? kCollectNs : kFailedNs);
    warn("images", collected);
    look_at_images = true;
  }
  if (look_at_images) {
    const auto changed = images_.look();
    images_due_ns_ = now + (changed ? 0 : kFailedNs);
    if (!changed) note_event();
    if (changed && *changed) on_images_();
  }
  if (look_at_containers) {
    const Status collected = containers_.collect();
    containers_due_ns_ = now + (collected ? kContainersNs : kFailedNs);
    if (!collected) note_event();
    warn("leftovers of pods cannot be looked for", collected);
  }
  return kStepNs;
}

void Housekeeper::warn(const char* what, const Status& status) {
  if (!status) host_.log_warn(std::string(what) + ": " + status.message());
}

}  // namespace orlop::agent
