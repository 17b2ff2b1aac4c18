#include "plugins/node-agent/images.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kBackoffFirstNs = 10 * kSecondNs;
constexpr int64_t kBackoffMaxNs = 300 * kSecondNs;
constexpr uint32_t kPullDeadlineMs = 3'600'000;

// The registry did not answer at all, as against: it answered no. The words are those of Go's net package.
bool is_unreachable(const Status& status) {
  for (const char* words : {"connection refused", "no such host", "i/o timeout", "network is unreachable",
                            "no route to host", "connection reset", "server misbehaving"}) {
    if (status.message().find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Images::Images(Host host, const RuntimeClient& runtime, OnChange on_change)
    : host_(host), runtime_(runtime), on_change_(std::move(on_change)) {}

Result<ImageState> Images::ensure(const ObjectKey& key, const kube::Pod& pod, const Container& container,
                                  const cri::PodSandboxConfig& sandbox) {
  (void)pod;
  const std::string& image = container.image();
  const std::string& policy = container.imagepullpolicy();
  const int64_t now = host_.monotonic_now_ns();
  ORLOP_ASSIGN(ImageState state, present(image));
  std::unique_lock lock(mutex_);
  Pull& pull = pulls_[image];
  const bool fresh = pull.succeeded && !pull.running && !pull.served.contains(key) && pull.waiting.contains(key);
  if (state.phase == ImageState::Phase::kPresent && (policy != "Always" || fresh)) {
    if (fresh) {
      state.pulled_now = true;
      state.pull_ms = (pull.ended_ns - pull.started_ns) / 1'000'000;
      pull.served.insert(key);
      pull.waiting.erase(key);
    }
    return state;
  }
  ImageState present_now = std::exchange(state, {});
  if (policy == "Never") {
    state.phase = ImageState::Phase::kNever;
    state.waiting = {"ErrImageNeverPull", "Container image \"" + image + "\" is not present with pull policy of Never"};
    return state;
  }
  pull.waiting.insert(key);
  if (pull.running) return state;
  if (present_now.phase == ImageState::Phase::kPresent && pull.unreachable && !pull.succeeded &&
      now < pull.again_at_ns) {
    // The registry cannot be asked whether there is a newer one: what is here serves.
    present_now.without_registry = true;
    pull.waiting.erase(key);
    return present_now;
  }
  if (pull.failures > 0 && now < pull.again_at_ns) {
    state.phase = ImageState::Phase::kFailed;
    state.again_at_ns = pull.again_at_ns;
    const bool just_failed = now - pull.ended_ns < 2 * kSecondNs;
    if (just_failed) {
      state.waiting = {"ErrImagePull", pull.error};
    } else {
      state.waiting = {"ImagePullBackOff", "Back-off pulling image \"" + image + "\": ErrImagePull: " + pull.error};
    }
    return state;
  }
  pull.running = true;
  pull.succeeded = false;
  pull.served.clear();
  pull.started_ns = now;
  state.started_now = true;
  lock.unlock();  // the answer may come before begin() returns
  begin(image, sandbox);
  return state;
}

Result<ImageState> Images::present(const std::string& image) const {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  ORLOP_ASSIGN(const auto answer, runtime_.invoke<cri::ImageStatusResponse>("ImageService/ImageStatus", request));
  ImageState state;
  if (!answer.has_image() || answer.image().id().empty()) return state;
  state.phase = ImageState::Phase::kPresent;
  state.reference = answer.image().id();
  state.size_bytes = answer.image().size();
  return state;
}

// Called without mutex_.
void Images::begin(const std::string& image, const cri::PodSandboxConfig& sandbox) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(image);
  *request.mutable_sandbox_config() = sandbox;
  runtime_.invoke_async<cri::PullImageResponse>(
      "ImageService/PullImage", request, kPullDeadlineMs,
      [this, image](const Result<cri::PullImageResponse>& result) { ended(image, result.status()); });
}

void Images::ended(const std::string& image, const Status& status) {
  std::set<ObjectKey> waiting;
  {
    const std::lock_guard lock(mutex_);
    Pull& pull = pulls_[image];
    pull.running = false;
    pull.succeeded = status.is_ok();
    pull.ended_ns = host_.monotonic_now_ns();
    if (status.is_ok()) {
      pull.failures = 0;
      pull.unreachable = false;
    } else {
      pull.error = status.message();
      pull.unreachable = is_unreachable(status);
      pull.again_at_ns = pull.ended_ns + std::min(kBackoffFirstNs << std::min(pull.failures, 5), kBackoffMaxNs);
      ++pull.failures;
    }
    waiting = pull.waiting;
  }
  on_change_(waiting);
}

}  // namespace orlop::agent
