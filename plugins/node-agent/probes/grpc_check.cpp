#include "plugins/node-agent/probes/grpc_check.hpp"

#include "plugins/node-agent/probes/grpc_reply.hpp"
#include "plugins/node-agent/probes/resolve.hpp"
#include "plugins/node-agent/probes/tcp_check.hpp"

#include <memory>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>

namespace orlop::agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

class GrpcSession : public std::enable_shared_from_this<GrpcSession> {
 public:
  GrpcSession(asio::io_context& io, const GrpcCheck& check, std::chrono::milliseconds timeout, CheckDone done)
      : io_(io), check_(check), timeout_(timeout), done_(std::move(done)), stream_(io) {}

  void begin() {
    resolve(io_, check_.host, check_.port,
            [self = shared_from_this()](const boost::system::error_code& error, const Endpoints& endpoints) {
              if (error) return self->fail_to_connect(error);
              self->stream_.expires_after(self->timeout_);
              self->stream_.async_connect(endpoints, [self](const boost::system::error_code& refused, const auto&) {
                if (refused) return self->fail_to_connect(refused);
                self->output_ = grpc_health_request(self->check_);
                self->write();
              });
            });
  }

 private:
  [[nodiscard]] std::string within() const {
    return timeout_.count() % 1000 == 0 ? std::to_string(timeout_.count() / 1000) + "s"
                                        : std::to_string(timeout_.count()) + "ms";
  }
  void fail_to_connect(const boost::system::error_code& error) {
    const std::string address = join_host_port(check_.host, check_.port);
    const std::string why = error == beast::error::timeout ? "context deadline exceeded" : dial_error(address, error);
    done_({CheckOutcome::kFailure,
           "timeout: failed to connect service \"" + address + "\" within " + within() + ": " + why});
  }
  void fail(const boost::system::error_code& error) {
    if (error == beast::error::timeout)
      return done_({CheckOutcome::kFailure, "timeout: health rpc did not complete within " + within()});
    done_({CheckOutcome::kFailure,
           "error: health rpc probe failed: rpc error: code = Unavailable desc = " + error.message()});
  }

  void write() {
    asio::async_write(stream_, asio::buffer(output_),
                      [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                        if (error) return self->fail(error);
                        self->read();
                      });
  }
  void read() {
    stream_.async_read_some(asio::buffer(input_),
                            [self = shared_from_this()](const boost::system::error_code& error, size_t size) {
                              if (error) return self->fail(error);
                              if (auto result = self->reply_.feed({self->input_, size}))
                                return self->done_(std::move(*result));
                              self->output_ = self->reply_.take_output();
                              if (self->output_.empty()) return self->read();
                              self->write();
                            });
  }

  asio::io_context& io_;
  const GrpcCheck check_;
  const std::chrono::milliseconds timeout_;
  CheckDone done_;
  beast::tcp_stream stream_;
  GrpcReply reply_;
  std::string output_;
  char input_[4096];
};

}  // namespace

void run_grpc_check(asio::io_context& io, const GrpcCheck& check, std::chrono::milliseconds timeout, CheckDone done) {
  std::make_shared<GrpcSession>(io, check, timeout, std::move(done))->begin();
}

}  // namespace orlop::agent
