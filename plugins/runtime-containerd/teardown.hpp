// Removes everything that runtime-containerd owns on a machine but its data: pods, containerd, mounts, the run folder.
#pragma once

#include "orlop/result.hpp"
#include "plugins/runtime-containerd/settings.hpp"

#include <functional>
#include <string_view>

namespace orlop::containerd {

// Only the two folders of the settings count. The plugin must not run any more. Sandboxes are stopped and removed
// through containerd, so that the pod network's own clean-up runs; containerd is started for that when pods are left
// and it is not running. What still lives then is killed. `say` gets one line for each step. kTimeout, kUnavailable:
// something stayed; the message says what.
Status tear_down(const Settings& settings, const std::function<void(std::string_view)>& say);

}  // namespace orlop::containerd
