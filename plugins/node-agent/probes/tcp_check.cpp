#include "plugins/node-agent/probes/tcp_check.hpp"

#include "plugins/node-agent/probes/resolve.hpp"

#include <memory>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>

namespace orlop::agent {
namespace {

namespace beast = boost::beast;

// The system's words as Go writes them: "connection refused", "no route to host".
std::string lower_case(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

}  // namespace

std::string join_host_port(const std::string& host, uint16_t port) {
  const bool bracketed = host.find(':') != std::string::npos;
  return (bracketed ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string dial_error(const std::string& address, const boost::system::error_code& error) {
  if (error == beast::error::timeout) return "dial tcp " + address + ": i/o timeout";
  if (error == boost::asio::error::host_not_found)
    return "dial tcp: lookup " + address.substr(0, address.rfind(':')) + ": no such host";
  std::string words = lower_case(error.message());
  if (error == boost::asio::error::host_unreachable) words = "no route to host";
  return "dial tcp " + address + ": connect: " + words;
}

void run_tcp_check(boost::asio::io_context& io, const TcpCheck& check, std::chrono::milliseconds timeout,
                   CheckDone done) {
  auto stream = std::make_shared<beast::tcp_stream>(io);
  const std::string address = join_host_port(check.host, check.port);
  resolve(io, check.host, check.port,
          [stream, address, timeout, done = std::move(done)](const boost::system::error_code& unknown,
                                                             const Endpoints& endpoints) mutable {
            if (unknown) return done({CheckOutcome::kFailure, dial_error(address, unknown)});
            stream->expires_after(timeout);
            stream->async_connect(endpoints, [stream, address, done = std::move(done)](
                                                 const boost::system::error_code& error, const auto&) {
              if (error) return done({CheckOutcome::kFailure, dial_error(address, error)});
              done({CheckOutcome::kSuccess, ""});
            });
          });
}

}  // namespace orlop::agent
