// Many pods at once: a hundred with real containers up and down again, and a large Deployment rolled over.
#include "tests/bench/measures.hpp"

#include <charconv>
#include <thread>

#include <fmt/format.h>

namespace orlop::bench {
namespace {

constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kUpAtMost = std::chrono::seconds(240);
constexpr auto kRolledAtMost = std::chrono::seconds(900);

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// The number behind `"name":`; 0 when it is not there, as counts of a status are left out when they are zero.
int64_t number_after(std::string_view json, std::string_view name) {
  const std::string label = fmt::format("\"{}\":", name);
  const std::size_t at = json.rfind(label);
  int64_t number = 0;
  if (at != std::string_view::npos) {
    const std::string_view digits = json.substr(at + label.size(), 20);
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
  }
  return number;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// Asks until `done` holds of the answer's body; the time since `begin`, ms.
Result<double> wait_until(Client& client, const std::string& path, Clock::time_point begin, Clock::duration at_most,
                          const std::function<bool(const std::string&)>& done) {
  for (;;) {
    ORLOP_ASSIGN(const auto reply, client.call("GET", path));
    if (reply.status == 200 && done(reply.body)) return ms_since(begin);
    if (Clock::now() - begin > at_most) {
      return Status(Code::kTimeout, fmt::format("GET {} does not show it after {:.0f} s: {}", path,
                                                ms_since(begin) / 1000, reply.body.substr(0, 500)));
    }
    std::this_thread::sleep_for(kPause);
  }
}

// A pod that takes a second at most to stop, so that it is seen to go.
std::string stopping_pod(const std::string& name, const std::string& image) {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"("},"spec":{"automountServiceAccountToken":false,"enableServiceLinks":false,)" +
         R"("terminationGracePeriodSeconds":1,"containers":[{"name":"main","image":")" + image +
         R"(","imagePullPolicy":"IfNotPresent","resources":{"requests":{"cpu":"1m","memory":"1Mi"},)" +
         R"("limits":{"memory":"64Mi"}}}]}})";
}

std::string deployment(std::size_t replicas, const std::string& image, const std::string& version) {
  return fmt::format(
      R"({{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"roll"}},"spec":{{"replicas":{},)"
      R"("progressDeadlineSeconds":3600,"selector":{{"matchLabels":{{"app":"roll"}}}},"template":{{"metadata":{{)"
      R"("labels":{{"app":"roll"}}}},"spec":{{"automountServiceAccountToken":false,"terminationGracePeriodSeconds":1,)"
      R"("containers":[{{"name":"main","image":"{}","imagePullPolicy":"IfNotPresent",)"
      R"("env":[{{"name":"VERSION","value":"{}"}}]}}]}}}}}}}})",
      replicas, image, version);
}

// All replicas are of the newest template and available, and no others are left.
bool is_rolled_out(const std::string& body, std::size_t replicas) {
  const std::size_t at = body.rfind("\"status\":{");
  if (at == std::string::npos) return false;
  const std::string_view status = std::string_view(body).substr(at);
  const auto wanted = static_cast<int64_t>(replicas);
  return number_after(status, "updatedReplicas") == wanted && number_after(status, "availableReplicas") == wanted &&
         number_after(status, "replicas") == wanted &&
         number_after(status, "observedGeneration") == number_after(body.substr(0, at), "generation");
}

Status roll(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(make_space(target, *client));
  const std::string collection = "/apis/apps/v1/namespaces/" + target.space + "/deployments";
  const std::size_t replicas = sizes.rolled_pods;
  const auto done = [replicas](const std::string& body) { return is_rolled_out(body, replicas); };
  auto begin = Clock::now();
  ORLOP_ASSIGN(const auto created, client->call("POST", collection, deployment(replicas, sizes.image, "1")));
  if (created.status != 201) return {Code::kUnavailable, "the Deployment was refused: " + created.body.substr(0, 300)};
  ORLOP_ASSIGN(const double up, wait_until(*client, collection + "/roll", begin, kRolledAtMost, done));
  report.add(target.index, "roll.up", fmt::format("a Deployment of {} available, hollow nodes", replicas), "/s",
             Better::kHigher, static_cast<double>(replicas) / (up / 1000));
  const CpuMeter meter(target.processes);
  begin = Clock::now();
  ORLOP_ASSIGN(const auto changed, client->call("PATCH", collection + "/roll", deployment(replicas, sizes.image, "2"),
                                                "application/strategic-merge-patch+json"));
  if (changed.status != 200) return {Code::kUnavailable, "the change was refused: " + changed.body.substr(0, 300)};
  ORLOP_ASSIGN(const double rolled, wait_until(*client, collection + "/roll", begin, kRolledAtMost, done));
  report.add(target.index, "roll.rate", fmt::format("{} pods rolled over (25 % surge, 25 % unavailable)", replicas),
             "/s", Better::kHigher, static_cast<double>(replicas) / (rolled / 1000));
  report.add(target.index, "roll.server", "rolling over: the server's processors", "cores", Better::kNeither,
             meter.server_cores());
  return Status::ok();
}

}  // namespace

Status measure_hundred(Target& target, const Sizes& sizes, Report& report) {
  ORLOP_ASSIGN(auto client, Client::make(target.endpoint));
  ORLOP_TRY(make_space(target, *client));
  const std::string path = "/api/v1/namespaces/" + target.space + "/pods";
  const std::size_t count = sizes.many_pods;
  const auto all_running = [count](const std::string& body) { return count_of(body, R"("phase":"Running")") == count; };
  const auto all_gone = [](const std::string& body) { return count_of(body, R"("phase":)") == 0; };
  auto begin = Clock::now();
  Load load{.clients = 8, .count_max = count, .expected_status = 201};
  load.request = [&](uint64_t number) {
    return client->request("POST", path, stopping_pod("many-" + std::to_string(number), sizes.image));
  };
  ORLOP_ASSIGN(const LoadResult made, run_load(*client, target.processes, load));
  if (made.failed > 0) return {Code::kUnavailable, "pods were refused: " + made.first_failure};
  ORLOP_ASSIGN(const double up, wait_until(*client, path, begin, kUpAtMost, all_running));
  report.add(target.index, "many.up", fmt::format("{} pods with real containers, create to all Running", count), "ms",
             Better::kLower, up);
  begin = Clock::now();
  ORLOP_ASSIGN(const auto deleted, client->call("DELETE", path));
  if (deleted.status != 200) return {Code::kUnavailable, "the deletion was refused: " + deleted.body.substr(0, 300)};
  ORLOP_ASSIGN(const double down, wait_until(*client, path, begin, kUpAtMost, all_gone));
  report.add(target.index, "many.down", fmt::format("{} pods deleted, all gone", count), "ms", Better::kLower, down);
  return Status::ok();
}

Status measure_roll(Target& target, const Sizes& sizes, Report& report) {
  if (!target.own()) return target.nodes_exist ? roll(target, sizes, report) : Status::ok();
  Target second;
  second.name = target.name;
  second.index = target.index;
  second.options = target.options;
  second.options.hollow_nodes = sizes.hollow_nodes;
  ORLOP_TRY(start_hollow(second, sizes));
  return roll(second, sizes, report);
}

}  // namespace orlop::bench
