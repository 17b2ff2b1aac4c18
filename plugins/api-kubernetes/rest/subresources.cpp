#include "plugins/api-kubernetes/rest/subresources.hpp"

#include "orlop/kube/authentication_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/object_meta.hpp"
#include "plugins/api-kubernetes/auth/encoding.hpp"
#include "plugins/api-kubernetes/rest/change.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"

#include <algorithm>

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace core = k8s::io::api::core::v1;
namespace authentication = k8s::io::api::authentication::v1;

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kTokenSecondsMin = 600;
constexpr int64_t kTokenSecondsMax = 24 * 3600;

Result<std::string> uid_of(const Host& host, const std::string& kind, const std::string& name_space,
                           const std::string& name) {
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind(kind);
  key->set_namespace_(name_space);
  key->set_name(name);
  std::string uid;
  bool found = false;
  auto result = host.get(request, [&](const RecordView& record) {
    found = true;
    auto view = meta::parse(record.value);
    if (view) uid = view->uid;
    return true;
  });
  if (!result) return result.status();
  if (!found) return Status(Code::kNotFound, kind + " \"" + name + "\" not found");
  return uid;
}

Status bind_to(const Host& host, const std::string& kind, const std::string& name_space, const std::string& name,
               const std::string& wanted, std::string& uid) {
  if (name.empty()) return Status::ok();
  ORLOP_ASSIGN(uid, uid_of(host, kind, name_space, name));
  if (!wanted.empty() && wanted != uid) {
    return {Code::kConflict,
            "Operation cannot be fulfilled on " + kind + " \"" + name + "\": the UID in the bound object reference (" +
                wanted + ") does not match the UID in record. The object might have been deleted and then recreated"};
  }
  return Status::ok();
}

// The condition that says when a scheduler found a node.
void mark_scheduled(core::Pod& pod, int64_t now_s) {
  for (const auto& condition : pod.status().conditions()) {
    if (condition.type() == "PodScheduled" && condition.status() == "True") return;
  }
  core::PodCondition* condition = nullptr;
  for (auto& existing : *pod.mutable_status()->mutable_conditions()) {
    if (existing.type() == "PodScheduled") condition = &existing;
  }
  if (condition == nullptr) condition = pod.mutable_status()->add_conditions();
  condition->Clear();
  condition->set_type("PodScheduled");
  condition->set_status("True");
  condition->mutable_lasttransitiontime()->set_seconds(now_s);
}

}  // namespace

Result<IssuedToken> issue_token(const Host& host, const auth::TokenSigner& signer, const TokenWish& wish) {
  auth::TokenClaims claims;
  claims.name_space = wish.name_space;
  claims.account = wish.account;
  ORLOP_ASSIGN(claims.account_uid, uid_of(host, "serviceaccounts", wish.name_space, wish.account));
  claims.pod = wish.pod;
  claims.secret = wish.secret;
  ORLOP_TRY(bind_to(host, "pods", wish.name_space, wish.pod, wish.pod_uid, claims.pod_uid));
  ORLOP_TRY(bind_to(host, "secrets", wish.name_space, wish.secret, wish.secret_uid, claims.secret_uid));
  if (!wish.node.empty()) {
    auto uid = uid_of(host, "nodes", "", wish.node);
    if (uid) {
      claims.node = wish.node;
      claims.node_uid = *uid;
    }
  }
  claims.audiences = wish.audiences;
  if (claims.audiences.empty()) claims.audiences.emplace_back(auth::kTokenIssuer);
  claims.issued = host.wall_now_ns() / kNsPerSecond;
  claims.expires = claims.issued + std::clamp(wish.expiration_seconds, kTokenSecondsMin, kTokenSecondsMax);
  claims.id = auth::hex(auth::random_bytes(16));
  return IssuedToken{signer.sign(claims), claims.expires};
}

Task<void> handle_binding(Call& call) {
  core::Binding binding;
  std::vector<std::string> warnings;
  std::string body = call.exchange.take_body();
  Status decoded =
      decode_body_as("v1", "Binding", call.request().header("Content-Type"), body, "Ignore", binding, warnings);
  if (!decoded) co_return fail(call, decoded);
  // POST .../pods/NAME/binding names the pod in its path, POST .../bindings in its body.
  std::string name(call.info.resource == "pods" ? std::string(call.info.name) : binding.metadata().name());
  const KindEntry& pods = *registry().find_storage("pods");
  std::string target = binding.target().name();
  if (target.empty() || (!binding.target().kind().empty() && binding.target().kind() != "Node")) {
    co_return fail(call,
                   Status(Code::kInvalid, "Binding \"" + name + "\" is invalid: target: a node's name is required"));
  }
  int64_t now_s = call.services.host.wall_now_ns() / kNsPerSecond;
  MakeObject make = [&](const Current& current) -> Result<MessagePtr> {
    auto pod = std::make_unique<core::Pod>();
    pod->ParseFromString(current.value);
    auto refuse = [&](const std::string& why) {
      return Status(Code::kConflict, "Operation cannot be fulfilled on pods/binding \"" + name + "\": " + why);
    };
    if (pod->metadata().has_deletiontimestamp())
      return refuse("pod " + name + " is being deleted, cannot be assigned to a host");
    if (!pod->spec().nodename().empty()) {
      return refuse("pod " + name + " is already assigned to node \"" + pod->spec().nodename() + "\"");
    }
    pod->mutable_spec()->set_nodename(target);
    for (const auto& [key, value] : binding.metadata().annotations()) {
      (*pod->mutable_metadata()->mutable_annotations())[key] = value;
    }
    mark_scheduled(*pod, now_s);
    return MessagePtr(std::move(pod));
  };
  ChangeOptions options{"update", "binding", {}};
  std::string name_space(call.info.name_space);
  auto changed = co_await change_object(call, pods, name_space, name, make, options);
  if (!changed) co_return fail(call, changed.status());
  answer_json(call, 201, success_json({}, 201));
}

Task<void> handle_token(Call& call) {
  authentication::TokenRequest request;
  std::vector<std::string> warnings;
  std::string body = call.exchange.take_body();
  Status decoded = decode_body_as("authentication.k8s.io/v1", "TokenRequest", call.request().header("Content-Type"),
                                  body, "Ignore", request, warnings);
  if (!decoded) co_return fail(call, decoded);
  TokenWish wish;
  wish.name_space = call.info.name_space;
  wish.account = call.info.name;
  wish.audiences.assign(request.spec().audiences().begin(), request.spec().audiences().end());
  if (request.spec().has_expirationseconds()) wish.expiration_seconds = request.spec().expirationseconds();
  if (request.spec().has_expirationseconds() && wish.expiration_seconds < kTokenSecondsMin) {
    std::string message = "Invalid value: " + std::to_string(wish.expiration_seconds) +
                          ": may not specify a duration less than 10 minutes";
    co_return fail(
        call,
        Status(Code::kInvalid, "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: " + message,
               {{"FieldValueInvalid", message, "spec.expirationSeconds"}}));
  }
  if (request.spec().has_boundobjectref()) {
    const auto& bound = request.spec().boundobjectref();
    if (bound.kind() == "Pod") {
      wish.pod = bound.name();
      wish.pod_uid = bound.uid();
    } else if (bound.kind() == "Secret") {
      wish.secret = bound.name();
      wish.secret_uid = bound.uid();
    } else {
      co_return fail(call, Status(Code::kBadRequest, "cannot bind token to object of type " + bound.apiversion() +
                                                         ", Kind=" + bound.kind()));
    }
  }
  auto issued = issue_token(call.services.host, call.services.tokens, wish);
  if (!issued) co_return fail(call, issued.status());
  request.mutable_metadata()->set_name(wish.account);
  request.mutable_metadata()->set_namespace_(wish.name_space);
  request.mutable_metadata()->mutable_creationtimestamp()->set_seconds(call.services.host.wall_now_ns() / kNsPerSecond);
  request.mutable_spec()->set_expirationseconds(
      std::clamp(wish.expiration_seconds, kTokenSecondsMin, kTokenSecondsMax));
  if (request.spec().audiences().empty()) request.mutable_spec()->add_audiences(std::string(auth::kTokenIssuer));
  request.mutable_status()->set_token(issued->token);
  request.mutable_status()->mutable_expirationtimestamp()->set_seconds(issued->expires_s);
  answer_message(call, 201, "authentication.k8s.io/v1", "TokenRequest", request);
}

Status fill_token_secret(const Call& call, google::protobuf::Message& object) {
  auto* secret = dynamic_cast<core::Secret*>(&object);
  if (secret == nullptr || secret->type() != "kubernetes.io/service-account-token") return Status::ok();
  auto& annotations = *secret->mutable_metadata()->mutable_annotations();
  auto named = annotations.find("kubernetes.io/service-account.name");
  if (named == annotations.end() || secret->metadata().name().empty()) return Status::ok();
  auth::TokenClaims claims;
  claims.name_space = call.info.name_space;
  claims.account = named->second;
  claims.secret = secret->metadata().name();
  ORLOP_ASSIGN(claims.account_uid, uid_of(call.services.host, "serviceaccounts", claims.name_space, claims.account));
  annotations["kubernetes.io/service-account.uid"] = claims.account_uid;
  (*secret->mutable_data())["token"] = call.services.tokens.sign(claims);
  (*secret->mutable_data())["ca.crt"] = call.services.authority;
  (*secret->mutable_data())["namespace"] = claims.name_space;
  return Status::ok();
}

}  // namespace orlop::rest
