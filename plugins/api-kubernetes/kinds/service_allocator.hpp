// Cluster IPs and node ports of Services.
//
// The Services in the store are the truth. An in-memory set, rebuilt from them at start, says what is taken; a
// reservation bridges the moment between the choice and the commit. A reservation that nobody settles (its writer died)
// ends after a minute, when the set is read from the store again.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/kinds/lookup.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::apikube {

// What one write has taken and what it gives back. Move it along with the write: confirm() when the commit succeeded,
// destroy it otherwise and what was taken is free again.
class ServiceReservation {
 public:
  virtual ~ServiceReservation() = default;
  // The commit succeeded: what was taken stays taken, what the write gave up becomes free.
  virtual void confirm() = 0;
  // The outcome will never be told (another plugin's write, committed by the gate): keep until the store says.
  virtual void leave_to_store() = 0;
};

class ServiceAllocator {
 public:
  virtual ~ServiceAllocator() = default;

  // What a write wants. Empty and 0: choose.
  struct Wish {
    bool cluster_ip = false;                // wants one
    std::string requested_ip;               // this one, or empty
    std::vector<int32_t> node_ports;        // one for each that is wanted; 0: choose
    std::vector<std::string> released_ips;  // that the write gives up
    std::vector<int32_t> released_ports;
  };
  struct Grant {
    std::string cluster_ip;           // empty when none was wanted
    std::vector<int32_t> node_ports;  // as wished, in order
    std::unique_ptr<ServiceReservation> reservation;
  };
  // Why a wish cannot be met; the caller words it with the field's path.
  enum class Refusal { kIpNotInRange, kIpTaken, kIpsExhausted, kPortNotInRange, kPortTaken, kPortsExhausted, kStore };
  struct Refused {
    Refusal why;
    size_t port_index = 0;  // which of node_ports
    std::string detail;     // the sentence that Kubernetes' allocator says
  };
  // Exactly one of the two is set.
  struct Answer {
    std::optional<Grant> grant;
    std::optional<Refused> refused;
  };
  // Threads: any.
  virtual Answer allocate(const Wish& wish) = 0;
};

struct ServiceRange {
  std::string cidr = "10.96.0.0/12";  // IPv4
  int32_t port_min = 30000;
  int32_t port_max = 32767;
};

// kBadRequest: the range cannot be read. `reader` must outlive it. `now`: a monotonic clock; `random`: uniform 64 bits.
Result<std::unique_ptr<ServiceAllocator>> make_service_allocator(
    const ServiceRange& range, const ObjectReader& reader, std::function<std::chrono::steady_clock::time_point()> now,
    std::function<uint64_t()> random);

}  // namespace orlop::apikube
