// The runtime capability over one containerd: supervision, the pass-through of CRI, events. Everything but the plugin's
// glue.
#pragma once

#include "orlop/result.hpp"
#include "orlop/runtime_event_log.hpp"
#include "plugins/runtime-containerd/containerd_process.hpp"
#include "plugins/runtime-containerd/cri_client.hpp"
#include "plugins/runtime-containerd/event_stream.hpp"
#include "plugins/runtime-containerd/settings.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace orlop::containerd {

using runtime_events::EventPage;

enum class Severity { kInfo, kWarn, kError };

// Where the runtime tells what happens; both may be called from any thread.
struct Reports {
  std::function<void(Severity severity, std::string_view line)> log;
  // `reason` is empty when ready.
  std::function<void(bool ready, std::string_view reason)> ready;
};

// How long to wait before the start that follows `failures` failures in a row: none after the first, then doubling from
// 50 ms up to 5 s.
std::chrono::milliseconds restart_pause(unsigned failures);

// Threads: start and stop from one thread, call from any.
class Runtime {
 public:
  Runtime(Settings settings, Reports reports);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Returns before containerd answers; `ready` is reported then. kUnavailable: something is missing on this machine,
  // see the message.
  Status start();
  // Leaves containerd and the containers running.
  void stop();

  // "runtime.v1.RuntimeService/*" and "runtime.v1.ImageService/*" go to containerd as they are, "orlop.v1.Runtime/*" is
  // answered here. While containerd is being started a call waits until its deadline. `done` runs exactly once, on a
  // thread of the runtime's or before return.
  void call(std::string method, std::string payload, Deadline deadline, CallDone done);

  [[nodiscard]] const Layout& layout() const { return process_.layout(); }

 private:
  enum class State { kDown, kStarting, kReady };
  struct Parked {
    std::string method;
    std::string payload;
    Deadline deadline;
    CallDone done;
  };

  void run();
  void step_down();
  void step_starting();
  void step_ready();
  void went_down(const std::string& reason);
  void became_ready();
  bool take_lock();
  void check_health();
  Status probe(std::chrono::milliseconds time);
  Status ensure_pause_image();
  bool has_image(const std::string& name);
  void wait(std::chrono::milliseconds time);
  void release_parked();
  void expire_parked();
  void answer_events(const std::string& payload, Deadline deadline, CallDone done);
  void answer_info(CallDone done);
  [[nodiscard]] bool stopping();

  Reports reports_;
  ContainerdProcess process_;
  CriClient client_;
  EventLog events_;
  EventStream stream_;
  OwnedFd wake_;  // eventfd: something for the supervisor
  OwnedFd lock_;

  // The supervisor's thread alone.
  State state_ = State::kDown;
  unsigned failures_ = 0;
  bool supervises_ = false;
  std::chrono::steady_clock::time_point state_since_;
  bool told_failure_ = false;
  std::chrono::steady_clock::time_point checked_at_;

  enum class Check { kNone, kPending, kHung };
  std::atomic<Check> check_ = Check::kNone;

  std::mutex mutex_;
  // Guarded by mutex_.
  bool ready_ = false;
  bool stopping_ = false;
  bool stream_broke_ = false;
  std::string version_;
  std::vector<Parked> parked_;

  std::thread thread_;
};

}  // namespace orlop::containerd
