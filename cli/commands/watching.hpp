// Waiting for changes of objects.
#pragma once

#include "cli/commands/session.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace orlop::cli {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

// Nothing when seconds are 0 or less: no end.
Deadline deadline_after(double seconds);

enum class Watched { kMet, kGone, kTimedOut };

// Looks at one object, and again at each change of it, until `met` says true, the object is gone, or time is up.
// Failures: what the server refuses.
Result<Watched> watch_object(Session& session, const ResourceInfo& info, const std::string& name_space,
                             const std::string& name, Deadline deadline,
                             const std::function<bool(const json::value&)>& met);

// Waits until no object of that uid has the name. False: time was up before.
Result<bool> wait_until_gone(Session& session, const ResourceInfo& info, const std::string& name_space,
                             const std::string& name, const std::string& uid, Deadline deadline);

}  // namespace orlop::cli
