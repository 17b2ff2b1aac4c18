// Where a host is. Addresses, which is what probes have, are taken as they are, without a resolver's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace orlop::agent {

using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

// Calls `then(error, endpoints)`, at once for an address.
template <typename Then>
void resolve(boost::asio::io_context& io, const std::string& host, uint16_t port, Then then) {
  namespace asio = boost::asio;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) return then(error, Endpoints{{address, port}});
  auto resolver = std::make_shared<asio::ip::tcp::resolver>(io);
  resolver->async_resolve(
      host, std::to_string(port),
      [resolver, then = std::move(then)](const boost::system::error_code& failed,
                                         const asio::ip::tcp::resolver::results_type& found) mutable {
        Endpoints endpoints;
        for (const auto& entry : found) endpoints.push_back(entry.endpoint());
        then(failed, endpoints);
      });
}

}  // namespace orlop::agent
