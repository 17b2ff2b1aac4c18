// logs: what a container wrote.
#include "cli/commands/pods_of.hpp"
#include "cli/commands/registry.hpp"

#include <algorithm>

namespace orlop::cli {
namespace {

using client::list_of;
using client::text_of;

struct Source {
  std::string name_space, pod, container;
  std::string prefix;  // before each line
};

std::string log_query(const Session& session, const std::string& container) {
  const auto& args = session.args;
  std::string since;
  if (args.given("since")) since = std::to_string(static_cast<int64_t>(args.seconds("since") + 0.5));
  std::string tail;
  if (args.given("tail") && args.number("tail") >= 0) tail = args.text("tail");
  if (!args.given("tail") && !args.text("selector").empty()) tail = "10";
  return query_of({{"container", container},
                   {"follow", args.on("follow") ? "true" : ""},
                   {"previous", args.on("previous") ? "true" : ""},
                   {"sinceSeconds", since},
                   {"sinceTime", args.text("since-time")},
                   {"tailLines", tail},
                   {"limitBytes", args.number("limit-bytes") > 0 ? args.text("limit-bytes") : ""},
                   {"timestamps", args.on("timestamps") ? "true" : ""}});
}

Status print_log(Session& session, const Source& source) {
  ORLOP_ASSIGN(const auto* pods, session.find_kind("pods"));
  ORLOP_ASSIGN(auto* http, session.http());
  bool line_begins = true;
  auto& out = session.io.out;
  const auto target = pods->path(source.name_space, source.pod, "log") + log_query(session, source.container);
  ORLOP_ASSIGN(const auto response,
               http->stream("GET", target, {{"Accept", "application/json, */*"}}, [&](std::string_view piece) {
                 if (source.prefix.empty()) {
                   out << piece;
                 } else {
                   for (const char c : piece) {
                     if (line_begins) out << source.prefix;
                     line_begins = c == '\n';
                     out << c;
                   }
                 }
                 out.flush();
                 return out.good();
               }));
  if (response.status >= 400) return client::refusal_of(response);
  return {};
}

void add_sources(Session& session, const json::value& pod, std::vector<Source>& out) {
  const bool prefix = session.args.on("prefix");
  const auto add = [&](const std::string& container) {
    const auto name = text_of(pod, "metadata.name");
    out.push_back(
        {text_of(pod, "metadata.namespace"), name, container, prefix ? "[pod/" + name + "/" + container + "] " : ""});
  };
  for (const auto* list : {"spec.initContainers", "spec.containers", "spec.ephemeralContainers"}) {
    for (const auto& container : list_of(pod, list)) add(text_of(container, "name"));
  }
}

Result<std::vector<Source>> sources_of(Session& session) {
  const auto& args = session.args;
  std::vector<json::value> pods;
  if (!args.text("selector").empty()) {
    if (!args.words.empty()) return user_error("only a selector (-l) or a POD name is allowed");
    ORLOP_ASSIGN(const auto* kind, session.find_kind("pods"));
    ORLOP_ASSIGN(const auto list, session.get(kind->path(session.scope_of(*kind)) +
                                              query_of({{"labelSelector", args.text("selector")}})));
    pods.assign(list_of(list, "items").begin(), list_of(list, "items").end());
  } else if (args.on("all-pods")) {
    const auto slash = args.words.front().find('/');
    ORLOP_ASSIGN(const auto* info,
                 session.find_kind(slash == std::string::npos ? "pods" : args.words.front().substr(0, slash)));
    ORLOP_ASSIGN(pods, pods_of(session, *info, args.words.front().substr(slash + 1)));
  } else {
    auto word = args.words.front();
    // kubectl logs TYPE NAME is no form of it; POD CONTAINER is.
    bool owner = false;
    ORLOP_ASSIGN(auto pod, one_pod(session, word, owner));
    pods.push_back(std::move(pod));
  }
  std::vector<Source> out;
  for (const auto& pod : pods) {
    if (args.on("all-containers")) {
      add_sources(session, pod, out);
      continue;
    }
    ORLOP_ASSIGN(const auto container, container_of(session, pod, true));
    const auto name = text_of(pod, "metadata.name");
    out.push_back({text_of(pod, "metadata.namespace"), name, container,
                   args.on("prefix") ? "[pod/" + name + "/" + container + "] " : ""});
  }
  return out;
}

Outcome logs(Session& session) {
  auto& args = session.args;
  if (args.words.empty() && args.text("selector").empty()) {
    return user_error(
        "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the "
        "logs "
        "command\nSee 'orlop logs -h' for help and examples");
  }
  if (args.on("follow") && args.on("previous")) {
    return user_error("only one of follow (-f) or previous (-p) is allowed");
  }
  ORLOP_ASSIGN(const auto sources, sources_of(session));
  if (sources.empty()) {
    session.io.err << "No resources found in " << session.name_space() << " namespace.\n";
    return 0;
  }
  int code = 0;
  for (const auto& source : sources) {
    const auto status = print_log(session, source);
    if (status.is_ok()) continue;
    if (!args.on("ignore-errors") && sources.size() == 1) return status;
    code = session.complain(status);
  }
  return args.on("ignore-errors") ? 0 : code;
}

}  // namespace

void add_logs_commands(std::vector<Command>& out) {
  std::vector<Flag> flags = {
      {"follow", 'f', FlagKind::kSwitch, "", "Go on and print what the container writes"},
      {"container", 'c', FlagKind::kText, "", "The container"},
      {"previous", 'p', FlagKind::kSwitch, "", "The container's run before the present one"},
      {"tail", 0, FlagKind::kNumber, "-1", "Only so many of the last lines; -1: all"},
      {"since", 0, FlagKind::kDuration, "0s", "Only what is not older, like 5s, 2m, 3h"},
      {"since-time", 0, FlagKind::kText, "", "Only what was written after this time (RFC 3339)"},
      {"timestamps", 0, FlagKind::kSwitch, "", "Each line's time before it"},
      {"limit-bytes", 0, FlagKind::kNumber, "0", "At most so many bytes"},
      {"all-containers", 0, FlagKind::kSwitch, "", "All containers of the pod"},
      {"all-pods", 0, FlagKind::kSwitch, "", "All pods of the object"},
      {"prefix", 0, FlagKind::kSwitch, "", "The pod and container before each line"},
      {"selector", 'l', FlagKind::kText, "", "The pods with these labels"},
      {"ignore-errors", 0, FlagKind::kSwitch, "", "Go on after a container whose log cannot be read"},
      {"max-log-requests", 0, FlagKind::kNumber, "5", "Accepted for kubectl's sake; logs are read one after another"},
  };
  out.push_back(
      {"logs", "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]", "Print what a container wrote", std::move(flags), logs});
}

}  // namespace orlop::cli
