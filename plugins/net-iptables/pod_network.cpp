#include "plugins/net-iptables/pod_network.hpp"

#include "plugins/net-iptables/decode.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::net {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNetwork = "orlop";  // the name of the CNI network, and of host-local's folder
constexpr std::string_view kConflist = "10-orlop.conflist";
constexpr std::string_view kRouteProtocol = "117";  // marks the routes that are ours
constexpr std::chrono::seconds kIpTime(10);

Status failed(const fs::path& path, const char* what) {
  return {Code::kUnavailable, fmt::format("{}: {}: {}", path.native(), what, std::strerror(errno))};
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Whole or not at all: a reader never sees a part of it, and a power cut leaves the old content or the new.
Status write_file(const fs::path& path, std::string_view content) {
  const fs::path fresh = path.native() + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return failed(fresh, "cannot be created");
  const bool written = ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const bool synced = written && ::fsync(fd) == 0;
  const Status problem = synced ? Status() : failed(fresh, "cannot be written");
  ::close(fd);
  if (!problem.is_ok()) return problem;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "cannot be put in place");
  return Status::ok();
}

Status make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return {Code::kUnavailable, path.native() + " cannot be created: " + error.message()};
  return Status::ok();
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) >= 0x20) out.push_back(c);
  }
  return out + "\"";
}

// The lock that host-local itself takes while it gives or frees an address.
class LeaseLock {
 public:
  explicit LeaseLock(const fs::path& folder)
      : fd_(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0) {
      ::close(fd_);
      fd_ = -1;
    }
  }
  ~LeaseLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  LeaseLock(const LeaseLock&) = delete;
  LeaseLock& operator=(const LeaseLock&) = delete;
  [[nodiscard]] bool held() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::vector<fs::path> leases_in(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (is_ipv4(entry.path().filename().native())) out.push_back(entry.path());
  }
  return out;
}

// The first line: the sandbox that has the address.
std::string owner_of(const fs::path& lease) {
  std::string text = read_file(lease);
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  return text;
}

std::string first_range(const std::vector<std::string>& ranges) {
  for (const std::string& range : ranges) {
    if (is_ipv4_range(range)) return range;
  }
  return {};
}

}  // namespace

std::string conflist_of(const NetworkSettings& settings, const fs::path& leases, const std::string& range) {
  const std::string mtu = settings.mtu == 0 ? "" : fmt::format("      \"mtu\": {},\n", settings.mtu);
  return fmt::format(
      "{{\n"
      "  \"cniVersion\": \"0.4.0\",\n"
      "  \"name\": {},\n"
      "  \"plugins\": [\n"
      "    {{\n"
      "      \"type\": \"bridge\",\n"
      "      \"bridge\": {},\n"
      "{}"
      "      \"isGateway\": true,\n"
      "      \"ipMasq\": false,\n"
      "      \"hairpinMode\": true,\n"
      "      \"ipam\": {{\n"
      "        \"type\": \"host-local\",\n"
      "        \"dataDir\": {},\n"
      "        \"ranges\": [[{{\"subnet\": {}}}]],\n"
      "        \"routes\": [{{\"dst\": \"0.0.0.0/0\"}}]\n"
      "      }}\n"
      "    }},\n"
      "    {{\"type\": \"portmap\", \"snat\": true, \"capabilities\": {{\"portMappings\": true}}}}\n"
      "  ]\n"
      "}}\n",
      json_text(kNetwork), json_text(settings.bridge), mtu, json_text(leases.native()), json_text(range));
}

fs::path PodNetwork::lease_dir(const std::string& node) const {
  return settings_.data_dir / "ipam" / node;
}

Status PodNetwork::prepare(const std::string& node, const std::vector<std::string>& pod_cidrs) {
  const std::lock_guard lock(mutex_);
  const std::string range = first_range(pod_cidrs);
  if (range.empty()) return {Code::kInvalid, "node " + node + " has no IPv4 range for its pods; IPv6 is not supported"};
  if (node.empty() || node.find('/') != std::string::npos || node.starts_with('.')) {
    return {Code::kInvalid, "\"" + node + "\" is no name of a node"};
  }
  ORLOP_TRY(check_programs());
  ORLOP_TRY(prepare_kernel());
  const fs::path leases = lease_dir(node);
  ORLOP_TRY(make_folder(leases / kNetwork));
  drop_leases_of_other_boots(leases);
  ORLOP_TRY(make_folder(settings_.conf_dir));
  const fs::path path = settings_.conf_dir / kConflist;
  const std::string content = conflist_of(settings_, leases, range);
  if (read_file(path) != content) ORLOP_TRY(write_file(path, content));
  prepared_node_ = node;
  return Status::ok();
}

bool PodNetwork::was_prepared() const {
  std::error_code error;
  return fs::exists(settings_.conf_dir / kConflist, error);
}

std::string PodNetwork::not_ready() const {
  const Status programs = check_programs();
  if (!programs.is_ok()) return programs.message();
  if (!was_prepared()) return "the node's range of pod addresses is not known yet";
  return {};
}

Status PodNetwork::check_programs() const {
  for (const char* name : {"bridge", "host-local", "portmap", "loopback"}) {
    const fs::path program = settings_.bin_dir / name;
    if (::access(program.c_str(), X_OK) != 0) {
      return {Code::kUnavailable,
              program.native() + " is not installed. What to do: install the package containernetworking-plugins."};
    }
  }
  return Status::ok();
}

Status PodNetwork::set_kernel(const std::string& name, const std::string& value, bool needed) const {
  const fs::path path = settings_.proc / "sys" / name;
  std::error_code error;
  if (!needed && !fs::exists(path, error)) return Status::ok();
  std::string now = read_file(path);
  if (!now.empty() && now.back() == '\n') now.pop_back();
  if (now == value) return Status::ok();
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed(path, "cannot be opened");
  const bool written = ::write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  const Status problem = written ? Status() : failed(path, "cannot be set");
  ::close(fd);
  return problem;
}

Status PodNetwork::prepare_kernel() const {
  ORLOP_TRY(set_kernel("net/ipv4/ip_forward", "1", true));
  // Without it traffic between two pods of one bridge goes past the rules that undo a translation. Absent where the
  // module br_netfilter is: then bridged traffic does not pass the rules at all, and the module is asked for.
  std::error_code error;
  if (!fs::exists(settings_.proc / "sys/net/bridge", error)) {
    (void)runner_.run({"modprobe", "br_netfilter"}, "", std::chrono::seconds(5));
  }
  ORLOP_TRY(set_kernel("net/bridge/bridge-nf-call-iptables", "1", false));
  if (settings_.localhost_node_ports) ORLOP_TRY(set_kernel("net/ipv4/conf/all/route_localnet", "1", false));
  return Status::ok();
}

void PodNetwork::drop_leases_of_other_boots(const fs::path& folder) const {
  const std::string boot = read_file(settings_.proc / "sys/kernel/random/boot_id");
  const fs::path mark = folder / "boot_id";
  if (boot.empty() || read_file(mark) == boot) return;
  const LeaseLock lock(folder / kNetwork);
  if (!lock.held()) return;
  for (const fs::path& lease : leases_in(folder / kNetwork)) ::unlink(lease.c_str());
  (void)write_file(mark, boot);
}

Result<uint32_t> PodNetwork::free_leases(const ListSandboxes& sandboxes, int64_t wall_now_s, int64_t settled_s) {
  fs::path folder;
  {
    const std::lock_guard lock(mutex_);
    // A predecessor of this process may have prepared the node.
    folder = lease_dir(prepared_node_.empty() ? settings_.node : prepared_node_) / kNetwork;
  }
  std::vector<std::pair<fs::path, std::string>> old;
  for (const fs::path& lease : leases_in(folder)) {
    struct stat about {};
    if (::stat(lease.c_str(), &about) == 0 && about.st_mtime + settled_s <= wall_now_s) {
      old.emplace_back(lease, owner_of(lease));
    }
  }
  if (old.empty()) return 0u;
  ORLOP_ASSIGN(const std::set<std::string> known, sandboxes());
  const LeaseLock lock(folder);
  if (!lock.held()) return failed(folder, "its lock cannot be taken");
  uint32_t freed = 0;
  for (const auto& [lease, owner] : old) {
    // Read again under the lock: it may have been freed and given to another meanwhile.
    if (known.contains(owner) || owner_of(lease) != owner) continue;
    if (::unlink(lease.c_str()) == 0) ++freed;
  }
  return freed;
}

Status PodNetwork::set_routes(const std::vector<Node>& nodes) {
  if (!settings_.routes) return Status::ok();
  const std::lock_guard lock(mutex_);
  if (!routes_known_) {
    ORLOP_ASSIGN(
        const std::string text,
        run_checked(runner_, {"ip", "-4", "route", "show", "proto", std::string(kRouteProtocol)}, "", kIpTime));
    size_t at = 0;
    while (at < text.size()) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string row = text.substr(at, end - at);
      // "10.244.1.0/24 via 192.0.2.2 dev eth0": the two words that count.
      const size_t via = row.find(" via ");
      if (via != std::string::npos) routed_.insert(row.substr(0, row.find(' ', via + 5)));
      at = end + 1;
    }
    routes_known_ = true;
  }
  std::set<std::string> wanted;
  for (const Node& node : nodes) {
    if (node.name == settings_.node || node.internal_ip.empty()) continue;
    for (const std::string& range : node.pod_cidrs) wanted.insert(range + " via " + node.internal_ip);
  }
  Status first;
  auto route = [&](const char* verb, const std::string& entry) {
    const size_t via = entry.find(" via ");
    const Status status = run_checked(runner_,
                                      {"ip", "-4", "route", verb, entry.substr(0, via), "via", entry.substr(via + 5),
                                       "proto", std::string(kRouteProtocol)},
                                      "", kIpTime)
                              .status();
    if (!status.is_ok() && first.is_ok()) first = status;
    return status.is_ok();
  };
  for (auto each = routed_.begin(); each != routed_.end();) {
    if (wanted.contains(*each)) {
      ++each;
      continue;
    }
    (void)route("del", *each);
    each = routed_.erase(each);
  }
  for (const std::string& entry : wanted) {
    if (!routed_.contains(entry) && route("replace", entry)) routed_.insert(entry);
  }
  return first;
}

}  // namespace orlop::net
