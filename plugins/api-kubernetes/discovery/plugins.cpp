#include "plugins/api-kubernetes/discovery/plugins.hpp"

#include "orlop/kube/json.hpp"
#include "orlop/rpc.hpp"
#include "orlop/v1/kernel.pb.h"
#include "plugins/api-kubernetes/print/table.hpp"

#include <cstdlib>
#include <ctime>

namespace orlop::discovery {
namespace {

using rest::Call;
using rest::Task;

std::string text(std::string_view value) {
  std::string out;
  kube::append_json_string(value, out);
  return out;
}

template <typename List>
std::string texts(const List& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + text(item);
  return out + "]";
}

std::string time_text(int64_t unix_ns) {
  std::time_t seconds = unix_ns / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char out[32];
  std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return out;
}

std::string metadata(const v1::PluginState& plugin) {
  std::string created = plugin.started_unix_ns() == 0 ? "null" : "\"" + time_text(plugin.started_unix_ns()) + "\"";
  return "{\"name\":" + text(plugin.name()) + ",\"uid\":" + text("plugin-" + plugin.name()) +
         ",\"creationTimestamp\":" + created + "}";
}

std::string object_json(const v1::PluginState& plugin) {
  return R"({"apiVersion":"orlop.dev/v1","kind":"Plugin","metadata":)" + metadata(plugin) +
         ",\"spec\":{\"file\":" + text(plugin.file()) + ",\"hosting\":" + text(plugin.hosting()) +
         ",\"version\":" + text(plugin.version()) + ",\"abi\":" + text(plugin.abi()) +
         ",\"description\":" + text(plugin.description()) + ",\"provides\":" + texts(plugin.provides()) +
         ",\"requires\":" + texts(plugin.requirements()) + ",\"reads\":" + texts(plugin.reads()) +
         ",\"writes\":" + texts(plugin.writes()) + "},\"status\":{\"state\":" + text(plugin.state()) +
         ",\"ready\":" + (plugin.ready() ? "true" : "false") + ",\"reason\":" + text(plugin.reason()) +
         ",\"restarts\":" + std::to_string(plugin.restarts()) + ",\"pid\":" + std::to_string(plugin.pid()) +
         ",\"residentBytes\":" + std::to_string(plugin.resident_bytes()) + "}}";
}

std::string row_json(const v1::PluginState& plugin, int64_t now_ns) {
  std::chrono::seconds age((now_ns - plugin.started_unix_ns()) / 1'000'000'000);
  std::string since = plugin.started_unix_ns() == 0 ? "<unknown>" : apikube::human_duration(age);
  std::string memory =
      plugin.resident_bytes() == 0 ? "" : std::to_string(plugin.resident_bytes() / (1024 * 1024)) + "Mi";
  return "{\"cells\":[" + text(plugin.name()) + "," + text(plugin.ready() ? "True" : "False") + "," +
         text(plugin.state()) + "," + std::to_string(plugin.restarts()) + "," + text(plugin.hosting()) + "," +
         text(plugin.version()) + "," + text(since) + "," + text(memory) + "," + text(plugin.reason()) +
         R"(],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)" + metadata(plugin) +
         "}}";
}

std::string column(std::string_view name, std::string_view type, std::string_view format, int priority,
                   std::string_view description) {
  return "{\"name\":" + text(name) + ",\"type\":" + text(type) + ",\"format\":" + text(format) +
         ",\"description\":" + text(description) + ",\"priority\":" + std::to_string(priority) + "}";
}

std::string table_json(const Call& call, const v1::PluginsResponse& plugins) {
  std::string out = R"({"kind":"Table","apiVersion":")" + call.format.meta_api_version() +
                    "\",\"metadata\":{\"resourceVersion\":\"" + std::to_string(call.services.host.revision()) +
                    "\"},\"columnDefinitions\":[" +
                    column("Name", "string", "name", 0, "The plugin's name in the cluster") + "," +
                    column("Ready", "string", "", 0, "Whether it does its work") + "," +
                    column("State", "string", "", 0, "Where it is in its life") + "," +
                    column("Restarts", "integer", "", 0, "How often the kernel has started it again") + "," +
                    column("Hosting", "string", "", 0, "inline: in the kernel's process; isolated: in its own") + "," +
                    column("Version", "string", "", 0, "Its own version") + "," +
                    column("Age", "string", "", 0, "Since its last start") + "," +
                    column("Memory", "string", "", 1, "Resident memory of its process") + "," +
                    column("Reason", "string", "", 1, "Why it is not ready") + "],\"rows\":[";
  bool first = true;
  for (const v1::PluginState& plugin : plugins.plugins()) {
    out += (first ? "" : ",") + row_json(plugin, call.services.host.wall_now_ns());
    first = false;
  }
  return out + "]}\n";
}

constexpr uint32_t kTailLines = 200;
constexpr uint32_t kFollowMs = 10'000;  // then asked again: the client may have gone

// "2026-11-22T19:00:00.123Z INFO  message"
std::string log_text(const v1::PluginLogsResponse& lines) {
  static constexpr std::string_view kLevels[] = {"TRACE", "DEBUG", "INFO ", "WARN ", "ERROR"};
  std::string out;
  for (const v1::LogLine& line : lines.lines()) {
    std::string when = time_text(line.at_unix_ns());
    when.pop_back();
    const std::string ms = std::to_string(1000 + line.at_unix_ns() / 1'000'000 % 1000).substr(1);
    const size_t level = line.level() < 0 || line.level() > 4 ? 2 : static_cast<size_t>(line.level());
    out += when + "." + ms + "Z " + std::string(kLevels[level]) + " " + line.text() + "\n";
  }
  return out;
}

Task<Result<v1::PluginLogsResponse>> ask_log(Call& call, const v1::PluginLogsRequest& request, uint32_t deadline_ms) {
  http::Pending<Result<v1::PluginLogsResponse>> pending(call.exchange);
  orlop::call_async<v1::PluginLogsResponse>(
      call.services.host, {"kernel", "kernel", deadline_ms}, "orlop.v1.Kernel/PluginLogs", request,
      [&pending](Result<v1::PluginLogsResponse> result) { pending.set(std::move(result)); });
  co_return co_await pending;
}

}  // namespace

Task<void> answer_plugin_log(Call& call) {
  const auto& query = call.request().query;
  v1::PluginLogsRequest request;
  request.set_name(std::string(call.info.name));
  request.set_tail_lines(kTailLines);
  const std::string tail(query.get("tailLines"));
  if (!tail.empty()) request.set_tail_lines(static_cast<uint32_t>(std::strtoul(tail.c_str(), nullptr, 10)));
  auto lines = co_await ask_log(call, request, 5000);
  if (!lines) co_return rest::fail(call, lines.status());
  const bool follow = query.get("follow") == "true";
  if (!follow) co_return call.exchange.respond(200, "text/plain; charset=utf-8", log_text(*lines));
  call.exchange.begin(200, "text/plain; charset=utf-8", true);
  request.clear_tail_lines();
  request.set_wait(true);
  for (;;) {
    std::string text = log_text(*lines);
    if (!text.empty() && !co_await call.exchange.write(text)) co_return;
    if (!lines->lines().empty()) request.set_after_sequence(lines->lines().rbegin()->sequence());
    lines = co_await ask_log(call, request, kFollowMs);
    if (!lines && lines.code() != Code::kTimeout) co_return;
    if (!lines) lines = v1::PluginLogsResponse();
    if (call.exchange.gone()) co_return;
  }
}

Task<void> answer_plugin_restart(Call& call) {
  v1::RestartPluginRequest request;
  request.set_name(std::string(call.info.name));
  http::Pending<Result<v1::RestartPluginResponse>> pending(call.exchange);
  orlop::call_async<v1::RestartPluginResponse>(
      call.services.host, {"kernel", "kernel", 10'000}, "orlop.v1.Kernel/RestartPlugin", request,
      [&pending](Result<v1::RestartPluginResponse> result) { pending.set(std::move(result)); });
  auto restarted = co_await pending;
  if (!restarted) co_return rest::fail(call, restarted.status());
  rest::answer_json(call, 200,
                    R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","details":{"name":)" +
                        text(call.info.name) + R"(,"group":"orlop.dev","kind":"plugins"}})" + "\n");
}

Task<void> answer_plugin_objects(Call& call) {
  v1::PluginsRequest request;
  request.set_name(std::string(call.info.name));
  http::Pending<Result<v1::PluginsResponse>> pending(call.exchange);
  orlop::call_async<v1::PluginsResponse>(
      call.services.host, {"kernel", "kernel", 5000}, "orlop.v1.Kernel/Plugins", request,
      [&pending](Result<v1::PluginsResponse> result) { pending.set(std::move(result)); });
  auto plugins = co_await pending;
  if (!plugins) co_return rest::fail(call, plugins.status());
  bool one = !call.info.name.empty();
  if (one && plugins->plugins().empty()) {
    co_return rest::fail(
        call, Status(Code::kNotFound, "plugins.orlop.dev \"" + std::string(call.info.name) + "\" not found"));
  }
  if (call.format.shape == rest::Shape::kTable) co_return rest::answer_json(call, 200, table_json(call, *plugins));
  if (one) co_return rest::answer_json(call, 200, object_json(plugins->plugins(0)) + "\n");
  std::string out = R"({"kind":"PluginList","apiVersion":"orlop.dev/v1","metadata":{"resourceVersion":")" +
                    std::to_string(call.services.host.revision()) + "\"},\"items\":[";
  bool first = true;
  for (const v1::PluginState& plugin : plugins->plugins()) {
    out += (first ? "" : ",") + object_json(plugin);
    first = false;
  }
  rest::answer_json(call, 200, out + "]}\n");
}

}  // namespace orlop::discovery
