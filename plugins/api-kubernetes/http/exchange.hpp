// One request and its answer, as a handler sees them.
//
// Threads: a handler runs on the strand of its connection from its start to its end, also after each co_await; it must
// not block. notify(), post() and Pending's setters may be called from any thread, everything else from the strand
// only. Ownership: the exchange lives until the handler's Task has ended. Views in Request live as long.
#pragma once

#include "plugins/api-kubernetes/http/task.hpp"
#include "plugins/api-kubernetes/http/url.hpp"

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::http {

// What the client's certificate says. Made once for each connection.
struct PeerIdentity {
  bool presented = false;  // there was a certificate
  bool verified = false;   // our CA signed it, and it is in date
  std::string common_name;
  std::vector<std::string> organizations;
};

struct Request {
  std::string_view method;  // "GET"
  std::string_view target;  // as sent: path and query
  std::string path;         // decoded
  std::string_view raw_query;
  Query query;
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::string body;
  const PeerIdentity* peer = nullptr;
  std::string_view remote_address;  // without the port
  bool loopback = false;

  // The first header of that name, any case; empty when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

// Where the other end of a tunnel or of a raw stream listens.
struct BackendAddress {
  std::string unix_socket;  // a path; empty: host and port
  std::string host;
  uint16_t port = 0;
};

enum class Wake { kNotified, kDeadline, kGone };

class Exchange {
 public:
  using Clock = std::chrono::steady_clock;

  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] std::string take_body() { return std::move(request_.body); }

  // --- the whole answer at once ---
  // Sent when the handler's Task ends. Called again, the later one counts.
  void respond(int status, std::string_view content_type, std::string body);
  // Before respond() or begin().
  void add_header(std::string_view name, std::string_view value) { headers_.emplace_back(name, value); }
  [[nodiscard]] int status() const { return status_; }

  // --- a streamed answer ---
  // Starts a chunked answer; the head travels with the first chunk. `long_lived`: the client's leaving is looked out
  // for, and the connection is closed at the end.
  void begin(int status, std::string_view content_type, bool long_lived);
  [[nodiscard]] bool begun() const { return streaming_; }

  struct BoolAwaiter {
    Exchange* exchange;
    void (Exchange::*start)(std::coroutine_handle<>);
    [[nodiscard]] bool await_ready() const { return exchange->gone(); }
    void await_suspend(std::coroutine_handle<> handle) const { (exchange->*start)(handle); }
    [[nodiscard]] bool await_resume() const { return !exchange->gone() && exchange->last_ok_; }
  };
  // One chunk; resumes when the kernel's socket buffer has it, so a slow client slows its handler. False: the client is
  // gone.
  // `bytes` is taken. By reference to something named, as below: g++ 12 frees a temporary of a co_await twice.
  BoolAwaiter write(std::string& bytes) {
    outgoing_ = std::move(bytes);
    bytes.clear();
    return {this, &Exchange::start_write};
  }

  struct WaitAwaiter {
    Exchange* exchange;
    Clock::time_point deadline;
    [[nodiscard]] bool await_ready() const { return exchange->gone() || exchange->notified_.load(); }
    void await_suspend(std::coroutine_handle<> handle) const { exchange->start_wait(deadline, handle); }
    [[nodiscard]] Wake await_resume() const {
      if (exchange->gone()) return Wake::kGone;
      return exchange->notified_.exchange(false) ? Wake::kNotified : Wake::kDeadline;
    }
  };
  // Resumes after a notify(), at the deadline, or when the client is gone or the server stops. May resume early with
  // kDeadline: look at the clock.
  WaitAwaiter wait_until(Clock::time_point deadline) { return {this, deadline}; }
  // Any thread.
  virtual void notify() = 0;

  // --- other ends ---
  // Connects and sends `first`. False: cannot be reached.
  BoolAwaiter open_backend(BackendAddress& address, std::string& first) {
    backend_address_ = std::move(address);
    outgoing_ = std::move(first);
    return {this, &Exchange::start_backend};
  }
  // The next bytes of the backend in backend_bytes(). False: its end.
  BoolAwaiter read_backend() { return {this, &Exchange::start_backend_read}; }
  [[nodiscard]] std::string take_backend_bytes() { return std::move(incoming_); }

  // Connects, sends `head` (a complete upgrade request) and, only when the backend answers 101, passes its answer on
  // and joins both ends byte by byte until one closes. Another answer of the backend is given to the client as it is.
  // False: the backend cannot be reached and nothing has been sent: answer with respond().
  BoolAwaiter tunnel(BackendAddress& address, std::string& head) {
    backend_address_ = std::move(address);
    outgoing_ = std::move(head);
    return {this, &Exchange::start_tunnel};
  }

  // Resumes a coroutine on the strand. Any thread.
  virtual void post(std::coroutine_handle<> handle) = 0;

  // The client has closed, or the server is stopping.
  [[nodiscard]] bool gone() const { return gone_; }

 protected:
  virtual void start_write(std::coroutine_handle<> handle) = 0;
  virtual void start_wait(Clock::time_point deadline, std::coroutine_handle<> handle) = 0;
  virtual void start_backend(std::coroutine_handle<> handle) = 0;
  virtual void start_backend_read(std::coroutine_handle<> handle) = 0;
  virtual void start_tunnel(std::coroutine_handle<> handle) = 0;
  virtual void on_begin(bool long_lived) = 0;

  Request request_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::string content_type_;
  std::string body_;
  std::string outgoing_;
  std::string incoming_;
  BackendAddress backend_address_;
  int status_ = 0;
  bool streaming_ = false;
  bool gone_ = false;
  bool last_ok_ = true;
  std::atomic<bool> notified_ = false;
};

// A value that another thread will bring: co_await it once. The setter may be called from any thread, exactly once,
// before or after the await; the awaiter resumes on the exchange's strand. Must outlive the setter's call, so await it
// always.
template <typename T>
class Pending {
 public:
  explicit Pending(Exchange& exchange) : exchange_(exchange) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  void set(T value) {
    value_.emplace(std::move(value));
    // When nobody waits yet, the awaiter may free this object from here on: nothing of it is touched afterwards.
    if (state_.exchange(kSet) == kWaiting) exchange_.post(waiting_);
  }

  [[nodiscard]] bool await_ready() const { return state_.load() == kSet; }
  bool await_suspend(std::coroutine_handle<> handle) {
    waiting_ = handle;
    int expected = kEmpty;
    return state_.compare_exchange_strong(expected, kWaiting);
  }
  T await_resume() { return std::move(*value_); }

 private:
  static constexpr int kEmpty = 0, kWaiting = 1, kSet = 2;

  Exchange& exchange_;
  std::coroutine_handle<> waiting_;
  std::optional<T> value_;
  std::atomic<int> state_ = kEmpty;
};

// Answers requests. One handler serves all connections at the same time.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual Task<void> handle(Exchange& exchange) = 0;
  // Answers what the HTTP layer refused (400, 408, 413, 431, 500) with exchange.respond().
  virtual void refuse(Exchange& exchange, int status, std::string_view message) = 0;
};

}  // namespace orlop::http
