#include "plugins/controllers-workload/disruption/disruption.hpp"

#include "orlop/kube/policy_v1.hpp"
#include "plugins/controllers-workload/scales.hpp"

#include <set>
#include <utility>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

std::string selector_text(const kube::LabelSelector& selector) {
  std::string out = "&LabelSelector{MatchLabels:map[string]string{";
  for (const auto& [key, value] : selector.matchlabels()) out += key + ": " + value + ",";
  return out + "},}";
}

}  // namespace

DisruptionController::DisruptionController(Host host)
    : host_(host), events_(host, "controllermanager"), stored_(host), pods_(host) {}

void DisruptionController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  if (change.record.kind == "poddisruptionbudgets.policy") {
    const std::string name(change.record.name);
    Budget budget;
    if (change.type == ChangeType::kDeleted ||
        !budget.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) {
      budgets_[name_space].erase(name);
      return;
    }
    budget.clear_metadata();
    budget.clear_status();
    budgets_[name_space][name] = std::move(budget);
    queue.add({name_space, name});
    return;
  }
  const auto found = budgets_.find(name_space);
  if (found == budgets_.end()) return;
  kube::Pod pod;
  for (const std::string_view bytes : {change.record.value, change.previous_value}) {
    if (bytes.empty() || !pod.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) continue;
    for (const auto& [name, budget] : found->second) {
      if (kube::selects(budget, pod.metadata().labels())) queue.add({name_space, name});
    }
  }
}

Result<Outcome> DisruptionController::reconcile(const ObjectKey& key) {
  auto budget = stored_.get(key.name_space, key.name);
  if (budget.code() == Code::kNotFound) return Outcome{};
  if (!budget) return budget.status();
  ORLOP_ASSIGN(const auto pods, pods_of(budget->object));
  if (pods.empty()) events_.about(budget->object, EventType::kNormal, "NoPods", "No matching pods found");
  int32_t scale = 0;
  if (needs_scales(budget->object)) {
    auto summed = sum_scales(budget->object, pods);
    if (!summed) {
      events_.about(budget->object, EventType::kWarning, "CalculateExpectedPodCountFailed",
                    "Failed to calculate the number of expected pods: " + summed.message());
      return fail(std::move(*budget), summed.status());
    }
    scale = *summed;
  }
  const int64_t now_s = host_.wall_now_ns() / kSecondNs;
  const Counts counts = count(budget->object, pods, scale, now_s);
  for (const Stored<kube::Pod>& pod : pods) {
    for (const std::string& name : counts.not_deleted) {
      if (pod.object.metadata().name() != name) continue;
      events_.about(pod.object, EventType::kWarning, "NotDeleted",
                    "Pod was expected by PDB " + key.text() + " to be deleted but it wasn't");
    }
  }
  set_status(budget->object, counts, now_s);
  const Status written = stored_.update_status(*budget).status();
  if (!written && written.code() != Code::kNotFound) return written;
  return Outcome{counts.recheck_s == 0 ? 0 : (counts.recheck_s - now_s) * kSecondNs};
}

Result<std::vector<Stored<kube::Pod>>> DisruptionController::pods_of(const Budget& budget) const {
  std::vector<Stored<kube::Pod>> out;
  if (!budget.spec().has_selector()) return out;
  std::string term;
  for (const auto& [key, value] : budget.spec().selector().matchlabels()) term = "label/" + key + "=" + value;
  const auto add = [&](const RecordView& record, kube::Pod& pod) {
    if (kube::selects(budget, pod.metadata().labels())) {
      out.push_back({std::move(pod), record.revision});
      pod.Clear();
    }
    return true;
  };
  ORLOP_TRY(pods_.each(budget.metadata().namespace_(), term, add));
  return out;
}

Result<int32_t> DisruptionController::sum_scales(const Budget& budget, const std::vector<Stored<kube::Pod>>& pods) {
  std::map<std::string, int32_t> scales;  // by the uid of what is scaled
  std::set<std::string> seen;             // the uids of the pods' controllers
  bool unmanaged = false;
  for (const Stored<kube::Pod>& pod : pods) {
    const kube::OwnerReference* reference = kube::controller_of(pod.object.metadata());
    if (reference == nullptr) {
      unmanaged = true;
      continue;
    }
    if (!seen.insert(reference->uid()).second) continue;
    ORLOP_ASSIGN(const bool found, add_scale(budget.metadata().namespace_(), *reference, scales));
    if (!found) {
      return Status(Code::kNotFound, "found no controllers for pod \"" + pod.object.metadata().name() + "\"");
    }
  }
  if (unmanaged) {
    events_.about(
        budget, EventType::kWarning, "UnmanagedPods",
        "Pods selected by this PodDisruptionBudget (selector: " + selector_text(budget.spec().selector()) +
            ") were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, "
            "which may result in undefined behavior. To account for these pods please set "
            "\".spec.minAvailable\" field of the PDB to an integer value.");
  }
  int32_t sum = 0;
  for (const auto& [uid, scale] : scales) sum += scale;
  return sum;
}

Result<bool> DisruptionController::add_scale(const std::string& name_space, const kube::OwnerReference& reference,
                                             std::map<std::string, int32_t>& scales) const {
  const std::string_view resource = resource_of(reference.apiversion(), reference.kind());
  if (resource.empty()) {
    return Status(Code::kNotFound,
                  "no matches for kind \"" + reference.kind() + "\" in version \"" + reference.apiversion() + "\"");
  }
  if (!has_scale(resource)) {
    return Status(Code::kNotFound, std::string(resource) + " does not implement the scale subresource");
  }
  ORLOP_ASSIGN(auto scale, read_scale(host_, resource, name_space, reference.name()));
  if (!scale || scale->metadata.uid() != reference.uid()) return false;
  const kube::OwnerReference* owner = kube::controller_of(scale->metadata);
  if (resource == "replicasets.apps" && owner != nullptr && owner->kind() == "Deployment") {
    ORLOP_ASSIGN(auto behind, read_scale(host_, "deployments.apps", name_space, owner->name()));
    if (behind && behind->metadata.uid() == owner->uid()) scale = std::move(behind);
  }
  scales[scale->metadata.uid()] = scale->wanted;
  return true;
}

Result<Outcome> DisruptionController::fail(StoredBudget budget, const Status& why) {
  budget.object.mutable_status()->set_disruptionsallowed(0);
  kube::set_disruption_allowed(budget.object, false, kube::kSyncFailed, why.message(), host_.wall_now_ns() / kSecondNs);
  const Status written = stored_.update_status(budget).status();
  if (!written && written.code() != Code::kNotFound) return written;
  return Outcome{};
}

}  // namespace orlop::workload
