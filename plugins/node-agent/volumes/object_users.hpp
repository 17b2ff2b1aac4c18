// Which pods use which ConfigMaps and Secrets.
//
// Threads: any.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/pods.hpp"

#include <compare>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace orlop::agent {

struct ObjectReference {
  bool is_secret = false;
  std::string name_space;
  std::string name;
  auto operator<=>(const ObjectReference&) const = default;
};

// What the pod's volumes, or its containers' variables, are made from.
std::set<ObjectReference> objects_of_volumes(const kube::Pod& pod);
std::set<ObjectReference> objects_of_variables(const kube::Pod& pod);

class ObjectUsers {
 public:
  struct User {
    ObjectKey pod;
    std::string uid;
  };

  // From now on the pod uses these, and no others.
  void set(const User& user, const std::set<ObjectReference>& objects);
  void drop(const std::string& uid);
  // The pod does not want to hear of this object any more.
  void drop(const std::string& uid, const ObjectReference& object);
  [[nodiscard]] std::vector<User> of(const ObjectReference& object) const;

 private:
  void drop_locked(const std::string& uid);

  mutable std::mutex mutex_;
  std::map<ObjectReference, std::map<std::string, ObjectKey>> users_;  // guarded by mutex_: uid to pod
  std::map<std::string, std::set<ObjectReference>> objects_;           // guarded by mutex_: by uid
};

}  // namespace orlop::agent
