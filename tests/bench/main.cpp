// orlop_bench: what a Kubernetes API does in a second, how soon, and with how much memory. Several servers are
// measured in one run, section by section in turn, so that a machine that slows down slows all of them.
#include "tests/bench/measures.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace orlop::bench {
namespace {

constexpr const char* kUsage = R"(orlop_bench: measures Kubernetes API servers

  orlop_bench TARGET [its options] [TARGET ...] [options]

Targets, measured in turn; ratios are to the first:
  --orlopd PATH        an orlopd that is started in a temporary folder and removed afterwards
  --kubeconfig FILE    a server, by the file's current context
  --server URL         a server: https://HOST[:PORT]

Options of the target before them:
  --name NAME          its column
  --cert FILE --key FILE --ca FILE --token TOKEN --insecure
  --pid PID[,PID]      its processes on this machine (their children count too), for memory and processor time
  --nodes-exist        pods may be scheduled on the nodes that it has
  --make-nodes N       make N Node objects, and schedule on them; nothing will run there
  --api-threads N      orlopd: threads of its API
  --node-agent HOW     orlopd: inline or isolated (default)

Options:
  --sections LIST      of start,idle,creates,fill,reads,watch,restart,schedule (default: these), real, hundred, roll,
                       agent
  --real               adds the section real: containers, on nodes that are there
  --seconds S          of each measurement (2)       --rounds N       all of it so often, the median counts (1)
  --clients LIST       of creates (1,64,256)
  --configmaps N --pods N       the objects of section fill (10000 each)
  --watchers W --rate R         of section watch (100, 2000 events/s)
  --hollow-nodes N --scheduled-pods P   of section schedule (1000, 5000)
  --starts N           how often it is started anew (5)
  --image NAME --real-pods N    of section real (nginx, 10)
  --many-pods N        of section hundred (100)      --rolled-pods N  of section roll (10000)
  --folder DIR         where the orlopd's folder is made; on the disk that is to be measured (/var/tmp)
  --json FILE          the figures once more, for programs
)";

struct Section {
  const char* name;
  Status (*measure)(Target&, const Sizes&, Report&);
  bool by_default;
};
constexpr Section kSections[] = {
    {"start", measure_start, true},      {"idle", measure_idle, true},         {"creates", measure_creates, true},
    {"fill", measure_fill, true},        {"reads", measure_reads, true},       {"watch", measure_watch, true},
    {"restart", measure_restart, true},  {"schedule", measure_schedule, true}, {"real", measure_real, false},
    {"hundred", measure_hundred, false}, {"roll", measure_roll, false},        {"agent", measure_agent, false},
};

struct Options {
  std::vector<Target> targets;
  Sizes sizes;
  std::vector<std::string> sections;
  std::size_t rounds = 1;
  std::string folder = "/var/tmp";
  std::string json;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Result<double> number(const std::string& option, const std::string& text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || value < 0) {
    return Status(Code::kBadRequest, option + " " + text + ": a number is needed");
  }
  return value;
}

Status begin_target(Options& options, const std::string& option, const std::string& value) {
  Target target;
  target.index = options.targets.size();
  target.name = option == "--orlopd" ? "orlop" : "server";
  if (target.index > 0) target.name += fmt::format("-{}", target.index + 1);
  target.options.agent_hosting = "isolated";
  if (option == "--orlopd") {
    target.options.program = value;
  } else if (option == "--kubeconfig") {
    ORLOP_ASSIGN(target.endpoint, endpoint_of_kubeconfig(value));
  } else {
    ORLOP_TRY(set_server(target.endpoint, value));
  }
  options.targets.push_back(std::move(target));
  return Status::ok();
}

// Nothing: no option of a target.
std::optional<Status> target_option(Target& target, const std::string& option, const std::string& value) {
  const auto file_into = [&](std::string& field) -> Status {
    ORLOP_ASSIGN(field, read_file(value));
    return Status::ok();
  };
  if (option == "--name") return target.name = value, Status::ok();
  if (option == "--cert") return file_into(target.endpoint.cert_pem);
  if (option == "--key") return file_into(target.endpoint.key_pem);
  if (option == "--ca") return file_into(target.endpoint.ca_pem);
  if (option == "--token") return target.endpoint.token = value, Status::ok();
  if (option == "--node-agent") return target.options.agent_hosting = value, Status::ok();
  if (option == "--pid") {
    std::vector<pid_t> roots;
    for (const std::string& part : split(value)) {
      const auto pid = number(option, part);
      if (!pid) return pid.status();
      roots.push_back(static_cast<pid_t>(*pid));
    }
    target.processes = ProcessTree(std::move(roots));
    return Status::ok();
  }
  if (option == "--make-nodes" || option == "--api-threads") {
    const auto count = number(option, value);
    if (!count) return count.status();
    (option == "--make-nodes" ? target.make_nodes : target.options.threads) = static_cast<std::size_t>(*count);
    return Status::ok();
  }
  return std::nullopt;
}

Status general_option(Options& options, const std::string& option, const std::string& value) {
  Sizes& sizes = options.sizes;
  if (option == "--sections") return options.sections = split(value), Status::ok();
  if (option == "--folder") return options.folder = value, Status::ok();
  if (option == "--json") return options.json = value, Status::ok();
  if (option == "--image") return sizes.image = value, Status::ok();
  if (option == "--clients") {
    sizes.clients.clear();
    for (const std::string& part : split(value)) {
      ORLOP_ASSIGN(const double count, number(option, part));
      sizes.clients.push_back(std::max<std::size_t>(1, static_cast<std::size_t>(count)));
    }
    return Status::ok();
  }
  const std::pair<const char*, std::size_t*> counts[] = {
      {"--rounds", &options.rounds},
      {"--configmaps", &sizes.configmaps},
      {"--pods", &sizes.pods},
      {"--watchers", &sizes.watchers},
      {"--rate", &sizes.events_per_second},
      {"--hollow-nodes", &sizes.hollow_nodes},
      {"--starts", &sizes.starts},
      {"--scheduled-pods", &sizes.scheduled_pods},
      {"--real-pods", &sizes.real_pods},
      {"--many-pods", &sizes.many_pods},
      {"--rolled-pods", &sizes.rolled_pods},
  };
  for (const auto& [name, field] : counts) {
    if (option != name) continue;
    ORLOP_ASSIGN(const double count, number(option, value));
    *field = static_cast<std::size_t>(count);
    return Status::ok();
  }
  if (option == "--seconds") {
    ORLOP_ASSIGN(sizes.seconds, number(option, value));
    return Status::ok();
  }
  return {Code::kBadRequest, "unknown option " + option + "; --help lists them"};
}

Result<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  bool real = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    if (option == "--real") {
      real = true;
      continue;
    }
    const bool has_target = !options.targets.empty();
    if (has_target && (option == "--insecure" || option == "--nodes-exist")) {
      Target& target = options.targets.back();
      (option == "--insecure" ? target.endpoint.insecure : target.nodes_exist) = true;
      continue;
    }
    if (++i == arguments.size()) return Status(Code::kBadRequest, option + ": its value is missing, or no such option");
    const std::string& value = arguments[i];
    if (option == "--orlopd" || option == "--kubeconfig" || option == "--server") {
      ORLOP_TRY(begin_target(options, option, value));
      continue;
    }
    if (has_target) {
      if (const auto status = target_option(options.targets.back(), option, value)) {
        ORLOP_TRY(*status);
        continue;
      }
    }
    ORLOP_TRY(general_option(options, option, value));
  }
  if (options.targets.empty()) {
    return Status(Code::kBadRequest, "nothing to measure: give --orlopd, --kubeconfig or --server");
  }
  if (options.sections.empty()) {
    for (const Section& section : kSections) {
      if (section.by_default) options.sections.emplace_back(section.name);
    }
  }
  if (real) options.sections.emplace_back("real");
  for (const std::string& name : options.sections) {
    if (std::none_of(std::begin(kSections), std::end(kSections),
                     [&](const Section& one) { return name == one.name; })) {
      return Status(Code::kBadRequest, "no section " + name);
    }
  }
  for (Target& target : options.targets) target.options.folder = options.folder;
  return options;
}

// Every section needs the daemon, whether its start is measured or not.
Status ensure_running(Target& target) {
  if (!target.own() || target.daemon != nullptr) return Status::ok();
  ORLOP_ASSIGN(target.daemon, Daemon::make(target.options));
  ORLOP_ASSIGN(const double seconds, target.daemon->start("/api/v1/pods"));
  static_cast<void>(seconds);
  target.endpoint = target.daemon->endpoint();
  target.processes = target.daemon->processes();
  return Status::ok();
}

void run(Options& options, Report& report) {
  for (std::size_t round = 0; round < options.rounds && !interrupted(); ++round) {
    for (const Section& section : kSections) {
      if (std::find(options.sections.begin(), options.sections.end(), section.name) == options.sections.end()) continue;
      const auto begin = Clock::now();
      for (Target& target : options.targets) {
        if (interrupted()) break;
        fmt::print(stderr, "{}: {}\n", section.name, target.name);
        const bool starts_itself = section.measure == measure_start || section.measure == measure_schedule ||
                                   section.measure == measure_roll || section.measure == measure_agent;
        Status status = starts_itself ? Status::ok() : ensure_running(target);
        if (status) status = section.measure(target, options.sizes, report);
        if (!status) report.note(target.index, fmt::format("{}: {}", section.name, status.message()));
      }
      fmt::print(stderr, "  ({} took {:.1f} s)\n", section.name,
                 std::chrono::duration<double>(Clock::now() - begin).count());
    }
    // The next round begins with what the first began with.
    for (Target& target : options.targets) {
      if (target.daemon != nullptr) fmt::print(stderr, "data of {} on {}\n", target.name, target.daemon->filesystem());
      clean(target, report);
      target.space.clear();
      target.garbage.clear();
      target.configmaps = target.pods = 0;
    }
  }
}

int main_of(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    fmt::print("{}", kUsage);
    return arguments.empty() ? 2 : 0;
  }
  auto options = parse(arguments);
  if (!options) {
    fmt::print(stderr, "orlop_bench: {}\n", options.message());
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, interrupt);
  std::signal(SIGTERM, interrupt);
  std::vector<std::string> names;
  for (const Target& target : options->targets) names.push_back(target.name);
  Report report(names);
  const auto begin = Clock::now();
  run(*options, report);
  fmt::print("\n{}", report.table());
  utsname system{};
  ::uname(&system);
  fmt::print("{} processors, Linux {}; {:.0f} s\n", ::sysconf(_SC_NPROCESSORS_ONLN), system.release,
             std::chrono::duration<double>(Clock::now() - begin).count());
  if (!options->json.empty()) {
    std::ofstream out(options->json);
    out << report.json();
    out.close();
    if (!out) {
      fmt::print(stderr, "orlop_bench: {} cannot be written\n", options->json);
      return 1;
    }
  }
  return interrupted() ? 130 : 0;
}

}  // namespace
}  // namespace orlop::bench

int main(int argc, char** argv) {
  return orlop::bench::main_of(std::vector<std::string>(argv + 1, argv + argc));
}
