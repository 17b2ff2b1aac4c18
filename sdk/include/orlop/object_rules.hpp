// The rules that every write of an object obeys, whatever its kind: what the registry of a Kubernetes API server does
// around a kind's own strategy (k8s.io/apiserver, pkg/registry/generic/registry/store.go and pkg/registry/rest). Pure:
// time and uids are given, nothing is stored.
//
// The gate applies them in the kernel, FakeKernel in a plugin's tests.
#pragma once

#include "orlop/object_meta.hpp"
#include "orlop/result.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::meta {

inline constexpr std::string_view kFinalizerOrphan = "orphan";
inline constexpr std::string_view kFinalizerForeground = "foregroundDeletion";

// What the rules must know of a kind; from KindInfo.
struct KindRules {
  bool tracks_generation = false;
  uint32_t status_field = 0;
};

// The object that a write is about. Views.
struct Subject {
  std::string_view resource;  // "deployments.apps"
  std::string_view name_space;
  std::string_view name;
};

// ------------------------------------------------------------------------------------------------ Kubernetes'
// sentences

inline Status not_found(std::string_view resource, std::string_view name) {
  return {Code::kNotFound, std::string(resource) + " \"" + std::string(name) + "\" not found"};
}

inline Status already_exists(std::string_view resource, std::string_view name) {
  return {Code::kAlreadyExists, std::string(resource) + " \"" + std::string(name) + "\" already exists"};
}

inline Status conflict(std::string_view resource, std::string_view name, std::string_view why) {
  return {Code::kConflict, "Operation cannot be fulfilled on " + std::string(resource) + " \"" + std::string(name) +
                               "\": " + std::string(why)};
}

inline Status modified(std::string_view resource, std::string_view name) {
  return conflict(resource, name,
                  "the object has been modified; please apply your changes to the latest version and try again");
}

inline Status uid_differs(std::string_view resource, std::string_view name, std::string_view wanted,
                          std::string_view found) {
  return conflict(resource, name,
                  "Precondition failed: UID in precondition: " + std::string(wanted) +
                      ", UID in object meta: " + std::string(found));
}

// The two that a deletion's own preconditions answer with.
inline Status delete_uid_differs(std::string_view resource, std::string_view name, std::string_view wanted,
                                 std::string_view found) {
  return conflict(resource, name,
                  "the UID in the precondition (" + std::string(wanted) + ") does not match the UID in record (" +
                      std::string(found) + "). The object might have been deleted and then recreated");
}

inline Status delete_revision_differs(std::string_view resource, std::string_view name, uint64_t wanted,
                                      uint64_t found) {
  return conflict(resource, name,
                  "the ResourceVersion in the precondition (" + std::to_string(wanted) +
                      ") does not match the ResourceVersion in record (" + std::to_string(found) +
                      "). The object might have been modified");
}

inline Status invalid(const Subject& subject, Cause cause) {
  std::string message = std::string(subject.resource) + " \"" + std::string(subject.name) +
                        "\" is invalid: " + cause.field + ": " + cause.message;
  return {Code::kInvalid, std::move(message), {std::move(cause)}};
}

// ------------------------------------------------------------------------------------------------ create

// The object as it is to be stored: uid, creationTimestamp and generation set, what only the server may set taken away,
// name and namespace those of the subject. kBadRequest: as parse().
inline Result<std::string> prepare_create(const Subject& subject, std::string_view value, const KindRules& rules,
                                          std::string_view uid, int64_t now_s) {
  ORLOP_TRY(parse(value).status());
  const std::string created = encode_time(now_s);
  Edits edits;
  edits.name = subject.name;
  edits.name_space = subject.name_space;
  edits.uid = uid;
  edits.generation = rules.tracks_generation ? 1 : 0;
  edits.creation_timestamp = std::optional<std::string_view>(created);
  edits.deletion_timestamp = std::optional<std::string_view>();
  edits.deletion_grace_period_s = std::optional<int64_t>();
  return edit(value, edits);
}

// ------------------------------------------------------------------------------------------------ update

struct UpdateOutcome {
  std::string value;
  // The last finalizer of an object under deletion is gone and no grace is left: the object goes.
  bool remove = false;
};

// The new value with what belongs to the server kept from `current`. generation grows by one when the kind tracks it,
// something outside metadata and status differs, and the writer does not mean the status alone (`subresource`).
// kConflict: the value carries another object's uid. kInvalid: a finalizer is added to an object under deletion.
// kBadRequest: as parse().
inline Result<UpdateOutcome> prepare_update(const Subject& subject, std::string_view current, std::string_view value,
                                            const KindRules& rules, std::string_view subresource) {
  ORLOP_ASSIGN(const MetaView before, parse(current));
  ORLOP_ASSIGN(const MetaView after, parse(value));
  if (!after.uid.empty() && after.uid != before.uid) {
    return uid_differs(subject.resource, subject.name, after.uid, before.uid);
  }
  if (before.deletion_timestamp) {
    for (const auto& finalizer : after.finalizers) {
      if (before.has_finalizer(finalizer)) continue;
      return invalid(subject, {"FieldValueForbidden",
                               "Forbidden: no new finalizers can be added if the object is being deleted, found new "
                               "finalizers []string{\"" +
                                   std::string(finalizer) + "\"}",
                               "metadata.finalizers"});
    }
  }
  int64_t generation = before.generation;
  if (rules.tracks_generation && subresource != "status" &&
      differs_outside_metadata(current, value, rules.status_field)) {
    ++generation;
  }
  Edits edits;
  edits.name = subject.name;
  edits.name_space = subject.name_space;
  edits.uid = before.uid;
  edits.generation = generation;
  edits.creation_timestamp = before.creation_timestamp;
  edits.deletion_timestamp = before.deletion_timestamp;
  edits.deletion_grace_period_s = before.deletion_grace_period_s;
  UpdateOutcome outcome;
  outcome.value = edit(value, edits);
  outcome.remove =
      before.deletion_timestamp && after.finalizers.empty() && before.deletion_grace_period_s.value_or(0) == 0;
  return outcome;
}

// ------------------------------------------------------------------------------------------------ delete

struct DeleteRequest {
  std::optional<int64_t> grace_period_s;  // as the client asked; negative counts as 1
  std::string_view propagation_policy;    // "", Orphan, Background, Foreground
  // What the kind's provider grants to an object that is not under deletion yet; unset: the kind knows no grace.
  std::optional<int64_t> granted_grace_s;
  // The kind's provider says that the object has content of its own that must go first: it stays, marked, as with a
  // finalizer.
  bool hold = false;
};

struct DeleteOutcome {
  enum class Action : uint8_t {
    kRemove,  // out of the store
    kStore,   // `value` says that it is under deletion
    kNothing  // it is under deletion already, and this changes nothing
  };
  Action action = Action::kRemove;
  std::string value;
};

namespace detail {

// The finalizers after a deletion with this policy. Without a policy, those that are there decide.
inline std::vector<std::string> finalizers_after(const MetaView& view, std::string_view policy) {
  bool orphan = policy == "Orphan";
  bool foreground = policy == "Foreground";
  if (policy.empty()) {
    orphan = view.has_finalizer(kFinalizerOrphan);
    foreground = !orphan && view.has_finalizer(kFinalizerForeground);
  }
  std::vector<std::string> out;
  for (const auto& finalizer : view.finalizers) {
    if (finalizer != kFinalizerOrphan && finalizer != kFinalizerForeground) out.emplace_back(finalizer);
  }
  if (orphan) out.emplace_back(kFinalizerOrphan);
  if (foreground) out.emplace_back(kFinalizerForeground);
  return out;
}

// What a deletion does about grace: nothing to wait for (graceful false), or a moment at which it ends.
struct Grace {
  bool graceful = false;
  bool pending = false;  // one runs already and is not shortened
  int64_t period_s = 0;
  int64_t deletion_s = 0;  // the new deletionTimestamp
};

inline Grace grace_of(const MetaView& view, const DeleteRequest& request, int64_t now_s) {
  Grace grace;
  if (view.deletion_timestamp) {
    int64_t running = view.deletion_grace_period_s.value_or(0);
    if (running == 0) return grace;
    if (running < 0) running = 1;
    auto asked = request.grace_period_s;
    if (asked && *asked < 0) asked = 1;
    if (!asked || *asked >= running) {
      grace.pending = true;
      return grace;
    }
    grace.graceful = true;
    grace.period_s = *asked;
    grace.deletion_s = time_seconds(*view.deletion_timestamp) - running + *asked;
    return grace;
  }
  if (!request.granted_grace_s) return grace;
  grace.graceful = true;
  grace.period_s = std::max<int64_t>(0, *request.granted_grace_s);
  grace.deletion_s = now_s + grace.period_s;
  return grace;
}

}  // namespace detail

// What a deletion does to `current`. `left_behind`: the object as its kind leaves it while something holds it (a phase
// in its status, say); empty: as it is. kInvalid: an unknown propagation policy. kBadRequest: as parse().
inline Result<DeleteOutcome> prepare_delete(const Subject& subject, std::string_view current,
                                            const DeleteRequest& request, int64_t now_s,
                                            std::string_view left_behind = {}) {
  const auto policy = request.propagation_policy;
  if (!policy.empty() && policy != "Orphan" && policy != "Background" && policy != "Foreground") {
    return invalid(subject, {"FieldValueNotSupported",
                             "Unsupported value: \"" + std::string(policy) +
                                 "\": supported values: \"Background\", \"Foreground\", \"Orphan\"",
                             "propagationPolicy"});
  }
  ORLOP_ASSIGN(const MetaView stored, parse(current));
  const std::string_view base = left_behind.empty() ? current : left_behind;
  ORLOP_ASSIGN(const MetaView view, parse(base));
  DeleteOutcome outcome;
  const auto grace = detail::grace_of(stored, request, now_s);
  if (grace.pending) {
    outcome.action = DeleteOutcome::Action::kNothing;
    outcome.value = current;
    return outcome;
  }
  auto finalizers = detail::finalizers_after(view, policy);
  if (!request.hold && finalizers.empty() && (!grace.graceful || grace.period_s == 0)) {
    outcome.value = current;
    return outcome;
  }
  Edits edits;
  edits.name = subject.name;
  edits.name_space = subject.name_space;
  edits.uid = stored.uid;
  edits.creation_timestamp = stored.creation_timestamp;
  edits.generation = stored.generation + (!stored.deletion_timestamp && stored.generation > 0 ? 1 : 0);
  // Held by finalizers alone: the moment of deletion is now, or stays when it has come already.
  std::string deletion = encode_time(grace.graceful ? grace.deletion_s : now_s);
  if (!grace.graceful && stored.deletion_timestamp && time_seconds(*stored.deletion_timestamp) <= now_s) {
    deletion = *stored.deletion_timestamp;
  }
  edits.deletion_timestamp = std::optional<std::string_view>(deletion);
  edits.deletion_grace_period_s = std::optional<int64_t>(grace.period_s);
  edits.finalizers = std::move(finalizers);
  outcome.action = DeleteOutcome::Action::kStore;
  outcome.value = edit(base, edits);
  if (outcome.value == current) outcome.action = DeleteOutcome::Action::kNothing;
  return outcome;
}

// ------------------------------------------------------------------------------------------------ uids

// Sixteen random bytes as a version 4 UUID (RFC 9562).
inline std::string format_uid(std::array<uint8_t, 16> bytes) {
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back(kDigits[bytes[i] >> 4]);
    out.push_back(kDigits[bytes[i] & 0x0f]);
  }
  return out;
}

}  // namespace orlop::meta
