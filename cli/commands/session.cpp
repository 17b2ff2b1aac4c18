#include "cli/commands/session.hpp"

#include "cli/output/jsonpath.hpp"
#include "cli/output/yaml_writer.hpp"

#include <chrono>

#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace orlop::cli {

using client::text_of;

Session::Session(Arguments arguments, Streams streams, client::Environment environment)
    : args(std::move(arguments)), io(streams), environment(std::move(environment)) {}

client::AccessFlags Session::access_flags() const {
  client::AccessFlags flags;
  flags.kubeconfig = args.text("kubeconfig");
  flags.context = args.text("context");
  flags.cluster = args.text("cluster");
  flags.user = args.text("user");
  flags.server = args.text("server");
  flags.token = args.text("token");
  flags.ca_file = args.text("certificate-authority");
  flags.certificate_file = args.text("client-certificate");
  flags.key_file = args.text("client-key");
  flags.tls_server_name = args.text("tls-server-name");
  flags.name_space = args.text("namespace");
  flags.insecure = args.on("insecure-skip-tls-verify");
  return flags;
}

Result<const client::Kubeconfig*> Session::kubeconfig() {
  if (!kubeconfig_) {
    ORLOP_ASSIGN(kubeconfig_, client::load_kubeconfig(access_flags(), environment));
  }
  return &*kubeconfig_;
}

Result<std::shared_ptr<const client::Connector>> Session::connector() {
  if (!connector_) {
    ORLOP_ASSIGN(const auto* config, kubeconfig());
    ORLOP_ASSIGN(const auto access, client::resolve_access(*config, access_flags()));
    ORLOP_ASSIGN(connector_, client::Connector::make(access));
  }
  return connector_;
}

Result<client::HttpClient*> Session::http() {
  if (!http_) {
    ORLOP_ASSIGN(auto shared, connector());
    http_ = std::make_unique<client::HttpClient>(std::move(shared));
  }
  return http_.get();
}

Result<const client::Discovery*> Session::discovery() {
  if (!discovery_) {
    ORLOP_ASSIGN(auto* client, http());
    ORLOP_ASSIGN(discovery_, client::Discovery::fetch(*client));
  }
  return &*discovery_;
}

std::string Session::name_space() {
  const auto config = kubeconfig();
  return config.is_ok() ? client::resolve_namespace(**config, access_flags()) : "default";
}

Result<client::Response> Session::call(std::string_view method, const std::string& target,
                                       const std::vector<client::Header>& headers, std::string body,
                                       std::string_view refusal_prefix) {
  ORLOP_ASSIGN(auto* client, http());
  const auto begin = std::chrono::steady_clock::now();
  ORLOP_ASSIGN(auto response, client->request(method, target, headers, std::move(body)));
  if (args.number("v") >= 6) {
    const auto took = std::chrono::steady_clock::now() - begin;
    io.err << method << ' ' << connector_->url() << target << ' ' << response.status << " in "
           << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " milliseconds\n";
    if (args.number("v") >= 8) io.err << "Response Body: " << response.body << '\n';
  }
  for (const auto& warning : response.warnings) io.err << "Warning: " << warning << '\n';
  if (response.status >= 400) return client::refusal_of(response, refusal_prefix);
  return response;
}

namespace {

Result<json::value> json_of(const client::Response& response) {
  json::value out;
  if (!client::parse_json(response.body, out)) return user_error("the server's answer is no JSON: " + response.body);
  return out;
}

}  // namespace

Result<json::value> Session::get(const std::string& target, std::string_view refusal_prefix) {
  ORLOP_ASSIGN(const auto response, call("GET", target, {}, {}, refusal_prefix));
  return json_of(response);
}

Result<json::value> Session::send(std::string_view method, const std::string& target, const json::value& body,
                                  std::string_view refusal_prefix, std::string_view content_type) {
  ORLOP_ASSIGN(const auto response, call(method, target, {{"Content-Type", std::string(content_type)}},
                                         client::compact_json(body), refusal_prefix));
  return json_of(response);
}

Result<const ResourceInfo*> Session::find_kind(std::string_view word) {
  ORLOP_ASSIGN(const auto* kinds, discovery());
  const auto* info = kinds->find(word);
  if (info == nullptr) {
    return {Code::kNotFound, "error: the server doesn't have a resource type \"" + std::string(word) + "\""};
  }
  return info;
}

std::string Session::scope_of(const ResourceInfo& info) {
  return info.namespaced ? name_space() : std::string();
}

Result<std::vector<ObjectRef>> Session::refs_of(const std::vector<std::string>& words) {
  std::vector<ObjectRef> refs;
  if (words.empty()) return refs;
  if (words.front().find('/') != std::string::npos) {
    for (const auto& word : words) {
      const auto slash = word.find('/');
      if (slash == std::string::npos) {
        return user_error(
            "there is no need to specify a resource type as a separate argument when passing arguments in "
            "resource/name form (e.g. 'orlop get resource/<resource_name>' instead of 'orlop get resource "
            "resource/<resource_name>'");
      }
      if (slash == 0 || slash + 1 == word.size() || word.find('/', slash + 1) != std::string::npos) {
        return user_error("arguments in resource/name form may not have more than one slash");
      }
      ORLOP_ASSIGN(const auto* info, find_kind(word.substr(0, slash)));
      refs.push_back({info, word.substr(slash + 1)});
    }
    return refs;
  }
  std::vector<const ResourceInfo*> kinds;
  for (size_t at = 0; at <= words.front().size();) {
    const auto comma = std::min(words.front().find(',', at), words.front().size());
    const auto word = words.front().substr(at, comma - at);
    at = comma + 1;
    if (word.empty()) continue;
    ORLOP_ASSIGN(const auto* all, discovery());
    const auto category = all->find(word) == nullptr ? all->in_category(word) : std::vector<const ResourceInfo*>();
    if (!category.empty()) {
      kinds.insert(kinds.end(), category.begin(), category.end());
      continue;
    }
    ORLOP_ASSIGN(const auto* info, find_kind(word));
    kinds.push_back(info);
  }
  for (const auto* info : kinds) {
    if (words.size() == 1) refs.push_back({info, ""});
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i].find('/') != std::string::npos) {
        return user_error(
            "there is no need to specify a resource type as a separate argument when passing arguments in "
            "resource/name form (e.g. 'orlop get resource/<resource_name>' instead of 'orlop get resource "
            "resource/<resource_name>'");
      }
      refs.push_back({info, words[i]});
    }
  }
  return refs;
}

int Session::complain(const Status& status) {
  io.err << status.message() << '\n';
  return 1;
}

Status user_error(std::string message) {
  return {Code::kBadRequest, "error: " + std::move(message)};
}

std::string encode_query(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string query_of(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!value.empty()) out += (out.empty() ? "?" : "&") + name + "=" + encode_query(value);
  }
  return out;
}

std::string display_name(const ResourceInfo& info, const std::string& name) {
  return info.singular_name() + "/" + name;
}

Outcome print_result(Session& session, const ResourceInfo& info, const json::value& object, std::string_view verb) {
  const auto format = session.args.text("output");
  auto& out = session.io.out;
  const auto name = text_of(object, "metadata.name");
  if (format.empty()) {
    out << display_name(info, name) << ' ' << verb;
    const auto dry_run = session.args.text("dry-run");
    if (dry_run == "client") out << " (dry run)";
    if (dry_run == "server") out << " (server dry run)";
    out << '\n';
    return 0;
  }
  if (format == "name") {
    out << display_name(info, name) << '\n';
    return 0;
  }
  auto shown = object;
  if (auto* meta = shown.as_object().if_contains("metadata"); meta != nullptr && meta->is_object()) {
    if (!session.args.on("show-managed-fields")) meta->get_object().erase("managedFields");
  }
  if (format == "yaml") {
    out << to_yaml(shown);
  } else if (format == "json") {
    out << client::pretty_json(shown) << '\n';
  } else if (format.starts_with("jsonpath=")) {
    ORLOP_ASSIGN(const auto text, expand_jsonpath(shown, format.substr(9)));
    out << text;
  } else {
    return user_error("unable to match a printer suitable for the output format \"" + format +
                      "\", allowed formats are: json,jsonpath,name,yaml");
  }
  return 0;
}

int run_program(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  if (::posix_spawnp(&child, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int state = 0;
  while (::waitpid(child, &state, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

}  // namespace orlop::cli
