#include "plugins/node-agent/pod_config.hpp"

#include "orlop/kube/quantity.hpp"
#include "plugins/node-agent/cgroups/qos.hpp"
#include "plugins/node-agent/volumes/hosts_file.hpp"

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
  const auto any = [](const auto& containers) {
    return std::any_of(containers.begin(), containers.end(),
                       [](const Container& c) { return c.securitycontext().privileged(); });
  };
  return any(pod.spec().containers()) || any(pod.spec().initcontainers());
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
void fill_seccomp(const AgentConfig& config, const Profile& profile, bool privileged, cri::SecurityProfile& out) {
  if (privileged || profile.type() == "Unconfined") {
    out.set_profile_type(cri::SecurityProfile::Unconfined);
  } else if (profile.type() == "Localhost") {
    out.set_profile_type(cri::SecurityProfile::Localhost);
    out.set_localhost_ref(config.seccomp_folder + "/" + profile.localhostprofile());
  } else {
    out.set_profile_type(cri::SecurityProfile::RuntimeDefault);
  }
}

void fill_app_armor(const k8s::io::api::core::v1::AppArmorProfile& profile, cri::LinuxContainerSecurityContext& out) {
  auto& form = *out.mutable_apparmor();
  if (profile.type() == "Unconfined") {
    form.set_profile_type(cri::SecurityProfile::Unconfined);
  } else if (profile.type() == "Localhost") {
    form.set_profile_type(cri::SecurityProfile::Localhost);
    form.set_localhost_ref(profile.localhostprofile());
  } else {
    form.set_profile_type(cri::SecurityProfile::RuntimeDefault);
  }
}

void fill_selinux(const k8s::io::api::core::v1::SELinuxOptions& options, cri::SELinuxOption& out) {
  out.set_user(options.user());
  out.set_role(options.role());
  out.set_type(options.type());
  out.set_level(options.level());
}

// What resolv.conf may hold (resolv.conf(5), and the kubelet's limits).
constexpr int kServersMax = 3, kSearchesMax = 32;
constexpr size_t kSearchCharactersMax = 2048;

void add_search(const std::string& search, size_t& characters, cri::DNSConfig& out) {
  const auto& have = out.searches();
  if (search.empty() || std::find(have.begin(), have.end(), search) != have.end()) return;
  characters += search.size() + (have.empty() ? 0 : 1);
  if (out.searches_size() < kSearchesMax && characters <= kSearchCharactersMax) out.add_searches(search);
}

void add_server(const std::string& server, cri::DNSConfig& out) {
  const auto& have = out.servers();
  if (out.servers_size() < kServersMax && std::find(have.begin(), have.end(), server) == have.end()) {
    out.add_servers(server);
  }
}

// An option of the pod takes the place of one of the same name.
void add_option(const std::string& name, const std::string& text, cri::DNSConfig& out) {
  for (std::string& option : *out.mutable_options()) {
    if (option.substr(0, option.find(':')) != name) continue;
    option = text;
    return;
  }
  out.add_options(text);
}

void fill_dns(const AgentConfig& config, const kube::Pod& pod, const std::vector<std::string>& servers,
              const std::vector<std::string>& searches, cri::DNSConfig& out) {
  const auto& spec = pod.spec();
  const bool cluster_first =
      spec.dnspolicy() == "ClusterFirstWithHostNet" || (spec.dnspolicy() != "Default" && !spec.hostnetwork());
  size_t characters = 0;
  if (spec.dnspolicy() == "None") {
    // only what dnsConfig says
  } else if (cluster_first && !config.cluster_dns.empty()) {
    for (const std::string& server : config.cluster_dns) add_server(server, out);
    add_search(pod.metadata().namespace_() + ".svc." + config.cluster_domain, characters, out);
    add_search("svc." + config.cluster_domain, characters, out);
    add_search(config.cluster_domain, characters, out);
    for (const std::string& search : searches) add_search(search, characters, out);
    out.add_options("ndots:5");
  } else {
    for (const std::string& server : servers) add_server(server, out);
    for (const std::string& search : searches) add_search(search, characters, out);
  }
  for (const std::string& server : spec.dnsconfig().nameservers()) add_server(server, out);
  for (const std::string& search : spec.dnsconfig().searches()) add_search(search, characters, out);
  for (const auto& option : spec.dnsconfig().options()) {
    add_option(option.name(), option.has_value() ? option.name() + ":" + option.value() : option.name(), out);
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

void fill_security(const AgentConfig& config, const kube::Pod& pod, const Container& container,
                   cri::LinuxContainerSecurityContext& out) {
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
  if (shared.supplementalgroupspolicy() == "Strict") out.set_supplemental_groups_policy(cri::Strict);
  if (own.has_selinuxoptions() || shared.has_selinuxoptions()) {
    fill_selinux(own.has_selinuxoptions() ? own.selinuxoptions() : shared.selinuxoptions(),
                 *out.mutable_selinux_options());
  }
  if (own.has_apparmorprofile() || shared.has_apparmorprofile()) {
    fill_app_armor(own.has_apparmorprofile() ? own.apparmorprofile() : shared.apparmorprofile(), out);
  }
  out.set_readonly_rootfs(own.readonlyrootfilesystem());
  out.set_no_new_privs(!privileged && !(own.has_allowprivilegeescalation() && own.allowprivilegeescalation()));
  fill_seccomp(config, own.has_seccompprofile() ? own.seccompprofile() : shared.seccompprofile(), privileged,
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
  // One that is too long for the kernel has been refused before.
  if (!pod.spec().hostnetwork()) {
    const auto name = kernel_host_name(pod, config.cluster_domain);
    out.set_hostname(name ? *name : short_host_name(pod));
  }
  out.set_log_directory(pod_log_folder(config, pod));
  fill_dns(config, pod, host_dns_servers, host_dns_searches, *out.mutable_dns_config());
  *out.mutable_labels() = pod.metadata().labels();
  fill_labels(pod, *out.mutable_labels());
  *out.mutable_annotations() = pod.metadata().annotations();
  std::vector<const Container*> all;
  for (const Container& container : pod.spec().initcontainers()) all.push_back(&container);
  for (const Container& container : pod.spec().containers()) all.push_back(&container);
  for (const Container* container : all) {
    for (const auto& port : container->ports()) {
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
  const auto& shared = pod.spec().securitycontext();
  if (shared.has_runasuser()) security.mutable_run_as_user()->set_value(shared.runasuser());
  // A group alone is nothing that a runtime takes.
  if (shared.has_runasuser() && shared.has_runasgroup()) {
    security.mutable_run_as_group()->set_value(shared.runasgroup());
  }
  for (const int64_t group : shared.supplementalgroups()) security.add_supplemental_groups(group);
  if (shared.has_fsgroup()) security.add_supplemental_groups(shared.fsgroup());
  if (shared.has_selinuxoptions()) fill_selinux(shared.selinuxoptions(), *security.mutable_selinux_options());
  security.set_privileged(is_privileged(pod));
  fill_namespaces(pod, false, *security.mutable_namespace_options());
  fill_seccomp(config, pod.spec().securitycontext().seccompprofile(), security.privileged(),
               *security.mutable_seccomp());
  return out;
}

cri::ContainerConfig container_config(const AgentConfig& config, const kube::Pod& pod, const Container& container,
                                      uint32_t attempt, const std::string& image_ref, const Environment& environment,
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
    entry.set_recursive_read_only(mount.recursive_read_only);
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
  fill_security(config, pod, container, *out.mutable_linux()->mutable_security_context());
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
