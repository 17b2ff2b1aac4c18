// Asks other servers for what the cluster does not know.
//
// Each question goes out from a socket of its own, so that the kernel draws the port, with a drawn id; only an answer
// from that server, with that id and that question is taken. A server that does not answer, refuses or fails is
// followed by the next; the one that answered last is asked first. The same question at the same time is asked once.
// Whether the servers lead back here is found by a name that nobody else can know (is_probe).
//
// Threads: all on the io_context's one thread.
#pragma once

#include "plugins/dns/cache.hpp"
#include "plugins/dns/upstream.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace orlop::dns {

struct ForwardSettings {
  CacheSettings cache;
  std::chrono::milliseconds attempt{1500};  // for one server's answer
  int attempts_most = 3;
  size_t pending_most = 2000;  // questions that wait for an answer; further ones fail at once
};

class Forwarder {
 public:
  using Done = std::function<void(const Response&)>;
  using Now = std::function<int64_t()>;  // monotonic nanoseconds
  using OnLoop = std::function<void()>;

  Forwarder(boost::asio::io_context& io, const ForwardSettings& settings, Now now, OnLoop on_loop = {});
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  // A change empties the cache and sends the probe.
  void set_servers(const std::vector<Server>& servers);
  // `done` comes exactly once, maybe before the return; with kServFail when no server answers. Not after the end of
  // the Forwarder.
  void resolve(const Question& question, bool dnssec_ok, bool checking_disabled, Done done);
  // A question that only we can have asked: the servers lead to us. From then on nothing is forwarded.
  bool is_probe(const Question& question);
  [[nodiscard]] size_t pending() const { return jobs_.size(); }

 private:
  struct Job;
  void begin(const std::shared_ptr<Job>& job);
  void attempt(const std::shared_ptr<Job>& job);
  void receive(const std::shared_ptr<Job>& job);
  void over_tcp(const std::shared_ptr<Job>& job);
  void read_tcp(const std::shared_ptr<Job>& job);
  void next(const std::shared_ptr<Job>& job);
  void take(const std::shared_ptr<Job>& job, const Received& received);
  void finish(const std::shared_ptr<Job>& job, const Response& response);
  void probe();

  boost::asio::io_context& io_;
  const ForwardSettings settings_;
  const Now now_;
  const OnLoop on_loop_;
  Cache cache_;
  std::vector<Server> servers_;
  size_t preferred_ = 0;
  bool looped_ = false;
  std::string probe_key_;
  std::unordered_map<std::string, std::shared_ptr<Job>> jobs_;
};

}  // namespace orlop::dns
