#include "plugins/api-kubernetes/http/server.hpp"

#include "plugins/api-kubernetes/http/server_state.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>

namespace orlop::http {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

asio::awaitable<void> accept_loop(Server::State& state) {
  asio::steady_timer pause(state.context);
  while (!state.stopping) {
    boost::system::error_code error;
    tcp::socket socket = co_await state.acceptor.async_accept(asio::make_strand(state.context),
                                                              asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of descriptors, most likely: those in use will be given back.
      pause.expires_after(std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    socket.set_option(tcp::no_delay(true), error);
    socket.set_option(asio::socket_base::keep_alive(true), error);
    std::shared_ptr<TlsContext> tls;
    {
      std::lock_guard lock(state.mutex);
      tls = state.tls;
    }
    start_connection(state, std::move(socket), std::move(tls));
  }
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
  auto same = [](char a, char b) {
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(a) == lower(b);
  };
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && std::equal(key.begin(), key.end(), name.begin(), same)) return value;
  }
  return {};
}

void Exchange::respond(int status, std::string_view content_type, std::string body) {
  status_ = status;
  content_type_ = content_type;
  body_ = std::move(body);
}

void Exchange::begin(int status, std::string_view content_type, bool long_lived) {
  status_ = status;
  content_type_ = content_type;
  streaming_ = true;
  on_begin(long_lived);
}

Server::Server(ServerOptions options, Handler& handler)
    : state_(std::make_unique<State>(std::move(options), handler)) {}

Server::~Server() {
  stop();
}

Status Server::start(std::shared_ptr<TlsContext> tls) {
  State& state = *state_;
  set_tls(std::move(tls));
  boost::system::error_code error;
  std::string where = state.options.address + ":" + std::to_string(state.options.port);
  auto address = asio::ip::make_address(state.options.address, error);
  if (error) return {Code::kInvalid, "listen: \"" + state.options.address + "\" is not an IP address"};
  tcp::endpoint endpoint(address, state.options.port);
  state.acceptor.open(endpoint.protocol(), error);
  if (!error) ::fcntl(state.acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  if (!error) state.acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) state.acceptor.bind(endpoint, error);
  if (!error) state.acceptor.listen(1024, error);
  if (error) {
    const Code code = error == asio::error::address_in_use ? Code::kConflict : Code::kUnavailable;
    const std::string reason = error.message();
    state.acceptor.close(error);
    return {code, "cannot listen on " + where + ": " + reason};
  }
  asio::co_spawn(state.context, accept_loop(state), asio::detached);
  unsigned count = state.options.threads;
  if (count == 0) count = std::max(2U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < count; ++i) {
    state.threads.emplace_back([&state] { state.context.run(); });
  }
  return Status::ok();
}

void Server::set_tls(std::shared_ptr<TlsContext> tls) {
  std::lock_guard lock(state_->mutex);
  state_->tls = std::move(tls);
}

uint16_t Server::port() const {
  boost::system::error_code error;
  return state_->acceptor.local_endpoint(error).port();
}

size_t Server::connections() const {
  std::lock_guard lock(state_->mutex);
  return state_->connections.size();
}

void Server::run_at(Exchange::Clock::time_point when, std::function<void()> work) {
  auto timer = std::make_shared<asio::steady_timer>(state_->context, when);
  timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& error) {
    if (!error) work();
  });
}

void Server::stop() {
  State& state = *state_;
  if (state.stopping.exchange(true)) return;
  asio::post(state.context, [&state] {
    boost::system::error_code error;
    state.acceptor.close(error);
  });
  if (!state.threads.empty()) {
    std::unique_lock lock(state.mutex);
    for (Connection* connection : state.connections) stop_connection(*connection, false);
    auto none_left = [&state] { return state.connections.empty(); };
    if (!state.emptied.wait_for(lock, std::chrono::seconds(2), none_left)) {
      for (Connection* connection : state.connections) stop_connection(*connection, true);
      state.emptied.wait_for(lock, std::chrono::seconds(10), none_left);
    }
  }
  state.context.stop();
  for (std::thread& thread : state.threads) thread.join();
  state.threads.clear();
}

}  // namespace orlop::http
