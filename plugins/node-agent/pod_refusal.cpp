#include "plugins/node-agent/pod_refusal.hpp"

#include <algorithm>
#include <fstream>

namespace orlop::agent {
namespace {

// Those that are of one namespace alone and cannot harm other pods (k8s.io/kubernetes/pkg/kubelet/sysctl).
const char* const kSafe[] = {"kernel.shm_rmid_forced",
                             "net.ipv4.ip_local_port_range",
                             "net.ipv4.tcp_syncookies",
                             "net.ipv4.ping_group_range",
                             "net.ipv4.ip_unprivileged_port_start",
                             "net.ipv4.ip_local_reserved_ports",
                             "net.ipv4.tcp_keepalive_time",
                             "net.ipv4.tcp_fin_timeout",
                             "net.ipv4.tcp_keepalive_intvl",
                             "net.ipv4.tcp_keepalive_probes",
                             "net.ipv4.tcp_rmem",
                             "net.ipv4.tcp_wmem"};

bool is_allowed(const AgentConfig& config, const std::string& name) {
  if (std::find(std::begin(kSafe), std::end(kSafe), name) != std::end(kSafe)) return true;
  const auto& patterns = config.allowed_unsafe_sysctls;
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    if (!pattern.ends_with('*')) return pattern == name;
    return name.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

bool is_of_ipc(const std::string& name) {
  return name.starts_with("kernel.shm") || name.starts_with("kernel.msg") || name == "kernel.sem" ||
         name.starts_with("fs.mqueue.");
}

template <typename Security>
bool wants_app_armor(const Security& security) {
  return security.has_apparmorprofile() && security.apparmorprofile().type() != "Unconfined";
}

}  // namespace

Refused refusal_of(const AgentConfig& config, const kube::Pod& pod, bool has_app_armor) {
  for (const auto& sysctl : pod.spec().securitycontext().sysctls()) {
    std::string name = sysctl.name();
    std::replace(name.begin(), name.end(), '/', '.');
    const std::string head = "forbidden sysctl: \"" + name + "\" not allow";
    if (!is_allowed(config, name)) return Refused{"SysctlForbidden", head + "listed"};
    if (pod.spec().hostnetwork() && name.starts_with("net.")) {
      return Refused{"SysctlForbidden", head + "ed with host net enabled"};
    }
    if (pod.spec().hostipc() && is_of_ipc(name)) return Refused{"SysctlForbidden", head + "ed with host ipc enabled"};
  }
  if (has_app_armor) return {};
  const auto& containers = pod.spec().containers();
  const auto& first = pod.spec().initcontainers();
  const auto wants = [](const auto& container) { return wants_app_armor(container.securitycontext()); };
  if (wants_app_armor(pod.spec().securitycontext()) || std::any_of(containers.begin(), containers.end(), wants) ||
      std::any_of(first.begin(), first.end(), wants)) {
    return Refused{"AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"};
  }
  return {};
}

bool kernel_has_app_armor() {
  std::ifstream enabled("/sys/module/apparmor/parameters/enabled");
  char answer = 'N';
  enabled >> answer;
  return answer == 'Y';
}

}  // namespace orlop::agent
