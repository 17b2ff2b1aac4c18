#include "tests/bench/target.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <openssl/evp.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

namespace orlop::bench {
namespace {

Result<std::string> from_base64(const std::string& text) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  if (length < 0) return Status(Code::kBadRequest, "a *-data field is no base64");
  out.resize(static_cast<std::size_t>(length));
  while (!out.empty() && out.back() == '\0') out.pop_back();  // the padding
  return out;
}

// NAME-data as base64, or the file that NAME names; empty when there is neither.
Result<std::string> pem_of(const YAML::Node& node, const std::string& name, const std::filesystem::path& folder) {
  if (node[name + "-data"]) return from_base64(node[name + "-data"].as<std::string>());
  if (!node[name]) return std::string();
  return read_file((folder / node[name].as<std::string>()).string());
}

YAML::Node named(const YAML::Node& list, const std::string& name, const char* inner) {
  for (const auto& one : list) {
    if (one["name"].as<std::string>("") == name) return one[inner];
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

uint64_t number_after(const std::string& text, std::string_view label) {
  const std::size_t at = text.find(label);
  if (at == std::string::npos) return 0;
  const std::size_t digit = text.find_first_of("0123456789", at + label.size());
  uint64_t value = 0;
  if (digit != std::string::npos) std::from_chars(text.data() + digit, text.data() + text.size(), value);
  return value;
}

// The fields of /proc/PID/stat behind the program's name: [0] is the state, [1] the parent.
std::vector<std::string> stat_fields(const std::string& process) {
  const auto text = read_file("/proc/" + process + "/stat");
  std::vector<std::string> fields;
  if (!text) return fields;
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return fields;
  std::istringstream rest(text->substr(name_end + 1));
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

}  // namespace

Result<std::string> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Status(Code::kNotFound, file + " cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

Status set_server(Endpoint& endpoint, std::string_view url) {
  const std::string shown(url);
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return {Code::kBadRequest, shown + ": the server's address must begin with https://"};
  url.remove_prefix(kScheme.size());
  url = url.substr(0, url.find('/'));
  std::string_view port = "443";
  if (url.starts_with('[')) {
    const std::size_t end = url.find(']');
    if (end == std::string_view::npos) return {Code::kBadRequest, shown + ": ']' is missing"};
    endpoint.host = url.substr(1, end - 1);
    if (url.substr(end + 1).starts_with(':')) port = url.substr(end + 2);
  } else {
    const std::size_t colon = url.find(':');
    endpoint.host = url.substr(0, colon);
    if (colon != std::string_view::npos) port = url.substr(colon + 1);
  }
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (endpoint.host.empty() || parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size()) {
    return {Code::kBadRequest, shown + ": not https://HOST[:PORT]"};
  }
  return Status::ok();
}

Result<Endpoint> endpoint_of_kubeconfig(const std::string& file) {
  try {
    const YAML::Node root = YAML::LoadFile(file);
    const YAML::Node context = named(root["contexts"], root["current-context"].as<std::string>(""), "context");
    if (!context) return Status(Code::kBadRequest, file + ": its current-context is not among its contexts");
    const YAML::Node cluster = named(root["clusters"], context["cluster"].as<std::string>(""), "cluster");
    const YAML::Node user = named(root["users"], context["user"].as<std::string>(""), "user");
    if (!cluster || !user) return Status(Code::kBadRequest, file + ": the context's cluster or user is not there");
    if (user["exec"] || user["auth-provider"]) {
      return Status(Code::kBadRequest, file + ": credential plugins are not run; use a certificate or a token");
    }
    const std::filesystem::path folder = std::filesystem::path(file).parent_path();
    Endpoint endpoint;
    ORLOP_TRY(set_server(endpoint, cluster["server"].as<std::string>("")));
    endpoint.insecure = cluster["insecure-skip-tls-verify"].as<bool>(false);
    ORLOP_ASSIGN(endpoint.ca_pem, pem_of(cluster, "certificate-authority", folder));
    ORLOP_ASSIGN(endpoint.cert_pem, pem_of(user, "client-certificate", folder));
    ORLOP_ASSIGN(endpoint.key_pem, pem_of(user, "client-key", folder));
    endpoint.token = user["token"].as<std::string>("");
    if (endpoint.token.empty() && user["tokenFile"]) {
      ORLOP_ASSIGN(endpoint.token, read_file(user["tokenFile"].as<std::string>()));
      endpoint.token.erase(endpoint.token.find_last_not_of(" \r\n") + 1);
    }
    return endpoint;
  } catch (const YAML::Exception& fault) {
    return Status(Code::kBadRequest, file + ": " + fault.what());
  }
}

// ------------------------------------------------------------------------------------------------------ ProcessTree

std::vector<pid_t> ProcessTree::members() const {
  std::vector<std::pair<pid_t, pid_t>> all;  // process, parent
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto fields = stat_fields(name);
    if (fields.size() > 1) all.emplace_back(std::stoi(name), std::stoi(fields[1]));
  }
  std::vector<pid_t> members = roots_;
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (const auto& [process, parent] : all) {
      if (parent == members[i] && std::find(members.begin(), members.end(), process) == members.end()) {
        members.push_back(process);
      }
    }
  }
  return members;
}

Memory ProcessTree::memory() const {
  constexpr uint64_t kKilo = 1024;
  Memory sum;
  for (const pid_t process : members()) {
    const std::string folder = "/proc/" + std::to_string(process);
    const auto status = read_file(folder + "/status");
    const auto rollup = read_file(folder + "/smaps_rollup");
    if (!status) continue;
    ++sum.processes;
    sum.resident += number_after(*status, "VmRSS:") * kKilo;
    sum.anonymous += number_after(*status, "RssAnon:") * kKilo;
    if (rollup) sum.share += number_after(*rollup, "\nPss:") * kKilo;
  }
  return sum;
}

double ProcessTree::cpu_seconds() const {
  constexpr std::size_t kUserTicks = 11;  // field 14 of proc(5), counted from the state
  double ticks = 0;
  for (const pid_t process : members()) {
    const auto fields = stat_fields(std::to_string(process));
    if (fields.size() > kUserTicks + 1) ticks += std::stod(fields[kUserTicks]) + std::stod(fields[kUserTicks + 1]);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace orlop::bench
