#include "plugins/node-agent/volumes/hosts_file.hpp"

namespace orlop::agent {
namespace {

constexpr size_t kLabelMax = 63, kKernelMax = 64;

}  // namespace

std::string short_host_name(const kube::Pod& pod) {
  std::string name = pod.spec().hostname().empty() ? pod.metadata().name() : pod.spec().hostname();
  name = name.substr(0, kLabelMax);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

std::string host_domain(const kube::Pod& pod, const std::string& cluster_domain) {
  const std::string& subdomain = pod.spec().subdomain();
  return subdomain.empty() ? "" : subdomain + "." + pod.metadata().namespace_() + ".svc." + cluster_domain;
}

Result<std::string> kernel_host_name(const kube::Pod& pod, const std::string& cluster_domain) {
  const std::string name = short_host_name(pod);
  const std::string domain = host_domain(pod, cluster_domain);
  if (!pod.spec().sethostnameasfqdn() || domain.empty()) return name;
  const std::string full = name + "." + domain;
  if (full.size() <= kKernelMax) return full;
  return Status(Code::kInvalid, "failed to construct FQDN from pod hostname and cluster domain, FQDN " + full +
                                    " is too long (64 characters is the max, " + std::to_string(full.size()) +
                                    " characters requested)");
}

std::string hosts_file(const kube::Pod& pod, const std::vector<std::string>& pod_ips, const std::string& cluster_domain,
                       std::string_view machine_hosts) {
  std::string text;
  if (pod.spec().hostnetwork()) {
    text = "# Kubernetes-managed hosts file (host network).\n" + std::string(machine_hosts);
  } else {
    text =
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    const std::string name = short_host_name(pod);
    const std::string domain = host_domain(pod, cluster_domain);
    for (const std::string& ip : pod_ips) {
      text += ip + "\t" + (domain.empty() ? "" : name + "." + domain + "\t") + name + "\n";
    }
  }
  if (!pod.spec().hostaliases().empty()) text += "\n# Entries added by HostAliases.\n";
  for (const auto& alias : pod.spec().hostaliases()) {
    text += alias.ip();
    for (const std::string& name : alias.hostnames()) text += "\t" + name;
    text += "\n";
  }
  return text;
}

}  // namespace orlop::agent
