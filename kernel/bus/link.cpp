#include "kernel/bus/link.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

#include <fmt/format.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <sys/un.h>
#include <unistd.h>

namespace orlop::bus {
namespace {

class NngLink final : public Link {
 public:
  explicit NngLink(LinkHandlers handlers) : handlers_(std::move(handlers)) {}
  ~NngLink() override { close(); }

  Status open(const std::string& path, bool listen);

  bool send(std::string frame) override;
  [[nodiscard]] std::size_t queued_bytes() const override {
    std::lock_guard lock(mutex_);
    return queued_bytes_;
  }
  bool wait_for_room(std::size_t bytes, int64_t timeout_ns) override {
    std::unique_lock lock(mutex_);
    sent_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return closed_ || queued_bytes_ < bytes; });
    return !closed_ && queued_bytes_ < bytes;
  }
  [[nodiscard]] int64_t peer_pid() const override { return peer_pid_.load(); }
  void flush(int64_t timeout_ns) override {
    std::unique_lock lock(mutex_);
    sent_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return closed_ || queue_.empty(); });
  }
  void close() override;

 private:
  static void on_sent(void* self) { static_cast<NngLink*>(self)->sent(); }
  static void on_received(void* self) { static_cast<NngLink*>(self)->received(); }
  static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void* self) {
    static_cast<NngLink*>(self)->pipe_changed(pipe, event);
  }
  void begin_send();  // holds mutex_
  void sent();
  void received();
  void pipe_changed(nng_pipe pipe, nng_pipe_ev event);
  void broken();

  LinkHandlers handlers_;
  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
  nng_aio* send_aio_ = nullptr;
  nng_aio* receive_aio_ = nullptr;
  std::string path_;  // to remove; empty when dialled
  std::atomic<int64_t> peer_pid_{0};
  std::atomic<bool> told_{false};

  mutable std::mutex mutex_;
  std::condition_variable sent_;
  std::deque<std::string> queue_;  // guarded by mutex_; the front one is under way while sending_
  std::size_t queued_bytes_ = 0;   // guarded by mutex_
  bool sending_ = false;           // guarded by mutex_
  bool closed_ = false;            // guarded by mutex_
  bool freed_ = false;             // guarded by mutex_
};

Status NngLink::open(const std::string& path, bool listen) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return {Code::kInvalid, fmt::format("the path {} has {} bytes, a socket's may have {}: choose a shorter run folder",
                                        path, path.size(), sizeof(sockaddr_un::sun_path) - 1)};
  }
  auto failed = [&](const char* what, int error) {
    return Status(Code::kUnavailable, fmt::format("cannot {} {}: {}", what, path, nng_strerror(error)));
  };
  if (int error = nng_pair0_open(&socket_); error != 0) return failed("open a socket for", error);
  nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, kFrameBytesMax);
  nng_socket_set_int(socket_, NNG_OPT_SENDBUF, 64);
  nng_socket_set_int(socket_, NNG_OPT_RECVBUF, 64);
  nng_pipe_notify(socket_, NNG_PIPE_EV_ADD_POST, on_pipe, this);
  nng_pipe_notify(socket_, NNG_PIPE_EV_REM_POST, on_pipe, this);
  if (int error = nng_aio_alloc(&send_aio_, on_sent, this); error != 0) return failed("prepare sending to", error);
  if (int error = nng_aio_alloc(&receive_aio_, on_received, this); error != 0) return failed("prepare reading", error);
  const std::string url = "ipc://" + path;
  if (listen) {
    ::unlink(path.c_str());
    nng_listener listener = NNG_LISTENER_INITIALIZER;
    if (int error = nng_listener_create(&listener, socket_, url.c_str()); error != 0) return failed("listen at", error);
    nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (int error = nng_listener_start(listener, 0); error != 0) return failed("listen at", error);
    path_ = path;
  } else if (int error = nng_dial(socket_, url.c_str(), nullptr, 0); error != 0) {
    return failed("connect to", error);
  }
  nng_recv_aio(socket_, receive_aio_);
  return {};
}

bool NngLink::send(std::string frame) {
  std::lock_guard lock(mutex_);
  if (closed_ || queued_bytes_ + frame.size() > kQueueBytesMax) return false;
  queued_bytes_ += frame.size();
  queue_.push_back(std::move(frame));
  if (!sending_) begin_send();
  return true;
}

void NngLink::begin_send() {
  const std::string& frame = queue_.front();
  nng_msg* message = nullptr;
  if (nng_msg_alloc(&message, frame.size()) != 0) {
    closed_ = true;
    return;
  }
  std::memcpy(nng_msg_body(message), frame.data(), frame.size());
  sending_ = true;
  nng_aio_set_msg(send_aio_, message);
  nng_send_aio(socket_, send_aio_);
}

void NngLink::sent() {
  {
    std::lock_guard lock(mutex_);
    sending_ = false;
    if (nng_aio_result(send_aio_) != 0) {
      nng_msg_free(nng_aio_get_msg(send_aio_));
      closed_ = true;
    } else if (!queue_.empty()) {
      queued_bytes_ -= queue_.front().size();
      queue_.pop_front();
      if (!closed_ && !queue_.empty()) begin_send();
    }
  }
  sent_.notify_all();
}

void NngLink::received() {
  if (nng_aio_result(receive_aio_) != 0) return;  // closing
  nng_msg* message = nng_aio_get_msg(receive_aio_);
  handlers_.on_frame({static_cast<const char*>(nng_msg_body(message)), nng_msg_len(message)});
  nng_msg_free(message);
  {
    std::lock_guard lock(mutex_);
    if (freed_) return;
  }
  nng_recv_aio(socket_, receive_aio_);
}

void NngLink::pipe_changed(nng_pipe pipe, nng_pipe_ev event) {
  if (event == NNG_PIPE_EV_ADD_POST) {
    uint64_t pid = 0;
    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) == 0) peer_pid_ = static_cast<int64_t>(pid);
  } else if (event == NNG_PIPE_EV_REM_POST) {
    broken();
  }
}

void NngLink::broken() {
  {
    std::lock_guard lock(mutex_);
    if (freed_) return;
    closed_ = true;
  }
  sent_.notify_all();
  if (!told_.exchange(true) && handlers_.on_closed) handlers_.on_closed();
}

void NngLink::close() {
  {
    std::lock_guard lock(mutex_);
    if (freed_) return;
    freed_ = true;
    closed_ = true;
  }
  sent_.notify_all();
  // Every operation is stopped, and its callback has returned, before anything is freed.
  if (send_aio_ != nullptr) nng_aio_stop(send_aio_);
  if (receive_aio_ != nullptr) nng_aio_stop(receive_aio_);
  if (nng_socket_id(socket_) > 0) nng_close(socket_);
  if (send_aio_ != nullptr) nng_aio_free(send_aio_);
  if (receive_aio_ != nullptr) nng_aio_free(receive_aio_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<Link>> make(const std::string& path, LinkHandlers handlers, bool listen) {
  auto link = std::make_unique<NngLink>(std::move(handlers));
  if (auto status = link->open(path, listen); !status.is_ok()) return status;
  return std::unique_ptr<Link>(std::move(link));
}

}  // namespace

Result<std::unique_ptr<Link>> Link::listen(const std::string& path, LinkHandlers handlers) {
  return make(path, std::move(handlers), true);
}

Result<std::unique_ptr<Link>> Link::dial(const std::string& path, LinkHandlers handlers) {
  return make(path, std::move(handlers), false);
}

}  // namespace orlop::bus
