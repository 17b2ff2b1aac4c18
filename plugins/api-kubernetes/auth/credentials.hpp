// The cluster's own keys and certificates, as files: made at the first start, renewed by themselves.
//
//   FOLDER/pki/ca.crt ca.key               the cluster's CA, 10 years
//   FOLDER/pki/apiserver.crt apiserver.key the serving certificate, 1 year; made anew 30 days before its end, or when
//   the
//                                          machine has an address that it lacks
//   FOLDER/pki/sa.key sa.pub               what service account tokens are signed and checked with
//   FOLDER/pki/admin.crt admin.key         CN kubernetes-admin, O system:masters, 1 year
//   FOLDER/admin.kubeconfig                the way in, with the above embedded
//
// Keys and the kubeconfig are 0600; every file is replaced whole or not at all. A lock file keeps two front-ends on one
// machine from making two CAs.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/auth/pki.hpp"

#include <functional>
#include <string>
#include <vector>

namespace orlop::auth {

struct CredentialsOptions {
  std::string folder;                    // "/etc/orlop"
  std::string kubeconfig;                // file name in it; empty: none is written
  std::string server;                    // "https://127.0.0.1:6443"
  std::vector<std::string> extra_names;  // further DNS names and addresses of the serving certificate
  std::string service_address = "10.96.0.1";
  std::string cluster_domain = "cluster.local";
};

// What the certificates must name besides what is always there. Injected, so that tests need no network of their own.
struct MachineNames {
  std::string hostname;
  std::vector<std::string> addresses;
};
MachineNames read_machine_names();

struct Credentials {
  KeyPair authority;
  KeyPair serving;
  std::string service_account_key;
};

// Makes what is missing or worn out and reads the rest. Blocking; a few milliseconds when all has to be made.
// kUnavailable: the folder cannot be written; the message names the file and the reason.
Result<Credentials> ensure_credentials(const CredentialsOptions& options, const MachineNames& machine, WallTime now);

// Whether the serving certificate must be made anew.
bool is_worn_out(const std::string& serving_certificate, const std::string& authority_certificate,
                 const CredentialsOptions& options, const MachineNames& machine, WallTime now);

}  // namespace orlop::auth
