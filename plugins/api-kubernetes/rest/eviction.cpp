#include "plugins/api-kubernetes/rest/eviction.hpp"

#include "orlop/kube/policy_v1.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"
#include "plugins/api-kubernetes/rest/remove.hpp"

#include <utility>

namespace orlop::rest {
namespace {

namespace policy = k8s::io::api::policy::v1;

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int kAttemptsMax = 20;
// More evictions than this that the budget's controller has not seen yet: something is wrong there.
constexpr int kDisruptedPodsMax = 2000;
constexpr int32_t kRetryAfterSeconds = 10;

Status would_violate(const std::string& cause) {
  return {Code::kTooManyRequests,
          "Cannot evict pod as it would violate the pod's disruption budget.",
          {{"DisruptionBudget", cause, ""}}};
}

Status no_disruption_left(const kube::PodDisruptionBudget& budget) {
  const std::string& name = budget.metadata().name();
  const kube::Condition* condition = kube::find_condition(budget, kube::kDisruptionAllowed);
  if (condition != nullptr && condition->status() == "False" && condition->reason() == kube::kSyncFailed) {
    return would_violate("The disruption budget " + name +
                         " does not allow evicting pods currently because it failed sync: " + condition->message());
  }
  return would_violate("The disruption budget " + name + " needs " + std::to_string(budget.status().desiredhealthy()) +
                       " healthy pods and has " + std::to_string(budget.status().currenthealthy()) + " currently");
}

// Takes one disruption from the budget.
Status take_disruption(kube::PodDisruptionBudget& budget, const std::string& pod_name, int64_t now_s) {
  auto& status = *budget.mutable_status();
  const std::string& name = budget.metadata().name();
  if (status.observedgeneration() < budget.metadata().generation()) return budget_in_progress(name);
  auto forbidden = [&](const std::string& why) {
    return Status(Code::kForbidden, "poddisruptionbudget.policy \"" + name + "\" is forbidden: " + why);
  };
  if (status.disruptionsallowed() < 0) return forbidden("pdb disruptions allowed is negative");
  if (status.disruptedpods().size() > kDisruptedPodsMax) {
    return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  }
  if (status.disruptionsallowed() == 0) return no_disruption_left(budget);
  status.set_disruptionsallowed(status.disruptionsallowed() - 1);
  if (status.disruptionsallowed() == 0) kube::set_disruption_allowed(budget, now_s);
  (*status.mutable_disruptedpods())[pod_name].set_seconds(now_s);
  return Status::ok();
}

// Its end disrupts nothing that a budget counts.
bool needs_no_budget(const kube::Pod& pod) {
  return kube::is_terminal(pod) || kube::is_terminating(pod) || pod.status().phase() == "Pending";
}

bool unhealthy_may_go(const kube::PodDisruptionBudget& budget) {
  if (budget.spec().unhealthypodevictionpolicy() == "AlwaysAllow") return true;
  return budget.status().desiredhealthy() > 0 && budget.status().currenthealthy() >= budget.status().desiredhealthy();
}

Result<std::vector<StoredBudget>> budgets_of(const Call& call, const std::string& name_space) {
  return Objects<kube::PodDisruptionBudget>(call.services.host).list(name_space);
}

Status check_preconditions(const RemoveOptions& options, const kube::Pod& pod, uint64_t revision) {
  auto refuse = [&](const std::string& what, const std::string& wanted, const std::string& is, const char* perhaps) {
    return Status(Code::kConflict, "Operation cannot be fulfilled on Pod \"" + pod.metadata().name() + "\": the " +
                                       what + " in the precondition (" + wanted + ") does not match the " + what +
                                       " in record (" + is + "). The object might have been " + perhaps);
  };
  if (!options.if_uid.empty() && options.if_uid != pod.metadata().uid()) {
    return refuse("UID", options.if_uid, pod.metadata().uid(), "deleted and then recreated");
  }
  if (options.if_revision != 0 && options.if_revision != revision) {
    return refuse("ResourceVersion", std::to_string(options.if_revision), std::to_string(revision), "modified");
  }
  return Status::ok();
}

v1::Write budget_write(const StoredBudget& budget) {
  const auto& metadata = budget.object.metadata();
  auto write = make_write<kube::PodDisruptionBudget>(v1::UPDATE, metadata.namespace_(), metadata.name());
  write.set_subresource("status");
  write.set_if_revision(budget.revision);
  write.set_admitted(true);  // its status alone differs from what is stored
  budget.object.SerializeToString(write.mutable_value());
  return write;
}

struct Attempt {
  Status status;
  bool again = false;  // somebody changed the pod or its budget meanwhile
};

Attempt ended(Status status, bool again = false) {
  Attempt attempt;
  attempt.status = std::move(status);
  attempt.again = again;
  return attempt;
}

Task<Attempt> try_eviction(Call& call, const std::string& name_space, const std::string& name, RemoveOptions options) {
  const KindEntry& pods = *registry().find_storage("pods");
  const int64_t now_s = call.services.host.wall_now_ns() / kNsPerSecond;
  auto current = read_current(call, pods, name_space, name);
  if (!current) co_return ended(current.status());
  kube::Pod pod;
  if (!pod.ParseFromString(current->value)) co_return ended(Status(Code::kInternal, "the stored pod cannot be read"));
  auto budgets = budgets_of(call, name_space);
  if (!budgets) co_return ended(budgets.status());
  auto plan = plan_eviction(pod, *budgets, now_s);
  if (!plan) co_return ended(plan.status());
  Status holds = check_preconditions(options, pod, current->revision);
  if (!holds) co_return ended(holds);

  const bool asked_revision = options.if_revision != 0;
  options.if_revision = current->revision;
  mark_evicted(pod, now_s);
  pod.SerializeToString(&options.left_behind);
  std::vector<v1::Write> others;
  if (plan->budget) others.push_back(budget_write(*plan->budget));
  auto removed = co_await remove_with(call, pods, name_space, name, std::move(options), std::move(others));
  if (removed) co_return ended(Status::ok());
  const bool conflict = removed.code() == Code::kConflict;
  if (conflict && !asked_revision && plan->pod_unchanged) {
    // The last word if it goes on like this: what was counted on may not hold any more.
    co_return ended(budget_in_progress(plan->budget_name), true);
  }
  if (conflict && !asked_revision && plan->budget) {
    Status timeout(Code::kTimeout,
                   "couldn't update PodDisruptionBudget \"" + plan->budget_name + "\" due to conflicts");
    timeout.with_retry_after_s(kRetryAfterSeconds);
    co_return ended(timeout, true);
  }
  co_return ended(removed.status(), conflict && !asked_revision);
}

}  // namespace

Result<EvictionPlan> plan_eviction(const kube::Pod& pod, const std::vector<StoredBudget>& budgets, int64_t now_s) {
  EvictionPlan plan;
  if (needs_no_budget(pod)) return plan;
  const StoredBudget* mine = nullptr;
  for (const StoredBudget& budget : budgets) {
    if (!kube::selects(budget.object, pod.metadata().labels())) continue;
    if (mine != nullptr) {
      return Status(Code::kInternal,
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    }
    mine = &budget;
  }
  if (mine == nullptr) return plan;
  plan.budget_name = mine->object.metadata().name();
  if (!kube::is_ready(pod) && unhealthy_may_go(mine->object)) {
    plan.pod_unchanged = true;
    return plan;
  }
  plan.budget = *mine;
  ORLOP_TRY(take_disruption(plan.budget->object, pod.metadata().name(), now_s));
  return plan;
}

Status budget_in_progress(const std::string& budget_name) {
  Status status = would_violate("The disruption budget " + budget_name + " is still being processed by the server.");
  status.with_retry_after_s(kRetryAfterSeconds);
  return status;
}

void mark_evicted(kube::Pod& pod, int64_t now_s) {
  k8s::io::api::core::v1::PodCondition* condition = nullptr;
  for (auto& existing : *pod.mutable_status()->mutable_conditions()) {
    if (existing.type() == "DisruptionTarget") condition = &existing;
  }
  if (condition == nullptr) {
    condition = pod.mutable_status()->add_conditions();
    condition->set_type("DisruptionTarget");
  }
  if (condition->status() != "True") condition->mutable_lasttransitiontime()->set_seconds(now_s);
  condition->set_status("True");
  condition->set_reason("EvictionByEvictionAPI");
  condition->set_message("Eviction API: evicting");
}

Task<void> handle_eviction(Call& call) {
  policy::Eviction eviction;
  std::vector<std::string> warnings;
  std::string body = call.exchange.take_body();
  Status decoded = decode_body_as("policy/v1", "Eviction", call.request().header("Content-Type"), body, "Ignore",
                                  eviction, warnings);
  if (!decoded) co_return fail(call, decoded);
  std::string name_space(call.info.name_space);
  std::string name(call.info.name);
  if (eviction.metadata().name() != name) {
    co_return fail(call, Status(Code::kBadRequest, "name in URL does not match name in Eviction object"));
  }
  if (!eviction.metadata().namespace_().empty() && eviction.metadata().namespace_() != name_space) {
    co_return fail(call,
                   Status(Code::kBadRequest,
                          "the namespace of the provided object does not match the namespace sent on the request"));
  }
  RemoveOptions options;
  auto dry_run = read_dry_run(call);
  if (!dry_run) co_return fail(call, dry_run.status());
  options.dry_run = *dry_run;
  if (eviction.has_deleteoptions()) {
    Status taken = take_delete_options(eviction.deleteoptions(), options);
    if (!taken) co_return fail(call, taken);
  }
  for (int attempt = 1;; ++attempt) {
    Attempt done = co_await try_eviction(call, name_space, name, options);
    if (done.status.is_ok()) break;
    if (!done.again || attempt >= kAttemptsMax) co_return fail(call, done.status);
  }
  answer_json(call, 201, success_json({}, 201));
}

}  // namespace orlop::rest
