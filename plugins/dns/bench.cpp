// dns_bench [services] [questions]: how many questions a second one core answers, from memory and over loopback.
#include "plugins/dns/records.hpp"
#include "plugins/dns/server.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <boost/asio/executor_work_guard.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

namespace orlop::dns {
namespace {

constexpr size_t kInFlight = 64;

double cpu_seconds(clockid_t clock) {
  timespec at{};
  ::clock_gettime(clock, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

void fill(Zone& zone, int services) {
  zone.set("zone", zone_records("cluster.local", "10.96.0.10", 1, 5));
  zone.set("namespace/default", namespace_records("cluster.local", "default"));
  for (int i = 0; i < services; ++i) {
    Service service;
    service.mutable_metadata()->set_name("service-" + std::to_string(i));
    service.mutable_metadata()->set_namespace_("default");
    service.mutable_spec()->set_clusterip(fmt::format("10.97.{}.{}", i / 250, i % 250 + 1));
    auto& port = *service.mutable_spec()->add_ports();
    port.set_name("http");
    port.set_port(80);
    EndpointSlice slice;
    slice.set_addresstype("IPv4");
    for (int n = 1; n <= 3; ++n)
      slice.add_endpoints()->add_addresses(fmt::format("10.244.{}.{}", i / 80, i % 80 * 3 + n));
    zone.set(service.metadata().name(), service_records("cluster.local", service, {&slice}));
  }
}

std::vector<std::string> questions_of(int services) {
  std::vector<std::string> out;
  for (int i = 0; i < services; ++i) {
    Question question;
    question.key = *name_of("service-" + std::to_string(i) + ".default.svc.cluster.local");
    question.type = i % 2 == 0 ? type::kA : type::kAaaa;
    out.push_back(write_query(static_cast<uint16_t>(i), question, true, false, false));
  }
  return out;
}

// Keeps 64 questions under way; returns the answers that came.
size_t ask_all(uint16_t port, const std::vector<std::string>& questions, size_t count) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  const timeval patience{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::array<char, 4096> buffer{};
  size_t sent = 0;
  size_t got = 0;
  while (got < count) {
    while (sent < count && sent - got < kInFlight) {
      const std::string& packet = questions[sent++ % questions.size()];
      if (::send(socket, packet.data(), packet.size(), 0) < 0) break;
    }
    if (::recv(socket, buffer.data(), buffer.size(), 0) < 0) break;
    ++got;
  }
  ::close(socket);
  return got;
}

int run(int services, size_t count) {
  Zone zone;
  const auto began = std::chrono::steady_clock::now();
  fill(zone, services);
  const auto filled = std::chrono::steady_clock::now() - began;
  fmt::print("{} Services in {} ms, {} names\n", services,
             std::chrono::duration_cast<std::chrono::milliseconds>(filled).count(), zone.names());
  Answers answers(zone, {});
  const auto questions = questions_of(services);
  Asked asked;
  std::string out;
  double before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  for (size_t i = 0; i < count; ++i) answers.answer(questions[i % questions.size()], true, asked, out);
  fmt::print("from memory: {:.0f} answers a second of processor time\n",
             static_cast<double>(count) / (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - before));

  boost::asio::io_context io(1);
  Forwarder forwarder(io, {}, [] { return int64_t{0}; });
  DnsServer server(io, answers, forwarder);
  if (const Status status = server.listen("127.0.0.1", 0); !status.is_ok()) {
    fmt::print("{}\n", status.message());
    return 1;
  }
  double used = 0;
  const uint16_t port = server.port();
  std::thread serving([&] {
    const double start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    io.run();
    used = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
  });
  const auto start = std::chrono::steady_clock::now();
  const size_t got = ask_all(port, questions, count);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  io.stop();
  serving.join();
  fmt::print("over UDP: {} of {} answered, {:.0f} a second; {:.0f} a second of the server's one core\n", got, count,
             static_cast<double>(got) / took.count(), static_cast<double>(got) / used);
  return got == count ? 0 : 1;
}

}  // namespace
}  // namespace orlop::dns

int main(int argc, char** argv) {
  const int services = argc > 1 ? std::atoi(argv[1]) : 5000;
  const int count = argc > 2 ? std::atoi(argv[2]) : 500'000;
  if (services < 1 || count < 1) return 2;
  return orlop::dns::run(services, static_cast<size_t>(count));
}
