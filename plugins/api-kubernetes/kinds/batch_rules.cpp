// Jobs and CronJobs.
#include "orlop/kube/batch_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/schedule.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/job_rules.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace batchv1 = k8s::io::api::batch::v1;

constexpr size_t kCronJobNameMax = 52;  // eleven characters of its jobs' names are the moment
constexpr size_t kZonePartMax = 14;

void failure_policy_defaults(batchv1::JobSpec* spec) {
  if (!spec->has_podfailurepolicy()) return;
  for (auto& rule : *spec->mutable_podfailurepolicy()->mutable_rules()) {
    for (auto& pattern : *rule.mutable_onpodconditions()) {
      if (pattern.status().empty()) pattern.set_status("True");
    }
  }
}

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
  failure_policy_defaults(spec);
  set_pod_spec_defaults(spec->mutable_template_()->mutable_spec());
}

void job_defaults(Message* object) {
  auto& job = as<batchv1::Job>(object);
  // Before the defaults: a template's Always stands for "not said", which a Job refuses.
  job_spec_defaults(job.mutable_spec());
  if (job.metadata().labels().empty())
    *job.mutable_metadata()->mutable_labels() = job.spec().template_().metadata().labels();
}

// Unless it says that its selector is its own, a job selects by its uid, and marks its pods with it.
void job_prepare(Message* object) {
  auto& job = as<batchv1::Job>(object);
  auto* spec = job.mutable_spec();
  const std::string uid = job.metadata().uid();
  if (spec->manualselector() || uid.empty()) return;
  auto* labels = spec->mutable_template_()->mutable_metadata()->mutable_labels();
  for (const char* key : {"controller-uid", "batch.kubernetes.io/controller-uid"}) (*labels)[key] = uid;
  for (const char* key : {"job-name", "batch.kubernetes.io/job-name"}) (*labels)[key] = job.metadata().name();
  (*spec->mutable_selector()->mutable_matchlabels())["batch.kubernetes.io/controller-uid"] = uid;
}

// What is generated stands in the template; the uid there may be a mark instead of the job's own.
void validate_generated_selector(const batchv1::Job& job, FieldErrors* errors) {
  if (job.spec().manualselector() || !job.spec().has_selector()) return;
  k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta generated;
  const auto& given = job.spec().template_().metadata().labels();
  for (const char* prefix : {"", "batch.kubernetes.io/"}) {
    for (const char* name : {"controller-uid", "job-name"}) {
      const auto found = given.find(std::string(prefix) + name);
      if (found != given.end()) (*generated.mutable_labels())[found->first] = found->second;
    }
  }
  if (!selector_matches(job.spec().selector(), generated)) {
    errors->invalid(FieldPath("spec").child("selector"), shown_selector(job.spec().selector()),
                    "`selector` not auto-generated");
  }
}

// The pods of an indexed job have its name and their index for a host name.
void validate_host_names(const batchv1::Job& job, FieldErrors* errors) {
  if (job.spec().completionmode() != "Indexed" || job.spec().completions() <= 0) return;
  const std::string longest = fmt::format("{}-{}", job.metadata().name(), job.spec().completions() - 1);
  if (dns1123_label_faults(longest).empty()) return;
  errors->invalid(FieldPath("metadata").child("name"), job.metadata().name(),
                  "will not able to create pod with invalid DNS label: " + longest);
}

void validate_job(const Message& object, FieldErrors* errors) {
  const auto& job = as<batchv1::Job>(object);
  const auto& spec = job.spec();
  const FieldPath path("spec");
  validate_generated_selector(job, errors);
  validate_job_spec(spec, path, errors);
  validate_host_names(job, errors);
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
  if (spec.completions() != before.completions()) {
    if (spec.completionmode() != "Indexed") {
      errors->invalid(path.child("completions"), spec.completions(), "field is immutable");
    } else if (spec.completions() != spec.parallelism()) {
      errors->invalid(path.child("completions"), spec.completions(),
                      "can only be modified in tandem with spec.parallelism");
    }
  }
  if (!same_message(spec.podfailurepolicy(), before.podfailurepolicy())) {
    errors->invalid(path.child("podFailurePolicy"), ShownValue::raw("batch.PodFailurePolicy"), "field is immutable");
  }
  if (spec.has_backofflimitperindex() != before.has_backofflimitperindex() ||
      spec.backofflimitperindex() != before.backofflimitperindex()) {
    errors->invalid(path.child("backoffLimitPerIndex"), spec.backofflimitperindex(), "field is immutable");
  }
  if (spec.managedby() != before.managedby())
    errors->invalid(path.child("managedBy"), spec.managedby(), "field is immutable");
  if (!same_message(spec.successpolicy(), before.successpolicy())) {
    errors->invalid(path.child("successPolicy"), ShownValue::raw("batch.SuccessPolicy"), "field is immutable");
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
  auto* job = spec->mutable_jobtemplate()->mutable_spec();
  failure_policy_defaults(job);
  set_pod_spec_defaults(job->mutable_template_()->mutable_spec());
}

void validate_schedule(const std::string& schedule, const FieldPath& path, FieldErrors* errors) {
  const auto parsed = Schedule::parse(schedule);
  if (!parsed) errors->invalid(path, schedule, parsed.message());
  if (schedule.find("TZ") != std::string::npos) {
    errors->invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  }
}

// A part of a zone's name, between slashes.
bool is_zone_part(std::string_view part) {
  if (part.empty() || part.size() > kZonePartMax || part == "." || part == ".." || part.front() == '-') return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '+';
  });
}

void validate_time_zone(const std::string& name, const FieldPath& path, FieldErrors* errors) {
  if (name.empty()) return errors->invalid(path, name, "timeZone must be nil or non-empty string");
  for (std::string_view rest = name;;) {
    const size_t slash = rest.find('/');
    if (!is_zone_part(rest.substr(0, slash))) return errors->invalid(path, name, "unknown time zone " + name);
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  constexpr std::string_view kLocal = "local";
  const bool local = std::equal(name.begin(), name.end(), kLocal.begin(), kLocal.end(),
                                [](char a, char b) { return (a | 0x20) == b; });
  if (local) {
    errors->invalid(path, name, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
    return;
  }
  const auto zone = TimeZone::load(name);
  if (!zone) errors->invalid(path, name, zone.message());
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
  } else {
    validate_schedule(spec.schedule(), path.child("schedule"), errors);
  }
  errors->non_negative(path.child("startingDeadlineSeconds"), spec.startingdeadlineseconds());
  if (spec.has_timezone()) validate_time_zone(spec.timezone(), path.child("timeZone"), errors);
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
  if (spec.jobtemplate().spec().manualselector()) {
    errors->not_supported(job_path.child("manualSelector"), true, {"nil", "false"});
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
