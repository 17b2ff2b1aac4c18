#include "plugins/node-agent/pod_config.hpp"

#include "orlop/kube/quantity.hpp"
#include "plugins/node-agent/cgroups/qos.hpp"

#include <algorithm>
#include <utility>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace orlop::agent {
namespace {

// What a container without privileges does not see, as runc's own defaults.
const char* const kMaskedPaths[] = {"/proc/asound",
                                    "/proc/acpi",
                                    "/proc/kcore",
                                    "/proc/keys",
                                    "/proc/latency_stats",
                                    "/proc/timer_list",
                                    "/proc/timer_stats",
                                    "/proc/sched_debug",
                                    "/proc/scsi",
                                    "/sys/firmware",
                                    "/sys/devices/virtual/powercap"};
const char* const kReadonlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

bool is_privileged(const kube::Pod& pod) {
  return std::any_of(pod.spec().containers().begin(), pod.spec().containers().end(),
                     [](const Container& c) { return c.securitycontext().privileged(); });
}

void fill_namespaces(const kube::Pod& pod, bool for_container, cri::NamespaceOption& out) {
  const auto& spec = pod.spec();
  out.set_network(spec.hostnetwork() ? cri::NODE : cri::POD);
  out.set_ipc(spec.hostipc() ? cri::NODE : cri::POD);
  if (spec.hostpid()) {
    out.set_pid(cri::NODE);
  } else {
    // A container's own default would be the sandbox's process namespace.
    out.set_pid(spec.shareprocessnamespace() || !for_container ? cri::POD : cri::CONTAINER);
  }
}

template <typename Profile>
void fill_seccomp(const Profile& profile, bool privileged, cri::SecurityProfile& out) {
  if (privileged || profile.type() == "Unconfined") {
    out.set_profile_type(cri::SecurityProfile::Unconfined);
  } else if (profile.type() == "Localhost") {
    out.set_profile_type(cri::SecurityProfile::Localhost);
    out.set_localhost_ref(profile.localhostprofile());
  } else {
    out.set_profile_type(cri::SecurityProfile::RuntimeDefault);
  }
}

std::string host_name(const kube::Pod& pod) {
  std::string name = pod.spec().hostname().empty() ? pod.metadata().name() : pod.spec().hostname();
  name = name.substr(0, 63);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

void fill_dns(const AgentConfig& config, const kube::Pod& pod, const std::vector<std::string>& servers,
              const std::vector<std::string>& searches, cri::DNSConfig& out) {
  const auto& spec = pod.spec();
  const bool cluster_first =
      spec.dnspolicy() == "ClusterFirstWithHostNet" || (spec.dnspolicy() != "Default" && !spec.hostnetwork());
  if (spec.dnspolicy() == "None") {
    // only what dnsConfig says
  } else if (cluster_first && !config.cluster_dns.empty()) {
    for (const std::string& server : config.cluster_dns) out.add_servers(server);
    out.add_searches(pod.metadata().namespace_() + ".svc." + config.cluster_domain);
    out.add_searches("svc." + config.cluster_domain);
    out.add_searches(config.cluster_domain);
    for (const std::string& search : searches) out.add_searches(search);
    out.add_options("ndots:5");
  } else {
    for (const std::string& server : servers) out.add_servers(server);
    for (const std::string& search : searches) out.add_searches(search);
  }
  for (const std::string& server : spec.dnsconfig().nameservers()) out.add_servers(server);
  for (const std::string& search : spec.dnsconfig().searches()) out.add_searches(search);
  for (const auto& option : spec.dnsconfig().options()) {
    out.add_options(option.has_value() ? option.name() + ":" + option.value() : option.name());
  }
}

void fill_labels(const kube::Pod& pod, google::protobuf::Map<std::string, std::string>& labels) {
  labels[kPodNameLabel] = pod.metadata().name();
  labels[kPodNamespaceLabel] = pod.metadata().namespace_();
  labels[kPodUidLabel] = pod.metadata().uid();
}

const std::string* find_quantity(
    const google::protobuf::Map<std::string, k8s::io::apimachinery::pkg::api::resource::Quantity>& of,
    const char* name) {
  const auto found = of.find(name);
  return found == of.end() ? nullptr : &found->second.string();
}

void fill_resources(const kube::Pod& pod, const Container& container, int64_t memory_total,
                    cri::LinuxContainerResources& out) {
  const auto& resources = container.resources();
  const std::string* cpu_request = find_quantity(resources.requests(), "cpu");
  const std::string* cpu_limit = find_quantity(resources.limits(), "cpu");
  const std::string* memory_limit = find_quantity(resources.limits(), "memory");
  int64_t cpu_milli = 0;
  if (const std::string* source = cpu_request != nullptr ? cpu_request : cpu_limit) {
    cpu_milli = kube::quantity_milli(*source);
  }
  out.set_cpu_shares(cpu_shares(cpu_milli));
  if (cpu_limit != nullptr) {
    const int64_t limit_milli = kube::quantity_milli(*cpu_limit);
    if (limit_milli > 0) {
      out.set_cpu_period(kCpuPeriodUs);
      out.set_cpu_quota(cpu_quota_us(limit_milli));
    }
  }
  if (memory_limit != nullptr) {
    out.set_memory_limit_in_bytes(kube::quantity_value(*memory_limit));
  }
  for (const auto& [size, kernel_name] : {std::pair("2Mi", "2MB"), std::pair("1Gi", "1GB")}) {
    const std::string* pages = find_quantity(resources.limits(), (std::string("hugepages-") + size).c_str());
    if (pages == nullptr) continue;
    auto& limit = *out.add_hugepage_limits();
    limit.set_page_size(kernel_name);
    limit.set_limit(static_cast<uint64_t>(kube::quantity_value(*pages)));
  }
  out.set_oom_score_adj(oom_score_adj(pod, container, memory_total));
}

void fill_capabilities(const Container& container, cri::Capability& out) {
  for (const std::string& name : container.securitycontext().capabilities().add()) out.add_add_capabilities(name);
  for (const std::string& name : container.securitycontext().capabilities().drop()) out.add_drop_capabilities(name);
}

void fill_security(const kube::Pod& pod, const Container& container, cri::LinuxContainerSecurityContext& out) {
  const auto& own = container.securitycontext();
  const auto& shared = pod.spec().securitycontext();
  const bool privileged = own.privileged();
  out.set_privileged(privileged);
  fill_namespaces(pod, true, *out.mutable_namespace_options());
  fill_capabilities(container, *out.mutable_capabilities());
  if (own.has_runasuser() || shared.has_runasuser()) {
    out.mutable_run_as_user()->set_value(own.has_runasuser() ? own.runasuser() : shared.runasuser());
  }
  if (own.has_runasgroup() || shared.has_runasgroup()) {
    out.mutable_run_as_group()->set_value(own.has_runasgroup() ? own.runasgroup() : shared.runasgroup());
  }
  for (const int64_t group : shared.supplementalgroups()) out.add_supplemental_groups(group);
  if (shared.has_fsgroup()) out.add_supplemental_groups(shared.fsgroup());
  out.set_readonly_rootfs(own.readonlyrootfilesystem());
  out.set_no_new_privs(!privileged && !(own.has_allowprivilegeescalation() && own.allowprivilegeescalation()));
  fill_seccomp(own.has_seccompprofile() ? own.seccompprofile() : shared.seccompprofile(), privileged,
               *out.mutable_seccomp());
  if (privileged || own.procmount() == "Unmasked") return;
  for (const char* path : kMaskedPaths) out.add_masked_paths(path);
  for (const char* path : kReadonlyPaths) out.add_readonly_paths(path);
}

}  // namespace

std::string pod_log_folder(const AgentConfig& config, const kube::Pod& pod) {
  const auto& metadata = pod.metadata();
  return config.logs_folder + "/" + metadata.namespace_() + "_" + metadata.name() + "_" + metadata.uid();
}

std::string pod_cgroup(const kube::Pod& pod) {
  return pod_cgroup_name(pod);
}

cri::PodSandboxConfig sandbox_config(const AgentConfig& config, const kube::Pod& pod, uint32_t attempt,
                                     const std::vector<std::string>& host_dns_servers,
                                     const std::vector<std::string>& host_dns_searches) {
  cri::PodSandboxConfig out;
  auto& metadata = *out.mutable_metadata();
  metadata.set_name(pod.metadata().name());
  metadata.set_namespace_(pod.metadata().namespace_());
  metadata.set_uid(pod.metadata().uid());
  metadata.set_attempt(attempt);
  if (!pod.spec().hostnetwork()) out.set_hostname(host_name(pod));
  out.set_log_directory(pod_log_folder(config, pod));
  fill_dns(config, pod, host_dns_servers, host_dns_searches, *out.mutable_dns_config());
  *out.mutable_labels() = pod.metadata().labels();
  fill_labels(pod, *out.mutable_labels());
  *out.mutable_annotations() = pod.metadata().annotations();
  for (const Container& container : pod.spec().containers()) {
    for (const auto& port : container.ports()) {
      if (port.hostport() == 0 || pod.spec().hostnetwork()) continue;
      auto& mapping = *out.add_port_mappings();
      mapping.set_container_port(port.containerport());
      mapping.set_host_port(port.hostport());
      mapping.set_host_ip(port.hostip());
      mapping.set_protocol(port.protocol() == "UDP" ? cri::UDP : port.protocol() == "SCTP" ? cri::SCTP : cri::TCP);
    }
  }
  auto& linux_config = *out.mutable_linux();
  linux_config.set_cgroup_parent(pod_cgroup(pod));
  for (const auto& sysctl : pod.spec().securitycontext().sysctls()) {
    (*linux_config.mutable_sysctls())[sysctl.name()] = sysctl.value();
  }
  auto& security = *linux_config.mutable_security_context();
  security.set_privileged(is_privileged(pod));
  fill_namespaces(pod, false, *security.mutable_namespace_options());
  fill_seccomp(pod.spec().securitycontext().seccompprofile(), security.privileged(), *security.mutable_seccomp());
  return out;
}

cri::ContainerConfig container_config(const kube::Pod& pod, const Container& container, uint32_t attempt,
                                      const std::string& image_ref, const Environment& environment,
                                      const std::vector<Mount>& mounts, int64_t memory_total) {
  cri::ContainerConfig out;
  out.mutable_metadata()->set_name(container.name());
  out.mutable_metadata()->set_attempt(attempt);
  out.mutable_image()->set_image(image_ref);
  out.mutable_image()->set_user_specified_image(container.image());
  for (const std::string& word : container.command()) out.add_command(expand(word, environment));
  for (const std::string& word : container.args()) out.add_args(expand(word, environment));
  out.set_working_dir(container.workingdir());
  for (const auto& [name, value] : environment) {
    auto& entry = *out.add_envs();
    entry.set_key(name);
    entry.set_value(value);
  }
  for (const Mount& mount : mounts) {
    auto& entry = *out.add_mounts();
    entry.set_host_path(mount.host_path);
    entry.set_container_path(mount.container_path);
    entry.set_readonly(mount.read_only);
    entry.set_propagation(mount.propagation == "Bidirectional"     ? cri::PROPAGATION_BIDIRECTIONAL
                          : mount.propagation == "HostToContainer" ? cri::PROPAGATION_HOST_TO_CONTAINER
                                                                   : cri::PROPAGATION_PRIVATE);
  }
  fill_labels(pod, *out.mutable_labels());
  (*out.mutable_labels())[kContainerNameLabel] = container.name();
  (*out.mutable_annotations())[kContainerHashAnnotation] = definition_hash(container);
  out.set_log_path(container.name() + "/" + std::to_string(attempt) + ".log");
  out.set_stdin(container.stdin());
  out.set_stdin_once(container.stdinonce());
  out.set_tty(container.tty());
  fill_resources(pod, container, memory_total, *out.mutable_linux()->mutable_resources());
  fill_security(pod, container, *out.mutable_linux()->mutable_security_context());
  return out;
}

std::string expand(const std::string& text, const Environment& environment) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const size_t end = text[i + 1] == '(' ? text.find(')', i) : std::string::npos;
    if (end == std::string::npos) {
      out += '$';
      continue;
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    const auto found =
        std::find_if(environment.rbegin(), environment.rend(), [&](const auto& e) { return e.first == name; });
    out += found != environment.rend() ? found->second : text.substr(i, end - i + 1);
    i = end;
  }
  return out;
}

std::string definition_hash(const Container& container) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    container.SerializeToCodedStream(&output);
  }
  uint64_t hash = 14695981039346656037ull;  // FNV-1a, 64 bits
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ull;
  return std::to_string(hash);
}

}  // namespace orlop::agent
