#include "plugins/node-agent/machine.hpp"

#include "plugins/node-agent/cgroups/node_resources.hpp"
#include "plugins/node-agent/stats/machine_usage.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int64_t memory_field(const char* name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string label;
    int64_t kib = 0;
    words >> label >> kib;
    if (label == name) return kib * 1024;
  }
  return 0;
}

// The interface of the default route; empty when there is none.
std::string default_interface() {
  std::ifstream file("/proc/net/route");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name, destination;
    words >> name >> destination;
    if (destination == "00000000") return name;
  }
  return {};
}

std::string own_address() {
  const std::string wanted = default_interface();
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return "127.0.0.1";
  std::string found, fallback;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET || (entry->ifa_flags & IFF_LOOPBACK) != 0)
      continue;
    char text[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text, sizeof text);
    if (wanted == entry->ifa_name && found.empty()) found = text;
    // Without a default route: any address that is not of a bridge for containers.
    const std::string name = entry->ifa_name;
    if (fallback.empty() && !name.starts_with("cni") && !name.starts_with("docker") && !name.starts_with("orlop"))
      fallback = text;
  }
  ::freeifaddrs(list);
  return !found.empty() ? found : !fallback.empty() ? fallback : "127.0.0.1";
}

void read_resolver(Machine& machine) {
  std::ifstream file("/etc/resolv.conf");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string keyword, value;
    words >> keyword;
    if (keyword == "nameserver" && words >> value) machine.dns_servers.push_back(value);
    if (keyword == "search" || keyword == "domain") {
      machine.dns_searches.clear();
      while (words >> value) machine.dns_searches.push_back(value);
    }
  }
}

std::string os_image() {
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    std::string value = line.substr(12);
    value.erase(std::remove(value.begin(), value.end(), '"'), value.end());
    return value;
  }
  return "Linux";
}

}  // namespace

Machine read_machine(const AgentConfig& config) {
  Machine machine;
  machine.ip = config.node_ip.empty() ? own_address() : config.node_ip;
  machine.host_name = config.node_names.empty() ? std::string() : config.node_names.front();
  machine.cpus = std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN));
  machine.memory_bytes = memory_field("MemTotal:");
  machine.disk_bytes = static_cast<int64_t>(disk_space(config.pods_folder).capacity_bytes);
  machine.hugepages = read_hugepages();
  machine.machine_id = first_line("/etc/machine-id");
  machine.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  machine.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  utsname kernel{};
  if (::uname(&kernel) == 0) machine.kernel = kernel.release;
  machine.os_image = os_image();
#if defined(__x86_64__)
  machine.architecture = "amd64";
#elif defined(__aarch64__)
  machine.architecture = "arm64";
#endif
  read_resolver(machine);
  return machine;
}

kube::Resources Machine::capacity() const {
  kube::Resources out;
  out.cpu_milli = cpus * 1000;
  out.memory = memory_bytes;
  out.ephemeral = disk_bytes;
  for (const auto& [size, bytes] : hugepages) out.extended["hugepages-" + size] = bytes;
  return out;
}

}  // namespace orlop::agent
