#include "plugins/api-kubernetes/rest/change.hpp"

#include "orlop/kube/meta_v1.hpp"
#include "orlop/object_meta.hpp"
#include "plugins/api-kubernetes/rest/hold.hpp"

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace meta_v1 = k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr int kAttemptsMax = 12;
constexpr int kNameAttemptsMax = 8;
constexpr std::string_view kRbac = "rbac.authorization.k8s.io";

const meta_v1::ObjectMeta& metadata_of(const KindEntry& entry, const google::protobuf::Message& message) {
  return dynamic_cast<const meta_v1::ObjectMeta&>(message.GetReflection()->GetMessage(message, entry.metadata));
}

Status conflict(const KindEntry& entry, std::string_view name, const std::string& why) {
  return {Code::kConflict,
          "Operation cannot be fulfilled on " + entry.qualified + " \"" + std::string(name) + "\": " + why};
}

struct Attempt {
  v1::CommitRequest request;
  std::unique_ptr<apikube::ServiceReservation> reservation;
};

// From a message to the commit that stores it.
Result<Attempt> admit(Call& call, const KindEntry& entry, apikube::AdmitRequest request, MessagePtr object,
                      const Current* current, std::vector<std::string>* warnings) {
  MessagePtr holder;
  const google::protobuf::Message& given = as_storage(entry, *object, holder);
  google::protobuf::Message* storage = holder ? holder.get() : object.get();
  (void)given;
  const KindEntry& stored_as = *entry.storage;
  MessagePtr before;
  if (current != nullptr) {
    before = read_stored(stored_as, current->value, 0);
    if (!before) return Status(Code::kInternal, "the stored object cannot be read");
  }
  request.kind = stored_as.kind;
  auto admitted = call.services.rules.admit_message(request, storage, before.get());
  if (!admitted) return admitted.status();
  if (warnings != nullptr) {
    warnings->insert(warnings->end(), admitted->warnings.begin(), admitted->warnings.end());
  }
  ORLOP_TRY(check_escalation(call, stored_as, request.name_space, admitted->name, *storage));
  Attempt attempt;
  v1::Write* write = attempt.request.add_writes();
  write->mutable_key()->set_kind(std::string(stored_as.id()));
  write->mutable_key()->set_namespace_(request.name_space);
  write->mutable_key()->set_name(current != nullptr ? request.name : admitted->name);
  write->set_verb(current != nullptr ? v1::UPDATE : v1::CREATE);
  write->set_subresource(request.context.subresource);
  ORLOP_ASSIGN(*write->mutable_value(), write_stored(stored_as, *storage));
  write->set_admitted(true);
  write->set_hold(hold_of(stored_as.id(), write->value(), false).hold);
  for (std::string& term : admitted->index_terms) write->add_index_terms(std::move(term));
  if (current != nullptr) {
    write->set_if_revision(current->revision);
    write->set_skip_if_unchanged(true);
  }
  attempt.request.set_dry_run(request.context.dry_run);
  *attempt.request.mutable_actor() = actor_of(call);
  attempt.reservation = std::move(admitted->reservation);
  return attempt;
}

Changed changed_of(const v1::CommitResult& result) {
  return {result.written(0).value(), result.written(0).revision()};
}

Status check_identity(const KindEntry& entry, std::string_view name, const meta_v1::ObjectMeta& wanted,
                      const Current& current) {
  if (!wanted.resourceversion().empty() && wanted.resourceversion() != std::to_string(current.revision)) {
    return conflict(entry, name,
                    "the object has been modified; please apply your changes to the latest version and try again");
  }
  if (wanted.uid().empty()) return Status::ok();
  auto view = meta::parse(current.value);
  if (view && view->uid != wanted.uid()) {
    return conflict(entry, name,
                    "Precondition failed: UID in precondition: " + wanted.uid() +
                        ", UID in object meta: " + std::string(view->uid));
  }
  return Status::ok();
}

}  // namespace

Status check_escalation(Call& call, const KindEntry& entry, std::string_view name_space, std::string_view name,
                        const google::protobuf::Message& object) {
  if (entry.kind->group != kRbac || call.user.in_group(auth::kMasters)) return Status::ok();
  auth::Authorizer& authorizer = call.services.authorizer;
  std::vector<auth::Rule> wanted = auth::rules_in(object);
  auth::RoleReference role = auth::role_in(object);
  auth::Attributes exempt{.verb = "escalate",
                          .group = kRbac,
                          .version = "v1",
                          .resource = entry.kind->plural,
                          .name = name,
                          .name_space = name_space};
  if (!role.name.empty()) {
    exempt.verb = "bind";
    exempt.resource = role.cluster ? "clusterroles" : "roles";
    exempt.name = role.name;
    auto rules = authorizer.rules_of_role(role, name_space);
    if (!rules) return rules.status();
    wanted = std::move(*rules);
  }
  ORLOP_ASSIGN(bool allowed, authorizer.allowed(call.user, exempt));
  if (allowed) return Status::ok();
  ORLOP_ASSIGN(std::vector<auth::Rule> held, authorizer.rules_of(call.user, name_space));
  std::vector<auth::Rule> missing;
  if (auth::covers(held, wanted, &missing)) return Status::ok();
  std::string groups;
  for (const std::string& group : call.user.groups) groups += (groups.empty() ? "\"" : " \"") + group + "\"";
  std::string message = entry.qualified + " \"" + std::string(name) + "\" is forbidden: user \"" + call.user.name +
                        "\" (groups=[" + groups + "]) is attempting to grant RBAC permissions not currently held:";
  for (const auth::Rule& rule : missing) message += "\n" + auth::describe(rule);
  return {Code::kForbidden, message};
}

Task<Result<Changed>> insert_object(Call& call, const KindEntry& entry, std::string name_space, MessagePtr object,
                                    std::vector<std::string> warnings) {
  auto dry_run = read_dry_run(call);
  if (!dry_run) co_return dry_run.status();
  bool generates = false;
  std::string name;
  if (entry.metadata != nullptr) {
    const meta_v1::ObjectMeta& metadata = metadata_of(entry, *object);
    name = metadata.name();
    generates = name.empty() && !metadata.generatename().empty();
    call.object_name = name;
    if (!metadata.resourceversion().empty() && metadata.resourceversion() != "0") {
      co_return Status(Code::kBadRequest, "resourceVersion should not be set on objects to be created");
    }
  }
  for (int attempt = 1;; ++attempt) {
    apikube::AdmitRequest request;
    request.operation = apikube::Operation::kCreate;
    request.name_space = name_space;
    request.name = name;
    request.context = rule_context(call, "create");
    MessagePtr copy(object->New());
    copy->CopyFrom(*object);
    std::vector<std::string> told = warnings;
    auto made = admit(call, entry, std::move(request), std::move(copy), nullptr, &told);
    if (!made) co_return made.status();
    auto result = co_await commit(call, std::move(made->request));
    if (!result) {
      if (generates && result.code() == Code::kAlreadyExists && attempt < kNameAttemptsMax) continue;
      co_return result.status();
    }
    if (made->reservation && !*dry_run) made->reservation->confirm();
    add_warnings(call, told);
    co_return changed_of(*result);
  }
}

Task<Result<Changed>> change_object(Call& call, const KindEntry& entry, std::string name_space, std::string name,
                                    MakeObject make, ChangeOptions options) {
  auto dry_run = read_dry_run(call);
  if (!dry_run) co_return dry_run.status();
  for (int attempt = 1;; ++attempt) {
    auto current = read_current(call, entry, name_space, name);
    if (!current) co_return current.status();
    auto object = make(*current);
    if (!object) co_return object.status();
    std::string wanted_version;
    if (entry.metadata != nullptr) {
      const meta_v1::ObjectMeta& metadata = metadata_of(entry, **object);
      wanted_version = metadata.resourceversion();
      Status same = check_identity(entry, name, metadata, *current);
      if (!same) co_return same;
    }
    apikube::AdmitRequest request;
    request.operation = apikube::Operation::kUpdate;
    request.name_space = name_space;
    request.name = name;
    request.context = rule_context(call, options.verb);
    request.context.subresource = options.subresource;
    std::vector<std::string> told = options.warnings;
    auto made = admit(call, entry, std::move(request), std::move(*object), &*current, &told);
    if (!made) co_return made.status();
    auto result = co_await commit(call, std::move(made->request));
    if (!result) {
      bool retry = result.code() == Code::kConflict && wanted_version.empty() && attempt < kAttemptsMax;
      if (retry) continue;
      co_return result.status();
    }
    if (made->reservation && !*dry_run) made->reservation->confirm();
    add_warnings(call, told);
    co_return changed_of(*result);
  }
}

}  // namespace orlop::rest
