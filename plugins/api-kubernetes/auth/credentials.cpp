#include "plugins/api-kubernetes/auth/credentials.hpp"

#include "plugins/api-kubernetes/auth/encoding.hpp"
#include "plugins/api-kubernetes/auth/files.hpp"

#include <algorithm>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

namespace orlop::auth {
namespace {

constexpr auto kDay = std::chrono::hours(24);
constexpr auto kAuthorityLife = kDay * 3650;
constexpr auto kLeafLife = kDay * 365;
constexpr auto kRenewBefore = kDay * 30;
// A clock that was ahead when the certificates were made is put right: they must be good at once.
constexpr auto kBackdate = kDay * 2;

bool is_address(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

void add_once(std::vector<std::string>& list, const std::string& item) {
  if (!item.empty() && std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

CertificateSpec serving_spec(const CredentialsOptions& options, const MachineNames& machine, WallTime now) {
  CertificateSpec spec;
  spec.common_name = "kube-apiserver";
  spec.server = true;
  spec.not_before = now - kBackdate;
  spec.not_after = now + kLeafLife;
  spec.dns_names = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                    "kubernetes.default.svc." + options.cluster_domain};
  spec.addresses = {"127.0.0.1", "::1"};
  add_once(spec.addresses, options.service_address);
  add_once(spec.dns_names, machine.hostname);
  for (const std::string& address : machine.addresses) add_once(spec.addresses, address);
  for (const std::string& name : options.extra_names) {
    add_once(is_address(name) ? spec.addresses : spec.dns_names, name);
  }
  return spec;
}

bool covers(const std::vector<std::string>& have, const std::vector<std::string>& want) {
  return std::all_of(want.begin(), want.end(),
                     [&](const std::string& item) { return std::find(have.begin(), have.end(), item) != have.end(); });
}

Result<std::optional<KeyPair>> read_pair(const std::string& stem) {
  ORLOP_ASSIGN(auto certificate, read_file(stem + ".crt"));
  ORLOP_ASSIGN(auto key, read_file(stem + ".key"));
  if (!certificate || !key) return std::optional<KeyPair>();
  return std::optional<KeyPair>(KeyPair{std::move(*certificate), std::move(*key)});
}

Status write_pair(const std::string& stem, const KeyPair& pair) {
  // The key first: a certificate without its key would be taken for a whole pair after a crash between the two.
  ORLOP_TRY(replace_file(stem + ".key", pair.key, 0600));
  return replace_file(stem + ".crt", pair.certificate, 0644);
}

Result<KeyPair> ensure_authority(const std::string& pki, WallTime now) {
  ORLOP_ASSIGN(auto stored, read_pair(pki + "/ca"));
  if (stored) return std::move(*stored);
  ORLOP_ASSIGN(KeyPair made, make_authority("orlop", now - kBackdate, now + kAuthorityLife));
  ORLOP_TRY(write_pair(pki + "/ca", made));
  return made;
}

Result<KeyPair> ensure_serving(const CredentialsOptions& options, const std::string& pki, const KeyPair& authority,
                               const MachineNames& machine, WallTime now) {
  ORLOP_ASSIGN(auto stored, read_pair(pki + "/apiserver"));
  if (stored && !is_worn_out(stored->certificate, authority.certificate, options, machine, now)) {
    return std::move(*stored);
  }
  ORLOP_ASSIGN(KeyPair made, make_certificate(authority, serving_spec(options, machine, now)));
  ORLOP_TRY(write_pair(pki + "/apiserver", made));
  return made;
}

Result<KeyPair> ensure_admin(const std::string& pki, const KeyPair& authority, WallTime now) {
  ORLOP_ASSIGN(auto stored, read_pair(pki + "/admin"));
  if (stored && is_signed_by(stored->certificate, authority.certificate)) {
    auto facts = read_certificate(stored->certificate);
    if (facts && facts->not_after > now + kRenewBefore) return std::move(*stored);
  }
  CertificateSpec spec;
  spec.common_name = "kubernetes-admin";
  spec.organizations = {"system:masters"};
  spec.not_before = now - kBackdate;
  spec.not_after = now + kLeafLife;
  ORLOP_ASSIGN(KeyPair made, make_certificate(authority, spec));
  ORLOP_TRY(write_pair(pki + "/admin", made));
  return made;
}

Result<std::string> ensure_service_account_key(const std::string& pki) {
  ORLOP_ASSIGN(auto stored, read_file(pki + "/sa.key"));
  if (stored) return std::move(*stored);
  ORLOP_ASSIGN(std::string key, make_key());
  ORLOP_ASSIGN(std::string public_key, public_key_of(key));
  ORLOP_TRY(replace_file(pki + "/sa.pub", public_key, 0644));
  ORLOP_TRY(replace_file(pki + "/sa.key", key, 0600));
  return key;
}

std::string kubeconfig_text(const CredentialsOptions& options, const KeyPair& authority, const KeyPair& admin) {
  return "apiVersion: v1\nkind: Config\nclusters:\n- name: orlop\n  cluster:\n    server: " + options.server +
         "\n    certificate-authority-data: " + base64(authority.certificate) +
         "\nusers:\n- name: kubernetes-admin\n  user:\n    client-certificate-data: " + base64(admin.certificate) +
         "\n    client-key-data: " + base64(admin.key) +
         "\ncontexts:\n- name: kubernetes-admin@orlop\n  context:\n    cluster: orlop\n    user: kubernetes-admin\n"
         "current-context: kubernetes-admin@orlop\npreferences: {}\n";
}

}  // namespace

MachineNames read_machine_names() {
  MachineNames names;
  char host[256] = "";
  if (::gethostname(host, sizeof host - 1) == 0) names.hostname = host;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return names;
  for (ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = "";
    if (item->ifa_addr->sa_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(item->ifa_addr)->sin_addr, text, sizeof text);
    } else if (item->ifa_addr->sa_family == AF_INET6) {
      auto* address = reinterpret_cast<sockaddr_in6*>(item->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
      inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
    }
    if (text[0] != '\0') add_once(names.addresses, text);
  }
  ::freeifaddrs(list);
  return names;
}

bool is_worn_out(const std::string& serving_certificate, const std::string& authority_certificate,
                 const CredentialsOptions& options, const MachineNames& machine, WallTime now) {
  auto facts = read_certificate(serving_certificate);
  if (!facts || facts->not_after <= now + kRenewBefore) return true;
  if (!is_signed_by(serving_certificate, authority_certificate)) return true;
  CertificateSpec wanted = serving_spec(options, machine, now);
  return !covers(facts->dns_names, wanted.dns_names) || !covers(facts->addresses, wanted.addresses);
}

Result<Credentials> ensure_credentials(const CredentialsOptions& options, const MachineNames& machine, WallTime now) {
  ORLOP_TRY(make_folder(options.folder, 0755));
  std::string pki = options.folder + "/pki";
  ORLOP_TRY(make_folder(pki, 0700));
  ORLOP_ASSIGN(FileLock lock, FileLock::take(pki + "/.lock"));
  Credentials credentials;
  ORLOP_ASSIGN(credentials.authority, ensure_authority(pki, now));
  ORLOP_ASSIGN(credentials.serving, ensure_serving(options, pki, credentials.authority, machine, now));
  ORLOP_ASSIGN(credentials.service_account_key, ensure_service_account_key(pki));
  ORLOP_ASSIGN(KeyPair admin, ensure_admin(pki, credentials.authority, now));
  if (!options.kubeconfig.empty()) {
    std::string path = options.folder + "/" + options.kubeconfig;
    std::string text = kubeconfig_text(options, credentials.authority, admin);
    ORLOP_ASSIGN(auto stored, read_file(path));
    if (!stored || *stored != text) ORLOP_TRY(replace_file(path, text, 0600));
  }
  return credentials;
}

}  // namespace orlop::auth
