#include "cli/client/kubeconfig.hpp"

#include "orlop/kube/yaml.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace orlop::client {
namespace {

constexpr char kOwnKubeconfig[] = "/etc/orlop/admin.kubeconfig";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string absolute(const std::string& path, const std::string& of_file) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::absolute(of_file).parent_path() / path).lexically_normal().string();
}

Cluster cluster_of(const json::value& entry, const std::string& file) {
  return {text_of(entry, "server"), absolute(text_of(entry, "certificate-authority"), file),
          text_of(entry, "certificate-authority-data"), text_of(entry, "tls-server-name"),
          flag_of(entry, "insecure-skip-tls-verify")};
}

User user_of(const json::value& entry, const std::string& file) {
  User user;
  user.certificate_file = absolute(text_of(entry, "client-certificate"), file);
  user.certificate_data = text_of(entry, "client-certificate-data");
  user.key_file = absolute(text_of(entry, "client-key"), file);
  user.key_data = text_of(entry, "client-key-data");
  user.token = text_of(entry, "token");
  user.token_file = absolute(text_of(entry, "tokenFile"), file);
  user.username = text_of(entry, "username");
  user.password = text_of(entry, "password");
  user.has_exec = pick(entry, "exec") != nullptr;
  return user;
}

// Takes the entries of one list ("clusters") whose names are not there yet.
void merge_list(json::value& merged, const json::value& document, std::string_view list) {
  auto& target = merged.as_object()[list];
  if (!target.is_array()) target.emplace_array();
  for (const auto& entry : list_of(document, list)) {
    const auto name = text_of(entry, "name");
    bool known = false;
    for (const auto& there : target.get_array()) known = known || text_of(there, "name") == name;
    if (!known) target.get_array().push_back(entry);
  }
}

void merge_document(Kubeconfig& config, const json::value& document, const std::string& file) {
  for (const auto& entry : list_of(document, "clusters")) {
    if (const auto* body = pick(entry, "cluster")) {
      config.clusters.try_emplace(text_of(entry, "name"), cluster_of(*body, file));
    }
  }
  for (const auto& entry : list_of(document, "users")) {
    if (const auto* body = pick(entry, "user")) {
      config.users.try_emplace(text_of(entry, "name"), user_of(*body, file));
    }
  }
  for (const auto& entry : list_of(document, "contexts")) {
    if (const auto* body = pick(entry, "context")) {
      config.contexts.try_emplace(text_of(entry, "name"), KubeContext{text_of(*body, "cluster"), text_of(*body, "user"),
                                                                      text_of(*body, "namespace")});
    }
  }
  if (config.current_context.empty()) config.current_context = text_of(document, "current-context");
  for (const auto* list : {"clusters", "contexts", "users"}) merge_list(config.merged, document, list);
}

// PEM from the data when there is some, else from the file.
Result<std::string> pem_of(const std::string& data, const std::string& file, std::string_view what) {
  if (!data.empty()) {
    auto pem = decode_base64(data);
    if (pem.empty()) return {Code::kBadRequest, "error: " + std::string(what) + "-data is not base64"};
    return pem;
  }
  if (file.empty()) return std::string();
  auto text = read_text_file(file);
  if (!text.is_ok()) {
    return {Code::kBadRequest,
            "error: unable to read " + std::string(what) + " " + file + " due to " + text.status().message()};
  }
  return text;
}

Result<const KubeContext*> context_of(const Kubeconfig& config, const AccessFlags& flags) {
  const auto& name = flags.context.empty() ? config.current_context : flags.context;
  if (name.empty()) return static_cast<const KubeContext*>(nullptr);
  const auto found = config.contexts.find(name);
  if (found != config.contexts.end()) return &found->second;
  if (flags.context.empty() && config.contexts.empty()) return static_cast<const KubeContext*>(nullptr);
  return {Code::kBadRequest, "error: context \"" + name + "\" does not exist"};
}

Status add_user(ClusterAccess& access, const Kubeconfig& config, const std::string& name) {
  if (name.empty()) return {};
  const auto found = config.users.find(name);
  if (found == config.users.end()) return {Code::kBadRequest, "error: auth info \"" + name + "\" does not exist"};
  const auto& user = found->second;
  ORLOP_ASSIGN(access.client_certificate_pem,
               pem_of(user.certificate_data, user.certificate_file, "client-certificate"));
  ORLOP_ASSIGN(access.client_key_pem, pem_of(user.key_data, user.key_file, "client-key"));
  access.token = user.token;
  if (!user.token_file.empty()) {
    ORLOP_ASSIGN(access.token, pem_of("", user.token_file, "tokenFile"));
    while (!access.token.empty() && std::strchr(" \r\n", access.token.back()) != nullptr) access.token.pop_back();
  }
  access.username = user.username;
  access.password = user.password;
  if (user.has_exec && access.token.empty() && access.client_certificate_pem.empty()) {
    return {Code::kBadRequest, "error: user \"" + name +
                                   "\" takes its credentials from a program (exec), which orlop does not run; "
                                   "give it a token or a client certificate"};
  }
  return {};
}

}  // namespace

Environment process_environment() {
  return {[](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  }};
}

std::vector<std::string> kubeconfig_files(const AccessFlags& flags, const Environment& environment) {
  if (!flags.kubeconfig.empty()) return {flags.kubeconfig};
  std::vector<std::string> files;
  std::istringstream list(environment.variable("KUBECONFIG"));
  for (std::string file; std::getline(list, file, ':');) {
    if (!file.empty()) files.push_back(file);
  }
  if (!files.empty()) return files;
  const auto home = environment.variable("HOME") + "/.kube/config";
  if (::access(home.c_str(), F_OK) == 0) return {home};
  if (::access(kOwnKubeconfig, R_OK) == 0) return {kOwnKubeconfig};
  return {home};
}

Result<json::value> read_kubeconfig_document(const std::string& path) {
  auto text = read_text_file(path);
  if (!text.is_ok()) {
    if (text.code() == Code::kNotFound) return json::value(json::object());
    return {text.code(), "error: error loading config file \"" + path + "\": open " + path + ": " + text.message()};
  }
  auto documents = kube::yaml_to_json(*text);
  if (!documents.is_ok()) {
    return {Code::kBadRequest, "error: error loading config file \"" + path + "\": " + documents.message()};
  }
  json::value document = json::object();
  if (!documents->empty() && (!parse_json(documents->front(), document) || !document.is_object())) {
    return {Code::kBadRequest, "error: error loading config file \"" + path + "\": it holds no map"};
  }
  return document;
}

Result<Kubeconfig> load_kubeconfig(const AccessFlags& flags, const Environment& environment) {
  Kubeconfig config;
  config.merged = json::object{{"apiVersion", "v1"}, {"kind", "Config"}, {"preferences", json::object()}};
  for (const auto& file : kubeconfig_files(flags, environment)) {
    if (::access(file.c_str(), F_OK) != 0) {
      if (flags.kubeconfig.empty()) continue;
      return {Code::kNotFound, "error: stat " + file + ": no such file or directory"};
    }
    ORLOP_ASSIGN(const json::value document, read_kubeconfig_document(file));
    config.files.push_back(file);
    merge_document(config, document, file);
  }
  for (const auto* list : {"clusters", "contexts", "users"}) merge_list(config.merged, json::object(), list);
  config.merged.as_object()["current-context"] = config.current_context;
  return config;
}

Result<ClusterAccess> resolve_access(const Kubeconfig& config, const AccessFlags& flags) {
  ClusterAccess access;
  ORLOP_ASSIGN(const KubeContext* context, context_of(config, flags));
  auto cluster_name = context == nullptr ? std::string() : context->cluster;
  if (!flags.cluster.empty()) cluster_name = flags.cluster;
  const auto cluster = config.clusters.find(cluster_name);
  if (cluster != config.clusters.end()) {
    access.server = cluster->second.server;
    access.insecure = cluster->second.insecure;
    access.tls_server_name = cluster->second.tls_server_name;
    ORLOP_ASSIGN(access.ca_pem, pem_of(cluster->second.ca_data, cluster->second.ca_file, "certificate-authority"));
  } else if (!cluster_name.empty() && flags.server.empty()) {
    return {Code::kBadRequest, "error: cluster \"" + cluster_name + "\" does not exist"};
  }
  if (!flags.server.empty()) access.server = flags.server;
  if (access.server.find("://") == std::string::npos) access.server = "http://" + access.server;
  while (access.server.ends_with('/')) access.server.pop_back();

  auto user_name = context == nullptr ? std::string() : context->user;
  if (!flags.user.empty()) user_name = flags.user;
  ORLOP_TRY(add_user(access, config, user_name));
  if (!flags.token.empty()) access.token = flags.token;
  if (!flags.ca_file.empty()) {
    ORLOP_ASSIGN(access.ca_pem, pem_of("", flags.ca_file, "certificate-authority"));
  }
  if (!flags.certificate_file.empty()) {
    ORLOP_ASSIGN(access.client_certificate_pem, pem_of("", flags.certificate_file, "client-certificate"));
  }
  if (!flags.key_file.empty()) {
    ORLOP_ASSIGN(access.client_key_pem, pem_of("", flags.key_file, "client-key"));
  }
  if (!flags.tls_server_name.empty()) access.tls_server_name = flags.tls_server_name;
  if (flags.insecure) access.insecure = true;
  return access;
}

std::string resolve_namespace(const Kubeconfig& config, const AccessFlags& flags) {
  if (!flags.name_space.empty()) return flags.name_space;
  const auto context = context_of(config, flags);
  if (context.is_ok() && *context != nullptr && !(*context)->name_space.empty()) return (*context)->name_space;
  return "default";
}

Result<std::string> read_text_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {errno == ENOENT ? Code::kNotFound : Code::kForbidden, std::strerror(errno)};
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return {Code::kInternal, std::strerror(errno)};
  return std::move(text).str();
}

std::string decode_base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=' || c == '\n' || c == '\r' || c == ' ') continue;
    const char* at = std::strchr(kBase64, c);
    if (at == nullptr || c == '\0') return {};
    bits = (bits << 6) | static_cast<uint32_t>(at - kBase64);
    if (++count % 4 != 1) out += static_cast<char>((bits >> ((3 - (count - 1) % 4) * 2)) & 0xff);
  }
  return out;
}

std::string encode_base64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = (group << 8) | (k < have ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) out += k <= have ? kBase64[(group >> (18 - 6 * k)) & 63] : '=';
  }
  return out;
}

}  // namespace orlop::client
