// Empties the folder of a released volume whose reclaim policy is Recycle. Threads: any.
#pragma once

#include "orlop/host.hpp"

#include <string>

namespace orlop::agent {

// kNotFound: no such volume. kConflict: it is none to be emptied now (bound, kept, no hostPath). kUnavailable: the file
// system's own words. A folder that is not there is empty.
Status recycle_volume(const Host& host, const std::string& name, const std::string& uid);

}  // namespace orlop::agent
