// HTTP/1.1 over TLS for measuring: many connections in one thread, requests that are bytes already, answers that are
// only cut into status and body. It should cost so little that what is measured is the server.
//
// Threads: a Client and its connections belong to one thread, and every handler is called in it, from run().
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace orlop::bench {

using Clock = std::chrono::steady_clock;

// Where a Kubernetes API is, and who we are there. PEM texts, not file names.
struct Endpoint {
  std::string host;  // name or address, without brackets
  uint16_t port = 443;
  std::string ca_pem;    // empty: the machine's own authorities
  std::string cert_pem;  // empty: no client certificate
  std::string key_pem;
  std::string token;  // empty: none
  bool insecure = false;
};

struct Answer {
  int status = 0;         // 0: the connection broke before the answer was complete
  std::string_view body;  // valid until the handler returns; empty where bodies are only counted
  uint64_t body_bytes = 0;
};

// A signal handler, and whether it was called: then run() returns false, and the program winds up.
void interrupt(int signal);
bool interrupted();

class Client;

class Connection {
 public:
  using AnswerHandler = std::function<void(Connection&, const Answer&)>;
  // Bytes of a body as they come. End of the stream: the AnswerHandler is called.
  using DataHandler = std::function<void(std::string_view)>;

  Connection(Client& client, std::size_t index);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One request at a time; connects first where that is needed. May be called from on_answer.
  void send(std::string_view request);
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] bool busy() const { return busy_; }
  [[nodiscard]] Clock::time_point sent_at() const { return sent_at_; }

  AnswerHandler on_answer;
  DataHandler on_data;     // set: a body goes here piece by piece and is not kept
  bool keep_body = false;  // false: a body is counted and dropped

 private:
  friend class Client;
  enum class Stage { kHead, kFixedBody, kChunkSize, kChunkData, kChunkEnd, kTrailer, kUntilClose };

  Status connect();
  void disconnect();
  void fail();
  void flush();
  void readable();
  void take(std::string_view data);
  bool take_head(std::string_view& data);
  void take_body(std::string_view piece);
  void finish();

  Client& client_;
  std::size_t index_;
  int socket_ = -1;
  ssl_st* tls_ = nullptr;
  std::string out_;
  std::size_t out_done_ = 0;
  bool wants_write_ = false;
  bool busy_ = false;
  bool close_after_ = false;
  Clock::time_point sent_at_;
  Stage stage_ = Stage::kHead;
  std::string line_;  // the head, or a chunk's size line, as far as it has come
  int status_ = 0;
  uint64_t left_ = 0;
  uint64_t body_bytes_ = 0;
  std::string body_;
};

class Client {
 public:
  // Fails with kBadRequest when a PEM text cannot be read.
  static Result<std::unique_ptr<Client>> make(const Endpoint& endpoint);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Makes `count` connections, handshakes included. kUnavailable: the server cannot be reached or is not trusted.
  Status open(std::size_t count);
  void close_all();
  [[nodiscard]] std::vector<std::unique_ptr<Connection>>& connections() { return connections_; }

  // Handles what comes until `done` says true or the deadline passes; true: done. `done` is asked at least each
  // millisecond, so it is the place for work by the clock.
  bool run(const std::function<bool()>& done, Clock::time_point deadline);

  // A whole request with all its headers. `body` may be empty.
  [[nodiscard]] std::string request(std::string_view method, std::string_view path, std::string_view body = {},
                                    std::string_view content_type = "application/json") const;
  // One request and its answer on a connection of its own that is kept for the next call.
  struct Reply {
    int status = 0;
    std::string body;
  };
  Result<Reply> call(std::string_view method, std::string_view path, std::string_view body = {},
                     std::string_view content_type = "application/json");

 private:
  friend class Connection;
  explicit Client(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  Status prepare_tls();

  Endpoint endpoint_;
  std::string fixed_headers_;
  ssl_ctx_st* context_ = nullptr;
  int epoll_ = -1;
  std::vector<char> buffer_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<Connection> caller_;
};

}  // namespace orlop::bench
