// grpc.health.v1.Health/Check, without gRPC: one unary call does not need its library's threads and megabytes.
#pragma once

#include "plugins/node-agent/probes/check.hpp"

#include <chrono>

#include <boost/asio/io_context.hpp>

namespace orlop::agent {

// On the io_context's thread; `done` runs there too.
void run_grpc_check(boost::asio::io_context& io, const GrpcCheck& check, std::chrono::milliseconds timeout,
                    CheckDone done);

}  // namespace orlop::agent
