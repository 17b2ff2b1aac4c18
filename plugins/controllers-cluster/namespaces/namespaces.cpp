#include "plugins/controllers-cluster/namespaces/namespaces.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-cluster/any_objects.hpp"

#include <algorithm>

namespace orlop::cluster {
namespace {

using Namespace = k8s::io::api::core::v1::Namespace;

constexpr char kFinalizer[] = "kubernetes";
constexpr int64_t kLookAgainNs = 200'000'000;  // content with a grace period or finalizers takes its time

}  // namespace

NamespaceController::NamespaceController(Host host) : host_(host), content_kinds_(stored_kinds(true)) {
  // Events last: what goes tells of itself.
  std::stable_partition(content_kinds_.begin(), content_kinds_.end(),
                        [](const std::string& kind) { return kind != "events"; });
}

void NamespaceController::observe(const ChangeView& change, KeyQueue& queue) {
  queue.add({"", std::string(change.record.name)});
}

Result<Outcome> NamespaceController::reconcile(const ObjectKey& key) {
  const Objects<Namespace> namespaces(host_);
  auto stored = namespaces.get("", key.name);
  if (!stored) {
    if (stored.code() != Code::kNotFound) return stored.status();
    // Gone, perhaps by a way around this controller: nothing may outlive it.
    ORLOP_ASSIGN(const size_t left, empty(key.name));
    return Outcome{left == 0 ? 0 : kLookAgainNs};
  }
  if (!stored->object.metadata().has_deletiontimestamp()) return Outcome{};
  if (stored->object.status().phase() != "Terminating") {
    stored->object.mutable_status()->set_phase("Terminating");
    auto marked = namespaces.update_status(*stored);
    if (!marked) return marked.status();
    stored = std::move(marked);
  }
  ORLOP_ASSIGN(const size_t left, empty(key.name));
  if (left > 0) return Outcome{kLookAgainNs};
  auto* finalizers = stored->object.mutable_spec()->mutable_finalizers();
  for (int i = finalizers->size() - 1; i >= 0; --i) {
    if (finalizers->Get(i) == kFinalizer) finalizers->DeleteSubrange(i, 1);
  }
  const Status released = namespaces.update(*stored, "finalize").status();
  if (!released && released.code() != Code::kNotFound) return released;
  return Outcome{};
}

Result<size_t> NamespaceController::empty(const std::string& name_space) {
  size_t left = 0;
  for (const std::string& kind : content_kinds_) {
    ORLOP_ASSIGN(auto objects, list_any(host_, kind, name_space, ""));
    if (objects.empty()) continue;
    std::vector<AnyStored> fresh;
    for (const AnyStored& object : objects) {
      if (!object.object.metadata().has_deletion_timestamp()) fresh.push_back(object);
    }
    ORLOP_TRY(remove_all(host_, fresh, "Background"));
    ORLOP_ASSIGN(const auto remaining, list_any(host_, kind, name_space, ""));
    left += remaining.size();
  }
  return left;
}

}  // namespace orlop::cluster
