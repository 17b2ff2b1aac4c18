#include "cli/commands/pods_of.hpp"

#include <algorithm>

namespace orlop::cli {

using client::list_of;
using client::map_of;
using client::pick;
using client::scalar_text;
using client::text_of;

namespace {

std::string joined(const json::array& values) {
  std::string out;
  for (const auto& item : values) out += (out.empty() ? "" : ",") + scalar_text(item);
  return out;
}

std::string labels_text(const json::object& labels) {
  std::string out;
  for (const auto& label : labels) {
    out += (out.empty() ? "" : ",") + std::string(label.key()) + "=" + scalar_text(label.value());
  }
  return out;
}

bool is_leaving(const json::value& pod) {
  return !text_of(pod, "metadata.deletionTimestamp").empty();
}

bool is_ready(const json::value& pod) {
  for (const auto& condition : list_of(pod, "status.conditions")) {
    if (text_of(condition, "type") == "Ready") return text_of(condition, "status") == "True";
  }
  return false;
}

}  // namespace

std::string selector_text(const json::value& selector) {
  if (!selector.is_object()) return {};
  if (!selector.get_object().contains("matchLabels") && !selector.get_object().contains("matchExpressions")) {
    return labels_text(selector.get_object());
  }
  auto out = labels_text(map_of(selector, "matchLabels"));
  for (const auto& rule : list_of(selector, "matchExpressions")) {
    const auto key = text_of(rule, "key");
    const auto how = text_of(rule, "operator");
    const auto values = joined(list_of(rule, "values"));
    out += out.empty() ? "" : ",";
    if (how == "In") out += key + " in (" + values + ")";
    if (how == "NotIn") out += key + " notin (" + values + ")";
    if (how == "Exists") out += key;
    if (how == "DoesNotExist") out += "!" + key;
  }
  return out;
}

Result<std::vector<json::value>> pods_of(Session& session, const ResourceInfo& info, const std::string& name) {
  const auto scope = session.scope_of(info);
  ORLOP_ASSIGN(auto object, session.get(info.path(scope, name)));
  if (info.kind == "Pod") return std::vector<json::value>{std::move(object)};
  const auto* selector = pick(object, "spec.selector");
  const auto text = selector == nullptr ? std::string() : selector_text(*selector);
  if (text.empty()) {
    return user_error("cannot get the logs from " + info.api_version() + ", Kind=" + info.kind +
                      ": selector cannot be determined");
  }
  ORLOP_ASSIGN(const auto* pod_kind, session.find_kind("pods"));
  ORLOP_ASSIGN(const auto list, session.get(pod_kind->path(scope) + query_of({{"labelSelector", text}})));
  std::vector<json::value> pods(list_of(list, "items").begin(), list_of(list, "items").end());
  std::stable_sort(pods.begin(), pods.end(), [](const json::value& a, const json::value& b) {
    if (is_leaving(a) != is_leaving(b)) return is_leaving(b);
    if (is_ready(a) != is_ready(b)) return is_ready(a);
    return text_of(a, "metadata.creationTimestamp") < text_of(b, "metadata.creationTimestamp");
  });
  if (pods.empty()) return {Code::kNotFound, "error: timed out waiting for the condition"};
  return pods;
}

Result<json::value> one_pod(Session& session, const std::string& word, bool& picked_from_owner) {
  picked_from_owner = false;
  const auto slash = word.find('/');
  ORLOP_ASSIGN(const auto* info, session.find_kind(slash == std::string::npos ? "pods" : word.substr(0, slash)));
  const auto name = slash == std::string::npos ? word : word.substr(slash + 1);
  ORLOP_ASSIGN(auto pods, pods_of(session, *info, name));
  picked_from_owner = info->kind != "Pod";
  if (picked_from_owner && pods.size() > 1) {
    session.io.err << "Found " << pods.size() << " pods, using pod/" << text_of(pods.front(), "metadata.name") << '\n';
  }
  return std::move(pods.front());
}

Result<std::string> container_of(Session& session, const json::value& pod, bool tell) {
  const auto pod_name = text_of(pod, "metadata.name");
  std::vector<std::string> names;
  std::vector<std::string> all;
  for (const auto& container : list_of(pod, "spec.containers")) names.push_back(text_of(container, "name"));
  all = names;
  for (const auto* list : {"spec.initContainers", "spec.ephemeralContainers"}) {
    for (const auto& container : list_of(pod, list)) all.push_back(text_of(container, "name"));
  }
  auto wanted = session.args.text("container");
  if (wanted.empty()) {
    const auto& annotations = map_of(pod, "metadata.annotations");
    const auto* named = annotations.if_contains("kubectl.kubernetes.io/default-container");
    if (named != nullptr) wanted = scalar_text(*named);
  }
  if (!wanted.empty()) {
    if (std::find(all.begin(), all.end(), wanted) != all.end()) return wanted;
    return user_error("container " + wanted + " is not valid for pod " + pod_name);
  }
  if (names.empty()) return user_error("pod " + pod_name + " has no containers");
  if (tell && all.size() > 1) {
    std::string others;
    for (const auto& name : all) others += (others.empty() ? "" : ", ") + name;
    session.io.err << "Defaulted container \"" << names.front() << "\" out of: " << others << '\n';
  }
  return names.front();
}

}  // namespace orlop::cli
