#include "plugins/api-kubernetes/rest/remove.hpp"

#include "orlop/kube/meta_v1.hpp"
#include "orlop/object_meta.hpp"
#include "plugins/api-kubernetes/rest/change.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"
#include "plugins/api-kubernetes/rest/hold.hpp"
#include "plugins/api-kubernetes/rest/list_query.hpp"
#include "plugins/api-kubernetes/rest/selection.hpp"

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace meta_v1 = k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr int kAttemptsMax = 8;
constexpr size_t kTogether = 100;

Status check_policy(std::string_view policy) {
  if (policy.empty() || policy == "Orphan" || policy == "Background" || policy == "Foreground") return Status::ok();
  return {Code::kInvalid, "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"" +
                              std::string(policy) +
                              "\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""};
}

void take_query(const http::Query& query, RemoveOptions& options) {
  if (query.has("gracePeriodSeconds")) {
    auto seconds = parse_revision(query.get("gracePeriodSeconds"));
    if (seconds) options.grace_seconds = static_cast<int64_t>(*seconds);
  }
  if (query.has("propagationPolicy")) options.propagation = query.get("propagationPolicy");
  if (query.has("orphanDependents")) options.propagation = query.flag("orphanDependents") ? "Orphan" : "Background";
}

}  // namespace

Status take_delete_options(const k8s::io::apimachinery::pkg::apis::meta::v1::DeleteOptions& message,
                           RemoveOptions& options) {
  if (message.has_graceperiodseconds()) options.grace_seconds = message.graceperiodseconds();
  if (message.has_orphandependents()) options.propagation = message.orphandependents() ? "Orphan" : "Background";
  if (message.has_propagationpolicy()) options.propagation = message.propagationpolicy();
  options.if_uid = message.preconditions().uid();
  for (const std::string& value : message.dryrun()) {
    if (value != "All")
      return {Code::kInvalid, "dryRun: Unsupported value: \"" + value + "\": supported values: \"All\""};
    options.dry_run = true;
  }
  if (message.preconditions().has_resourceversion()) {
    ORLOP_ASSIGN(options.if_revision, parse_revision(message.preconditions().resourceversion()));
  }
  return check_policy(options.propagation);
}

Result<RemoveOptions> read_remove_options(Call& call) {
  RemoveOptions options;
  ORLOP_ASSIGN(options.dry_run, read_dry_run(call));
  take_query(call.request().query, options);
  std::string body = call.exchange.take_body();
  if (!body.empty()) {
    meta_v1::DeleteOptions message;
    std::vector<std::string> warnings;
    ORLOP_TRY(
        decode_body_as("", "DeleteOptions", call.request().header("Content-Type"), body, "Ignore", message, warnings));
    ORLOP_TRY(take_delete_options(message, options));
  }
  ORLOP_TRY(check_policy(options.propagation));
  return options;
}

namespace {

struct Planned {
  v1::Write write;
  uint64_t revision = 0;  // of what is to be removed
  std::unique_ptr<apikube::ServiceReservation> reservation;
};

Result<Planned> plan_removal(const Call& call, const KindEntry& entry, const std::string& name_space,
                             const std::string& name, const RemoveOptions& options) {
  ORLOP_ASSIGN(Current current, read_current(call, entry, name_space, name));
  apikube::AdmitRequest request;
  request.kind = entry.storage->kind;
  request.operation = apikube::Operation::kDelete;
  request.name_space = name_space;
  request.name = name;
  request.current = current.value;
  request.grace_period_seconds = options.grace_seconds;
  request.context = rule_context(call, "delete");
  request.context.subresource.clear();
  ORLOP_ASSIGN(apikube::Admitted admitted, call.services.rules.admit(std::move(request)));
  Planned planned;
  planned.revision = current.revision;
  planned.reservation = std::move(admitted.reservation);
  v1::Write& write = planned.write;
  write.mutable_key()->set_kind(std::string(entry.id()));
  write.mutable_key()->set_namespace_(name_space);
  write.mutable_key()->set_name(name);
  write.set_verb(v1::DELETE);
  write.set_if_revision(options.if_revision != 0 ? options.if_revision : current.revision);
  write.set_if_uid(options.if_uid);
  if (options.grace_seconds) write.mutable_delete_options()->set_grace_period_seconds(*options.grace_seconds);
  write.mutable_delete_options()->set_propagation_policy(options.propagation);
  write.set_admitted(true);
  if (admitted.grace_seconds) write.set_grace_seconds(*admitted.grace_seconds);
  Hold hold = hold_of(entry.id(), current.value, true);
  write.set_hold(hold.hold);
  write.set_value(hold.left_behind.empty() ? options.left_behind : hold.left_behind);
  return planned;
}

Removed removed_of(const v1::Written& written) {
  return {written.value(), written.revision(), written.deleted()};
}

}  // namespace

Task<Result<Removed>> remove_object(Call& call, const KindEntry& entry, std::string name_space, std::string name,
                                    RemoveOptions options) {
  for (int attempt = 1;; ++attempt) {
    auto planned = plan_removal(call, entry, name_space, name, options);
    if (!planned) co_return planned.status();
    v1::CommitRequest change;
    *change.add_writes() = planned->write;
    change.set_dry_run(options.dry_run);
    *change.mutable_actor() = actor_of(call);
    auto result = co_await commit(call, std::move(change));
    if (!result) {
      auto now = read_current(call, entry, name_space, name);
      bool changed_meanwhile = now.is_ok() && now->revision != planned->revision;
      bool retry =
          result.code() == Code::kConflict && options.if_revision == 0 && changed_meanwhile && attempt < kAttemptsMax;
      if (retry) continue;
      co_return result.status();
    }
    if (planned->reservation && !options.dry_run) planned->reservation->confirm();
    co_return removed_of(result->written(0));
  }
}

Task<Result<Removed>> remove_with(Call& call, const KindEntry& entry, std::string name_space, std::string name,
                                  RemoveOptions options, std::vector<v1::Write> others) {
  auto planned = plan_removal(call, entry, name_space, name, options);
  if (!planned) co_return planned.status();
  v1::CommitRequest change;
  *change.add_writes() = std::move(planned->write);
  for (v1::Write& other : others) *change.add_writes() = std::move(other);
  change.set_dry_run(options.dry_run);
  *change.mutable_actor() = actor_of(call);
  auto result = co_await commit(call, std::move(change));
  if (!result) co_return result.status();
  co_return removed_of(result->written(0));
}

namespace {

using Keys = std::vector<std::pair<std::string, std::string>>;

// Many in one transaction: one wait for the disk. Nothing in `removed`: it did not go through, and nothing is removed.
Task<void> remove_together(Call& call, const Keys& keys, const RemoveOptions& options, std::vector<Removed>& removed) {
  v1::CommitRequest change;
  std::vector<std::unique_ptr<apikube::ServiceReservation>> reservations;
  for (const auto& [name_space, name] : keys) {
    auto planned = plan_removal(call, *call.entry, name_space, name, options);
    if (!planned) co_return;
    *change.add_writes() = std::move(planned->write);
    reservations.push_back(std::move(planned->reservation));
  }
  change.set_dry_run(options.dry_run);
  *change.mutable_actor() = actor_of(call);
  auto result = co_await commit(call, std::move(change));
  if (!result) co_return;
  for (const v1::Written& written : result->written()) removed.push_back(removed_of(written));
  for (const auto& reservation : reservations) {
    if (reservation && !options.dry_run) reservation->confirm();
  }
}

}  // namespace

Task<void> delete_object(Call& call) {
  auto options = read_remove_options(call);
  if (!options) co_return fail(call, options.status());
  std::string name_space(call.info.name_space);
  std::string name(call.info.name);
  auto removed = co_await remove_object(call, *call.entry, name_space, name, *options);
  if (!removed) co_return fail(call, removed.status());
  bool answers_object = !removed->gone || call.entry->id() == "pods" || call.entry->id() == "services" ||
                        call.entry->id() == "serviceaccounts" || call.entry->id() == "persistentvolumeclaims";
  if (answers_object) co_return answer_object(call, 200, removed->value, removed->revision);
  auto view = meta::parse(removed->value);
  std::string uid(view ? view->uid : std::string_view());
  StatusSubject subject{call.info.name, call.info.group, call.info.resource, uid};
  answer_json(call, 200, success_json(subject));
}

Task<void> delete_collection(Call& call) {
  auto options = read_remove_options(call);
  if (!options) co_return fail(call, options.status());
  auto selection = Selection::read(*call.entry, call.request().query);
  if (!selection) co_return fail(call, selection.status());
  v1::ListRequest request;
  request.set_kind(std::string(call.entry->id()));
  request.set_namespace_(std::string(call.info.name_space));
  Keys keys;
  auto listed = call.services.host.list(request, [&](const RecordView& record) {
    if (selection->matches(record.name_space, record.name, record.value)) {
      keys.emplace_back(record.name_space, record.name);
    }
    return true;
  });
  if (!listed) co_return fail(call, listed.status());
  ListWriter writer(*call.entry, call.format, read_include(call), call.now());
  for (size_t at = 0; at < keys.size(); at += kTogether) {
    Keys some(keys.begin() + static_cast<ptrdiff_t>(at),
              keys.begin() + static_cast<ptrdiff_t>(std::min(keys.size(), at + kTogether)));
    std::vector<Removed> done;
    co_await remove_together(call, some, *options, done);
    for (const Removed& removed : done) writer.add(removed.value, removed.revision);
    if (!done.empty()) continue;
    // Somebody else was at one of them: each for itself.
    for (const auto& [name_space, name] : some) {
      auto removed = co_await remove_object(call, *call.entry, name_space, name, *options);
      if (!removed && removed.code() == Code::kNotFound) continue;
      if (!removed) co_return fail(call, removed.status());
      writer.add(removed->value, removed->revision);
    }
  }
  call.exchange.respond(200, call.format.content_type(), writer.whole({call.services.host.revision(), {}, 0}));
}

}  // namespace orlop::rest
