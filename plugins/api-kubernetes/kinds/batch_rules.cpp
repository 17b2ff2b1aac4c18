// Jobs and CronJobs.
#include "orlop/kube/batch_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <algorithm>
#include <cctype>
#include <limits>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace batchv1 = k8s::io::api::batch::v1;

constexpr size_t kCronJobNameMax = 52;  // eleven characters of its jobs' names are the moment

void job_spec_defaults(batchv1::JobSpec* spec) {
  if (!spec->has_completions() && !spec->has_parallelism()) spec->set_completions(1);
  if (!spec->has_parallelism()) spec->set_parallelism(1);
  if (!spec->has_backofflimit())
    spec->set_backofflimit(spec->has_backofflimitperindex() ? std::numeric_limits<int32_t>::max() : 6);
  if (!spec->has_completionmode()) spec->set_completionmode("NonIndexed");
  if (!spec->has_suspend()) spec->set_suspend(false);
  if (!spec->has_podreplacementpolicy()) {
    spec->set_podreplacementpolicy(spec->has_podfailurepolicy() ? "Failed" : "TerminatingOrFailed");
  }
  for (auto& rule : *spec->mutable_podfailurepolicy()->mutable_rules()) {
    for (auto& pattern : *rule.mutable_onpodconditions()) {
      if (pattern.status().empty()) pattern.set_status("True");
    }
  }
  if (spec->podfailurepolicy().rules().empty()) spec->clear_podfailurepolicy();
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

void job_defaults(Message* object) {
  auto& job = as<batchv1::Job>(object);
  // Before the defaults: a template's Always stands for "not said", which a Job refuses.
  job_spec_defaults(job.mutable_spec());
  if (job.metadata().labels().empty())
    *job.mutable_metadata()->mutable_labels() = job.spec().template_().metadata().labels();
}

// A job that names no selector of its own selects by its uid, and marks its pods with it.
void job_prepare(Message* object) {
  auto& job = as<batchv1::Job>(object);
  auto* spec = job.mutable_spec();
  if (spec->manualselector() || spec->has_selector()) return;
  const std::string uid = job.metadata().uid();
  if (uid.empty()) return;
  auto* labels = spec->mutable_template_()->mutable_metadata()->mutable_labels();
  for (const char* key : {"controller-uid", "batch.kubernetes.io/controller-uid"}) (*labels)[key] = uid;
  for (const char* key : {"job-name", "batch.kubernetes.io/job-name"}) (*labels)[key] = job.metadata().name();
  (*spec->mutable_selector()->mutable_matchlabels())["batch.kubernetes.io/controller-uid"] = uid;
}

void validate_job_spec(const batchv1::JobSpec& spec, const FieldPath& path, FieldErrors* errors) {
  errors->non_negative(path.child("parallelism"), spec.parallelism());
  errors->non_negative(path.child("completions"), spec.completions());
  errors->non_negative(path.child("activeDeadlineSeconds"), spec.activedeadlineseconds());
  errors->non_negative(path.child("backoffLimit"), spec.backofflimit());
  errors->non_negative(path.child("ttlSecondsAfterFinished"), spec.ttlsecondsafterfinished());
  if (spec.completionmode() != "NonIndexed" && spec.completionmode() != "Indexed") {
    errors->not_supported(path.child("completionMode"), spec.completionmode(), {"Indexed", "NonIndexed"});
  }
  if (spec.completionmode() == "Indexed" && !spec.has_completions()) {
    errors->required(path.child("completions"), "when completion mode is Indexed");
  }
  const auto pod_template = path.child("template");
  validate_pod_template(spec.template_(), pod_template, errors);
  const auto& restart = spec.template_().spec().restartpolicy();
  if (restart == "Always" || restart.empty()) {
    errors->required(pod_template.child("spec", "restartPolicy"), "valid values: \"OnFailure\", \"Never\"");
  } else if (restart != "OnFailure" && restart != "Never") {
    errors->not_supported(pod_template.child("spec", "restartPolicy"), restart, {"OnFailure", "Never"});
  }
}

void validate_job(const Message& object, FieldErrors* errors) {
  const auto& spec = as<batchv1::Job>(object).spec();
  const FieldPath path("spec");
  validate_job_spec(spec, path, errors);
  if (!spec.has_selector()) {
    if (spec.manualselector()) errors->required(path.child("selector"));
    return;
  }
  validate_label_selector(spec.selector(), path.child("selector"), errors);
  if (!selector_matches(spec.selector(), spec.template_().metadata())) {
    errors->invalid(path.child("template", "metadata", "labels"), shown_labels(spec.template_().metadata()),
                    "`selector` does not match template `labels`");
  }
}

void validate_job_update(const Message& object, const Message& current, std::string_view subresource,
                         FieldErrors* errors) {
  if (!subresource.empty()) return;
  const auto& spec = as<batchv1::Job>(object).spec();
  const auto& before = as<batchv1::Job>(current).spec();
  const FieldPath path("spec");
  if (spec.completionmode() != "Indexed" && spec.completions() != before.completions()) {
    errors->invalid(path.child("completions"), spec.completions(), "field is immutable");
  }
  if (!same_message(spec.selector(), before.selector()))
    errors->invalid(path.child("selector"), shown_selector(spec.selector()), "field is immutable");
  if (spec.completionmode() != before.completionmode())
    errors->invalid(path.child("completionMode"), spec.completionmode(), "field is immutable");
  // What places pods may change while the job is suspended and has none.
  auto masked = spec.template_();
  if (before.suspend() && as<batchv1::Job>(current).status().active() == 0) {
    const auto& old = before.template_();
    *masked.mutable_metadata()->mutable_labels() = old.metadata().labels();
    *masked.mutable_metadata()->mutable_annotations() = old.metadata().annotations();
    *masked.mutable_spec()->mutable_nodeselector() = old.spec().nodeselector();
    *masked.mutable_spec()->mutable_tolerations() = old.spec().tolerations();
    *masked.mutable_spec()->mutable_schedulinggates() = old.spec().schedulinggates();
    *masked.mutable_spec()->mutable_affinity() = old.spec().affinity();
  }
  if (!same_message(masked, before.template_())) {
    errors->invalid(path.child("template"), ShownValue::raw("core.PodTemplateSpec"), "field is immutable");
  }
}

void cron_job_defaults(Message* object) {
  auto* spec = as<batchv1::CronJob>(object).mutable_spec();
  if (spec->concurrencypolicy().empty()) spec->set_concurrencypolicy("Allow");
  if (!spec->has_suspend()) spec->set_suspend(false);
  if (!spec->has_successfuljobshistorylimit()) spec->set_successfuljobshistorylimit(3);
  if (!spec->has_failedjobshistorylimit()) spec->set_failedjobshistorylimit(1);
  set_pod_spec_defaults(spec->mutable_jobtemplate()->mutable_spec()->mutable_template_()->mutable_spec());
}

// Five fields of numbers, names, ranges, steps and lists; or one of the words for them.
bool is_schedule(std::string_view text) {
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return false;
    text.remove_prefix(space + 1);
  }
  if (text.starts_with('@')) {
    constexpr std::string_view kWords[] = {"@yearly", "@annually", "@monthly", "@weekly",
                                           "@daily",  "@midnight", "@hourly"};
    return text.starts_with("@every ") || std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords);
  }
  int fields = 0;
  bool inside = false;
  for (char c : text) {
    if (c == ' ' || c == '\t') {
      inside = false;
      continue;
    }
    const bool known =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '*' || c == '/' || c == ',' || c == '-' || c == '?';
    if (!known) return false;
    if (!inside) ++fields;
    inside = true;
  }
  return fields == 5;
}

void validate_cron_job(const Message& object, FieldErrors* errors) {
  const auto& job = as<batchv1::CronJob>(object);
  const auto& spec = job.spec();
  const FieldPath path("spec");
  if (job.metadata().name().size() > kCronJobNameMax) {
    errors->invalid(FieldPath("metadata").child("name"), job.metadata().name(), "must be no more than 52 characters");
  }
  if (spec.schedule().empty()) {
    errors->required(path.child("schedule"));
  } else if (!is_schedule(spec.schedule())) {
    errors->invalid(path.child("schedule"), spec.schedule(),
                    fmt::format("expected exactly 5 fields: {}", spec.schedule()));
  }
  errors->non_negative(path.child("startingDeadlineSeconds"), spec.startingdeadlineseconds());
  const auto& policy = spec.concurrencypolicy();
  if (policy != "Allow" && policy != "Forbid" && policy != "Replace") {
    errors->not_supported(path.child("concurrencyPolicy"), policy, {"Allow", "Forbid", "Replace"});
  }
  const auto job_path = path.child("jobTemplate", "spec");
  auto filled = spec.jobtemplate().spec();
  if (!filled.has_completionmode()) filled.set_completionmode("NonIndexed");
  validate_job_spec(filled, job_path, errors);
  if (spec.jobtemplate().spec().has_selector()) {
    errors->invalid(job_path.child("selector"), shown_selector(spec.jobtemplate().spec().selector()),
                    "`selector` will be auto-generated");
  }
  errors->non_negative(path.child("successfulJobsHistoryLimit"), spec.successfuljobshistorylimit());
  errors->non_negative(path.child("failedJobsHistoryLimit"), spec.failedjobshistorylimit());
}

constexpr KindHandler kHandlers[] = {
    {.id = "jobs.batch",
     .set_defaults = job_defaults,
     .prepare_create = job_prepare,
     .validate = validate_job,
     .validate_update = validate_job_update},
    {.id = "cronjobs.batch", .set_defaults = cron_job_defaults, .validate = validate_cron_job},
};

}  // namespace

std::span<const KindHandler> batch_handlers() {
  return kHandlers;
}

}  // namespace orlop::apikube
