// logs: what a container wrote.
#include "cli/commands/pods_of.hpp"
#include "cli/commands/registry.hpp"

#include <algorithm>
#include <mutex>
#include <thread>

namespace orlop::cli {
namespace {

using client::list_of;
using client::text_of;

struct Source {
  std::string name_space, pod, container;
  std::string prefix;  // before each line
  std::string target;  // path and query
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

// Whole lines of one source, given to the stream that all sources share.
class LineWriter {
 public:
  LineWriter(std::ostream& out, std::mutex& mutex, const Source& source) : out_(out), mutex_(mutex), source_(source) {}
  ~LineWriter() { write(rest_); }
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  bool take(std::string_view piece) {
    rest_ += piece;
    const auto end = rest_.rfind('\n');
    if (end == std::string::npos) return true;
    const bool good = write(std::string_view(rest_).substr(0, end + 1));
    rest_.erase(0, end + 1);
    return good;
  }

 private:
  bool write(std::string_view lines) {
    if (lines.empty()) return true;
    const std::scoped_lock lock(mutex_);
    while (!lines.empty()) {
      const auto end = std::min(lines.find('\n'), lines.size() - 1) + 1;
      out_ << source_.prefix << lines.substr(0, end);
      lines.remove_prefix(end);
    }
    out_.flush();
    return out_.good();
  }

  std::ostream& out_;
  std::mutex& mutex_;
  const Source& source_;
  std::string rest_;
};

Status print_log(std::ostream& out, std::mutex& mutex, client::HttpClient& http, const Source& source) {
  LineWriter writer(out, mutex, source);
  ORLOP_ASSIGN(const auto response, http.stream("GET", source.target, {{"Accept", "application/json, */*"}},
                                                [&](std::string_view piece) { return writer.take(piece); }));
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
    auto pod = one_pod(session, word, owner);
    if (!pod.is_ok()) {
      // kubectl says more about a pod that it does not find.
      if (pod.code() != Code::kNotFound || word.find('/') != std::string::npos) return pod.status();
      return Status(Code::kNotFound, "error: error from server (NotFound): pods \"" + word +
                                         "\" not found in namespace \"" + session.name_space() + "\"");
    }
    pods.push_back(std::move(*pod));
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

// Followed logs have no end, so several are read at the same time, each on a connection of its own.
Result<std::vector<Status>> print_all(Session& session, std::vector<Source>& sources) {
  ORLOP_ASSIGN(const auto* pods, session.find_kind("pods"));
  ORLOP_ASSIGN(auto* http, session.http());
  ORLOP_ASSIGN(const auto connector, session.connector());
  for (auto& source : sources) {
    source.target = pods->path(source.name_space, source.pod, "log") + log_query(session, source.container);
  }
  std::vector<Status> statuses(sources.size());
  std::mutex mutex;
  if (!session.args.on("follow") || sources.size() == 1) {
    for (size_t i = 0; i < sources.size(); ++i) statuses[i] = print_log(session.io.out, mutex, *http, sources[i]);
    return statuses;
  }
  const auto limit = static_cast<size_t>(std::max<int64_t>(session.args.number("max-log-requests"), 1));
  if (sources.size() > limit) {
    return user_error("you are attempting to follow " + std::to_string(sources.size()) +
                      " log streams, but maximum allowed concurrency is " + std::to_string(limit) +
                      ", use --max-log-requests to increase the limit");
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < sources.size(); ++i) {
    threads.emplace_back([&, i] {
      client::HttpClient own(connector);
      statuses[i] = print_log(session.io.out, mutex, own, sources[i]);
    });
  }
  for (auto& thread : threads) thread.join();
  return statuses;
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
  if (args.words.size() > 1) {
    if (args.words.size() > 2 || args.given("container")) {
      return user_error(
          "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nSee 'orlop logs -h' for help and examples");
    }
    session.args.set("container", args.words[1]);
  }
  ORLOP_ASSIGN(auto sources, sources_of(session));
  if (sources.empty()) {
    session.io.err << "No resources found in " << session.name_space() << " namespace.\n";
    return 0;
  }
  const auto statuses = print_all(session, sources);
  if (!statuses.is_ok()) return statuses.status();
  int code = 0;
  for (const auto& status : *statuses) {
    if (!status.is_ok()) code = session.complain(status);
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
      {"max-log-requests", 0, FlagKind::kNumber, "5", "How many logs may be followed at the same time"},
  };
  out.push_back(
      {"logs", "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]", "Print what a container wrote", std::move(flags), logs});
}

}  // namespace orlop::cli
