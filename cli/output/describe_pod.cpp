#include "cli/output/describe.hpp"
#include "cli/output/table.hpp"

#include <algorithm>
#include <array>

namespace orlop::cli {

namespace json = boost::json;
using client::flag_of;
using client::list_of;
using client::map_of;
using client::number_of;
using client::pick;
using client::scalar_text;
using client::text_of;

namespace {

std::string joined(const json::array& values, const char* separator) {
  std::string out;
  for (const auto& item : values) out += (out.empty() ? "" : separator) + scalar_text(item);
  return out;
}

const json::value* by_name(const json::array& list, std::string_view name) {
  for (const auto& item : list) {
    if (text_of(item, "name") == name) return &item;
  }
  return nullptr;
}

void describe_state(std::string_view title, const json::value& state, int depth, DescribeText& out) {
  if (pick(state, "running") != nullptr) {
    out.field(depth, title, "Running");
    out.field(depth + 1, "Started", long_time(text_of(state, "running.startedAt")));
  } else if (pick(state, "terminated") != nullptr) {
    out.field(depth, title, "Terminated");
    const auto& end = *pick(state, "terminated");
    if (!text_of(end, "reason").empty()) out.field(depth + 1, "Reason", text_of(end, "reason"));
    if (!text_of(end, "message").empty()) out.field(depth + 1, "Message", text_of(end, "message"));
    out.field(depth + 1, "Exit Code", std::to_string(number_of(end, "exitCode")));
    if (number_of(end, "signal") > 0) out.field(depth + 1, "Signal", std::to_string(number_of(end, "signal")));
    out.field(depth + 1, "Started", long_time(text_of(end, "startedAt")));
    out.field(depth + 1, "Finished", long_time(text_of(end, "finishedAt")));
  } else {
    out.field(depth, title, "Waiting");
    const auto reason = text_of(state, "waiting.reason");
    if (!reason.empty()) out.field(depth + 1, "Reason", reason);
  }
}

std::string probe_text(const json::value& probe) {
  std::string out;
  if (const auto* exec = pick(probe, "exec")) {
    out = "exec [" + joined(list_of(*exec, "command"), " ") + "]";
  } else if (const auto* http = pick(probe, "httpGet")) {
    auto scheme = text_of(*http, "scheme");
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    const auto* port = pick(*http, "port");
    out = "http-get " + scheme + "://" + text_of(*http, "host") + ":" + (port == nullptr ? "" : scalar_text(*port)) +
          text_of(*http, "path");
  } else if (const auto* tcp = pick(probe, "tcpSocket")) {
    const auto* port = pick(*tcp, "port");
    out = "tcp-socket " + text_of(*tcp, "host") + ":" + (port == nullptr ? "" : scalar_text(*port));
  } else if (const auto* grpc = pick(probe, "grpc")) {
    out = "grpc <pod>:" + std::to_string(number_of(*grpc, "port")) + " " + text_of(*grpc, "service");
  } else {
    out = "unknown";
  }
  const auto number = [&](const char* name) { return std::to_string(number_of(probe, name)); };
  return out + " delay=" + number("initialDelaySeconds") + "s timeout=" + number("timeoutSeconds") +
         "s period=" + number("periodSeconds") + "s #success=" + number("successThreshold") +
         " #failure=" + number("failureThreshold");
}

void describe_resources(const json::value& container, int depth, DescribeText& out) {
  const std::array<std::pair<const char*, const char*>, 2> kinds{
      {{"Limits", "resources.limits"}, {"Requests", "resources.requests"}}};
  for (const auto& [title, path] : kinds) {
    const auto& amounts = map_of(container, path);
    if (amounts.empty()) continue;
    out.line(depth, std::string(title) + ":");
    std::vector<std::pair<std::string, std::string>> sorted;
    for (const auto& entry : amounts) sorted.emplace_back(std::string(entry.key()), scalar_text(entry.value()));
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [name, amount] : sorted) out.field(depth + 1, name, amount);
  }
}

std::string env_value(const json::value& variable, const json::value& pod) {
  if (const auto* field = pick(variable, "valueFrom.fieldRef")) {
    const auto path = text_of(*field, "fieldPath");
    auto text = path.find('[') == std::string::npos ? text_of(pod, path) : std::string();
    if (path == "status.podIP") text = text_of(pod, "status.podIP");
    return text + " (" + text_of(*field, "apiVersion") + ":" + path + ")";
  }
  if (const auto* resource = pick(variable, "valueFrom.resourceFieldRef")) {
    return text_of(*resource, "resource");
  }
  if (const auto* secret = pick(variable, "valueFrom.secretKeyRef")) {
    return "<set to the key '" + text_of(*secret, "key") + "' in secret '" + text_of(*secret, "name") +
           "'>\tOptional: " + (flag_of(*secret, "optional") ? "true" : "false");
  }
  if (const auto* map = pick(variable, "valueFrom.configMapKeyRef")) {
    return "<set to the key '" + text_of(*map, "key") + "' of config map '" + text_of(*map, "name") +
           "'>\tOptional: " + (flag_of(*map, "optional") ? "true" : "false");
  }
  return text_of(variable, "value");
}

void describe_environment(const json::value& container, const json::value& pod, int depth, DescribeText& out) {
  const auto& from = list_of(container, "envFrom");
  if (!from.empty()) {
    out.line(depth, "Environment Variables from:");
    for (const auto& source : from) {
      const bool map = pick(source, "configMapRef") != nullptr;
      const auto& ref = map ? map_of(source, "configMapRef") : map_of(source, "secretRef");
      const json::value body(ref);
      out.line(depth + 1, text_of(body, "name") + "\t" + (map ? "ConfigMap" : "Secret") +
                              "\tOptional: " + (flag_of(body, "optional") ? "true" : "false"));
    }
  }
  const auto& variables = list_of(container, "env");
  if (variables.empty()) {
    out.field(depth, "Environment", "<none>");
    return;
  }
  out.line(depth, "Environment:");
  for (const auto& variable : variables) {
    auto value = env_value(variable, pod);
    for (size_t at = value.find('\n'); at != std::string::npos; at = value.find('\n', at + 1)) {
      value.insert(at + 1, std::string(static_cast<size_t>(depth + 1) * 2, ' ') + "\t");
    }
    out.field(depth + 1, text_of(variable, "name"), value);
  }
}

void describe_mounts(const json::value& container, int depth, DescribeText& out) {
  const auto& mounts = list_of(container, "volumeMounts");
  if (mounts.empty()) {
    out.field(depth, "Mounts", "<none>");
    return;
  }
  out.line(depth, "Mounts:");
  std::vector<std::string> lines;
  for (const auto& mount : mounts) {
    auto line = text_of(mount, "mountPath") + " from " + text_of(mount, "name") + " (" +
                (flag_of(mount, "readOnly") ? "ro" : "rw");
    if (!text_of(mount, "subPath").empty()) line += ",path=\"" + text_of(mount, "subPath") + "\"";
    lines.push_back(line + ")");
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& line : lines) out.line(depth + 1, line);
}

void describe_ports(const json::value& container, int depth, DescribeText& out) {
  const auto& ports = list_of(container, "ports");
  std::string inside;
  std::string outside;
  for (const auto& port : ports) {
    auto protocol = text_of(port, "protocol");
    if (protocol.empty()) protocol = "TCP";
    inside += (inside.empty() ? "" : ", ") + std::to_string(number_of(port, "containerPort")) + "/" + protocol;
    outside += (outside.empty() ? "" : ", ") + std::to_string(number_of(port, "hostPort")) + "/" + protocol;
    const auto name = text_of(port, "name");
    if (!name.empty()) {
      inside += " (" + name + ")";
      outside += " (" + name + ")";
    }
  }
  const char* plural = ports.size() > 1 ? "s" : "";
  out.field(depth, std::string("Port") + plural, inside.empty() ? "<none>" : inside);
  out.field(depth, std::string("Host Port") + plural, outside.empty() ? "<none>" : outside);
}

void describe_container(const json::value& container, const json::value* status, const json::value& pod, int depth,
                        DescribeText& out) {
  // Within a template the name stands one blank further in; the fields are where they are everywhere.
  out.line(1, (depth > 0 ? " " : "") + text_of(container, "name") + ":");
  const int in = 2;
  if (status != nullptr) {
    out.field(in, "Container ID", text_of(*status, "containerID"));
  }
  out.field(in, "Image", text_of(container, "image"));
  if (status != nullptr) out.field(in, "Image ID", text_of(*status, "imageID"));
  describe_ports(container, in, out);
  for (const auto* part : {"command", "args"}) {
    const auto& words = list_of(container, part);
    if (words.empty()) continue;
    out.line(in, part == std::string_view("command") ? "Command:" : "Args:");
    for (const auto& word : words) {
      auto text = scalar_text(word);
      for (size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        out.line(in + 1, text.substr(at, end - at));
        at = end + 1;
      }
    }
  }
  if (status != nullptr) {
    static const json::value none = json::object();
    const auto* state = pick(*status, "state");
    describe_state("State", state == nullptr ? none : *state, in, out);
    const auto* last = pick(*status, "lastState.terminated");
    if (last != nullptr) describe_state("Last State", *pick(*status, "lastState"), in, out);
    out.field(in, "Ready", flag_of(*status, "ready") ? "True" : "False");
    out.field(in, "Restart Count", std::to_string(number_of(*status, "restartCount")));
  }
  describe_resources(container, in, out);
  const std::array<std::pair<const char*, const char*>, 3> probes{
      {{"Liveness", "livenessProbe"}, {"Readiness", "readinessProbe"}, {"Startup", "startupProbe"}}};
  for (const auto& [title, path] : probes) {
    if (const auto* probe = pick(container, path)) out.field(in, title, probe_text(*probe));
  }
  describe_environment(container, pod, in, out);
  describe_mounts(container, in, out);
}

std::string yes(bool value) {
  return value ? "true" : "false";
}

// kubectl shows a flag that nobody set as <nil> here.
std::string optional_text(const json::value& source) {
  return pick(source, "optional") == nullptr ? "<nil>" : yes(flag_of(source, "optional"));
}

void describe_projected(const json::value& volume, int depth, DescribeText& out) {
  out.field(depth, "Type", "Projected (a volume that contains injected data from multiple sources)");
  for (const auto& source : list_of(volume, "projected.sources")) {
    if (const auto* token = pick(source, "serviceAccountToken")) {
      out.field(depth, "TokenExpirationSeconds", std::to_string(number_of(*token, "expirationSeconds")));
    } else if (const auto* map = pick(source, "configMap")) {
      out.field(depth, "ConfigMapName", text_of(*map, "name"));
      out.field(depth, "ConfigMapOptional", optional_text(*map));
    } else if (const auto* secret = pick(source, "secret")) {
      out.field(depth, "SecretName", text_of(*secret, "name"));
      out.field(depth, "SecretOptionalName", optional_text(*secret));
    } else if (pick(source, "downwardAPI") != nullptr) {
      out.field(depth, "DownwardAPI", "true");
    }
  }
}

}  // namespace

void describe_containers(std::string_view title, const json::array& containers, const json::array& statuses,
                         const json::value& pod, int depth, DescribeText& out) {
  if (containers.empty()) {
    out.line(depth, std::string(title) + ": <none>");
    return;
  }
  out.line(depth, std::string(title) + ":");
  for (const auto& container : containers) {
    describe_container(container, by_name(statuses, text_of(container, "name")), pod, depth, out);
  }
}

void describe_volumes(const json::array& volumes, int depth, DescribeText& out) {
  if (volumes.empty()) {
    out.field(depth, "Volumes", "<none>");
    return;
  }
  out.line(depth, "Volumes:");
  for (const auto& volume : volumes) {
    const int in = 2;
    out.line(1, (depth > 0 ? " " : "") + text_of(volume, "name") + ":");
    const auto or_none = [](std::string text) { return text.empty() ? std::string("<unset>") : text; };
    if (const auto* path = pick(volume, "hostPath")) {
      out.field(in, "Type", "HostPath (bare host directory volume)");
      out.field(in, "Path", text_of(*path, "path"));
      out.field(in, "HostPathType", text_of(*path, "type"));
    } else if (const auto* empty = pick(volume, "emptyDir")) {
      out.field(in, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
      out.field(in, "Medium", text_of(*empty, "medium"));
      out.field(in, "SizeLimit", or_none(text_of(*empty, "sizeLimit")));
    } else if (const auto* map = pick(volume, "configMap")) {
      out.field(in, "Type", "ConfigMap (a volume populated by a ConfigMap)");
      out.field(in, "Name", text_of(*map, "name"));
      out.field(in, "Optional", yes(flag_of(*map, "optional")));
    } else if (const auto* secret = pick(volume, "secret")) {
      out.field(in, "Type", "Secret (a volume populated by a Secret)");
      out.field(in, "SecretName", text_of(*secret, "secretName"));
      out.field(in, "Optional", yes(flag_of(*secret, "optional")));
    } else if (const auto* claim = pick(volume, "persistentVolumeClaim")) {
      out.field(in, "Type", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)");
      out.field(in, "ClaimName", text_of(*claim, "claimName"));
      out.field(in, "ReadOnly", yes(flag_of(*claim, "readOnly")));
    } else if (const auto* nfs = pick(volume, "nfs")) {
      out.field(in, "Type", "NFS (an NFS mount that lasts the lifetime of a pod)");
      out.field(in, "Server", text_of(*nfs, "server"));
      out.field(in, "Path", text_of(*nfs, "path"));
      out.field(in, "ReadOnly", yes(flag_of(*nfs, "readOnly")));
    } else if (pick(volume, "projected") != nullptr) {
      describe_projected(volume, in, out);
    } else {
      out.line(in, "<unknown>");
    }
  }
}

namespace {

void describe_tolerations(const json::value& pod, DescribeText& out) {
  const auto& tolerations = list_of(pod, "spec.tolerations");
  if (tolerations.empty()) {
    out.field(0, "Tolerations", "<none>");
    return;
  }
  std::vector<std::string> lines;
  for (const auto& toleration : tolerations) {
    auto text = text_of(toleration, "key");
    const auto value = text_of(toleration, "value");
    const auto effect = text_of(toleration, "effect");
    if (!value.empty()) text += "=" + value;
    if (!effect.empty()) text += ":" + effect;
    if (text_of(toleration, "operator") == "Exists" && value.empty())
      text += effect.empty() && text.empty() ? "op=Exists" : " op=Exists";
    if (pick(toleration, "tolerationSeconds") != nullptr) {
      text += " for " + short_duration(number_of(toleration, "tolerationSeconds"));
      // Durations here are Go's, which keep the smaller units.
      const auto seconds = number_of(toleration, "tolerationSeconds");
      if (seconds % 60 == 0 && seconds >= 60 && seconds < 3600) {
        text.replace(text.rfind(" for ") + 5, std::string::npos, std::to_string(seconds) + "s");
      }
    }
    lines.push_back(text);
  }
  std::sort(lines.begin(), lines.end());
  for (size_t i = 0; i < lines.size(); ++i) out.line(0, (i == 0 ? "Tolerations:\t" : "\t") + lines[i]);
}

std::string qos_of(const json::value& pod) {
  const auto told = text_of(pod, "status.qosClass");
  if (!told.empty()) return told;
  bool any = false;
  bool guaranteed = true;
  for (const auto& container : list_of(pod, "spec.containers")) {
    const auto& limits = map_of(container, "resources.limits");
    const auto& requests = map_of(container, "resources.requests");
    any = any || !limits.empty() || !requests.empty();
    guaranteed =
        guaranteed && limits.contains("cpu") && limits.contains("memory") && (requests.empty() || requests == limits);
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

void describe_pod_head(const json::value& pod, const DescribeContext& context, DescribeText& out) {
  out.field(0, "Name", text_of(pod, "metadata.name"));
  out.field(0, "Namespace", text_of(pod, "metadata.namespace"));
  if (pick(pod, "spec.priority") != nullptr) out.field(0, "Priority", std::to_string(number_of(pod, "spec.priority")));
  if (!text_of(pod, "spec.priorityClassName").empty()) {
    out.field(0, "Priority Class Name", text_of(pod, "spec.priorityClassName"));
  }
  if (!text_of(pod, "spec.runtimeClassName").empty()) {
    out.field(0, "Runtime Class Name", text_of(pod, "spec.runtimeClassName"));
  }
  if (!text_of(pod, "spec.serviceAccountName").empty()) {
    out.field(0, "Service Account", text_of(pod, "spec.serviceAccountName"));
  }
  const auto node = text_of(pod, "spec.nodeName");
  out.field(0, "Node", node.empty() ? "<none>" : node + "/" + text_of(pod, "status.hostIP"));
  const auto started = text_of(pod, "status.startTime");
  if (!started.empty()) out.field(0, "Start Time", long_time(started));
  out.labels(0, "Labels", map_of(pod, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(pod, "metadata.annotations"));
  const auto phase = text_of(pod, "status.phase");
  const auto deleted = text_of(pod, "metadata.deletionTimestamp");
  if (!deleted.empty() && phase != "Failed" && phase != "Succeeded") {
    out.field(0, "Status", "Terminating (lasts " + age_of(deleted, context.now_s) + ")");
    out.field(0, "Termination Grace Period",
              std::to_string(number_of(pod, "metadata.deletionGracePeriodSeconds")) + "s");
  } else {
    out.field(0, "Status", phase);
  }
  if (!text_of(pod, "status.reason").empty()) out.field(0, "Reason", text_of(pod, "status.reason"));
  if (!text_of(pod, "status.message").empty()) out.field(0, "Message", text_of(pod, "status.message"));
  if (pick(pod, "spec.securityContext.seccompProfile") != nullptr) {
    out.field(0, "SeccompProfile", text_of(pod, "spec.securityContext.seccompProfile.type"));
  }
  out.field(0, "IP", text_of(pod, "status.podIP"));
  const auto& addresses = list_of(pod, "status.podIPs");
  if (addresses.empty()) {
    out.field(0, "IPs", "<none>");
  } else {
    out.line(0, "IPs:");
    for (const auto& address : addresses) out.field(1, "IP", text_of(address, "ip"));
  }
  if (const auto owner = controller_of(pod); !owner.empty()) out.field(0, "Controlled By", owner);
  if (!text_of(pod, "status.nominatedNodeName").empty()) {
    out.field(0, "NominatedNodeName", text_of(pod, "status.nominatedNodeName"));
  }
}

}  // namespace

std::string describe_pod(const json::value& pod, const DescribeContext& context) {
  DescribeText out;
  describe_pod_head(pod, context, out);
  const auto& first = list_of(pod, "spec.initContainers");
  if (!first.empty()) {
    describe_containers("Init Containers", first, list_of(pod, "status.initContainerStatuses"), pod, 0, out);
  }
  describe_containers("Containers", list_of(pod, "spec.containers"), list_of(pod, "status.containerStatuses"), pod, 0,
                      out);
  const auto& conditions = list_of(pod, "status.conditions");
  if (!conditions.empty()) {
    out.line(0, "Conditions:\n  Type\tStatus");
    for (const auto& condition : conditions) {
      out.line(1, text_of(condition, "type") + " \t" + text_of(condition, "status") + " ");
    }
  }
  describe_volumes(list_of(pod, "spec.volumes"), 0, out);
  out.field(0, "QoS Class", qos_of(pod));
  out.labels(0, "Node-Selectors", map_of(pod, "spec.nodeSelector"));
  describe_tolerations(pod, out);
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

void describe_pod_template(const json::value& pod_template, DescribeText& out) {
  out.line(0, "Pod Template:");
  out.labels(1, "Labels", map_of(pod_template, "metadata.labels"));
  if (!map_of(pod_template, "metadata.annotations").empty()) {
    out.annotations(1, "Annotations", map_of(pod_template, "metadata.annotations"));
  }
  const auto account = text_of(pod_template, "spec.serviceAccountName");
  if (!account.empty()) out.field(1, "Service Account", account);
  const auto& first = list_of(pod_template, "spec.initContainers");
  static const json::array none;
  if (!first.empty()) describe_containers("Init Containers", first, none, pod_template, 1, out);
  describe_containers("Containers", list_of(pod_template, "spec.containers"), none, pod_template, 1, out);
  describe_volumes(list_of(pod_template, "spec.volumes"), 1, out);
  out.labels(1, "Node-Selectors", map_of(pod_template, "spec.nodeSelector"));
  DescribeText tolerations;
  const auto& list = list_of(pod_template, "spec.tolerations");
  if (list.empty()) {
    out.field(1, "Tolerations", "<none>");
  } else {
    bool head = true;
    for (const auto& toleration : list) {
      auto text = text_of(toleration, "key");
      if (!text_of(toleration, "value").empty()) text += "=" + text_of(toleration, "value");
      if (!text_of(toleration, "effect").empty()) text += ":" + text_of(toleration, "effect");
      if (text_of(toleration, "operator") == "Exists") text += " op=Exists";
      out.line(1, (head ? "Tolerations:\t" : "\t") + text);
      head = false;
    }
  }
}

}  // namespace orlop::cli
