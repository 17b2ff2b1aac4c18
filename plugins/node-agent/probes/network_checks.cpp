#include "plugins/node-agent/probes/network_checks.hpp"

#include "plugins/node-agent/probes/grpc_check.hpp"
#include "plugins/node-agent/probes/http_check.hpp"
#include "plugins/node-agent/probes/tcp_check.hpp"

#include <chrono>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace orlop::agent {

namespace asio = boost::asio;

struct NetworkChecks::Core {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::ssl::context tls{asio::ssl::context::tls_client};
  asio::steady_timer timer{io};
  int64_t armed_ns = 0;  // the io thread's own
  std::function<int64_t()> clock;
  std::function<int64_t()> alarm;
  std::thread thread;

  void arm(int64_t at_ns) {
    if (armed_ns != 0 && armed_ns <= at_ns) return;
    armed_ns = at_ns;
    timer.expires_after(std::chrono::nanoseconds(std::max<int64_t>(0, at_ns - clock())));
    timer.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      armed_ns = 0;
      if (const int64_t next = alarm(); next != 0) arm(next);
    });
  }
};

NetworkChecks::NetworkChecks() : core_(std::make_unique<Core>()) {
  core_->tls.set_verify_mode(asio::ssl::verify_none);
}

NetworkChecks::~NetworkChecks() {
  stop();
}

void NetworkChecks::start(std::function<int64_t()> clock, std::function<int64_t()> alarm) {
  core_->clock = std::move(clock);
  core_->alarm = std::move(alarm);
  core_->thread = std::thread([this] { core_->io.run(); });
}

void NetworkChecks::stop() {
  core_->io.stop();
  if (core_->thread.joinable()) core_->thread.join();
}

void NetworkChecks::wake_at(int64_t at_ns) {
  asio::post(core_->io, [this, at_ns] { core_->arm(at_ns); });
}

void NetworkChecks::run(const Check& check, CheckDone done) {
  asio::post(core_->io, [this, check = check, done = std::move(done)]() mutable {
    std::visit(
        [&](auto& what) {
          using What = std::decay_t<decltype(what)>;
          const std::chrono::milliseconds timeout(check.timeout_ms);
          if constexpr (std::is_same_v<What, HttpCheck>) {
            run_http_check(core_->io, core_->tls, std::move(what), timeout, std::move(done));
          } else if constexpr (std::is_same_v<What, TcpCheck>) {
            run_tcp_check(core_->io, what, timeout, std::move(done));
          } else if constexpr (std::is_same_v<What, GrpcCheck>) {
            run_grpc_check(core_->io, what, timeout, std::move(done));
          } else {
            done({CheckOutcome::kUnknown, "a command is not for the network"});
          }
        },
        check.what);
  });
}

}  // namespace orlop::agent
