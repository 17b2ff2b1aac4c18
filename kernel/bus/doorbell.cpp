#include "kernel/bus/doorbell.hpp"

#include "kernel/bus/wire.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <unistd.h>

namespace orlop::bus {
namespace {

constexpr std::string_view kIpc = "ipc://";

Status cannot(const char* what, const std::string& url, int error) {
  return {Code::kUnavailable, fmt::format("cannot {} the doorbell {}: {}", what, url, nng_strerror(error))};
}

class NngDoorbell final : public Doorbell {
 public:
  ~NngDoorbell() override {
    if (nng_socket_id(socket_) > 0) nng_close(socket_);
    for (const auto& path : paths_) ::unlink(path.c_str());
  }

  Status open(const std::vector<std::string>& urls) {
    if (int error = nng_pub0_open(&socket_); error != 0) return cannot("open", urls.front(), error);
    // Only this end knows when rings begin to reach a new subscriber; what was rung before, it must be told of.
    nng_pipe_notify(socket_, NNG_PIPE_EV_ADD_POST, on_connected, this);
    for (const auto& url : urls) {
      if (url.starts_with(kIpc)) ::unlink(url.c_str() + kIpc.size());
      nng_listener listener = NNG_LISTENER_INITIALIZER;
      if (int error = nng_listener_create(&listener, socket_, url.c_str()); error != 0) {
        return cannot("listen at", url, error);
      }
      if (url.starts_with(kIpc)) nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600);
      if (int error = nng_listener_start(listener, 0); error != 0) return cannot("listen at", url, error);
      if (url.starts_with(kIpc)) paths_.push_back(url.substr(kIpc.size()));
    }
    return {};
  }

  void ring(uint64_t revision, std::span<const std::string> kinds) override {
    Writer writer;
    writer.number(revision).number(kinds.size());
    for (const auto& kind : kinds) writer.bytes(kind);
    // The socket's buffers are per subscriber and full ones are passed over: this does not wait.
    auto frame = writer.take();
    nng_send(socket_, frame.data(), frame.size(), NNG_FLAG_NONBLOCK);
  }

 private:
  static void on_connected(nng_pipe, nng_pipe_ev, void* self) { static_cast<NngDoorbell*>(self)->ring(0, {}); }

  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
  std::vector<std::string> paths_;
};

class NngSubscriber final : public DoorbellSubscriber {
 public:
  NngSubscriber(std::vector<std::string> kinds, RingFunction on_ring)
      : kinds_(std::move(kinds)), on_ring_(std::move(on_ring)) {}

  ~NngSubscriber() override {
    closing_ = true;
    if (aio_ != nullptr) nng_aio_stop(aio_);
    if (nng_socket_id(socket_) > 0) nng_close(socket_);
    if (aio_ != nullptr) nng_aio_free(aio_);
  }

  Status open(const std::string& url) {
    if (int error = nng_sub0_open(&socket_); error != 0) return cannot("open", url, error);
    nng_socket_set(socket_, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    nng_socket_set_ms(socket_, NNG_OPT_RECONNMINT, 10);
    nng_socket_set_ms(socket_, NNG_OPT_RECONNMAXT, 500);
    if (int error = nng_aio_alloc(&aio_, on_received, this); error != 0) return cannot("prepare", url, error);
    if (int error = nng_dial(socket_, url.c_str(), nullptr, NNG_FLAG_NONBLOCK); error != 0) {
      return cannot("connect to", url, error);
    }
    nng_recv_aio(socket_, aio_);
    return {};
  }

 private:
  static void on_received(void* self) { static_cast<NngSubscriber*>(self)->received(); }

  void received() {
    if (nng_aio_result(aio_) != 0 || closing_) return;
    nng_msg* message = nng_aio_get_msg(aio_);
    heard({static_cast<const char*>(nng_msg_body(message)), nng_msg_len(message)});
    nng_msg_free(message);
    if (!closing_) nng_recv_aio(socket_, aio_);
  }

  void heard(std::string_view bytes) {
    Reader reader(bytes);
    const uint64_t revision = reader.number();
    const uint64_t count = reader.number();
    std::vector<std::string> touched;
    bool wanted = kinds_.empty() || count == 0;
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
      touched.emplace_back(reader.bytes());
      wanted = wanted || std::find(kinds_.begin(), kinds_.end(), touched.back()) != kinds_.end();
    }
    if (!reader.at_end()) return on_ring_(0, {});  // somebody rang, whatever they meant
    if (wanted) on_ring_(revision, touched);
  }

  const std::vector<std::string> kinds_;
  const RingFunction on_ring_;
  nng_socket socket_ = NNG_SOCKET_INITIALIZER;
  nng_aio* aio_ = nullptr;
  std::atomic<bool> closing_{false};
};

}  // namespace

Result<std::unique_ptr<Doorbell>> Doorbell::open(const std::vector<std::string>& urls) {
  auto doorbell = std::make_unique<NngDoorbell>();
  if (auto status = doorbell->open(urls); !status.is_ok()) return status;
  return std::unique_ptr<Doorbell>(std::move(doorbell));
}

Result<std::unique_ptr<DoorbellSubscriber>> DoorbellSubscriber::open(const std::string& url,
                                                                     std::vector<std::string> kinds,
                                                                     RingFunction on_ring) {
  auto subscriber = std::make_unique<NngSubscriber>(std::move(kinds), std::move(on_ring));
  if (auto status = subscriber->open(url); !status.is_ok()) return status;
  return std::unique_ptr<DoorbellSubscriber>(std::move(subscriber));
}

}  // namespace orlop::bus
