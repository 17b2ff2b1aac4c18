#include "plugins/dns/forwarder.hpp"

#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <sys/random.h>

namespace orlop::dns {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

uint64_t draw() {
  uint64_t out = 0;
  // Less than 256 bytes come whole once the kernel's pool is filled, which it waits for.
  while (::getrandom(&out, sizeof(out), 0) != static_cast<ssize_t>(sizeof(out))) continue;
  return out;
}

Response failure() {
  Response out;
  out.rcode = Rcode::kServFail;
  return out;
}

}  // namespace

struct Forwarder::Job {
  explicit Job(asio::io_context& io) : udp(io), tcp(io), timer(io) {}
  std::string key;
  Question question;
  bool dnssec_ok = false, checking_disabled = false;
  bool edns = true;
  int attempts = 0;
  size_t server = 0;
  uint16_t id = 0;
  unsigned turn = 0;  // of the attempt: what belongs to a former one is not listened to
  bool done = false;
  asio::ip::udp::socket udp;
  asio::ip::tcp::socket tcp;
  asio::steady_timer timer;
  std::array<char, 4096> datagram{};
  std::string stream;
  std::vector<Done> waiting;
};

Forwarder::Forwarder(asio::io_context& io, const ForwardSettings& settings, Now now, OnLoop on_loop)
    : io_(io), settings_(settings), now_(std::move(now)), on_loop_(std::move(on_loop)), cache_(settings.cache) {}

Forwarder::~Forwarder() {
  for (auto& [key, job] : jobs_) {
    job->done = true;
    error_code ignored;
    job->udp.close(ignored);
    job->tcp.close(ignored);
    job->timer.cancel();
  }
}

void Forwarder::set_servers(const std::vector<Server>& servers) {
  if (servers == servers_ && !looped_) return;
  servers_ = servers;
  preferred_ = 0;
  looped_ = false;
  cache_.clear();
  probe();
}

void Forwarder::probe() {
  if (servers_.empty()) return;
  Question question;
  question.key = *name_of(std::to_string(draw()) + "." + std::to_string(draw()) + ".loop.orlop");
  question.type = type::kHinfo;
  probe_key_ = question.key;
  resolve(question, false, false, [](const Response&) {});
}

bool Forwarder::is_probe(const Question& question) {
  if (question.type != type::kHinfo || probe_key_.empty() || question.key != probe_key_) return false;
  if (!looped_ && on_loop_) on_loop_();
  looped_ = true;
  return true;
}

void Forwarder::resolve(const Question& question, bool dnssec_ok, bool checking_disabled, Done done) {
  std::string key = Cache::key_of(question, dnssec_ok, checking_disabled);
  if (const auto kept = cache_.find(key, now_())) return done(*kept);
  if (const auto under_way = jobs_.find(key); under_way != jobs_.end()) {
    under_way->second->waiting.push_back(std::move(done));
    return;
  }
  if (servers_.empty() || looped_ || jobs_.size() >= settings_.pending_most) return done(failure());
  auto job = std::make_shared<Job>(io_);
  job->key = std::move(key);
  job->question = question;
  job->dnssec_ok = dnssec_ok;
  job->checking_disabled = checking_disabled;
  job->server = preferred_ % servers_.size();
  job->waiting.push_back(std::move(done));
  jobs_.emplace(job->key, job);
  begin(job);
}

void Forwarder::begin(const std::shared_ptr<Job>& job) {
  const unsigned turn = ++job->turn;
  job->id = static_cast<uint16_t>(draw());
  job->timer.expires_after(settings_.attempt);
  job->timer.async_wait([this, job, turn](const error_code& error) {
    if (!error && !job->done && job->turn == turn) next(job);
  });
  attempt(job);
}

// A failure at once (no route) is the next server's turn, but not from within this call.
void Forwarder::attempt(const std::shared_ptr<Job>& job) {
  const Server& server = servers_[job->server % servers_.size()];
  error_code error;
  const asio::ip::udp::endpoint to(asio::ip::make_address(server.address, error), server.port);
  job->udp.close(error);
  job->udp.open(to.protocol(), error);
  if (!error) job->udp.connect(to, error);
  const std::string packet = write_query(job->id, job->question, job->edns, job->dnssec_ok, job->checking_disabled);
  if (!error) job->udp.send(asio::buffer(packet), 0, error);
  if (!error) return receive(job);
  asio::post(io_, [this, job, turn = job->turn] {
    if (!job->done && job->turn == turn) next(job);
  });
}

void Forwarder::receive(const std::shared_ptr<Job>& job) {
  job->udp.async_receive(asio::buffer(job->datagram),
                         [this, job, turn = job->turn](const error_code& error, size_t bytes) {
                           if (job->done || job->turn != turn) return;
                           if (error) return next(job);  // the port is closed there
                           const auto received = read_response({job->datagram.data(), bytes}, job->id, job->question);
                           if (!received) return receive(job);
                           if (received->truncated) return over_tcp(job);
                           take(job, *received);
                         });
}

void Forwarder::over_tcp(const std::shared_ptr<Job>& job) {
  const Server& server = servers_[job->server % servers_.size()];
  error_code error;
  const asio::ip::tcp::endpoint to(asio::ip::make_address(server.address, error), server.port);
  job->tcp.close(error);
  job->tcp.async_connect(to, [this, job, turn = job->turn](const error_code& failed) {
    if (job->done || job->turn != turn) return;
    if (failed) return next(job);
    const std::string packet = write_query(job->id, job->question, job->edns, job->dnssec_ok, job->checking_disabled);
    job->stream = {static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size() & 0xff)};
    job->stream += packet;
    asio::async_write(job->tcp, asio::buffer(job->stream), [this, job, turn](const error_code& broken, size_t) {
      if (job->done || job->turn != turn) return;
      if (broken) return next(job);
      read_tcp(job);
    });
  });
}

void Forwarder::read_tcp(const std::shared_ptr<Job>& job) {
  job->stream.resize(2);
  asio::async_read(
      job->tcp, asio::buffer(job->stream), [this, job, turn = job->turn](const error_code& broken, size_t) {
        if (job->done || job->turn != turn) return;
        if (broken) return next(job);
        job->stream.resize(static_cast<size_t>(static_cast<uint8_t>(job->stream[0])) << 8 |
                           static_cast<uint8_t>(job->stream[1]));
        asio::async_read(job->tcp, asio::buffer(job->stream), [this, job, turn](const error_code& failed, size_t) {
          if (job->done || job->turn != turn) return;
          const auto received = failed ? std::nullopt : read_response(job->stream, job->id, job->question);
          if (!received) return next(job);
          take(job, *received);
        });
      });
}

void Forwarder::take(const std::shared_ptr<Job>& job, const Received& received) {
  const Rcode rcode = received.response.rcode;
  if (job->edns && (rcode == Rcode::kFormErr || rcode == Rcode::kNotImp)) {  // it knows no EDNS
    job->edns = false;
    return begin(job);
  }
  if (rcode != Rcode::kNoError && rcode != Rcode::kNxDomain) return next(job);
  preferred_ = job->server % servers_.size();
  cache_.put(job->key, received.response, now_());
  finish(job, received.response);
}

void Forwarder::next(const std::shared_ptr<Job>& job) {
  if (++job->attempts >= settings_.attempts_most || servers_.empty() || looped_) return finish(job, failure());
  job->server = (job->server + 1) % servers_.size();
  job->edns = true;
  begin(job);
}

void Forwarder::finish(const std::shared_ptr<Job>& job, const Response& response) {
  job->done = true;
  job->timer.cancel();
  error_code ignored;
  job->udp.close(ignored);
  job->tcp.close(ignored);
  jobs_.erase(job->key);
  for (const Done& done : job->waiting) done(response);
}

}  // namespace orlop::dns
