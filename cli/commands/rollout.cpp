// rollout: status, history, undo, restart, pause and resume.
#include "cli/commands/pods_of.hpp"
#include "cli/commands/registry.hpp"
#include "cli/commands/revisions.hpp"
#include "cli/commands/watching.hpp"
#include "cli/output/describe.hpp"
#include "cli/output/table.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace orlop::cli {
namespace {

using client::list_of;
using client::map_of;
using client::number_of;
using client::pick;
using client::text_of;

Result<ObjectRef> one_ref(Session& session) {
  ORLOP_ASSIGN(const auto refs, session.refs_of(session.args.words));
  if (refs.empty() || refs.front().name.empty()) {
    return user_error("required resource not specified");
  }
  return refs.front();
}

struct Progress {
  std::string text;
  bool done = false;
  Status failure;
};

Progress deployment_progress(const json::value& object, const std::string& name) {
  const auto waiting = "Waiting for deployment \"" + name + "\" rollout to finish: ";
  if (number_of(object, "metadata.generation") > number_of(object, "status.observedGeneration")) {
    return {"Waiting for deployment spec update to be observed...\n", false, {}};
  }
  for (const auto& condition : list_of(object, "status.conditions")) {
    if (text_of(condition, "type") == "Progressing" && text_of(condition, "reason") == "ProgressDeadlineExceeded") {
      return {"", false, user_error("deployment \"" + name + "\" exceeded its progress deadline")};
    }
  }
  const auto wanted = number_of(object, "spec.replicas", 1);
  const auto updated = number_of(object, "status.updatedReplicas");
  const auto all = number_of(object, "status.replicas");
  const auto available = number_of(object, "status.availableReplicas");
  if (updated < wanted) {
    return {waiting + std::to_string(updated) + " out of " + std::to_string(wanted) +
                " new replicas have been updated...\n",
            false,
            {}};
  }
  if (all > updated)
    return {waiting + std::to_string(all - updated) + " old replicas are pending termination...\n", false, {}};
  if (available < updated) {
    return {
        waiting + std::to_string(available) + " of " + std::to_string(updated) + " updated replicas are available...\n",
        false,
        {}};
  }
  return {"deployment \"" + name + "\" successfully rolled out\n", true, {}};
}

Progress daemon_set_progress(const json::value& object, const std::string& name) {
  const auto waiting = "Waiting for daemon set \"" + name + "\" rollout to finish: ";
  if (number_of(object, "metadata.generation") > number_of(object, "status.observedGeneration")) {
    return {"Waiting for daemon set spec update to be observed...\n", false, {}};
  }
  const auto wanted = number_of(object, "status.desiredNumberScheduled");
  const auto updated = number_of(object, "status.updatedNumberScheduled");
  const auto available = number_of(object, "status.numberAvailable");
  if (updated < wanted) {
    return {
        waiting + std::to_string(updated) + " out of " + std::to_string(wanted) + " new pods have been updated...\n",
        false,
        {}};
  }
  if (available < wanted) {
    return {waiting + std::to_string(available) + " of " + std::to_string(wanted) + " updated pods are available...\n",
            false,
            {}};
  }
  return {"daemon set \"" + name + "\" successfully rolled out\n", true, {}};
}

Progress stateful_set_progress(const json::value& object) {
  if (number_of(object, "metadata.generation") > number_of(object, "status.observedGeneration")) {
    return {"Waiting for statefulset spec update to be observed...\n", false, {}};
  }
  const auto wanted = number_of(object, "spec.replicas", 1);
  const auto ready = number_of(object, "status.readyReplicas");
  const auto updated = number_of(object, "status.updatedReplicas");
  if (ready < wanted) return {"Waiting for " + std::to_string(wanted - ready) + " pods to be ready...\n", false, {}};
  if (pick(object, "spec.updateStrategy.rollingUpdate") != nullptr) {
    const auto due = wanted - number_of(object, "spec.updateStrategy.rollingUpdate.partition");
    if (updated < due) {
      return {"Waiting for partitioned roll out to finish: " + std::to_string(updated) + " out of " +
                  std::to_string(due) + " new pods have been updated...\n",
              false,
              {}};
    }
    return {"partitioned roll out complete: " + std::to_string(updated) + " new pods have been updated...\n", true, {}};
  }
  if (text_of(object, "status.updateRevision") != text_of(object, "status.currentRevision")) {
    return {"waiting for statefulset rolling update to complete " + std::to_string(updated) + " pods at revision " +
                text_of(object, "status.updateRevision") + "...\n",
            false,
            {}};
  }
  return {"statefulset rolling update complete " + std::to_string(number_of(object, "status.currentReplicas")) +
              " pods at revision " + text_of(object, "status.currentRevision") + "...\n",
          true,
          {}};
}

Outcome status(Session& session) {
  ORLOP_ASSIGN(const auto ref, one_ref(session));
  const auto& kind = ref.info->kind;
  if (!has_rollouts(*ref.info)) return user_error("no status viewer has been implemented for " + kind);
  const auto progress_of = [&](const json::value& object) {
    if (kind == "Deployment") return deployment_progress(object, ref.name);
    return kind == "DaemonSet" ? daemon_set_progress(object, ref.name) : stateful_set_progress(object);
  };
  const auto scope = session.scope_of(*ref.info);
  const bool watch = session.args.text("watch") == "true";
  ORLOP_ASSIGN(const auto present, session.get(ref.info->path(scope, ref.name)));
  if (kind != "Deployment" && text_of(present, "spec.updateStrategy.type") != "RollingUpdate") {
    return user_error("rollout status is only available for RollingUpdate strategy type");
  }
  std::string last;
  Status failure;
  ORLOP_ASSIGN(const auto end,
               watch_object(session, *ref.info, scope, ref.name, deadline_after(session.args.seconds("timeout")),
                            [&](const json::value& object) {
                              const auto progress = progress_of(object);
                              if (progress.text != last) session.io.out << progress.text;
                              session.io.out.flush();
                              last = progress.text;
                              failure = progress.failure;
                              return progress.done || !failure.is_ok() || !watch;
                            }));
  if (!failure.is_ok()) return failure;
  if (end == Watched::kGone) return user_error("object has been deleted");
  if (end == Watched::kTimedOut) return user_error("timed out waiting for the condition");
  return 0;
}

// What may be rolled back, for the refusal of anything else.
Result<ObjectRef> one_with_history(Session& session, const std::string& refusal) {
  ORLOP_ASSIGN(auto ref, one_ref(session));
  if (!has_rollouts(*ref.info)) return user_error(refusal + ref.info->kind);
  return ref;
}

Outcome history(Session& session) {
  ORLOP_ASSIGN(const auto ref, one_with_history(session, "no history viewer has been implemented for "));
  ORLOP_ASSIGN(const auto object, session.get(ref.info->path(session.scope_of(*ref.info), ref.name)));
  ORLOP_ASSIGN(const auto revisions, revisions_of(session, *ref.info, object));
  const auto wanted = session.args.number("revision");
  auto& out = session.io.out;
  const auto title = display_name(*ref.info, ref.name);
  if (wanted > 0) {
    const auto found = revisions.find(wanted);
    if (found == revisions.end()) return user_error("unable to find the specified revision");
    json::value shown = found->second.pod_template;
    if (ref.info->kind == "Deployment" && !found->second.cause.empty()) {
      client::make_map(shown, "metadata.annotations")[kChangeCause] = found->second.cause;
    }
    DescribeText text;
    describe_pod_template(shown, text);
    out << title << " with revision #" << wanted << '\n' << text.unaligned() << '\n';
    return 0;
  }
  std::string table = "REVISION\tCHANGE-CAUSE\n";
  for (const auto& [number, revision] : revisions) {
    table += std::to_string(number) + "\t" + (revision.cause.empty() ? "<none>" : revision.cause) + "\n";
  }
  if (revisions.empty()) {
    out << title << " No rollout history found.\n";
  } else {
    out << title << " \n" << align(table, {0, 2}) << '\n';
  }
  return 0;
}

// The patch that puts a Deployment's revision back, with its cause; the controller's own notes stay.
json::value deployment_patch(const json::value& deployment, const Revision& revision) {
  json::object annotations = map_of(deployment, "metadata.annotations");
  annotations.erase(kChangeCause);
  if (!revision.cause.empty()) annotations[kChangeCause] = revision.cause;
  return json::array{json::object{{"op", "replace"}, {"path", "/spec/template"}, {"value", revision.pod_template}},
                     json::object{{"op", "add"}, {"path", "/metadata/annotations"}, {"value", annotations}}};
}

Outcome undo(Session& session) {
  ORLOP_ASSIGN(const auto ref, one_with_history(session, "no rollbacker has been implemented for "));
  const bool is_deployment = ref.info->kind == "Deployment";
  const auto path = ref.info->path(session.scope_of(*ref.info), ref.name);
  ORLOP_ASSIGN(const auto object, session.get(path));
  if (client::flag_of(object, "spec.paused")) {
    return user_error(
        "you cannot rollback a paused deployment; resume it first with 'orlop rollout resume' and try again");
  }
  ORLOP_ASSIGN(const auto revisions, revisions_of(session, *ref.info, object));
  auto wanted = session.args.number("to-revision");
  if (wanted < 0) return user_error("revision out of range: " + std::to_string(wanted));
  if (wanted == 0) {
    if (revisions.size() < 2) {
      return user_error(is_deployment ? "no rollout history found for deployment \"" + ref.name + "\""
                                      : "no last revision to roll back to");
    }
    wanted = std::next(revisions.rbegin())->first;
  }
  const auto found = revisions.find(wanted);
  if (found == revisions.end())
    return user_error("unable to find specified revision " + std::to_string(wanted) + " in history");
  if (found->second.pod_template == plain_template(*pick(object, "spec.template"))) {
    return print_result(session, *ref.info, object,
                        "skipped rollback (current template already matches revision " + std::to_string(wanted) + ")");
  }
  if (session.args.text("dry-run") == "client") return print_result(session, *ref.info, object, "rolled back");
  const auto query = query_of({{"dryRun", session.args.text("dry-run") == "server" ? "All" : ""}});
  const json::value patch = is_deployment ? deployment_patch(object, found->second) : found->second.patch;
  ORLOP_ASSIGN(const auto done,
               session.send("PATCH", path + query, patch, "",
                            is_deployment ? "application/json-patch+json" : "application/strategic-merge-patch+json"));
  return print_result(session, *ref.info, done, "rolled back");
}

Outcome change(Session& session, const json::value& patch, const std::string& verb) {
  ORLOP_ASSIGN(const auto ref, one_ref(session));
  ORLOP_ASSIGN(const auto done, session.send("PATCH", ref.info->path(session.scope_of(*ref.info), ref.name), patch, "",
                                             "application/strategic-merge-patch+json"));
  return print_result(session, *ref.info, done, verb);
}

Outcome restart(Session& session) {
  ORLOP_ASSIGN(const auto ref, one_ref(session));
  const auto title = ref.info->resource_name() + " \"" + ref.name + "\" ";
  if (!has_rollouts(*ref.info)) return user_error(title + "restarting is not supported");
  ORLOP_ASSIGN(const auto object, session.get(ref.info->path(session.scope_of(*ref.info), ref.name)));
  if (client::flag_of(object, "spec.paused")) {
    return user_error(title + "can't restart paused deployment (run rollout resume first)");
  }
  char now[32];
  const std::time_t seconds = std::time(nullptr);
  std::tm tm{};
  ::gmtime_r(&seconds, &tm);
  std::strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
  json::value patch = json::object();
  client::make_map(patch, "spec.template.metadata.annotations")["kubectl.kubernetes.io/restartedAt"] = now;
  return change(session, patch, "restarted");
}

Result<ObjectRef> one_deployment(Session& session, const std::string& refusal) {
  ORLOP_ASSIGN(auto ref, one_ref(session));
  if (ref.info->kind != "Deployment") return user_error(refusal + ref.info->kind);
  return ref;
}

Outcome set_paused(Session& session, bool paused) {
  ORLOP_ASSIGN(const auto ref, one_deployment(session, "pausing is not supported for "));
  ORLOP_ASSIGN(const auto object, session.get(ref.info->path(session.scope_of(*ref.info), ref.name)));
  if (client::flag_of(object, "spec.paused") == paused) {
    return user_error(ref.info->resource_name() + " \"" + ref.name + "\" is " + (paused ? "already" : "not") +
                      " paused");
  }
  return change(session, json::object{{"spec", {{"paused", paused}}}}, paused ? "paused" : "resumed");
}

Outcome pause(Session& session) {
  return set_paused(session, true);
}
Outcome resume(Session& session) {
  return set_paused(session, false);
}

}  // namespace

void add_rollout_commands(std::vector<Command>& out) {
  auto base = file_flags();
  base.push_back(output_flag());
  base.push_back(dry_run_flag());
  auto flags = base;
  flags.push_back({"watch", 'w', FlagKind::kSwitch, "true", "Wait until it is done"});
  flags.push_back({"timeout", 0, FlagKind::kDuration, "0s", "How long to wait; 0: as long as it takes"});
  out.push_back({"rollout status", "(TYPE NAME | TYPE/NAME)", "Watch a rollout", flags, status});
  flags = base;
  flags.push_back({"revision", 0, FlagKind::kNumber, "0", "Show this revision in detail"});
  out.push_back(
      {"rollout history", "(TYPE NAME | TYPE/NAME)", "Show former revisions and their causes", flags, history});
  flags = base;
  flags.push_back({"to-revision", 0, FlagKind::kNumber, "0", "The revision to go back to; 0: the one before"});
  out.push_back({"rollout undo", "(TYPE NAME | TYPE/NAME)", "Go back to a former revision", flags, undo});
  out.push_back({"rollout restart", "(TYPE NAME | TYPE/NAME)", "Start all pods anew", base, restart});
  out.push_back({"rollout pause", "(TYPE NAME | TYPE/NAME)", "Hold a deployment's rollouts", base, pause});
  out.push_back({"rollout resume", "(TYPE NAME | TYPE/NAME)", "Let a deployment roll out again", base, resume});
}

}  // namespace orlop::cli
