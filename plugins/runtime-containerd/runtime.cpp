#include "plugins/runtime-containerd/runtime.hpp"

#include "containerd.pb.h"
#include "orlop/v1/runtime.pb.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::containerd {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr milliseconds kProbeTime{250};
constexpr seconds kStartLimit{60};
// A containerd that lived this long is not one that cannot start.
constexpr seconds kHealthyAfter{2};
constexpr size_t kParkedMax = 65536;

std::string random_name() {
  std::array<unsigned char, 8> bytes{};
  [[maybe_unused]] ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
  std::string out;
  for (unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

milliseconds restart_pause(unsigned failures) {
  if (failures <= 1) return milliseconds(0);
  return std::min(milliseconds(50) * (1 << std::min(failures - 2, 10u)), milliseconds(5000));
}

Runtime::Runtime(Settings settings, Reports reports)
    : reports_(std::move(reports)),
      process_(std::move(settings)),
      client_(process_.layout().socket),
      events_(random_name()),
      stream_(client_, events_,
              [this] {
                {
                  std::lock_guard lock(mutex_);
                  stream_broke_ = true;
                }
                ::eventfd_write(wake_.get(), 1);
              }),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Runtime::~Runtime() {
  stop();
}

Status Runtime::start() {
  if (process_.settings().owns_containerd()) ORLOP_TRY(process_.prepare());
  thread_ = std::thread([this] { run(); });
  stream_.start();
  return Status();
}

void Runtime::stop() {
  std::vector<Parked> parked;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    parked.swap(parked_);
  }
  ::eventfd_write(wake_.get(), 1);
  for (Parked& call : parked) call.done(Status(Code::kUnavailable, "the runtime is stopping"), {});
  events_.stop();
  client_.shutdown();
  stream_.stop();
  if (thread_.joinable()) thread_.join();
}

bool Runtime::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void Runtime::run() {
  state_since_ = steady_clock::now();
  while (!stopping()) {
    switch (state_) {
      case State::kDown:
        step_down();
        break;
      case State::kStarting:
        step_starting();
        break;
      case State::kReady:
        step_ready();
        break;
    }
    events_.expire(steady_clock::now());
    expire_parked();
  }
}

// Two plugins run side by side during an upgrade: only the holder of the lock starts containerd, the other just uses
// it.
bool Runtime::take_lock() {
  if (!process_.settings().owns_containerd()) return false;
  if (lock_.is_open()) return true;
  OwnedFd fd(::open(layout().lock_file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.is_open() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return false;
  lock_ = std::move(fd);
  return true;
}

void Runtime::step_down() {
  milliseconds pause = restart_pause(failures_);
  auto waited = std::chrono::duration_cast<milliseconds>(steady_clock::now() - state_since_);
  if (waited < pause) {
    wait(pause - waited);
    return;
  }
  supervises_ = take_lock();
  if (supervises_) {
    Status status = process_.ensure_running();
    if (!status.is_ok()) {
      went_down(status.message());
      return;
    }
    if (process_.adopted()) reports_.log(Severity::kInfo, "containerd runs already and is taken over");
  }
  state_ = State::kStarting;
  state_since_ = steady_clock::now();
}

void Runtime::step_starting() {
  Status status = probe(kProbeTime);
  if (stopping()) return;
  if (status.is_ok()) {
    if (supervises_) status = ensure_pause_image();
    if (status.is_ok()) {
      became_ready();
      return;
    }
    went_down("the sandbox image cannot be imported: " + status.message());
    return;
  }
  if (!supervises_) {
    if (take_lock()) state_ = State::kDown;
    if (!told_failure_ && steady_clock::now() - state_since_ > seconds(5)) {
      told_failure_ = true;
      reports_.log(Severity::kWarn,
                   fmt::format("nobody answers on {}: {}", layout().socket.native(), status.message()));
      reports_.ready(false, "containerd does not answer");
    }
    if (status.code() != Code::kTimeout) wait(milliseconds(20));
    return;
  }
  if (wait_for_exit(process_.watch(), milliseconds(0))) {
    process_.collect();
    went_down("containerd ended while it started; its last lines:\n" + last_lines(layout().log_file, 8));
  } else if (steady_clock::now() - state_since_ > kStartLimit) {
    Status ended = process_.end();
    went_down("containerd does not answer, 60 s after its start; its last lines:\n" + last_lines(layout().log_file, 8) +
              (ended.is_ok() ? "" : "\n" + ended.message()));
  } else if (status.code() != Code::kTimeout) {
    wait(milliseconds(10));
  }
}

void Runtime::step_ready() {
  wait(process_.settings().check_interval);
  if (supervises_) {
    if (wait_for_exit(process_.watch(), milliseconds(0))) {
      process_.collect();
      went_down("containerd has ended");
      return;
    }
    rotate_log(layout().log_file, process_.settings().log_bytes_max);
    check_health();
    return;
  }
  bool broke = false;
  {
    std::lock_guard lock(mutex_);
    broke = std::exchange(stream_broke_, false);
    if (broke) ready_ = false;
  }
  if (broke) {
    state_ = State::kDown;
    state_since_ = steady_clock::now();
  }
}

// Never waits for the answer: those who wait for events have their deadlines on this thread too.
void Runtime::check_health() {
  const Settings& settings = process_.settings();
  auto now = steady_clock::now();
  if (check_ == Check::kHung) {
    check_ = Check::kNone;
    Status killed = process_.kill();
    went_down(fmt::format("containerd has not answered for {} ms and is killed{}", settings.hang_limit.count(),
                          killed.is_ok() ? "" : ": " + killed.message()));
    return;
  }
  if (check_ == Check::kPending || now - checked_at_ < settings.check_interval) return;
  check_ = Check::kPending;
  checked_at_ = now;
  client_.call("runtime.v1.RuntimeService/Status", "", now + settings.hang_limit,
               [this](const Status& status, std::string_view) {
                 check_ = status.code() == Code::kTimeout ? Check::kHung : Check::kNone;
                 if (check_ == Check::kHung) ::eventfd_write(wake_.get(), 1);
               });
}

void Runtime::went_down(const std::string& reason) {
  bool was_healthy = state_ == State::kReady && steady_clock::now() - state_since_ > kHealthyAfter;
  {
    std::lock_guard lock(mutex_);
    ready_ = false;
    stream_broke_ = false;
  }
  failures_ = was_healthy ? 1 : failures_ + 1;
  state_ = State::kDown;
  state_since_ = steady_clock::now();
  reports_.log(Severity::kError, fmt::format("{}; next start in {} ms", reason, restart_pause(failures_).count()));
  reports_.ready(false, reason.substr(0, reason.find('\n')));
}

void Runtime::became_ready() {
  wire::CriVersionResponse version;
  auto answer = client_.call_and_wait("runtime.v1.RuntimeService/Version", "", steady_clock::now() + seconds(5));
  if (answer.is_ok()) version.ParseFromString(*answer);
  if (supervises_) ::chmod(layout().socket.c_str(), 0600);
  auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - state_since_);
  {
    std::lock_guard lock(mutex_);
    ready_ = true;
    stream_broke_ = false;
    version_ = version.runtime_version();
  }
  state_ = State::kReady;
  state_since_ = steady_clock::now();
  checked_at_ = state_since_;
  told_failure_ = false;
  reports_.log(Severity::kInfo, fmt::format("containerd {} answers on {} after {} ms", version.runtime_version(),
                                            layout().socket.native(), took.count()));
  reports_.ready(true, "");
  release_parked();
}

Status Runtime::probe(milliseconds time) {
  return client_.call_and_wait("runtime.v1.RuntimeService/Status", "", steady_clock::now() + time).status();
}

bool Runtime::has_image(const std::string& name) {
  wire::CriImageStatusRequest request;
  request.mutable_image()->set_image(name);
  auto answer = client_.call_and_wait("runtime.v1.ImageService/ImageStatus", request.SerializeAsString(),
                                      steady_clock::now() + seconds(5));
  wire::CriImageStatusResponse response;
  return answer.is_ok() && response.ParseFromString(*answer) && response.has_image();
}

Status Runtime::ensure_pause_image() {
  const Settings& settings = process_.settings();
  if (has_image(settings.pause_name)) return Status();
  ORLOP_TRY(process_.import_image(settings.pause_image));
  // CRI hears of the image through an event.
  for (auto end = steady_clock::now() + seconds(5); steady_clock::now() < end && !stopping();) {
    if (has_image(settings.pause_name)) return Status();
    wait(milliseconds(10));
  }
  return Status(Code::kNotFound,
                fmt::format("{} holds no image {}", settings.pause_image.native(), settings.pause_name));
}

void Runtime::wait(milliseconds time) {
  auto until = steady_clock::now() + time;
  if (auto deadline = events_.next_deadline()) until = std::min(until, *deadline);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (const Parked& call : parked_) until = std::min(until, call.deadline);
  }
  auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
  pollfd entries[2] = {{wake_.get(), POLLIN, 0}, {supervises_ ? process_.watch().get() : -1, POLLIN, 0}};
  ::poll(entries, 2, static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000)));
  eventfd_t ignored;
  ::eventfd_read(wake_.get(), &ignored);
}

void Runtime::release_parked() {
  std::vector<Parked> parked;
  {
    std::lock_guard lock(mutex_);
    parked.swap(parked_);
  }
  for (Parked& call : parked) client_.call(call.method, call.payload, call.deadline, std::move(call.done));
}

void Runtime::expire_parked() {
  std::vector<Parked> late;
  auto now = steady_clock::now();
  {
    std::lock_guard lock(mutex_);
    auto middle = std::stable_partition(parked_.begin(), parked_.end(),
                                        [now](const Parked& call) { return call.deadline > now; });
    std::move(middle, parked_.end(), std::back_inserter(late));
    parked_.erase(middle, parked_.end());
  }
  for (Parked& call : late)
    call.done(Status(Code::kUnavailable, "containerd does not answer; it is being started"), {});
}

void Runtime::call(std::string method, std::string payload, Deadline deadline, CallDone done) {
  if (method == "orlop.v1.Runtime/Events") return answer_events(payload, deadline, std::move(done));
  if (method == "orlop.v1.Runtime/Info") return answer_info(std::move(done));
  if (!method.starts_with("runtime.v1.RuntimeService/") && !method.starts_with("runtime.v1.ImageService/")) {
    return done(Status(Code::kMethodNotAllowed, "no such method: " + method), {});
  }
  {
    std::unique_lock lock(mutex_);
    if (stopping_ || (!ready_ && parked_.size() >= kParkedMax)) {
      lock.unlock();
      return done(Status(Code::kUnavailable, stopping_ ? "the runtime is stopping" : "containerd is down"), {});
    }
    if (!ready_) {
      parked_.push_back({std::move(method), std::move(payload), deadline, std::move(done)});
      lock.unlock();
      ::eventfd_write(wake_.get(), 1);
      return;
    }
  }
  client_.call(method, payload, deadline, std::move(done));
}

void Runtime::answer_events(const std::string& payload, Deadline deadline, CallDone done) {
  v1::RuntimeEventsRequest request;
  if (!request.ParseFromString(payload)) return done(Status(Code::kBadRequest, "not a RuntimeEventsRequest"), {});
  // Answered a little ahead of the deadline, so that the answer still arrives.
  auto now = steady_clock::now();
  if (deadline > now) deadline -= std::min<steady_clock::duration>((deadline - now) / 10, milliseconds(200));
  bool waits = events_.read(request.cursor(), request.instance(), deadline,
                            [done = std::move(done), instance = events_.instance()](const EventPage& page) {
                              done(Status(), runtime_events::response_of(page, instance));
                            });
  if (waits) ::eventfd_write(wake_.get(), 1);
}

void Runtime::answer_info(CallDone done) {
  v1::RuntimeInfoResponse response;
  response.set_name("containerd");
  {
    std::lock_guard lock(mutex_);
    response.set_version(version_);
  }
  response.set_handler(process_.handler().name);
  response.set_cgroup_driver("cgroupfs");
  response.add_pinned_images(process_.settings().pause_name);
  response.set_state_folder(process_.settings().run_folder.native());
  done(Status(), response.SerializeAsString());
}

}  // namespace orlop::containerd
