#include "plugins/api-kubernetes/kinds/service_allocator.hpp"

#include "orlop/kube/core_v1.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace orlop::apikube {
namespace {

using Clock = std::chrono::steady_clock;
namespace corev1 = k8s::io::api::core::v1;

constexpr auto kReservationAge = std::chrono::seconds(60);

std::optional<uint32_t> parse_ipv4(const std::string& text) {
  in_addr address;
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string print_ipv4(uint32_t ip) {
  return fmt::format("{}.{}.{}.{}", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

// One pool of numbers, [low, high]. Not thread-safe: the allocator's lock guards it.
struct Pool {
  uint32_t low = 0;
  uint32_t high = 0;
  // Below this one is chosen by request only, while there are others: those who fix an address or port find it free.
  uint32_t dynamic_from = 0;
  std::set<uint32_t> stored;
  std::map<uint32_t, Clock::time_point> reserved;  // until when

  bool contains(uint32_t number) const { return number >= low && number <= high; }
  bool taken(uint32_t number) const { return stored.contains(number) || reserved.contains(number); }

  std::optional<uint32_t> choose(uint32_t from, uint32_t to, uint64_t random) const {
    if (from > to) return std::nullopt;
    const uint64_t size = uint64_t{to} - from + 1;
    const uint64_t start = random % size;
    for (uint64_t i = 0; i < size; ++i) {
      const auto number = static_cast<uint32_t>(from + (start + i) % size);
      if (!taken(number)) return number;
    }
    return std::nullopt;
  }
  std::optional<uint32_t> choose(uint64_t random) const {
    if (auto number = choose(dynamic_from, high, random)) return number;
    return choose(low, dynamic_from - 1, random);
  }
};

struct Range {
  uint32_t first;
  uint32_t last;
};

std::optional<Range> parse_cidr(const std::string& cidr) {
  const size_t slash = cidr.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto base = parse_ipv4(cidr.substr(0, slash));
  unsigned bits = 0;
  const char* begin = cidr.data() + slash + 1;
  const char* end = cidr.data() + cidr.size();
  auto [stop, error] = std::from_chars(begin, end, bits);
  if (!base || error != std::errc() || stop != end || bits < 8 || bits > 30) return std::nullopt;
  const uint32_t size = 1U << (32 - bits);
  const uint32_t network = *base & ~(size - 1);
  return Range{network + 1, network + size - 2};  // neither the network's own address nor the broadcast one
}

// As Kubernetes splits its ranges: a share for those who choose themselves, neither tiny nor large.
uint32_t static_share(uint32_t size, uint32_t low, uint32_t high, uint32_t divisor) {
  if (size < low) return 0;
  return std::clamp(size / divisor, low, high);
}

class Allocator final : public ServiceAllocator, public std::enable_shared_from_this<Allocator> {
 public:
  Allocator(const ServiceRange& range, Range addresses, const ObjectReader& reader,
            std::function<Clock::time_point()> now, std::function<uint64_t()> random)
      : range_(range), reader_(reader), now_(std::move(now)), random_(std::move(random)) {
    ips_.low = addresses.first;
    ips_.high = addresses.last;
    ips_.dynamic_from = ips_.low + static_share(ips_.high - ips_.low + 1, 16, 256, 16);
    ports_.low = static_cast<uint32_t>(range.port_min);
    ports_.high = static_cast<uint32_t>(range.port_max);
    ports_.dynamic_from = ports_.low + static_share(ports_.high - ports_.low + 1, 16, 128, 32);
  }

  Answer allocate(const Wish& wish) override;

  void settle(const std::vector<uint32_t>& ips, const std::vector<uint32_t>& ports, const Wish& wish, bool confirmed) {
    const std::lock_guard lock(mutex_);
    for (uint32_t ip : ips) settle_one(&ips_, ip, confirmed);
    for (uint32_t port : ports) settle_one(&ports_, port, confirmed);
    if (!confirmed) return;
    for (const auto& text : wish.released_ips) {
      if (auto ip = parse_ipv4(text)) ips_.stored.erase(*ip);
    }
    for (int32_t port : wish.released_ports) ports_.stored.erase(static_cast<uint32_t>(port));
  }

 private:
  static void settle_one(Pool* pool, uint32_t number, bool confirmed) {
    pool->reserved.erase(number);
    if (confirmed) pool->stored.insert(number);
  }

  // Reads the Services again: at first use, when a reservation was never settled, and before a refusal (deleted
  // Services are not told of one by one).
  Status refresh() {
    std::set<uint32_t> ips;
    std::set<uint32_t> ports;
    ORLOP_TRY(reader_.list("services", "", [&](std::string_view value) {
      corev1::Service service;
      if (!service.ParseFromArray(value.data(), static_cast<int>(value.size()))) return;
      if (auto ip = parse_ipv4(service.spec().clusterip())) ips.insert(*ip);
      for (const auto& port : service.spec().ports()) {
        if (port.nodeport() != 0) ports.insert(static_cast<uint32_t>(port.nodeport()));
      }
      if (service.spec().healthchecknodeport() != 0)
        ports.insert(static_cast<uint32_t>(service.spec().healthchecknodeport()));
    }));
    ips_.stored = std::move(ips);
    ports_.stored = std::move(ports);
    const auto now = now_();
    for (auto* pool : {&ips_, &ports_})
      std::erase_if(pool->reserved, [&](const auto& entry) { return entry.second <= now; });
    loaded_ = true;
    return Status::ok();
  }

  bool has_expired() const {
    const auto now = now_();
    for (const auto* pool : {&ips_, &ports_}) {
      for (const auto& [number, until] : pool->reserved) {
        if (until <= now) return true;
      }
    }
    return false;
  }

  std::optional<Refused> take_ip(const Wish& wish, std::vector<uint32_t>* taken) {
    if (wish.requested_ip.empty()) {
      const auto ip = ips_.choose(random_());
      if (!ip) return Refused{Refusal::kIpsExhausted, 0, "failed to allocate a serviceIP: range is full"};
      taken->push_back(*ip);
      return std::nullopt;
    }
    const auto ip = parse_ipv4(wish.requested_ip);
    if (!ip || !ips_.contains(*ip)) {
      return Refused{
          Refusal::kIpNotInRange, 0,
          fmt::format(
              "failed to allocate IP {}: the provided IP ({}) is not in the valid range. The range of valid IPs is {}",
              wish.requested_ip, wish.requested_ip, range_.cidr)};
    }
    if (ips_.taken(*ip)) {
      return Refused{Refusal::kIpTaken, 0,
                     fmt::format("failed to allocate IP {}: provided IP is already allocated", wish.requested_ip)};
    }
    taken->push_back(*ip);
    return std::nullopt;
  }

  std::optional<Refused> take_port(int32_t wanted, size_t index, std::vector<uint32_t>* taken) {
    auto is_taken = [&](uint32_t port) {
      return ports_.taken(port) || std::find(taken->begin(), taken->end(), port) != taken->end();
    };
    if (wanted == 0) {
      // Several of one write must differ: those already chosen are marked while the next is looked for.
      for (uint32_t port : *taken) ports_.reserved.try_emplace(port, Clock::time_point::max());
      const auto port = ports_.choose(random_());
      for (uint32_t marked : *taken) ports_.reserved.erase(marked);
      if (!port) return Refused{Refusal::kPortsExhausted, index, "failed to allocate a nodePort: range is full"};
      taken->push_back(*port);
      return std::nullopt;
    }
    if (!ports_.contains(static_cast<uint32_t>(wanted))) {
      return Refused{Refusal::kPortNotInRange, index,
                     fmt::format("provided port is not in the valid range. The range of valid ports is {}-{}",
                                 range_.port_min, range_.port_max)};
    }
    if (is_taken(static_cast<uint32_t>(wanted)))
      return Refused{Refusal::kPortTaken, index, "provided port is already allocated"};
    taken->push_back(static_cast<uint32_t>(wanted));
    return std::nullopt;
  }

  // Requested ports first: a chosen one must not take what a later port of the same Service asks for.
  std::optional<Refused> take_all(const Wish& wish, std::vector<uint32_t>* ips, std::vector<uint32_t>* ports,
                                  std::vector<int32_t>* granted) {
    ips->clear();
    ports->clear();
    granted->assign(wish.node_ports.size(), 0);
    if (wish.cluster_ip) {
      if (auto refused = take_ip(wish, ips)) return refused;
    }
    for (const bool requested : {true, false}) {
      for (size_t i = 0; i < wish.node_ports.size(); ++i) {
        if ((wish.node_ports[i] != 0) != requested) continue;
        if (auto refused = take_port(wish.node_ports[i], i, ports)) return refused;
        (*granted)[i] = static_cast<int32_t>(ports->back());
      }
    }
    return std::nullopt;
  }

  const ServiceRange range_;
  const ObjectReader& reader_;
  const std::function<Clock::time_point()> now_;
  const std::function<uint64_t()> random_;
  std::mutex mutex_;
  Pool ips_;             // guarded by mutex_
  Pool ports_;           // guarded by mutex_
  bool loaded_ = false;  // guarded by mutex_
};

class Reservation final : public ServiceReservation {
 public:
  Reservation(std::shared_ptr<Allocator> allocator, ServiceAllocator::Wish wish, std::vector<uint32_t> ips,
              std::vector<uint32_t> ports)
      : allocator_(std::move(allocator)), wish_(std::move(wish)), ips_(std::move(ips)), ports_(std::move(ports)) {}
  ~Reservation() override {
    if (allocator_) allocator_->settle(ips_, ports_, wish_, false);
  }
  void confirm() override {
    if (allocator_) allocator_->settle(ips_, ports_, wish_, true);
    allocator_.reset();
  }
  void leave_to_store() override { allocator_.reset(); }

 private:
  std::shared_ptr<Allocator> allocator_;
  const ServiceAllocator::Wish wish_;
  const std::vector<uint32_t> ips_;
  const std::vector<uint32_t> ports_;
};

ServiceAllocator::Answer Allocator::allocate(const Wish& wish) {
  const std::lock_guard lock(mutex_);
  bool fresh = false;
  auto read = [&]() -> std::optional<Refused> {
    auto status = refresh();
    fresh = true;
    if (status.is_ok()) return std::nullopt;
    return Refused{Refusal::kStore, 0, "failed to read the services: " + status.message()};
  };
  if (!loaded_ || has_expired()) {
    if (auto refused = read()) return {std::nullopt, refused};
  }
  std::vector<uint32_t> ips;
  std::vector<uint32_t> ports;
  std::vector<int32_t> granted;
  auto refused = take_all(wish, &ips, &ports, &granted);
  if (refused && !fresh) {
    if (auto failed = read()) return {std::nullopt, failed};
    refused = take_all(wish, &ips, &ports, &granted);
  }
  if (refused) return {std::nullopt, refused};
  const auto until = now_() + kReservationAge;
  for (uint32_t ip : ips) ips_.reserved[ip] = until;
  for (uint32_t port : ports) ports_.reserved[port] = until;
  Grant grant;
  if (!ips.empty()) grant.cluster_ip = print_ipv4(ips.front());
  grant.node_ports = granted;
  grant.reservation = std::make_unique<Reservation>(shared_from_this(), wish, ips, ports);
  return {std::move(grant), std::nullopt};
}

// Reservations may outlive the owner's pointer.
class SharedAllocator final : public ServiceAllocator {
 public:
  explicit SharedAllocator(std::shared_ptr<Allocator> allocator) : allocator_(std::move(allocator)) {}
  Answer allocate(const Wish& wish) override { return allocator_->allocate(wish); }

 private:
  std::shared_ptr<Allocator> allocator_;
};

}  // namespace

Result<std::unique_ptr<ServiceAllocator>> make_service_allocator(const ServiceRange& range, const ObjectReader& reader,
                                                                 std::function<Clock::time_point()> now,
                                                                 std::function<uint64_t()> random) {
  const auto addresses = parse_cidr(range.cidr);
  if (!addresses)
    return Status(Code::kBadRequest,
                  fmt::format("{} is not an IPv4 range between /8 and /30, e.g. 10.96.0.0/12", range.cidr));
  if (range.port_min < 1 || range.port_max > 65535 || range.port_min > range.port_max) {
    return Status(Code::kBadRequest, fmt::format("{}-{} is not a range of ports", range.port_min, range.port_max));
  }
  return std::unique_ptr<ServiceAllocator>(std::make_unique<SharedAllocator>(
      std::make_shared<Allocator>(range, *addresses, reader, std::move(now), std::move(random))));
}

}  // namespace orlop::apikube
