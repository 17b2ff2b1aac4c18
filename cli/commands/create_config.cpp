// create configmap, create secret generic|docker-registry|tls: objects out of files, words and pairs of keys.
#include "cli/commands/create.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace orlop::cli {
namespace {

using Data = std::vector<std::pair<std::string, std::string>>;

bool is_key(const std::string& key) {
  constexpr size_t kBytesMax = 253;
  return !key.empty() && key.size() <= kBytesMax && key != "." && key != ".." && !key.starts_with("..") &&
         std::all_of(key.begin(), key.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
}

class DataReader {
 public:
  DataReader(const Session& session, std::string kind, std::string name)
      : args_(session.args), kind_(std::move(kind)), name_(std::move(name)) {}

  Result<Data> read() {
    const bool from_env = !args_.list("from-env-file").empty();
    if (from_env && (!args_.list("from-file").empty() || !args_.list("from-literal").empty())) {
      return user_error("from-env-file cannot be combined with from-file or from-literal");
    }
    for (const auto& word : args_.list("from-file")) ORLOP_TRY(add_file(word));
    for (const auto& word : args_.list("from-literal")) ORLOP_TRY(add_literal(word));
    for (const auto& path : args_.list("from-env-file")) ORLOP_TRY(add_env_file(path));
    return std::move(data_);
  }

 private:
  Status put(const std::string& key, std::string bytes) {
    if (!is_key(key)) {
      return user_error(
          "\"" + key + "\" is not a valid key name for a " + kind_ +
          ": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
          " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
    }
    const bool taken = std::any_of(data_.begin(), data_.end(), [&](const auto& entry) { return entry.first == key; });
    if (taken) {
      return user_error("cannot add key \"" + key + "\", another key by that name already exists in Data for " + kind_ +
                        " \"" + name_ + "\"");
    }
    data_.emplace_back(key, std::move(bytes));
    return Status::ok();
  }

  // "[key=]path": a file, or a folder's files.
  Status add_file(const std::string& word) {
    namespace fs = std::filesystem;
    const auto equals = word.find('=');
    const std::string path = equals == std::string::npos ? word : word.substr(equals + 1);
    if (equals == 0) return user_error("key name for file path " + path + " missing");
    if (equals != std::string::npos && path.empty()) {
      return user_error("file path for key name " + word.substr(0, equals) + " missing");
    }
    if (path.find('=') != std::string::npos) {
      return user_error("key names or file paths cannot contain '='");
    }
    std::vector<std::pair<std::string, std::string>> files;
    std::error_code error;
    if (fs::is_directory(path, error)) {
      if (equals != std::string::npos) {
        return user_error("cannot give a key name for a directory path");
      }
      for (const auto& entry : fs::directory_iterator(path, error)) {
        if (!entry.is_regular_file() || !is_key(entry.path().filename().string())) continue;
        files.emplace_back(entry.path().filename().string(), entry.path().string());
      }
      std::sort(files.begin(), files.end());
    } else {
      files.emplace_back(equals == std::string::npos ? fs::path(path).filename().string() : word.substr(0, equals),
                         path);
    }
    for (const auto& [key, file] : files) {
      auto text = client::read_text_file(file);
      if (!text.is_ok()) return user_error("error reading " + file + ": " + text.message());
      ORLOP_TRY(put(key, std::move(*text)));
    }
    return Status::ok();
  }

  // "key=value"; a value in quotes loses them.
  Status add_literal(const std::string& word) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return user_error("invalid literal source " + word + ", expected key=value");
    std::string value = word.substr(equals + 1);
    const bool quoted = value.size() > 1 && value.front() == value.back() && (value[0] == '"' || value[0] == '\'');
    if (quoted) value = value.substr(1, value.size() - 2);
    return put(word.substr(0, equals), std::move(value));
  }

  // Lines of "key=value"; a key alone takes its value from orlop's own environment.
  Status add_env_file(const std::string& path) {
    auto text = client::read_text_file(path);
    if (!text.is_ok()) return user_error("error reading " + path + ": " + text.message());
    for (size_t at = 0; at < text->size();) {
      const auto end = std::min(text->find('\n', at), text->size());
      std::string line = text->substr(at, end - at);
      at = end + 1;
      if (line.ends_with('\r')) line.pop_back();
      line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
      if (line.empty() || line.front() == '#') continue;
      const auto equals = line.find('=');
      if (equals != std::string::npos) {
        ORLOP_TRY(put(line.substr(0, equals), line.substr(equals + 1)));
      } else if (const char* value = std::getenv(line.c_str())) {
        ORLOP_TRY(put(line, value));
      }
    }
    return Status::ok();
  }

  const Arguments& args_;
  std::string kind_, name_;
  Data data_;
};

bool is_utf8(std::string_view text) {
  int more = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (more > 0) {
      if ((byte & 0xc0) != 0x80) return false;
      --more;
    } else if (byte >= 0x80) {
      more = (byte & 0xe0) == 0xc0 ? 1 : (byte & 0xf0) == 0xe0 ? 2 : (byte & 0xf8) == 0xf0 ? 3 : -1;
      if (more < 0) return false;
    }
  }
  return more == 0;
}

Outcome create_config_map(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(const Data data, DataReader(session, "ConfigMap", name).read());
  auto object = skeleton("v1", "ConfigMap", name);
  for (const auto& [key, text] : data) {
    const bool plain = is_utf8(text);
    client::make_map(object, plain ? "data" : "binaryData")[key] = plain ? text : client::encode_base64(text);
  }
  return create_made(session, std::move(object), "configmap");
}

Outcome create_secret_of(Session& session, const std::string& name, const Data& data, const std::string& type) {
  auto object = skeleton("v1", "Secret", name);
  for (const auto& [key, text] : data) client::make_map(object, "data")[key] = client::encode_base64(text);
  if (!type.empty()) object.as_object()["type"] = type;
  return create_made(session, std::move(object), "secret");
}

Outcome create_secret(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  ORLOP_ASSIGN(const Data data, DataReader(session, "Secret", name).read());
  return create_secret_of(session, name, data, session.args.text("type"));
}

Outcome create_docker_secret(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  const std::string type = "kubernetes.io/dockerconfigjson";
  if (!session.args.list("from-file").empty()) {
    ORLOP_ASSIGN(const Data data, DataReader(session, "Secret", name).read());
    return create_secret_of(session, name, data, type);
  }
  const std::string user = session.args.text("docker-username"), password = session.args.text("docker-password");
  if (user.empty() || password.empty() || session.args.text("docker-server").empty()) {
    return user_error(
        "either --from-file or the combination of --docker-username, --docker-password and "
        "--docker-server is required");
  }
  json::object entry{{"username", user}, {"password", password}};
  if (!session.args.text("docker-email").empty()) entry["email"] = session.args.text("docker-email");
  entry["auth"] = client::encode_base64(user + ":" + password);
  const json::object config{{"auths", {{session.args.text("docker-server"), entry}}}};
  Data data;
  data.emplace_back(".dockerconfigjson", client::compact_json(config));
  return create_secret_of(session, name, data, type);
}

Outcome create_tls_secret(Session& session) {
  ORLOP_ASSIGN(const auto name, name_of(session));
  Data data;
  for (const auto& [flag, key] : {std::pair{"cert", "tls.crt"}, std::pair{"key", "tls.key"}}) {
    const std::string path = session.args.text(flag);
    if (path.empty()) return user_error("key and cert must be specified");
    auto text = client::read_text_file(path);
    if (!text.is_ok()) return user_error("error reading " + path + ": " + text.message());
    if (text->find("-----BEGIN ") == std::string::npos) {
      return user_error("tls: failed to find any PEM data in " + std::string(flag) + " input");
    }
    data.emplace_back(key, std::move(*text));
  }
  return create_secret_of(session, name, data, "kubernetes.io/tls");
}

}  // namespace

void add_create_config_commands(std::vector<Command>& out) {
  const Flag file{"from-file", 0, FlagKind::kTexts, "", "[KEY=]FILE, or a folder"};
  const std::vector<Flag> data{file,
                               {"from-literal", 0, FlagKind::kTexts, "", "KEY=VALUE"},
                               {"from-env-file", 0, FlagKind::kTexts, "", "A file of KEY=VALUE lines"}};
  auto secret = data;
  secret.push_back({"type", 0, FlagKind::kText, "", "The secret's type"});
  for (const char* words : {"create configmap", "create cm"}) {
    out.push_back(
        {words, "NAME [--from-file] [--from-literal]", "Create a config map", made_flags(data), create_config_map});
  }
  out.push_back({"create secret generic", "NAME [--from-file] [--from-literal]", "Create a secret", made_flags(secret),
                 create_secret});
  out.push_back({"create secret docker-registry", "NAME --docker-server=SERVER --docker-username=USER",
                 "Create a secret for a registry",
                 made_flags({file,
                             {"docker-server", 0, FlagKind::kText, "https://index.docker.io/v1/", "The registry"},
                             {"docker-username", 0, FlagKind::kText, "", "Who asks"},
                             {"docker-password", 0, FlagKind::kText, "", "With which password"},
                             {"docker-email", 0, FlagKind::kText, "", "Whose mail address"}}),
                 create_docker_secret});
  out.push_back({"create secret tls", "NAME --cert=FILE --key=FILE", "Create a secret of a certificate and its key",
                 made_flags({{"cert", 0, FlagKind::kText, "", "PEM file of the certificate"},
                             {"key", 0, FlagKind::kText, "", "PEM file of the key"}}),
                 create_tls_secret});
}

}  // namespace orlop::cli
