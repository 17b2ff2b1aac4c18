// From an object that owns pods to the pods themselves.
#pragma once

#include "cli/commands/session.hpp"

#include <string>
#include <vector>

namespace orlop::cli {

// "app=web,tier in (a,b)" of a LabelSelector, or of a plain map of labels.
std::string selector_text(const json::value& selector);

// The pods that an object selects, the one to be used first in front: ready before not ready, older before younger.
// kNotFound: it selects none within the deadline; kBadRequest: its kind selects no pods.
Result<std::vector<json::value>> pods_of(Session& session, const ResourceInfo& info, const std::string& name);

// One pod by "name", "pod/name" or "deployment/name".
Result<json::value> one_pod(Session& session, const std::string& word, bool& picked_from_owner);

// The container to use: -c, else the pod's default-container annotation, else its first. Says on the error stream which
// it took when there are several and nothing named one. kBadRequest: -c names none of the pod's.
Result<std::string> container_of(Session& session, const json::value& pod, bool tell);

}  // namespace orlop::cli
