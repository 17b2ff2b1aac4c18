// Whether a port takes connections.
#pragma once

#include "plugins/node-agent/probes/check.hpp"

#include <chrono>

#include <boost/asio/io_context.hpp>

namespace orlop::agent {

// On the io_context's thread; `done` runs there too.
void run_tcp_check(boost::asio::io_context& io, const TcpCheck& check, std::chrono::milliseconds timeout,
                   CheckDone done);

// "10.0.0.1:80", "[fd00::1]:80".
std::string join_host_port(const std::string& host, uint16_t port);
// What Go's net package says of a connection that failed: "dial tcp 10.0.0.1:80: connect: connection refused".
std::string dial_error(const std::string& address, const boost::system::error_code& error);

}  // namespace orlop::agent
