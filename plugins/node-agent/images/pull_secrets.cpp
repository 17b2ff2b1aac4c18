#include "plugins/node-agent/images/pull_secrets.hpp"

#include "orlop/objects.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fnmatch.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

namespace orlop::agent {
namespace {

using Secret = k8s::io::api::core::v1::Secret;
using google::protobuf::Struct;

constexpr char kDockerHub[] = "index.docker.io";

// Standard base64 with or without padding.
std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=' || c == '\n' || c == '\r') continue;
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return out;
}

const Struct* object_field(const Struct& of, const char* name) {
  const auto found = of.fields().find(name);
  return found != of.fields().end() && found->second.has_struct_value() ? &found->second.struct_value() : nullptr;
}

std::string text_field(const Struct& of, const char* name) {
  const auto found = of.fields().find(name);
  return found == of.fields().end() ? std::string() : found->second.string_value();
}

struct Place {
  std::string_view host, port, path;
};

Place split(std::string_view text) {
  Place out;
  const size_t slash = std::min(text.size(), text.find('/'));
  out.host = text.substr(0, slash);
  out.path = text.substr(slash);
  if (const size_t colon = out.host.rfind(':'); colon != std::string_view::npos && !out.host.ends_with(']')) {
    out.port = out.host.substr(colon + 1);
    out.host = out.host.substr(0, colon);
  }
  return out;
}

std::vector<std::string> labels_of(std::string_view host) {
  std::vector<std::string> out;
  for (size_t begin = 0;;) {
    const size_t end = std::min(host.size(), host.find('.', begin));
    out.emplace_back(host.substr(begin, end - begin));
    if (end == host.size()) return out;
    begin = end + 1;
  }
}

bool is_docker_hub(std::string_view repository) {
  const std::string_view first = repository.substr(0, repository.find('/'));
  return first == "docker.io" || first == kDockerHub || first.find_first_of(".:") == std::string_view::npos;
}

// "https://registry.example/v1/" and "registry.example" are the same place.
std::string normalized(std::string_view place) {
  if (const size_t scheme = place.find("://"); scheme != std::string_view::npos) place.remove_prefix(scheme + 3);
  const size_t slash = std::min(place.size(), place.find('/'));
  std::string_view path = place.substr(slash);
  if (path.starts_with("/v1/") || path.starts_with("/v2/")) path.remove_prefix(3);
  std::string out(place.substr(0, slash));
  if (path.size() > 1) out += path;
  return out;
}

}  // namespace

bool place_covers(std::string_view place, std::string_view repository) {
  const Place wanted = split(place);
  const Place given = split(repository);
  if (wanted.port != given.port) return false;
  const auto patterns = labels_of(wanted.host);
  const auto labels = labels_of(given.host);
  if (patterns.size() != labels.size() || !given.path.starts_with(wanted.path)) return false;
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (::fnmatch(patterns[i].c_str(), labels[i].c_str(), 0) != 0) return false;
  }
  return true;
}

Status Keyring::add(const Secret& secret) {
  const bool is_new = secret.type() == "kubernetes.io/dockerconfigjson";
  if (!is_new && secret.type() != "kubernetes.io/dockercfg") return Status::ok();
  const auto found = secret.data().find(is_new ? ".dockerconfigjson" : ".dockercfg");
  if (found == secret.data().end() || found->second.empty()) return Status::ok();
  const std::string whose = "secret \"" + secret.metadata().namespace_() + "/" + secret.metadata().name() + "\"";
  Struct document;
  if (!google::protobuf::util::JsonStringToMessage(found->second, &document).ok()) {
    return {Code::kInvalid, whose + " holds no JSON object in " + found->first};
  }
  const Struct* entries = is_new ? object_field(document, "auths") : &document;
  if (entries == nullptr) return Status::ok();
  for (const auto& [place, value] : entries->fields()) {
    if (!value.has_struct_value()) return {Code::kInvalid, whose + " holds no login for " + place};
    Login login{text_field(value.struct_value(), "username"), text_field(value.struct_value(), "password")};
    if (const std::string packed = text_field(value.struct_value(), "auth"); !packed.empty()) {
      const auto both = decode_base64(packed);
      const size_t colon = both ? both->find(':') : std::string::npos;
      if (colon == std::string::npos)
        return {Code::kInvalid, whose + ": unable to parse auth field, must be formatted as base64(username:password)"};
      login = {both->substr(0, colon), both->substr(colon + 1)};
    }
    add_entry(place, login);
  }
  return Status::ok();
}

void Keyring::add_entry(const std::string& place, const Login& login) {
  auto& known = logins_[normalized(place)];
  if (std::find(known.begin(), known.end(), login) == known.end()) known.push_back(login);
}

std::vector<Login> Keyring::find(std::string_view repository) const {
  std::vector<Login> out;
  for (const auto& [place, logins] : logins_) {
    if (place_covers(place, repository)) out.insert(out.end(), logins.begin(), logins.end());
  }
  if (out.empty() && is_docker_hub(repository)) {
    if (const auto hub = logins_.find(kDockerHub); hub != logins_.end()) out = hub->second;
  }
  return out;
}

Result<Credentials> find_credentials(const Host& host, const kube::Pod& pod, std::string_view repository) {
  Credentials out;
  Keyring keyring;
  const Objects<Secret> secrets(host);
  for (const auto& reference : pod.spec().imagepullsecrets()) {
    if (reference.name().empty()) continue;
    auto stored = secrets.get(pod.metadata().namespace_(), reference.name());
    if (!stored && stored.code() != Code::kNotFound) return stored.status();
    if (!stored) {
      out.missing.push_back(reference.name());
      continue;
    }
    ORLOP_TRY(keyring.add(stored->object));
  }
  out.logins = keyring.find(repository);
  return out;
}

}  // namespace orlop::agent
