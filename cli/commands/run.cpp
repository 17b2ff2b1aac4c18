// run: a pod out of flags, and joining its streams.
#include "cli/commands/registry.hpp"
#include "cli/commands/streaming.hpp"
#include "cli/commands/watching.hpp"

#include <cstdlib>

namespace orlop::cli {
namespace {

using client::text_of;

Result<json::value> pod_of(const Session& session, const std::string& name) {
  const auto& args = session.args;
  json::object container{{"image", args.text("image")}, {"name", name}, {"resources", json::object()}};
  if (!args.text("image-pull-policy").empty()) container["imagePullPolicy"] = args.text("image-pull-policy");
  if (args.on("stdin")) container["stdin"] = true;
  if (args.on("stdin")) container["stdinOnce"] = true;
  if (args.on("tty")) container["tty"] = true;
  if (args.given("port")) container["ports"] = json::array{json::object{{"containerPort", args.number("port")}}};
  json::array env;
  for (const auto& pair : args.list("env")) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) return user_error("invalid env: " + pair);
    env.push_back(json::object{{"name", pair.substr(0, equals)}, {"value", pair.substr(equals + 1)}});
  }
  if (!env.empty()) container["env"] = std::move(env);
  json::array words;
  for (size_t i = 1; i < args.words.size(); ++i) words.push_back(json::string(args.words[i]));
  if (!words.empty()) container[args.on("command") ? "command" : "args"] = std::move(words);

  json::object labels;
  for (const auto& pair : args.list("labels")) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) return user_error("unexpected label spec: " + pair);
    labels[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  if (labels.empty()) labels["run"] = name;
  json::object annotations;
  for (const auto& pair : args.list("annotations")) {
    const auto equals = pair.find('=');
    if (equals != std::string::npos) annotations[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  const auto restart = args.text("restart");
  if (restart != "Always" && restart != "OnFailure" && restart != "Never") {
    return user_error("invalid restart policy: " + restart);
  }
  json::value pod = json::object{
      {"apiVersion", "v1"},
      {"kind", "Pod"},
      {"metadata", {{"creationTimestamp", nullptr}, {"labels", labels}, {"name", name}}},
      {"spec", {{"containers", json::array{container}}, {"dnsPolicy", "ClusterFirst"}, {"restartPolicy", restart}}},
      {"status", json::object()}};
  if (!annotations.empty()) client::make_map(pod, "metadata")["annotations"] = std::move(annotations);
  return pod;
}

Outcome join(Session& session, const ResourceInfo& pods, const std::string& name_space, const std::string& name) {
  auto& args = session.args;
  bool running = false;
  ORLOP_ASSIGN(const auto end,
               watch_object(session, pods, name_space, name, deadline_after(60), [&](const json::value& pod) {
                 const auto phase = text_of(pod, "status.phase");
                 running = phase == "Running";
                 return running || phase == "Succeeded" || phase == "Failed";
               }));
  if (end == Watched::kTimedOut) return user_error("timed out waiting for the condition");
  if (!running) {
    // It was over before anyone could look: its log is what there is to see.
    ORLOP_ASSIGN(const auto log, session.call("GET", pods.path(name_space, name, "log")));
    session.io.out << log.body;
    return 0;
  }
  const bool terminal = args.on("tty") && session.io.terminal;
  if (args.on("stdin")) session.io.err << "If you don't see a command prompt, try pressing enter.\n";
  const std::string query = "?container=" + encode_query(name) + (args.on("stdin") ? "&stdin=true" : "") +
                            "&stdout=true" + (terminal ? "&tty=true" : "&stderr=true");
  return run_stream(session, {pods.path(name_space, name, "attach") + query, args.on("stdin"), terminal});
}

Outcome run(Session& session) {
  auto& args = session.args;
  if (args.words.empty()) return user_error("NAME is required for run\nSee 'orlop run -h' for help and examples");
  if (args.text("image").empty()) return user_error("required flag(s) \"image\" not set");
  const auto name = args.words.front();
  const bool joins = args.on("attach") || args.on("stdin");
  if (args.on("rm") && !joins) return user_error("--rm should only be used for attached containers");
  ORLOP_ASSIGN(auto pod, pod_of(session, name));
  ORLOP_ASSIGN(const auto* pods, session.find_kind("pods"));
  const auto name_space = session.name_space();
  if (args.given("namespace")) client::make_map(pod, "metadata")["namespace"] = name_space;
  if (args.text("dry-run") == "client") return print_result(session, *pods, pod, "created");
  json::value sent = pod;
  client::make_map(sent, "metadata").erase("creationTimestamp");
  const auto query =
      query_of({{"fieldManager", "kubectl-run"}, {"dryRun", args.text("dry-run") == "server" ? "All" : ""}});
  ORLOP_ASSIGN(const auto made, session.send("POST", pods->path(name_space) + query, sent));
  if (args.on("expose")) {
    const json::value service = json::object{
        {"apiVersion", "v1"},
        {"kind", "Service"},
        {"metadata", {{"name", name}}},
        {"spec",
         {{"ports", json::array{json::object{
                        {"port", args.number("port")}, {"protocol", "TCP"}, {"targetPort", args.number("port")}}}},
          {"selector", *client::pick(pod, "metadata.labels")}}}};
    ORLOP_ASSIGN(const auto* services, session.find_kind("services"));
    ORLOP_ASSIGN(const auto exposed, session.send("POST", services->path(name_space), service));
    ORLOP_TRY(print_result(session, *services, exposed, "created").status());
  }
  if (!joins) return print_result(session, *pods, made, "created");
  const auto outcome = join(session, *pods, name_space, name);
  if (args.on("rm")) {
    ORLOP_TRY(session.call("DELETE", pods->path(name_space, name)).status());
    session.io.out << "pod \"" << name << "\" deleted\n";
  }
  return outcome;
}

}  // namespace

void add_run_commands(std::vector<Command>& out) {
  std::vector<Flag> flags = {
      {"image", 0, FlagKind::kText, "", "The image"},
      {"port", 0, FlagKind::kNumber, "", "The port that the container listens on"},
      {"env", 0, FlagKind::kTexts, "", "NAME=VALUE for the container's environment"},
      {"labels", 'l', FlagKind::kList, "", "KEY=VALUE, several allowed"},
      {"annotations", 0, FlagKind::kTexts, "", "KEY=VALUE"},
      {"restart", 0, FlagKind::kText, "Always", "Always, OnFailure or Never"},
      {"command", 0, FlagKind::kSwitch, "", "The words after -- are the command, not its arguments"},
      {"image-pull-policy", 0, FlagKind::kText, "", "Always, IfNotPresent or Never"},
      {"stdin", 'i', FlagKind::kSwitch, "", "Pass our input on"},
      {"tty", 't', FlagKind::kSwitch, "", "The container's streams are a terminal"},
      {"attach", 0, FlagKind::kSwitch, "", "Join the container's streams"},
      {"rm", 0, FlagKind::kSwitch, "", "Delete the pod afterwards"},
      {"expose", 0, FlagKind::kSwitch, "", "A service for --port as well"},
      {"quiet", 'q', FlagKind::kSwitch, "", "Fewer words"},
      output_flag(),
      dry_run_flag()};
  out.push_back({"run", "NAME --image=IMAGE [-- ARGS]", "Start a pod", std::move(flags), run});
}

}  // namespace orlop::cli
