#include "plugins/node-agent/images/images.hpp"

#include "plugins/node-agent/images/image_name.hpp"

#include <algorithm>
#include <cstdio>

namespace orlop::agent {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kBackoffFirstNs = 10 * kSecondNs;
constexpr int64_t kBackoffMaxNs = 300 * kSecondNs;
constexpr int64_t kForgetNs = 2 * kBackoffMaxNs;     // a failure that nobody asked about for so long
constexpr int64_t kRefusedAgainNs = 10 * kSecondNs;  // an image may be loaded by hand meanwhile
constexpr int64_t kTellAgainNs = 10 * kSecondNs;
constexpr int64_t kErrorShownNs = 2 * kSecondNs;  // ErrImagePull, then ImagePullBackOff
constexpr uint32_t kPullDeadlineMs = 3'600'000;

// The registry did not answer at all, as against: it answered no. The words are those of Go's net package.
bool is_unreachable(std::string_view error) {
  for (const char* words : {"connection refused", "no such host", "i/o timeout", "network is unreachable",
                            "no route to host", "connection reset", "server misbehaving"}) {
    if (error.find(words) != std::string_view::npos) return true;
  }
  return false;
}

std::string short_text(int64_t ms) {
  char text[32];
  if (ms < 1000) {
    std::snprintf(text, sizeof text, "%lldms", static_cast<long long>(ms));
  } else {
    std::snprintf(text, sizeof text, "%.3gs", static_cast<double>(ms) / 1000);
  }
  return text;
}

// Go's aggregate of errors: one as it is, several in brackets, none twice.
std::string aggregate(const std::vector<std::string>& errors) {
  std::vector<std::string> distinct;
  for (const std::string& error : errors) {
    if (std::find(distinct.begin(), distinct.end(), error) == distinct.end()) distinct.push_back(error);
  }
  if (distinct.size() == 1) return distinct.front();
  std::string out;
  for (const std::string& error : distinct) out += (out.empty() ? "[" : ", ") + error;
  return out + "]";
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string in_quotes(const std::string& text) {
  return "\"" + text + "\"";
}

}  // namespace

Images::Images(Host host, const RuntimeClient& runtime, EventRecorder& events, int64_t pulls_max, OnChange on_change)
    : host_(host), runtime_(runtime), events_(events), pulls_max_(pulls_max), on_change_(std::move(on_change)) {}

Result<ImageState> Images::ensure(const ObjectKey& key, const kube::Pod& pod, const Container& container,
                                  const cri::PodSandboxConfig& sandbox) {
  const std::string& image = container.image();
  const std::string& policy = container.imagepullpolicy();
  const int64_t now = host_.monotonic_now_ns();
  const auto name = parse_image_name(image);
  if (!name) {
    return refused(pod, container, "InvalidImageName",
                   "Failed to apply default image tag " + in_quotes(image) + ": couldn't parse image name " +
                       in_quotes(image) + ": " + name.message(),
                   "InspectFailed", now);
  }
  const auto present = look(image);
  if (!present) {
    return refused(pod, container, "ImageInspectError",
                   "Failed to inspect image " + in_quotes(image) + ": " + present.message(), "InspectFailed", now);
  }
  const bool is_here = !present->reference.empty();
  if (!is_here && policy == "Never") {
    return refused(pod, container, "ErrImageNeverPull",
                   "Container image " + in_quotes(image) + " is not present with pull policy of Never",
                   "ErrImageNeverPull", now);
  }
  ImageState here;
  here.phase = ImageState::Phase::kPresent;
  here.reference = present->reference;
  std::unique_lock lock(mutex_);
  const AttemptKey attempt_key{pod.metadata().uid(), image};
  const auto found = attempts_.find(attempt_key);
  const Attempt attempt = found == attempts_.end() ? Attempt() : found->second;
  // The runtime lists an image a moment before it says that the pull has ended: the pull's own end counts.
  if (attempt.state == Attempt::State::kWaiting) return ImageState();
  if (is_here && (policy != "Always" || attempt.state == Attempt::State::kPulled)) {
    attempts_.erase(attempt_key);
    lock.unlock();
    if (attempt.state == Attempt::State::kPulled) {
      tell_pulled(pod, container, attempt, present->size_bytes);
    } else {
      events_.about(pod, EventType::kNormal, "Pulled",
                    "Container image " + in_quotes(image) + " already present on machine");
    }
    return here;
  }
  if (attempt.state == Attempt::State::kFailed && now < attempt.again_at_ns) {
    lock.unlock();
    if (!is_here || !attempt.unreachable) return failed(pod, container, attempt, now);
    // The registry cannot be asked whether there is a newer one: what is here serves.
    events_.about(
        pod, EventType::kWarning, "RegistryUnreachable",
        "The registry of image " + in_quotes(image) + " cannot be reached; the image on this machine is used");
    return here;
  }
  lock.unlock();
  return pull(key, pod, container, sandbox, name->full_repository(), now);
}

ImageState Images::refused(const kube::Pod& pod, const Container& container, const std::string& reason,
                           const std::string& message, std::string_view event, int64_t now) {
  ImageState state;
  state.phase = ImageState::Phase::kFailed;
  state.waiting = {reason, message};
  state.again_at_ns = now + kRefusedAgainNs;
  if (may_tell({pod.metadata().uid(), container.image()}, now)) {
    events_.about(pod, EventType::kWarning, event, message);
    events_.about(pod, EventType::kWarning, "Failed", "Error: " + reason);
  }
  return state;
}

ImageState Images::failed(const kube::Pod& pod, const Container& container, Attempt attempt, int64_t now) {
  const std::string& image = container.image();
  ImageState state;
  state.phase = ImageState::Phase::kFailed;
  state.again_at_ns = attempt.again_at_ns;
  const AttemptKey key{pod.metadata().uid(), image};
  if (now - attempt.ended_ns < kErrorShownNs) {
    state.waiting = {"ErrImagePull", attempt.error};
    state.again_at_ns = std::min(attempt.again_at_ns, attempt.ended_ns + kErrorShownNs);
    if (!attempt.told_once) {
      events_.about(pod, EventType::kWarning, "Failed",
                    "Failed to pull image " + in_quotes(image) + ": " + attempt.error);
      events_.about(pod, EventType::kWarning, "Failed", "Error: ErrImagePull");
      const std::lock_guard lock(mutex_);
      attempts_[key].told_once = true;
    }
    return state;
  }
  const std::string message = "Back-off pulling image " + in_quotes(image);
  state.waiting = {"ImagePullBackOff", message + ": ErrImagePull: " + attempt.error};
  if (may_tell(key, now)) {
    events_.about(pod, EventType::kNormal, "BackOff", message);
    events_.about(pod, EventType::kWarning, "Failed", "Error: ImagePullBackOff");
  }
  return state;
}

bool Images::may_tell(const AttemptKey& key, int64_t now) {
  const std::lock_guard lock(mutex_);
  forget_old(now);
  Attempt& attempt = attempts_[key];
  if (attempt.told_ns != 0 && now - attempt.told_ns < kTellAgainNs) return false;
  attempt.told_ns = now;
  return true;
}

Result<ImageState> Images::pull(const ObjectKey& key, const kube::Pod& pod, const Container& container,
                                const cri::PodSandboxConfig& sandbox, const std::string& repository, int64_t now) {
  auto credentials = find_credentials(host_, pod, repository);
  if (!credentials && credentials.code() != Code::kInvalid) return credentials.status();
  if (credentials && !credentials->missing.empty()) {
    events_.about(pod, EventType::kWarning, "FailedToRetrieveImagePullSecret",
                  "Unable to retrieve some image pull secrets (" + join(credentials->missing) +
                      "); attempting to pull the image may not succeed.");
  }
  events_.about(pod, EventType::kNormal, "Pulling", "Pulling image " + in_quotes(container.image()));
  const AttemptKey attempt_key{pod.metadata().uid(), container.image()};
  std::string pull_key = container.image();
  if (credentials) {
    for (const Login& login : credentials->logins) pull_key += '\n' + login.user + '\n' + login.password;
  }
  std::unique_lock lock(mutex_);
  Attempt& attempt = attempts_[attempt_key];
  attempt.key = key;
  attempt.asked_ns = now;
  attempt.told_once = false;
  if (!credentials) {
    note_end(attempt, {}, credentials.status(), now);
    const Attempt copy = attempt;
    lock.unlock();
    return failed(pod, container, copy, now);
  }
  attempt.state = Attempt::State::kWaiting;
  attempt.pull = pull_key;
  if (!pulls_.contains(pull_key)) {
    Pull& fresh = pulls_[pull_key];
    fresh.image = container.image();
    fresh.logins = std::move(credentials->logins);
    fresh.sandbox = sandbox;
    queue_.push_back(pull_key);
  }
  lock.unlock();
  begin_next();
  return ImageState();
}

void Images::tell_pulled(const kube::Pod& pod, const Container& container, const Attempt& attempt,
                         uint64_t size_bytes) {
  events_.about(pod, EventType::kNormal, "Pulled",
                "Successfully pulled image " + in_quotes(container.image()) + " in " + short_text(attempt.pull_ms) +
                    " (" + short_text((attempt.ended_ns - attempt.asked_ns) / 1'000'000) +
                    " including waiting). Image size: " + std::to_string(size_bytes) + " bytes.");
}

Result<Images::Present> Images::look(const std::string& image) const {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  ORLOP_ASSIGN(const auto answer, runtime_.invoke<cri::ImageStatusResponse>("ImageService/ImageStatus", request));
  Present out;
  if (!answer.has_image()) return out;
  out.reference = answer.image().id();
  out.size_bytes = answer.image().size();
  return out;
}

// Called without mutex_, since an answer may come before the call returns.
void Images::begin_next() {
  for (;;) {
    std::string next;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() || running_ >= pulls_max_) return;
      next = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
      pulls_[next].began_ns = host_.monotonic_now_ns();
    }
    send(next);
  }
}

void Images::send(const std::string& pull_key) {
  cri::PullImageRequest request;
  {
    const std::lock_guard lock(mutex_);
    Pull& pull = pulls_[pull_key];
    request.mutable_image()->set_image(pull.image);
    *request.mutable_sandbox_config() = pull.sandbox;
    if (pull.next_login < pull.logins.size()) {
      const Login& login = pull.logins[pull.next_login++];
      request.mutable_auth()->set_username(login.user);
      request.mutable_auth()->set_password(login.password);
    }
  }
  runtime_.invoke_async<cri::PullImageResponse>(
      "ImageService/PullImage", request, kPullDeadlineMs,
      [this, pull_key](const Result<cri::PullImageResponse>& result) { ended(pull_key, result.status()); });
}

void Images::ended(const std::string& pull_key, const Status& status) {
  std::set<ObjectKey> waited;
  bool once_more = false;
  {
    const std::lock_guard lock(mutex_);
    Pull& pull = pulls_[pull_key];
    if (!status) pull.errors.push_back(status.message());
    once_more = !status && pull.next_login < pull.logins.size();
    if (!once_more) {
      const int64_t now = host_.monotonic_now_ns();
      const Status whole = status ? status : Status(status.code(), aggregate(pull.errors));
      for (auto& [key, attempt] : attempts_) {
        if (attempt.state != Attempt::State::kWaiting || attempt.pull != pull_key) continue;
        note_end(attempt, pull, whole, now);
        waited.insert(attempt.key);
      }
      forget_old(now);
      pulls_.erase(pull_key);
      --running_;
    }
  }
  if (once_more) {
    send(pull_key);
    return;
  }
  on_change_(waited);
  begin_next();
}

// Under mutex_.
void Images::forget_old(int64_t now) {
  std::erase_if(attempts_, [&](const auto& entry) {
    const Attempt& attempt = entry.second;
    const int64_t last_ns = std::max({attempt.ended_ns, attempt.again_at_ns, attempt.told_ns});
    return attempt.state != Attempt::State::kWaiting && now - last_ns > kForgetNs;
  });
}

// Under mutex_.
void Images::note_end(Attempt& attempt, const Pull& pull, const Status& status, int64_t now) {
  attempt.ended_ns = now;
  if (status) {
    attempt.state = Attempt::State::kPulled;
    attempt.pull_ms = (now - pull.began_ns) / 1'000'000;
    attempt.failures = 0;
    return;
  }
  attempt.state = Attempt::State::kFailed;
  attempt.error = status.message();
  attempt.unreachable = is_unreachable(attempt.error);
  attempt.again_at_ns = now + std::min(kBackoffFirstNs << std::min(attempt.failures, 5), kBackoffMaxNs);
  ++attempt.failures;
}

}  // namespace orlop::agent
