// The sockets: UDP in batches, TCP (RFC 7766) with a few connections, both at one address.
//
// Threads: all on the io_context's one thread.
#pragma once

#include "orlop/result.hpp"
#include "plugins/dns/answers.hpp"
#include "plugins/dns/forwarder.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

namespace orlop::dns {

class DnsServer {
 public:
  DnsServer(boost::asio::io_context& io, Answers& answers, Forwarder& forwarder);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  // At an address that the machine need not have yet. Port 0: any, see port(). kConflict: somebody has it.
  Status listen(const std::string& address, uint16_t port);
  [[nodiscard]] uint16_t port() const;

 private:
  struct Batch;
  struct Session;
  void wait_udp();
  bool read_udp();
  void accept();
  void onward(const Asked& asked, bool udp, const std::function<void(const std::string&)>& send);

  boost::asio::io_context& io_;
  Answers& answers_;
  Forwarder& forwarder_;
  boost::asio::ip::udp::socket udp_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::unique_ptr<Batch> batch_;
  Asked asked_;
  std::shared_ptr<size_t> sessions_;
  std::shared_ptr<bool> alive_;  // false: an answer that comes later has nowhere to go
};

}  // namespace orlop::dns
