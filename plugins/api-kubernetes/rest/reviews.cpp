#include "orlop/kube/authentication_v1.hpp"
#include "orlop/kube/authorization_v1.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace authorization = k8s::io::api::authorization::v1;
namespace authentication = k8s::io::api::authentication::v1;

template <typename Review>
Result<Review> decode(Call& call) {
  Review review;
  std::vector<std::string> warnings;
  std::string body = call.exchange.take_body();
  ORLOP_TRY(decode_body_as(call.entry->api_version, call.entry->kind->kind, call.request().header("Content-Type"), body,
                           call.request().query.get("fieldValidation"), review, warnings));
  add_warnings(call, warnings);
  return review;
}

void answer(Call& call, const google::protobuf::Message& review) {
  answer_message(call, 201, call.entry->api_version, call.entry->kind->kind, review);
}

Status invalid(const Call& call, const std::string& field, const std::string& message) {
  return {Code::kInvalid,
          std::string(call.entry->kind->kind) + "." + std::string(call.entry->kind->group) +
              " \"\" is invalid: " + field + ": " + message,
          {{"FieldValueInvalid", message, field}}};
}

// The attributes point into the spec.
template <typename Spec>
Result<auth::Attributes> attributes_of(const Call& call, const Spec& spec) {
  auth::Attributes wanted;
  if (spec.has_resourceattributes() == spec.has_nonresourceattributes()) {
    return invalid(
        call, "spec.resourceAttributes",
        "Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified");
  }
  if (spec.has_resourceattributes()) {
    const auto& from = spec.resourceattributes();
    wanted = {.verb = from.verb(),
              .group = from.group(),
              .version = from.version(),
              .resource = from.resource(),
              .subresource = from.subresource(),
              .name = from.name(),
              .name_space = from.namespace_(),
              .path = {}};
  } else {
    wanted.verb = spec.nonresourceattributes().verb();
    wanted.path = spec.nonresourceattributes().path();
  }
  return wanted;
}

Status decide(Call& call, const auth::User& user, const auth::Attributes& wanted,
              authorization::SubjectAccessReviewStatus* status) {
  std::string reason;
  ORLOP_ASSIGN(bool allowed, call.services.authorizer.allowed(user, wanted, &reason));
  status->set_allowed(allowed);
  status->set_reason(reason);
  return Status::ok();
}

void review_own_access(Call& call) {
  auto review = decode<authorization::SelfSubjectAccessReview>(call);
  if (!review) return fail(call, review.status());
  auto wanted = attributes_of(call, review->spec());
  if (!wanted) return fail(call, wanted.status());
  Status status = decide(call, call.user, *wanted, review->mutable_status());
  if (!status) return fail(call, status);
  answer(call, *review);
}

template <typename Review>
void review_access(Call& call) {
  auto review = decode<Review>(call);
  if (!review) return fail(call, review.status());
  const auto& spec = review->spec();
  if (spec.user().empty() && spec.groups().empty()) {
    return fail(call,
                invalid(call, "spec.user", "Invalid value: \"\": at least one of user or group must be specified"));
  }
  auto wanted = attributes_of(call, spec);
  if (!wanted) return fail(call, wanted.status());
  auth::User user{spec.user(), spec.uid(), {spec.groups().begin(), spec.groups().end()}, {}};
  Status status = decide(call, user, *wanted, review->mutable_status());
  if (!status) return fail(call, status);
  answer(call, *review);
}

void review_own_rules(Call& call) {
  auto review = decode<authorization::SelfSubjectRulesReview>(call);
  if (!review) return fail(call, review.status());
  if (review->spec().namespace_().empty()) return fail(call, Status(Code::kBadRequest, "no namespace on request"));
  auto rules = call.services.authorizer.rules_of(call.user, review->spec().namespace_());
  if (!rules) return fail(call, rules.status());
  for (const auth::Rule& rule : *rules) {
    if (!rule.urls.empty()) {
      auto* out = review->mutable_status()->add_nonresourcerules();
      for (const std::string& item : rule.verbs) out->add_verbs(item);
      for (const std::string& item : rule.urls) out->add_nonresourceurls(item);
      continue;
    }
    auto* out = review->mutable_status()->add_resourcerules();
    for (const std::string& item : rule.verbs) out->add_verbs(item);
    for (const std::string& item : rule.groups) out->add_apigroups(item);
    for (const std::string& item : rule.resources) out->add_resources(item);
    for (const std::string& item : rule.names) out->add_resourcenames(item);
  }
  answer(call, *review);
}

void fill_user(const auth::User& user, authentication::UserInfo* out) {
  out->set_username(user.name);
  out->set_uid(user.uid);
  for (const std::string& group : user.groups) out->add_groups(group);
  for (const auto& [key, values] : user.extra) {
    for (const std::string& value : values) (*out->mutable_extra())[key].add_items(value);
  }
}

void review_token(Call& call) {
  auto review = decode<authentication::TokenReview>(call);
  if (!review) return fail(call, review.status());
  if (review->spec().token().empty()) {
    return fail(call, Status(Code::kBadRequest, "token is required for TokenReview in authentication"));
  }
  std::vector<std::string> audiences(review->spec().audiences().begin(), review->spec().audiences().end());
  std::vector<std::string> matched;
  auto user = call.services.authenticator.authenticate_token(review->spec().token(), audiences, &matched);
  // The token is the asker's: it does not come back.
  review->mutable_spec()->clear_token();
  auto* status = review->mutable_status();
  if (user) {
    status->set_authenticated(true);
    fill_user(*user, status->mutable_user());
    for (std::string& audience : matched) status->add_audiences(std::move(audience));
  } else {
    status->set_error("invalid bearer token");
  }
  answer(call, *review);
}

void review_self(Call& call) {
  auto review = decode<authentication::SelfSubjectReview>(call);
  if (!review) return fail(call, review.status());
  fill_user(call.user, review->mutable_status()->mutable_userinfo());
  review->mutable_metadata()->mutable_creationtimestamp()->set_seconds(call.services.host.wall_now_ns() /
                                                                       1'000'000'000);
  answer(call, *review);
}

}  // namespace

Task<void> handle_review(Call& call) {
  std::string_view kind = call.entry->kind->kind;
  if (kind == "SelfSubjectAccessReview") {
    review_own_access(call);
  } else if (kind == "SubjectAccessReview") {
    review_access<authorization::SubjectAccessReview>(call);
  } else if (kind == "LocalSubjectAccessReview") {
    review_access<authorization::LocalSubjectAccessReview>(call);
  } else if (kind == "SelfSubjectRulesReview") {
    review_own_rules(call);
  } else if (kind == "TokenReview") {
    review_token(call);
  } else if (kind == "SelfSubjectReview") {
    review_self(call);
  } else if (kind == "Binding") {
    co_await handle_binding(call);
  } else {
    fail(call, Status(Code::kNotFound, "the server could not find the requested resource"));
  }
}

}  // namespace orlop::rest
