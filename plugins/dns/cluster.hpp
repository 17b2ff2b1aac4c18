// Follows Services, EndpointSlices, Namespaces and the node, and keeps the zone what they ask for.
//
// Threads: one. What the zone answers changes Service by Service; after a new list nothing is forgotten before it is
// known to be gone.
#pragma once

#include "orlop/host.hpp"
#include "orlop/watch.hpp"
#include "plugins/dns/records.hpp"
#include "plugins/dns/zone.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orlop::dns {

inline constexpr const char* kServiceNamespace = "kube-system";
inline constexpr const char* kServiceName = "kube-dns";
inline constexpr const char* kServiceLabel = "kubernetes.io/service-name";

class Cluster {
 public:
  struct Settings {
    std::string domain = "cluster.local";
    uint32_t ttl = 5;
    std::string node;        // whose range of pod addresses counts
    std::string cluster_ip;  // of Service kube-dns; empty: the tenth address of the range of cluster addresses
  };

  Cluster(Host host, Settings settings, Zone& zone);

  [[nodiscard]] const std::vector<std::string>& kinds() const { return watch_.kinds(); }
  // Takes in what is new. True: something was.
  Result<bool> follow();
  // The zone answers for the whole cluster.
  [[nodiscard]] bool synced() const { return watch_.synced(); }
  // The address that Service kube-dns has, or should get; empty while it cannot be told.
  [[nodiscard]] std::string service_address() const;
  // The bridge's address: the first of the node's range of pod addresses. Empty: not known yet.
  [[nodiscard]] std::string bridge_address() const;

 private:
  using Name = std::pair<std::string, std::string>;
  void observe(const ChangeView& change);
  void observe_service(const Name& name, const ChangeView& change);
  void observe_slice(const Name& name, const ChangeView& change);
  void forget();
  void apply();
  void set(const std::string& owner, std::vector<Entry> entries);

  Host host_;
  const Settings settings_;
  Zone& zone_;
  Watch watch_;
  std::map<Name, Service> services_;
  std::map<Name, EndpointSlice> slices_;
  std::map<Name, std::set<Name>> slices_of_;
  std::set<std::string> namespaces_;
  std::string pod_cidr_;
  std::set<Name> dirty_services_;
  std::set<std::string> dirty_namespaces_;
  std::set<std::string> owners_;  // of what is in the zone
  bool anew_ = true;
};

// The tenth address of the range whose first one is given ("10.96.0.1" gives "10.96.0.10"); empty when it is none.
std::string tenth_address(const std::string& first);
// The first address of a range ("10.244.3.0/24" gives "10.244.3.1"); empty when it is no IPv4 range.
std::string first_address(const std::string& range);

}  // namespace orlop::dns
