// Credentials for registries: what a pod's imagePullSecrets hold, and which of them belong to an image.
//
// Follows kubelet's credential provider (k8s.io/kubernetes pkg/credentialprovider): entries by registry host, with
// wildcards in its labels and an optional path; the most specific one first; docker.io's under "index.docker.io".
// Pure but for find_credentials(), which reads the store.
#pragma once

#include "cri/api.pb.h"
#include "orlop/host.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/pods.hpp"
#include "orlop/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::agent {

struct Login {
  std::string user;
  std::string password;
  bool operator==(const Login&) const = default;
};

// Logins by where they are good for: "registry.example:5000/team", "*.example", "index.docker.io". Several secrets may
// hold one for the same place: each is tried.
class Keyring {
 public:
  // Adds what a Secret of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg holds; of another type:
  // nothing. kInvalid: its content is not what its type says; the message holds nothing of it.
  Status add(const k8s::io::api::core::v1::Secret& secret);
  // `repository`: "docker.io/library/nginx". In the order in which they are to be tried.
  [[nodiscard]] std::vector<Login> find(std::string_view repository) const;

 private:
  void add_entry(const std::string& place, const Login& login);

  std::map<std::string, std::vector<Login>, std::greater<>> logins_;
};

// Whether a place of a keyring ("*.example:5000/team") covers a repository ("a.example:5000/team/app").
bool place_covers(std::string_view place, std::string_view repository);

struct Credentials {
  std::vector<Login> logins;         // to be tried in order; none: without
  std::vector<std::string> missing;  // secrets that the pod names and that are not there
};

// Those of the pod's imagePullSecrets that belong to the repository. kInvalid: a secret's content.
Result<Credentials> find_credentials(const Host& host, const kube::Pod& pod, std::string_view repository);

}  // namespace orlop::agent
