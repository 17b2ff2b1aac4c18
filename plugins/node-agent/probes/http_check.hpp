// An HTTP GET, and what its answer means for health.
#pragma once

#include "plugins/node-agent/probes/check.hpp"

#include <chrono>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

namespace orlop::agent {

// On the io_context's thread; `done` runs there too. Success: 200 to 399. Redirects within the same host are followed,
// ten at most; one that leads elsewhere is a warning.
void run_http_check(boost::asio::io_context& io, boost::asio::ssl::context& tls, HttpCheck check,
                    std::chrono::milliseconds timeout, CheckDone done);

// Where a Location leads, as seen from the check that was answered with it; nothing when it is of no scheme that is
// understood. Pure.
struct Redirect {
  HttpCheck target;
  bool same_host = false;
};
Result<Redirect> follow_location(const HttpCheck& from, const std::string& location);

}  // namespace orlop::agent
