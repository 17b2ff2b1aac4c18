// plugin: the kernel's plugins, which the API serves as kind Plugin of orlop.dev/v1.
#include "cli/commands/printing.hpp"
#include "cli/commands/registry.hpp"
#include "cli/output/describe.hpp"
#include "cli/output/table.hpp"

#include <ctime>

namespace orlop::cli {
namespace {

constexpr char kPath[] = "/apis/orlop.dev/v1/plugins";
constexpr char kAsTable[] = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

Result<std::string> name_of(const Session& session) {
  if (session.args.words.size() != 1)
    return user_error("exactly one plugin's name is required, got " + std::to_string(session.args.words.size()));
  return session.args.words.front();
}

Outcome list(Session& session) {
  const auto format = session.args.text("output");
  ORLOP_TRY(check_format(format, true));
  if (!format.empty() && format != "wide") {
    ORLOP_ASSIGN(auto plugins, session.get(kPath));
    // Items of a list do not say their kind themselves.
    plugins.as_object()["kind"] = "List";
    plugins.as_object()["apiVersion"] = "v1";
    for (auto& item : plugins.as_object()["items"].as_array()) {
      item.as_object()["kind"] = "Plugin";
      item.as_object()["apiVersion"] = "orlop.dev/v1";
    }
    ORLOP_TRY(print_objects(session, plugins, format));
    return 0;
  }
  ORLOP_ASSIGN(const auto response, session.call("GET", kPath, {{"Accept", kAsTable}}));
  json::value table;
  if (!client::parse_json(response.body, table)) return user_error("the server's answer is no JSON");
  TableOptions options;
  options.wide = format == "wide";
  options.headers = !session.args.on("no-headers");
  TablePrinter printer(options);
  printer.add(table);
  session.io.out << printer.take();
  return 0;
}

Outcome show(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(const auto plugin, session.get(std::string(kPath) + "/" + name));
  if (!session.args.text("output").empty()) {
    ORLOP_TRY(check_format(session.args.text("output"), false));
    ORLOP_TRY(print_objects(session, plugin, session.args.text("output")));
    return 0;
  }
  DescribeContext context;
  context.now_s = std::time(nullptr);
  auto text = describe_generic(plugin, context);
  session.io.out << text.substr(0, text.rfind("Events:"));
  return 0;
}

Outcome restart(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_TRY(
      session.call("POST", std::string(kPath) + "/" + name + "/restart", {{"Content-Type", "application/json"}}, "{}")
          .status());
  session.io.out << "plugin.orlop.dev/" << name << " restarted\n";
  return 0;
}

Outcome logs(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(auto* http, session.http());
  const auto query = query_of({{"tailLines", session.args.number("tail") >= 0 ? session.args.text("tail") : ""},
                               {"follow", session.args.on("follow") ? "true" : ""}});
  ORLOP_ASSIGN(const auto response, http->stream("GET", std::string(kPath) + "/" + name + "/log" + query,
                                                 {{"Accept", "*/*"}}, [&](std::string_view piece) {
                                                   session.io.out << piece;
                                                   session.io.out.flush();
                                                   return session.io.out.good();
                                                 }));
  if (response.status >= 400) return client::refusal_of(response);
  return 0;
}

}  // namespace

void add_plugin_commands(std::vector<Command>& out) {
  const Flag output{"output", 'o', FlagKind::kText, "", "wide, json, yaml, name or jsonpath=TEMPLATE"};
  out.push_back({"plugin list",
                 "",
                 "List the plugins and how they are",
                 {output, {"no-headers", 0, FlagKind::kSwitch, "", "No line with the columns' names"}},
                 list});
  out.push_back({"plugin show", "NAME", "Show one plugin in detail", {output}, show});
  out.push_back({"plugin restart", "NAME", "Start a plugin anew", {}, restart});
  out.push_back({"plugin logs",
                 "NAME",
                 "Print what a plugin wrote",
                 {{"follow", 'f', FlagKind::kSwitch, "", "Go on and print what it writes"},
                  {"tail", 0, FlagKind::kNumber, "-1", "Only so many of the last lines; -1: all"}},
                 logs});
}

}  // namespace orlop::cli
