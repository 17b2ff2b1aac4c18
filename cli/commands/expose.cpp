// expose and set image.
#include "cli/commands/pods_of.hpp"
#include "cli/commands/printing.hpp"
#include "cli/commands/record.hpp"
#include "cli/commands/registry.hpp"

#include <algorithm>
#include <cstdlib>

namespace orlop::cli {
namespace {

using client::list_of;
using client::map_of;
using client::number_of;
using client::pick;
using client::text_of;

Result<json::object> labels_to_select(const Session& session, const ResourceInfo& info, const json::value& object) {
  json::object out;
  if (!session.args.text("selector").empty()) {
    const auto text = session.args.text("selector");
    for (size_t at = 0; at < text.size();) {
      const auto comma = std::min(text.find(',', at), text.size());
      const auto pair = text.substr(at, comma - at);
      at = comma + 1;
      const auto equals = pair.find('=');
      if (equals == std::string::npos) return user_error("couldn't retrieve selectors via --selector flag: " + pair);
      out[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    return out;
  }
  const std::string head = "couldn't retrieve selectors via --selector flag or introspection: ";
  if (info.kind == "Pod") {
    out = map_of(object, "metadata.labels");
    if (out.empty()) return user_error(head + "the pod has no labels and cannot be exposed");
  } else if (info.kind == "Service" || info.kind == "ReplicationController") {
    out = map_of(object, "spec.selector");
    if (out.empty()) return user_error(head + "the service has no pod selector set");
  } else if (info.kind == "Deployment" || info.kind == "ReplicaSet") {
    if (!list_of(object, "spec.selector.matchExpressions").empty()) {
      return user_error(head + "couldn't convert expressions - \"matchExpressions\" to map-based selector format");
    }
    out = map_of(object, "spec.selector.matchLabels");
  } else {
    return user_error("cannot expose a " + info.kind + (info.group.empty() ? "" : "." + info.group));
  }
  return out;
}

json::value port_value(const std::string& text) {
  const auto number = std::atoll(text.c_str());
  if (number > 0) return number;
  return json::string(text);
}

json::array ports_of(const Session& session, const ResourceInfo& info, const json::value& object) {
  struct Port {
    int64_t number;
    std::string protocol;
  };
  std::vector<Port> found;
  const auto& flag = session.args.list("port");
  for (const auto& word : flag) found.push_back({std::atoll(word.c_str()), ""});
  if (found.empty()) {
    const char* path = info.kind == "Pod" ? "spec.containers" : "spec.template.spec.containers";
    for (const auto& container : list_of(object, path)) {
      for (const auto& port : list_of(container, "ports")) {
        found.push_back({number_of(port, "containerPort"), text_of(port, "protocol")});
      }
    }
    if (info.kind == "Service") {
      for (const auto& port : list_of(object, "spec.ports"))
        found.push_back({number_of(port, "port"), text_of(port, "protocol")});
    }
  }
  json::array out;
  for (size_t i = 0; i < found.size(); ++i) {
    auto protocol = session.args.text("protocol");
    if (protocol.empty()) protocol = found[i].protocol.empty() ? "TCP" : found[i].protocol;
    json::object port{{"port", found[i].number}, {"protocol", protocol}};
    const auto target = session.args.text("target-port");
    port["targetPort"] = target.empty() ? json::value(found[i].number) : port_value(target);
    if (found.size() > 1) port["name"] = "port-" + std::to_string(i + 1);
    out.push_back(std::move(port));
  }
  return out;
}

Outcome expose_one(Session& session, const FileRef& ref) {
  auto& args = session.args;
  ORLOP_ASSIGN(const auto object, session.get(ref.info->path(ref.name_space, ref.name)));
  ORLOP_ASSIGN(const auto selector, labels_to_select(session, *ref.info, object));
  auto ports = ports_of(session, *ref.info, object);
  if (ports.empty()) return user_error("couldn't find port via --port flag or introspection");
  const auto name = args.text("name").empty() ? ref.name : args.text("name");
  json::value service = json::object{{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", {{"name", name}}}};
  auto& meta = client::make_map(service, "metadata");
  auto labels = map_of(object, "metadata.labels");
  for (const auto& pair : args.list("labels")) {
    const auto equals = pair.find('=');
    if (equals != std::string::npos) labels[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  if (!labels.empty()) meta["labels"] = labels;
  if (args.given("namespace")) meta["namespace"] = ref.name_space;
  auto& spec = client::make_map(service, "spec");
  spec["ports"] = std::move(ports);
  spec["selector"] = selector;
  if (!args.text("type").empty()) spec["type"] = args.text("type");
  if (!args.text("cluster-ip").empty()) spec["clusterIP"] = args.text("cluster-ip");
  if (!args.text("load-balancer-ip").empty()) spec["loadBalancerIP"] = args.text("load-balancer-ip");
  if (!args.text("session-affinity").empty()) spec["sessionAffinity"] = args.text("session-affinity");
  if (!args.text("external-ip").empty()) spec["externalIPs"] = json::array{json::string(args.text("external-ip"))};
  ORLOP_ASSIGN(const auto* services, session.find_kind("services"));
  if (args.text("dry-run") == "client") return print_result(session, *services, service, "exposed");
  const auto query =
      query_of({{"fieldManager", "kubectl-expose"}, {"dryRun", args.text("dry-run") == "server" ? "All" : ""}});
  ORLOP_ASSIGN(const auto made, session.send("POST", services->path(ref.name_space) + query, service));
  return print_result(session, *services, made, "exposed");
}

Result<std::vector<FileRef>> named_objects(Session& session, const std::vector<std::string>& words) {
  if (!session.args.list("filename").empty()) return refs_of_files(session);
  ORLOP_ASSIGN(const auto refs, session.refs_of(words));
  std::vector<FileRef> out;
  for (const auto& ref : refs) {
    if (!ref.name.empty()) {
      out.push_back({ref.info, session.scope_of(*ref.info), ref.name});
      continue;
    }
    if (!session.args.on("all")) return user_error("resource(s) were provided, but no name was specified");
    ORLOP_ASSIGN(const auto list, session.get(ref.info->path(session.scope_of(*ref.info))));
    for (const auto& item : list_of(list, "items")) {
      out.push_back({ref.info, text_of(item, "metadata.namespace"), text_of(item, "metadata.name")});
    }
  }
  if (out.empty())
    return user_error("one or more resources must be specified as <resource> <name> or <resource>/<name>");
  return out;
}

Outcome expose(Session& session) {
  ORLOP_ASSIGN(const auto targets, named_objects(session, session.args.words));
  int code = 0;
  for (const auto& target : targets) {
    const auto outcome = expose_one(session, target);
    if (!outcome.is_ok()) code = session.complain(outcome.status());
  }
  return code;
}

using Images = std::vector<std::pair<std::string, std::string>>;

// The patch for one list of containers; `named` learns which containers were found.
json::array image_patch(const json::array& containers, const Images& images, std::vector<bool>& named) {
  json::array out;
  for (const auto& container : containers) {
    const auto name = text_of(container, "name");
    for (size_t i = 0; i < images.size(); ++i) {
      if (images[i].first != name && images[i].first != "*") continue;
      named[i] = true;
      if (text_of(container, "image") != images[i].second) {
        out.push_back(json::object{{"name", name}, {"image", images[i].second}});
      }
    }
  }
  return out;
}

Outcome set_image_of(Session& session, const FileRef& ref, const Images& images) {
  const auto path = ref.info->path(ref.name_space, ref.name);
  ORLOP_ASSIGN(const auto object, session.get(path));
  const std::string spec = ref.info->kind == "Pod"       ? "spec"
                           : ref.info->kind == "CronJob" ? "spec.jobTemplate.spec.template.spec"
                                                         : "spec.template.spec";
  json::value patch = json::object();
  std::vector<bool> named(images.size(), false);
  for (const auto* list : {"containers", "initContainers"}) {
    auto changes = image_patch(list_of(object, spec + "." + list), images, named);
    if (!changes.empty()) client::make_map(patch, spec)[list] = std::move(changes);
  }
  for (size_t i = 0; i < images.size(); ++i) {
    if (!named[i]) return user_error("unable to find container named \"" + images[i].first + "\"");
  }
  if (patch.get_object().empty()) return 0;
  add_change_cause(session, patch);
  if (session.args.text("dry-run") == "client") return print_result(session, *ref.info, object, "image updated");
  const auto query =
      query_of({{"fieldManager", "kubectl-set"}, {"dryRun", session.args.text("dry-run") == "server" ? "All" : ""}});
  ORLOP_ASSIGN(const auto changed,
               session.send("PATCH", path + query, patch, "", "application/strategic-merge-patch+json"));
  return print_result(session, *ref.info, changed, "image updated");
}

Outcome set_image(Session& session) {
  std::vector<std::string> words;
  Images images;
  for (const auto& word : session.args.words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) {
      words.push_back(word);
    } else {
      images.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  if (images.empty()) return user_error("at least one image update is required");
  ORLOP_ASSIGN(const auto targets, named_objects(session, words));
  warn_of_record(session);
  int code = 0;
  for (const auto& target : targets) {
    const auto outcome = set_image_of(session, target, images);
    if (!outcome.is_ok()) code = session.complain(outcome.status());
  }
  return code;
}

}  // namespace

void add_expose_commands(std::vector<Command>& out) {
  auto flags = file_flags();
  for (const auto& flag : {output_flag(), dry_run_flag()}) flags.push_back(flag);
  flags.push_back({"port", 0, FlagKind::kList, "", "The service's port; else those of the containers"});
  flags.push_back({"target-port", 0, FlagKind::kText, "", "The container's port, number or name"});
  flags.push_back({"type", 0, FlagKind::kText, "", "ClusterIP, NodePort, LoadBalancer"});
  flags.push_back({"name", 0, FlagKind::kText, "", "The service's name; else the object's"});
  flags.push_back({"protocol", 0, FlagKind::kText, "", "TCP, UDP or SCTP"});
  flags.push_back({"selector", 0, FlagKind::kText, "", "Labels of the pods; else the object's"});
  flags.push_back({"labels", 'l', FlagKind::kList, "", "Labels of the service"});
  flags.push_back({"cluster-ip", 0, FlagKind::kText, "", "The address, or None"});
  flags.push_back({"external-ip", 0, FlagKind::kText, "", "An address outside that is accepted too"});
  flags.push_back({"load-balancer-ip", 0, FlagKind::kText, "", "The balancer's address"});
  flags.push_back({"session-affinity", 0, FlagKind::kText, "", "None or ClientIP"});
  out.push_back(
      {"expose", "(-f FILENAME | TYPE NAME) [--port=PORT]", "Make a service for a workload", std::move(flags), expose});
}

void add_set_commands(std::vector<Command>& out) {
  auto flags = file_flags();
  for (const auto& flag : {output_flag(), dry_run_flag()}) flags.push_back(flag);
  flags.push_back({"all", 0, FlagKind::kSwitch, "", "All objects of the kind"});
  flags.push_back({"record", 0, FlagKind::kSwitch, "", "Remember the command line as the change's cause"});
  out.push_back({"set image", "(-f FILENAME | TYPE NAME) CONTAINER=IMAGE ...", "Change containers' images",
                 std::move(flags), set_image});
}

}  // namespace orlop::cli
