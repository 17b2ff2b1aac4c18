// What the server and its connections share. Private to this folder.
#pragma once

#include "plugins/api-kubernetes/http/server.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace orlop::http {

class Connection;

struct Server::State {
  State(ServerOptions server_options, Handler& server_handler)
      : options(std::move(server_options)), handler(server_handler) {}

  ServerOptions options;
  Handler& handler;
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor acceptor{context};
  std::vector<std::thread> threads;
  std::atomic<bool> stopping = false;

  std::mutex mutex;
  std::condition_variable emptied;
  std::shared_ptr<TlsContext> tls;              // guarded by mutex
  std::unordered_set<Connection*> connections;  // guarded by mutex
};

// Runs one accepted socket to its end. Defined in connection.cpp.
void start_connection(Server::State& state, boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> tls);
// Tells the connection that the server stops; `force`: closes its socket whatever it does. The state's mutex is held.
void stop_connection(Connection& connection, bool force);

}  // namespace orlop::http
