// create: from files, and the common kinds from flags.
#include "cli/commands/create.hpp"

#include "cli/commands/manifests.hpp"
#include "cli/commands/registry.hpp"

#include <algorithm>
#include <filesystem>

namespace orlop::cli {
namespace {

using client::text_of;

std::string create_query(const Session& session) {
  const auto validate = session.args.text("validate");
  return query_of({{"fieldManager", "kubectl-create"},
                   {"fieldValidation", validate == "false" || validate == "ignore" ? "Ignore"
                                       : validate == "warn"                        ? "Warn"
                                                                                   : "Strict"},
                   {"dryRun", session.args.text("dry-run") == "server" ? "All" : ""}});
}

Outcome create_object(Session& session, const ResourceInfo& info, const std::string& name_space,
                      const json::value& object, const std::string& prefix) {
  if (session.args.text("dry-run") == "client") return print_result(session, info, object, "created");
  json::value sent = object;
  client::make_map(sent, "metadata").erase("creationTimestamp");
  ORLOP_ASSIGN(const auto made, session.send("POST", info.path(name_space) + create_query(session), sent, prefix));
  return print_result(session, info, made, "created");
}

}  // namespace

// For objects made of flags: kubectl's prefix names the verb's kind, "failed to create deployment".
Outcome create_made(Session& session, json::value object, const std::string& what) {
  ORLOP_ASSIGN(const auto* kinds, session.discovery());
  const auto* info = kinds->find_kind(text_of(object, "apiVersion"), text_of(object, "kind"));
  if (info == nullptr) return user_error("the server doesn't have a resource type \"" + text_of(object, "kind") + "\"");
  const auto scope = session.scope_of(*info);
  auto& meta = client::make_map(object, "metadata");
  if (info->namespaced && (session.args.given("namespace") || session.args.text("dry-run") != "client"))
    meta["namespace"] = scope;
  meta["creationTimestamp"] = nullptr;
  return create_object(session, *info, scope, object, what.empty() ? "" : "failed to create " + what + ": ");
}

namespace {

Outcome create(Session& session) {
  const auto files = session.args.list("filename");
  if (!session.args.words.empty()) {
    return user_error("unknown command \"" + session.args.words.front() +
                      "\"\nSee 'orlop create -h' for help and examples");
  }
  if (files.empty()) return user_error("must specify one of -f and -k");
  const auto manifests = read_manifests(session, files);
  int code = 0;
  for (const auto& manifest : manifests.objects) {
    const auto outcome = create_object(session, *manifest.info, manifest.name_space, manifest.object,
                                       "error when creating \"" + manifest.source + "\": ");
    if (!outcome.is_ok()) code = session.complain(outcome.status());
  }
  for (const auto& failure : manifests.failures) code = session.complain(failure);
  if (manifests.objects.empty() && manifests.failures.empty()) return user_error("no objects passed to create");
  return code;
}

}  // namespace

Result<std::string> name_of(const Session& session) {
  const auto& words = session.args.words;
  if (words.size() != 1 && !session.args.dash_index) {
    return user_error("exactly one NAME is required, got " + std::to_string(words.size()));
  }
  if (words.empty()) return user_error("exactly one NAME is required, got 0");
  return words.front();
}

json::value skeleton(std::string_view api_version, std::string_view kind, const std::string& name) {
  return json::object{{"apiVersion", api_version}, {"kind", kind}, {"metadata", {{"name", name}}}};
}

namespace {

Outcome create_namespace(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  auto object = skeleton("v1", "Namespace", name);
  object.as_object()["spec"] = json::object();
  object.as_object()["status"] = json::object();
  return create_made(session, std::move(object), "");
}

Outcome create_service_account(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  return create_made(session, skeleton("v1", "ServiceAccount", name), "serviceaccount");
}

// "registry/nginx:1.25" -> "nginx"
std::string container_name(std::string image) {
  image = image.substr(image.rfind('/') + 1);
  image = image.substr(0, std::min(image.find(':'), image.find('@')));
  for (char& c : image) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? static_cast<char>(std::tolower(c)) : '-';
  return image;
}

json::array words_after_dash(const Session& session) {
  json::array out;
  if (session.args.dash_index) {
    for (size_t i = *session.args.dash_index; i < session.args.words.size(); ++i)
      out.push_back(json::string(session.args.words[i]));
  }
  return out;
}

Result<json::array> containers_of(const Session& session) {
  const auto images = session.args.list("image");
  if (images.empty()) return user_error("required flag(s) \"image\" not set");
  const auto command = words_after_dash(session);
  json::array containers;
  for (const auto& image : images) {
    json::object container{{"image", image}, {"name", container_name(image)}, {"resources", json::object()}};
    if (!command.empty()) container["command"] = command;
    if (session.args.given("port"))
      container["ports"] = json::array{json::object{{"containerPort", session.args.number("port")}}};
    containers.push_back(std::move(container));
  }
  return containers;
}

Outcome create_deployment(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(auto containers, containers_of(session));
  const json::object labels{{"app", name}};
  auto object = skeleton("apps/v1", "Deployment", name);
  client::make_map(object, "metadata")["labels"] = labels;
  object.as_object()["spec"] = json::object{
      {"replicas", session.args.given("replicas") ? session.args.number("replicas") : 1},
      {"selector", {{"matchLabels", labels}}},
      {"strategy", json::object()},
      {"template",
       {{"metadata", {{"creationTimestamp", nullptr}, {"labels", labels}}}, {"spec", {{"containers", containers}}}}}};
  object.as_object()["status"] = json::object();
  return create_made(session, std::move(object), "deployment");
}

Outcome create_job(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(auto containers, containers_of(session));
  containers.front().as_object()["name"] = name;
  auto object = skeleton("batch/v1", "Job", name);
  object.as_object()["spec"] = json::object{{"template",
                                             {{"metadata", {{"creationTimestamp", nullptr}}},
                                              {"spec", {{"containers", containers}, {"restartPolicy", "Never"}}}}}};
  object.as_object()["status"] = json::object();
  return create_made(session, std::move(object), "job");
}

Outcome create_service(Session& session, const std::string& type) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  json::array ports;
  for (const auto& word : session.args.list("tcp")) {
    const auto colon = word.find(':');
    const auto port = word.substr(0, colon);
    const auto target = colon == std::string::npos ? port : word.substr(colon + 1);
    const auto number = std::atoll(port.c_str());
    if (number < 1 || number > 65535) return user_error("invalid port: " + word);
    json::object entry{
        {"name", colon == std::string::npos ? port : port + "-" + target}, {"port", number}, {"protocol", "TCP"}};
    const auto target_number = std::atoll(target.c_str());
    if (target_number > 0) {
      entry["targetPort"] = target_number;
    } else {
      entry["targetPort"] = target;
    }
    if (session.args.number("node-port") > 0) entry["nodePort"] = session.args.number("node-port");
    ports.push_back(std::move(entry));
  }
  const auto cluster_ip = session.args.text("clusterip");
  if (ports.empty() && cluster_ip != "None") return user_error("at least one tcp port specifier must be provided");
  const json::object labels{{"app", name}};
  auto object = skeleton("v1", "Service", name);
  client::make_map(object, "metadata")["labels"] = labels;
  object.as_object()["spec"] = json::object{{"ports", ports}, {"selector", labels}, {"type", type}};
  if (!cluster_ip.empty()) client::make_map(object, "spec")["clusterIP"] = cluster_ip;
  object.as_object()["status"] = {{"loadBalancer", json::object()}};
  return create_made(session, std::move(object), type + " service");
}

Outcome create_cluster_ip(Session& session) {
  return create_service(session, "ClusterIP");
}
Outcome create_node_port(Session& session) {
  return create_service(session, "NodePort");
}
Outcome create_load_balancer(Session& session) {
  return create_service(session, "LoadBalancer");
}

Outcome create_cluster_role_binding(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  auto object = skeleton("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", name);
  object.as_object()["roleRef"] = json::object{
      {"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", session.args.text("clusterrole")}};
  json::array subjects;
  for (const auto& account : session.args.list("serviceaccount")) {
    const auto colon = account.find(':');
    if (colon == std::string::npos) return user_error("serviceaccount must be <namespace>:<name>");
    subjects.push_back(json::object{
        {"kind", "ServiceAccount"}, {"name", account.substr(colon + 1)}, {"namespace", account.substr(0, colon)}});
  }
  for (const auto& [flag, kind] : {std::pair{"user", "User"}, std::pair{"group", "Group"}}) {
    for (const auto& subject : session.args.list(flag)) {
      subjects.push_back(json::object{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", kind}, {"name", subject}});
    }
  }
  object.as_object()["subjects"] = std::move(subjects);
  return create_made(session, std::move(object), "clusterrolebinding");
}

Outcome create_token(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(const auto* accounts, session.find_kind("serviceaccounts"));
  json::value request =
      json::object{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", json::object()}};
  if (session.args.given("duration")) {
    client::make_map(request, "spec")["expirationSeconds"] = static_cast<int64_t>(session.args.seconds("duration"));
  }
  ORLOP_ASSIGN(const auto answer, session.send("POST", accounts->path(session.name_space(), name, "token"), request,
                                               "failed to create token: "));
  session.io.out << text_of(answer, "status.token") << '\n';
  return 0;
}

}  // namespace

std::vector<Flag> made_flags(std::vector<Flag> own) {
  own.push_back(output_flag());
  own.push_back(dry_run_flag());
  own.push_back(
      {"validate", 0, FlagKind::kText, "strict", "strict, warn or ignore unknown and doubled fields", "true"});
  own.push_back({"save-config", 0, FlagKind::kSwitch, "", "Accepted for kubectl's sake"});
  return own;
}

void add_create_commands(std::vector<Command>& out) {
  const Flag image{"image", 0, FlagKind::kList, "", "The image; several give several containers"};
  const Flag port{"port", 0, FlagKind::kNumber, "", "The port that the container listens on"};
  const Flag tcp{"tcp", 0, FlagKind::kList, "", "PORT[:TARGET], several allowed"};
  out.push_back({"create", "-f FILENAME", "Create objects", made_flags(file_flags()), create});
  out.push_back({"create namespace", "NAME", "Create a namespace", made_flags({}), create_namespace});
  out.push_back({"create ns", "NAME", "Create a namespace", made_flags({}), create_namespace});
  const auto deployment = made_flags({image, port, {"replicas", 'r', FlagKind::kNumber, "1", "How many pods"}});
  out.push_back(
      {"create deployment", "NAME --image=IMAGE [-- COMMAND]", "Create a deployment", deployment, create_deployment});
  out.push_back(
      {"create deploy", "NAME --image=IMAGE [-- COMMAND]", "Create a deployment", deployment, create_deployment});
  out.push_back({"create job", "NAME --image=IMAGE [-- COMMAND]", "Create a job", made_flags({image}), create_job});
  add_create_config_commands(out);
  out.push_back({"create service clusterip", "NAME --tcp=PORT:TARGET", "Create a service inside the cluster",
                 made_flags({tcp, {"clusterip", 0, FlagKind::kText, "", "The address, or None"}}), create_cluster_ip});
  out.push_back({"create service nodeport", "NAME --tcp=PORT:TARGET", "Create a service on every node's address",
                 made_flags({tcp, {"node-port", 0, FlagKind::kNumber, "", "The nodes' port"}}), create_node_port});
  out.push_back({"create service loadbalancer", "NAME --tcp=PORT:TARGET", "Create a service with a balancer outside",
                 made_flags({tcp}), create_load_balancer});
  out.push_back({"create serviceaccount", "NAME", "Create a service account", made_flags({}), create_service_account});
  out.push_back({"create sa", "NAME", "Create a service account", made_flags({}), create_service_account});
  out.push_back({"create token", "SERVICE_ACCOUNT", "Make a token of a service account",
                 made_flags({{"duration", 0, FlagKind::kDuration, "0s", "How long it is good for"}}), create_token});
  out.push_back({"create clusterrolebinding", "NAME --clusterrole=NAME [--serviceaccount=NS:NAME]",
                 "Bind a cluster role",
                 made_flags({{"clusterrole", 0, FlagKind::kText, "", "The role"},
                             {"serviceaccount", 0, FlagKind::kList, "", "NAMESPACE:NAME"},
                             {"user", 0, FlagKind::kTexts, "", "A user"},
                             {"group", 0, FlagKind::kTexts, "", "A group"}}),
                 create_cluster_role_binding});
}

}  // namespace orlop::cli
