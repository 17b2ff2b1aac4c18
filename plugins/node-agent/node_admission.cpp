#include "plugins/node-agent/node_admission.hpp"

#include "plugins/node-agent/pod_refusal.hpp"

#include <vector>

namespace orlop::agent {

using Node = k8s::io::api::core::v1::Node;

Result<Refused> NodeAdmission::admit(Pass& pass) {
  if (pass.memory->admitted) return Refused{};
  const kube::Pod& pod = pass.pod();
  const auto let_in = [&] { context_.registry.with([&] { return pass.memory->admitted = true; }); };
  if (!pass.runtime.sandboxes.empty()) {
    let_in();
    return Refused{};
  }
  if (!context_.config.hollow) {
    Refused at_once = refusal_of(context_.config, pod, kernel_has_app_armor());
    if (!at_once.reason.empty()) return at_once;
  }
  Refused pressed = check_pressure(context_.conditions.get(), pod);
  if (!pressed.reason.empty()) return pressed;
  auto node = Objects<Node>(context_.host).get("", pod.spec().nodename());
  // Before the node is registered there is nothing to hold the pod against.
  if (!node && node.code() == Code::kNotFound) return Refused{};
  if (!node) return node.status();
  const std::lock_guard lock(one_);
  std::vector<kube::Pod> others;
  ORLOP_TRY(context_.pods.each("", "node/" + pod.spec().nodename(), [&](const RecordView&, kube::Pod& other) {
    if (kube::is_terminal(other) || other.metadata().uid() == pod.metadata().uid()) return true;
    const auto memory = context_.registry.find({other.metadata().namespace_(), other.metadata().name()});
    const bool in = memory != nullptr && memory->uid == other.metadata().uid() &&
                    context_.registry.with([&] { return memory->admitted; });
    // One that ran before the agent started will be adopted.
    if (in || other.status().has_starttime()) others.push_back(std::move(other));
    return true;
  }));
  Refused refused = check_admission(node->object, others, pod);
  if (refused.reason.empty()) let_in();
  return refused;
}

}  // namespace orlop::agent
