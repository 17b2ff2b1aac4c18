// Where the API server is and who we are, found as kubectl finds it.
//
// Specification: k8s.io/client-go/tools/clientcmd, "Loading rules". Files are merged in order; the first file that
// names a cluster, a user, a context or the current context wins. A relative path inside a file is relative to that
// file's folder.
//
// Threads: any; nothing is shared.
#pragma once

#include "cli/client/json.hpp"
#include "orlop/result.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orlop::client {

// What the process was given from outside; a test gives its own.
struct Environment {
  // The variable's value; empty and unset are the same.
  std::function<std::string(const std::string& name)> variable;
};

Environment process_environment();

// Everything that a connection needs. Certificates and keys are PEM texts, already read from their files.
struct ClusterAccess {
  std::string server = "http://localhost:8080";  // scheme://host[:port][/prefix]
  std::string ca_pem;                            // empty: the system's store
  std::string tls_server_name;                   // empty: the host of `server`
  bool insecure = false;                         // the server's certificate is not looked at
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::string token;
  std::string username;
  std::string password;
};

struct Cluster {
  std::string server, ca_file, ca_data, tls_server_name;
  bool insecure = false;
};
struct User {
  std::string certificate_file, certificate_data, key_file, key_data, token, token_file, username, password;
  bool has_exec = false;  // a credential program, which is not supported
};
struct KubeContext {
  std::string cluster, user, name_space;
};

struct Kubeconfig {
  std::map<std::string, Cluster> clusters;
  std::map<std::string, User> users;
  std::map<std::string, KubeContext> contexts;
  std::string current_context;
  json::value merged;              // the merged document, for `config view`
  std::vector<std::string> files;  // those that were read, in order
};

// What the command line said about the connection; empty: not said.
struct AccessFlags {
  std::string kubeconfig, context, cluster, user, server, token, ca_file, certificate_file, key_file, tls_server_name,
      name_space;
  bool insecure = false;
};

// The files that would be read: --kubeconfig alone, else the list of $KUBECONFIG, else ~/.kube/config when it is there,
// else the cluster's own admin.kubeconfig when it can be read.
std::vector<std::string> kubeconfig_files(const AccessFlags& flags, const Environment& environment);

// kBadRequest: a file is not YAML, or not of this form; kNotFound: the file that --kubeconfig names is absent. Absent
// files of a list are passed over.
Result<Kubeconfig> load_kubeconfig(const AccessFlags& flags, const Environment& environment);

// kBadRequest with kubectl's sentence when the context, cluster or user does not exist or a file in it cannot be read.
Result<ClusterAccess> resolve_access(const Kubeconfig& config, const AccessFlags& flags);

// -n, else the context's, else "default".
std::string resolve_namespace(const Kubeconfig& config, const AccessFlags& flags);

// One file's document; absent file: an empty object.
Result<json::value> read_kubeconfig_document(const std::string& path);

Result<std::string> read_text_file(const std::string& path);
std::string decode_base64(std::string_view text);  // empty when the text is not base64
std::string encode_base64(std::string_view bytes);

}  // namespace orlop::client
