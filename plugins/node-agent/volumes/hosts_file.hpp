// What a pod is called, and its /etc/hosts. Pure.
#pragma once

#include "orlop/pods.hpp"
#include "orlop/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

// The pod's host name, at most 63 characters, without a domain.
std::string short_host_name(const kube::Pod& pod);
// "sub.ns.svc.cluster.local"; empty without a subdomain.
std::string host_domain(const kube::Pod& pod, const std::string& cluster_domain);
// What the kernel is told: with the domain where the pod asks for that. kInvalid: longer than the kernel takes.
Result<std::string> kernel_host_name(const kube::Pod& pod, const std::string& cluster_domain);

// `machine_hosts`: the machine's own file, for pods on its network.
std::string hosts_file(const kube::Pod& pod, const std::vector<std::string>& pod_ips, const std::string& cluster_domain,
                       std::string_view machine_hosts);

}  // namespace orlop::agent
