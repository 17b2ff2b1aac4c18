// The objects in the API that stand for static pods: made when absent, made anew when they are of another content or
// somebody deletes them, removed when the file is gone.
//
// Threads: any.
#pragma once

#include "orlop/objects.hpp"
#include "plugins/node-agent/static_pods/manifest.hpp"

#include <optional>
#include <string>

namespace orlop::agent {

class MirrorPods {
 public:
  explicit MirrorPods(Host host) : host_(host), pods_(host) {}

  // The mirror of this pod. Nothing: the API refuses it (no such namespace) or something else has its name; the pod
  // runs all the same, and `why` tells. Failures: the store's, worth another try.
  Result<std::optional<Stored<kube::Pod>>> ensure(const kube::Pod& pod, std::string& why) const;
  // Removes the object at once if it is the one that was read. One that is gone already is removed.
  Status remove(const kube::Pod& mirror) const;

 private:
  Result<kube::Pod> make(const kube::Pod& pod) const;

  Host host_;
  Objects<kube::Pod> pods_;
};

}  // namespace orlop::agent
