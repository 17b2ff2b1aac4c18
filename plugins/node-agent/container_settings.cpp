#include "plugins/node-agent/container_settings.hpp"

#include "plugins/node-agent/environment.hpp"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/logs/termination_message.hpp"
#include "plugins/node-agent/pod_config.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

template <typename Security>
bool runs_as_non_root(const kube::Pod& pod, const Security& own) {
  const auto& shared = pod.spec().securitycontext();
  return own.has_runasnonroot() ? own.runasnonroot() : shared.runasnonroot();
}

std::string whose(const kube::Pod& pod, const Container& container) {
  const auto& metadata = pod.metadata();
  return " (pod: \"" + metadata.name() + "_" + metadata.namespace_() + "(" + metadata.uid() +
         ")\", container: " + container.name() + ")";
}

}  // namespace

std::vector<std::string> addresses_of(const Pass& pass, const Machine& machine) {
  std::vector<std::string> out;
  if (pass.pod().spec().hostnetwork()) {
    out.push_back(machine.ip);
    return out;
  }
  const auto& network = pass.runtime.newest_sandbox.network();
  if (!network.ip().empty()) out.push_back(network.ip());
  for (const auto& more : network.additional_ips()) out.push_back(more.ip());
  return out;
}

Result<cri::ContainerConfig> ContainerSettings::make(const Pass& pass, const Container& container, uint32_t attempt,
                                                     const std::string& image_reference) {
  const kube::Pod& pod = pass.pod();
  const Machine& machine = context_.machine;
  Environment environment;
  std::vector<Mount> mounts;
  if (!context_.config.hollow) {
    EnvironmentInputs inputs;
    inputs.pod = &pod;
    inputs.container = &container;
    inputs.pod_ips = addresses_of(pass, machine);
    inputs.pod_ip = inputs.pod_ips.empty() ? "" : inputs.pod_ips.front();
    inputs.host_ip = machine.ip;
    inputs.cpu_milli_total = machine.cpus * 1000;
    inputs.memory_total = machine.memory_bytes;
    inputs.disk_total = machine.disk_bytes;
    ORLOP_ASSIGN(environment, environment_of(pod, inputs));
    ORLOP_ASSIGN(mounts, mounts_of(pod, container, environment, inputs.pod_ips));
    if (!container.terminationmessagepath().empty()) {
      const std::string folder = context_.config.pods_folder + "/" + pod.metadata().uid();
      ORLOP_ASSIGN(Mount last_words, make_termination_file(folder, container, attempt));
      mounts.push_back(std::move(last_words));
    }
    ORLOP_TRY(make_folder(pod_log_folder(context_.config, pod) + "/" + container.name(), 0755));
  }
  cri::ContainerConfig config = container_config(context_.config, pod, container, attempt, image_reference, environment,
                                                 mounts, machine.memory_bytes);
  if (context_.config.hollow) return config;
  ORLOP_TRY(settle_user(pod, container, image_reference, *config.mutable_linux()->mutable_security_context()));
  return config;
}

Result<Environment> ContainerSettings::environment_of(const kube::Pod& pod, const EnvironmentInputs& inputs) {
  std::vector<std::string> skipped;
  auto made = make_environment(context_.host, inputs, &skipped);
  if (!made && made.code() == Code::kNotFound) {
    // From here on a change is heard; what came before that is seen by a second look.
    volumes_.wait_for_variables(pod);
    skipped.clear();
    made = make_environment(context_.host, inputs, &skipped);
  }
  for (const std::string& keys : skipped) {
    context_.events.about(pod, EventType::kWarning, "InvalidEnvironmentVariableNames", keys);
  }
  return made;
}

Result<std::vector<Mount>> ContainerSettings::mounts_of(const kube::Pod& pod, const Container& container,
                                                        const Environment& environment,
                                                        const std::vector<std::string>& pod_ips) {
  ORLOP_ASSIGN(std::vector<Mount> mounts,
               volumes_.mounts(pod, container, environment, mounts_read_only_recursively(container)));
  const bool own_hosts =
      std::any_of(mounts.begin(), mounts.end(), [](const Mount& m) { return m.container_path == "/etc/hosts"; });
  if (own_hosts) return mounts;
  ORLOP_ASSIGN(std::string hosts, volumes_.write_hosts_file(pod, pod_ips));
  Mount mount;
  mount.host_path = std::move(hosts);
  mount.container_path = "/etc/hosts";
  mounts.push_back(std::move(mount));
  return mounts;
}

bool ContainerSettings::mounts_read_only_recursively(const Container& container) const {
  const auto& mounts = container.volumemounts();
  const bool asked = std::any_of(mounts.begin(), mounts.end(), [](const auto& mount) {
    return mount.recursivereadonly() == "Enabled" || mount.recursivereadonly() == "IfPossible";
  });
  if (!asked) return false;
  cri::StatusRequest request;
  const auto status = context_.runtime.invoke<cri::StatusResponse>("RuntimeService/Status", request);
  if (!status) return false;
  const auto& handlers = status->runtime_handlers();
  return std::any_of(handlers.begin(), handlers.end(), [](const auto& handler) {
    return handler.name().empty() && handler.features().recursive_read_only_mounts();
  });
}

Status ContainerSettings::settle_user(const kube::Pod& pod, const Container& container,
                                      const std::string& image_reference,
                                      cri::LinuxContainerSecurityContext& security) const {
  const bool non_root = runs_as_non_root(pod, container.securitycontext());
  if (security.has_run_as_user()) {
    if (!non_root || security.run_as_user().value() != 0) return Status::ok();
    return {Code::kInvalid, "container's runAsUser breaks non-root policy" + whose(pod, container)};
  }
  if (!non_root && !security.has_run_as_group()) return Status::ok();
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(image_reference);
  ORLOP_ASSIGN(const auto status,
               context_.runtime.invoke<cri::ImageStatusResponse>("ImageService/ImageStatus", request));
  const auto& image = status.image();
  const bool is_root = image.has_uid() ? image.uid().value() == 0 : image.username().empty();
  if (non_root && is_root) {
    return {Code::kInvalid, "container has runAsNonRoot and image will run as root" + whose(pod, container)};
  }
  if (non_root && !image.has_uid()) {
    return {Code::kInvalid, "container has runAsNonRoot and image has non-numeric user (" + image.username() +
                                "), cannot verify user is non-root" + whose(pod, container)};
  }
  if (!security.has_run_as_group()) return Status::ok();
  if (!image.has_uid() && !image.username().empty()) {
    security.set_run_as_username(image.username());
  } else {
    security.mutable_run_as_user()->set_value(image.uid().value());
  }
  return Status::ok();
}

}  // namespace orlop::agent
