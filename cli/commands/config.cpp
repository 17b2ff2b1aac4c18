// config: what the kubeconfig says, and its current context.
#include "cli/commands/registry.hpp"
#include "cli/output/table.hpp"
#include "cli/output/yaml_writer.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace orlop::cli {
namespace {

using client::text_of;

// Secrets are not for screens.
void redact(json::value& config) {
  const auto hide = [](json::value& entry, const char* list, const char* name, const char* with) {
    auto* body = entry.as_object().if_contains(list);
    if (body == nullptr || !body->is_object()) return;
    if (auto* value = body->get_object().if_contains(name)) *value = with;
  };
  for (auto& cluster : config.as_object()["clusters"].as_array())
    hide(cluster, "cluster", "certificate-authority-data", "DATA+OMITTED");
  for (auto& user : config.as_object()["users"].as_array()) {
    hide(user, "user", "client-certificate-data", "DATA+OMITTED");
    hide(user, "user", "client-key-data", "DATA+OMITTED");
    hide(user, "user", "token", "REDACTED");
    hide(user, "user", "password", "REDACTED");
  }
}

Outcome view(Session& session) {
  ORLOP_ASSIGN(const auto* config, session.kubeconfig());
  json::value shown = config->merged;
  if (!session.args.on("raw")) redact(shown);
  if (session.args.text("output") == "json") {
    session.io.out << client::pretty_json(shown) << '\n';
  } else {
    session.io.out << to_yaml(shown);
  }
  return 0;
}

Outcome current_context(Session& session) {
  ORLOP_ASSIGN(const auto* config, session.kubeconfig());
  if (config->current_context.empty()) return user_error("current-context is not set");
  session.io.out << config->current_context << '\n';
  return 0;
}

Outcome get_contexts(Session& session) {
  ORLOP_ASSIGN(const auto* config, session.kubeconfig());
  const bool names = session.args.text("output") == "name";
  std::string text = names || session.args.on("no-headers") ? "" : "CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n";
  for (const auto& [name, context] : config->contexts) {
    if (names) {
      text += name + "\n";
    } else {
      text += std::string(name == config->current_context ? "*" : "") + "\t" + name + "\t" + context.cluster + "\t" +
              context.user + "\t" + context.name_space + "\n";
    }
  }
  session.io.out << align(text, {6, 3});
  return 0;
}

// The first of the files is the one that is changed; a file beside it takes its place, so that no reader sees half of
// it.
Status write_document(const std::string& path, const json::value& document) {
  const auto text = to_yaml(document);
  std::string beside = path + ".XXXXXX";
  const int descriptor = ::mkostemp(beside.data(), O_CLOEXEC);
  if (descriptor < 0) return user_error("open " + path + ": " + std::strerror(errno));
  const bool good = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(descriptor);
  if (good && ::rename(beside.c_str(), path.c_str()) == 0) return {};
  const std::string why = std::strerror(errno);
  ::unlink(beside.c_str());
  return user_error("write " + path + ": " + why);
}

Outcome use_context(Session& session) {
  ORLOP_ASSIGN(const auto* config, session.kubeconfig());
  if (session.args.words.size() != 1) return user_error("exactly one context name is required");
  const auto& name = session.args.words.front();
  if (config->contexts.find(name) == config->contexts.end())
    return user_error("no context exists with the name: \"" + name + "\"");
  const auto& file = config->files.front();
  ORLOP_ASSIGN(auto document, client::read_kubeconfig_document(file));
  document.as_object()["current-context"] = name;
  ORLOP_TRY(write_document(file, document));
  session.io.out << "Switched to context \"" << name << "\".\n";
  return 0;
}

Outcome set_context(Session& session) {
  ORLOP_ASSIGN(const auto* config, session.kubeconfig());
  const auto name = session.args.on("current")   ? config->current_context
                    : session.args.words.empty() ? ""
                                                 : session.args.words.front();
  if (name.empty()) return user_error("a context's name or --current is required");
  const auto file = config->files.empty()
                        ? client::kubeconfig_files(session.access_flags(), session.environment).front()
                        : config->files.front();
  ORLOP_ASSIGN(auto document, client::read_kubeconfig_document(file));
  auto& contexts = document.as_object()["contexts"];
  if (!contexts.is_array()) contexts.emplace_array();
  json::value* entry = nullptr;
  for (auto& context : contexts.get_array()) {
    if (text_of(context, "name") == name) entry = &context;
  }
  const bool known = entry != nullptr;
  if (!known) {
    contexts.get_array().push_back(json::object{{"name", name}});
    entry = &contexts.get_array().back();
  }
  auto& body = client::make_map(*entry, "context");
  for (const auto* flag : {"namespace", "cluster", "user"}) {
    if (session.args.given(flag)) body[flag] = session.args.text(flag);
  }
  ORLOP_TRY(write_document(file, document));
  session.io.out << "Context \"" << name << "\" " << (known ? "modified" : "created") << ".\n";
  return 0;
}

}  // namespace

void add_config_commands(std::vector<Command>& out) {
  const Flag output{"output", 'o', FlagKind::kText, "", "json, yaml or name"};
  out.push_back({"config view",
                 "",
                 "Show the merged kubeconfig",
                 {output, {"raw", 0, FlagKind::kSwitch, "", "With the secrets"}},
                 view});
  out.push_back({"config current-context", "", "Show the current context", {}, current_context});
  out.push_back({"config get-contexts",
                 "",
                 "List the contexts",
                 {output, {"no-headers", 0, FlagKind::kSwitch, "", "No line with the columns' names"}},
                 get_contexts});
  out.push_back({"config use-context", "NAME", "Change the current context", {}, use_context});
  out.push_back({"config set-context",
                 "NAME | --current [--namespace=NS]",
                 "Change a context",
                 {{"current", 0, FlagKind::kSwitch, "", "The current context"}},
                 set_context});
}

}  // namespace orlop::cli
