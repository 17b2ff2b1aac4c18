#include "plugins/api-kubernetes/kinds/job_rules.hpp"

#include "plugins/api-kubernetes/kinds/pods.hpp"
#include "plugins/api-kubernetes/selector/names.hpp"

#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

namespace batchv1 = k8s::io::api::batch::v1;

constexpr int32_t kIndexedMax = 100'000;       // parallelism and failed indexes of an indexed job
constexpr int32_t kManyCompletions = 100'000;  // above it, with a limit for each index, less is allowed:
constexpr int32_t kOfManyMax = 10'000;
constexpr int kRulesMax = 20;
constexpr int kPatternsMax = 20;
constexpr int kExitCodesMax = 255;
constexpr size_t kManagedByMax = 63;
constexpr size_t kIndexesTextMax = 64 * 1024;

// Go's way to show a list.
std::string shown_codes(const google::protobuf::RepeatedField<int32_t>& codes) {
  std::string out;
  for (const int32_t code : codes) out += (out.empty() ? "" : ", ") + std::to_string(code);
  return "[]int32{" + out + "}";
}

void validate_indexed(const batchv1::JobSpec& spec, const FieldPath& path, FieldErrors* errors) {
  if (!spec.has_completions()) errors->required(path.child("completions"), "when completion mode is Indexed");
  if (spec.parallelism() > kIndexedMax) {
    errors->invalid(path.child("parallelism"), spec.parallelism(),
                    fmt::format("must be less than or equal to {} when completion mode is Indexed", kIndexedMax));
  }
  const auto failed = path.child("maxFailedIndexes");
  if (spec.has_completions() && spec.maxfailedindexes() > spec.completions()) {
    errors->invalid(failed, spec.maxfailedindexes(), "must be less than or equal to completions");
  }
  if (spec.maxfailedindexes() > kIndexedMax) {
    errors->invalid(failed, spec.maxfailedindexes(), fmt::format("must be less than or equal to {}", kIndexedMax));
  }
  if (spec.completions() <= kManyCompletions || !spec.has_backofflimitperindex()) return;
  const auto limit = fmt::format(
      "must be less than or equal to {} when completions are above {} and used with backoff limit per index",
      kOfManyMax, kManyCompletions);
  if (!spec.has_maxfailedindexes()) {
    errors->required(failed, fmt::format("must be specified when completions is above {}", kManyCompletions));
  }
  if (spec.parallelism() > kOfManyMax) errors->invalid(path.child("parallelism"), spec.parallelism(), limit);
  if (spec.maxfailedindexes() > kOfManyMax) errors->invalid(failed, spec.maxfailedindexes(), limit);
}

void validate_exit_codes(const batchv1::JobSpec& spec, const batchv1::PodFailurePolicyOnExitCodesRequirement& codes,
                         const FieldPath& path, FieldErrors* errors) {
  const auto& op = codes.operator_();
  if (op.empty()) {
    errors->required(path.child("operator"), R"(valid values: ["In" "NotIn"])");
  } else if (op != "In" && op != "NotIn") {
    errors->not_supported(path.child("operator"), op, {"In", "NotIn"});
  }
  if (codes.has_containername()) {
    std::set<std::string> names;
    for (const auto& container : spec.template_().spec().containers()) names.insert(container.name());
    for (const auto& container : spec.template_().spec().initcontainers()) names.insert(container.name());
    if (!names.contains(codes.containername())) {
      errors->invalid(path.child("containerName"), codes.containername(),
                      "must be one of the container or initContainer names in the pod template");
    }
  }
  const auto values = path.child("values");
  if (codes.values().empty()) {
    errors->invalid(values, ShownValue::raw("[]int32(nil)"), "at least one value is required");
  } else if (codes.values_size() > kExitCodesMax) {
    errors->too_many(values, static_cast<size_t>(codes.values_size()), kExitCodesMax);
  }
  bool ordered = true;
  std::set<int32_t> seen;
  for (int i = 0; i < codes.values_size(); ++i) {
    const int32_t value = codes.values(i);
    const auto at = values.index(static_cast<size_t>(i));
    if (op == "In" && value == 0) errors->invalid(at, value, "must not be 0 for the In operator");
    if (!seen.insert(value).second) errors->duplicate(at, value);
    ordered = ordered && (i == 0 || codes.values(i - 1) <= value);
  }
  if (!ordered) errors->invalid(values, ShownValue::raw(shown_codes(codes.values())), "must be ordered");
}

void validate_failure_rule(const batchv1::JobSpec& spec, const batchv1::PodFailurePolicyRule& rule,
                           const FieldPath& path, FieldErrors* errors) {
  const auto& action = rule.action();
  if (action.empty()) {
    errors->required(path.child("action"), R"(valid values: ["Count" "FailIndex" "FailJob" "Ignore"])");
  } else if (action == "FailIndex") {
    if (!spec.has_backofflimitperindex()) {
      errors->invalid(path.child("action"), action, "requires the backoffLimitPerIndex to be set");
    }
  } else if (action != "Count" && action != "FailJob" && action != "Ignore") {
    errors->not_supported(path.child("action"), action, {"Count", "FailIndex", "FailJob", "Ignore"});
  }
  if (rule.has_onexitcodes()) validate_exit_codes(spec, rule.onexitcodes(), path.child("onExitCodes"), errors);
  const auto patterns = path.child("onPodConditions");
  if (rule.onpodconditions_size() > kPatternsMax) {
    errors->too_many(patterns, static_cast<size_t>(rule.onpodconditions_size()), kPatternsMax);
  }
  for (int i = 0; i < rule.onpodconditions_size(); ++i) {
    const auto& pattern = rule.onpodconditions(i);
    const auto at = patterns.index(static_cast<size_t>(i));
    errors->invalid(at.child("type"), pattern.type(), qualified_name_faults(pattern.type()));
    const auto& status = pattern.status();
    if (status.empty()) {
      errors->required(at.child("status"), R"(valid values: ["False" "True" "Unknown"])");
    } else if (status != "False" && status != "True" && status != "Unknown") {
      errors->not_supported(at.child("status"), status, {"False", "True", "Unknown"});
    }
  }
  const bool by_conditions = rule.onpodconditions_size() > 0;
  if (rule.has_onexitcodes() && by_conditions) {
    errors->invalid(path, ShownValue::raw("specifying both OnExitCodes and OnPodConditions is not supported"), "");
  } else if (!rule.has_onexitcodes() && !by_conditions) {
    errors->invalid(path, ShownValue::raw("specifying one of OnExitCodes and OnPodConditions is required"), "");
  }
}

std::optional<int32_t> whole_number(std::string_view text) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// What is wrong with "0-3,5"; `total` becomes the number of indexes.
std::string indexes_fault(std::string_view text, int32_t completions, int64_t& total) {
  total = 0;
  std::optional<int32_t> last;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = part.find('-');
    if (dash != part.rfind('-')) {
      return fmt::format(
          "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
          in_quotes(part));
    }
    int32_t bounds[2] = {};
    for (int i = 0; i < (dash == std::string_view::npos ? 1 : 2); ++i) {
      const std::string_view number = i == 0 ? part.substr(0, dash) : part.substr(dash + 1);
      const auto value = whole_number(number);
      if (!value) return "cannot convert string to integer for index: " + in_quotes(number);
      if (*value >= completions) return "too large index: " + in_quotes(number);
      bounds[i] = *value;
    }
    if (dash == std::string_view::npos) {
      bounds[1] = bounds[0];
    } else if (bounds[0] >= bounds[1]) {
      return fmt::format("non-increasing order, previous: {}, current: {}", bounds[0], bounds[1]);
    }
    if (last && *last >= bounds[0]) {
      return fmt::format("non-increasing order, previous: {}, current: {}", *last, bounds[0]);
    }
    last = bounds[1];
    total += bounds[1] - bounds[0] + 1;
  }
  return {};
}

void validate_success_rule(const batchv1::JobSpec& spec, const batchv1::SuccessPolicyRule& rule, const FieldPath& path,
                           FieldErrors* errors) {
  if (!rule.has_succeededcount() && !rule.has_succeededindexes()) {
    errors->required(path, "at least one of succeededCount or succeededIndexes must be specified");
  }
  int64_t total = 0;
  if (rule.has_succeededindexes()) {
    const auto at = path.child("succeededIndexes");
    if (rule.succeededindexes().size() > kIndexesTextMax) errors->too_long(at, kIndexesTextMax);
    const std::string fault = indexes_fault(rule.succeededindexes(), spec.completions(), total);
    if (!fault.empty()) errors->invalid(at, rule.succeededindexes(), "error parsing succeededIndexes: " + fault);
  }
  if (!rule.has_succeededcount()) return;
  const auto at = path.child("succeededCount");
  const int32_t count = rule.succeededcount();
  errors->non_negative(at, count);
  if (count > spec.completions()) {
    errors->invalid(
        at, count,
        fmt::format("must be less than or equal to {} (the number of specified completions)", spec.completions()));
  }
  if (rule.has_succeededindexes() && count > total) {
    errors->invalid(
        at, count,
        fmt::format("must be less than or equal to {} (the number of indexes in the specified succeededIndexes field)",
                    total));
  }
}

void validate_policies(const batchv1::JobSpec& spec, const FieldPath& path, FieldErrors* errors) {
  const bool indexed = spec.completionmode() == "Indexed";
  if (spec.has_podfailurepolicy()) {
    const auto rules = path.child("podFailurePolicy", "rules");
    const auto& policy = spec.podfailurepolicy();
    if (policy.rules_size() > kRulesMax) errors->too_many(rules, static_cast<size_t>(policy.rules_size()), kRulesMax);
    for (int i = 0; i < policy.rules_size(); ++i) {
      validate_failure_rule(spec, policy.rules(i), rules.index(static_cast<size_t>(i)), errors);
    }
  }
  if (spec.has_successpolicy() && !indexed) {
    errors->invalid(path.child("successPolicy"), ShownValue::raw("batch.SuccessPolicy"),
                    "requires indexed completion mode");
  } else if (spec.has_successpolicy()) {
    const auto rules = path.child("successPolicy", "rules");
    const auto& policy = spec.successpolicy();
    if (policy.rules().empty()) {
      errors->required(rules, "at least one rules must be specified when the successPolicy is specified");
    }
    if (policy.rules_size() > kRulesMax) errors->too_many(rules, static_cast<size_t>(policy.rules_size()), kRulesMax);
    for (int i = 0; i < policy.rules_size(); ++i) {
      validate_success_rule(spec, policy.rules(i), rules.index(static_cast<size_t>(i)), errors);
    }
  }
  const auto replacement = path.child("podReplacementPolicy");
  if (!spec.has_podreplacementpolicy()) return;
  if (spec.has_podfailurepolicy()) {
    if (spec.podreplacementpolicy() != "Failed") {
      errors->not_supported(replacement, spec.podreplacementpolicy(), {"Failed"});
    }
  } else if (spec.podreplacementpolicy() != "Failed" && spec.podreplacementpolicy() != "TerminatingOrFailed") {
    errors->not_supported(replacement, spec.podreplacementpolicy(), {"Failed", "TerminatingOrFailed"});
  }
}

}  // namespace

void validate_job_spec(const batchv1::JobSpec& spec, const FieldPath& path, FieldErrors* errors) {
  errors->non_negative(path.child("parallelism"), spec.parallelism());
  errors->non_negative(path.child("completions"), spec.completions());
  errors->non_negative(path.child("activeDeadlineSeconds"), spec.activedeadlineseconds());
  errors->non_negative(path.child("backoffLimit"), spec.backofflimit());
  errors->non_negative(path.child("ttlSecondsAfterFinished"), spec.ttlsecondsafterfinished());
  errors->non_negative(path.child("backoffLimitPerIndex"), spec.backofflimitperindex());
  errors->non_negative(path.child("maxFailedIndexes"), spec.maxfailedindexes());
  if (spec.has_maxfailedindexes() && !spec.has_backofflimitperindex()) {
    errors->required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
  }
  if (spec.has_managedby()) {
    if (spec.managedby().find('/') == std::string::npos) {
      errors->invalid(path.child("managedBy"), spec.managedby(),
                      "must be a domain-prefixed path (such as \"acme.io/foo\")");
    } else {
      errors->invalid(path.child("managedBy"), spec.managedby(), qualified_name_faults(spec.managedby()));
    }
    if (spec.managedby().size() > kManagedByMax) errors->too_long(path.child("managedBy"), kManagedByMax);
  }
  const auto& mode = spec.completionmode();
  if (mode != "NonIndexed" && mode != "Indexed") {
    errors->not_supported(path.child("completionMode"), mode, {"NonIndexed", "Indexed"});
  }
  if (mode == "Indexed") {
    validate_indexed(spec, path, errors);
  } else {
    if (spec.has_backofflimitperindex()) {
      errors->invalid(path.child("backoffLimitPerIndex"), spec.backofflimitperindex(),
                      "requires indexed completion mode");
    }
    if (spec.has_maxfailedindexes()) {
      errors->invalid(path.child("maxFailedIndexes"), spec.maxfailedindexes(), "requires indexed completion mode");
    }
  }
  validate_policies(spec, path, errors);
  const auto pod_template = path.child("template");
  validate_pod_template(spec.template_(), pod_template, errors);
  const auto at = pod_template.child("spec", "restartPolicy");
  const auto& restart = spec.template_().spec().restartpolicy();
  if (restart == "Always" || restart.empty()) {
    errors->required(at, "valid values: \"OnFailure\", \"Never\"");
  } else if (restart != "OnFailure" && restart != "Never") {
    errors->not_supported(at, restart, {"OnFailure", "Never"});
  } else if (spec.has_podfailurepolicy() && restart != "Never") {
    errors->invalid(at, restart, "only \"Never\" is supported when podFailurePolicy is specified");
  }
}

}  // namespace orlop::apikube
