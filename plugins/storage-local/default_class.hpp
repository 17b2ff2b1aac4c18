// The StorageClass that a new cluster has, so that a claim works out of the box. Threads: one; blocks on writes.
#pragma once

#include "orlop/host.hpp"

#include <string>

namespace orlop::local {

// Makes it once in the life of a cluster: `note` is a file that says that it was. Whoever deletes the class afterwards
// is obeyed. A name that is taken is left as it is.
Status ensure_default_class(const Host& host, const std::string& name, const std::string& note);

}  // namespace orlop::local
