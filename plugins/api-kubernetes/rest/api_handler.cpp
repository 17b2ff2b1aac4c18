#include "plugins/api-kubernetes/rest/api_handler.hpp"

#include "plugins/api-kubernetes/rest/handlers.hpp"

namespace orlop::rest {
namespace {

Status not_found() {
  return {Code::kNotFound, "the server could not find the requested resource"};
}

Status not_allowed() {
  return {Code::kMethodNotAllowed, "the server does not allow this method on the requested resource"};
}

kube::Verb verb_bit(std::string_view verb) {
  for (const kube::VerbName& item : kube::kVerbNames) {
    if (item.name == verb) return item.verb;
  }
  return static_cast<kube::Verb>(0);
}

bool is_streamed(const Call& call) {
  std::string_view sub = call.info.subresource;
  return sub == "log" || sub == "exec" || sub == "attach" || sub == "portforward";
}

Task<void> run_subresource(Call& call) {
  std::string_view name = call.info.subresource;
  std::string_view verb = call.info.verb;
  if (name == "scale") {
    co_await handle_scale(call);
  } else if (name == "binding") {
    co_await handle_binding(call);
  } else if (name == "eviction") {
    co_await handle_eviction(call);
  } else if (name == "token") {
    co_await handle_token(call);
  } else if (name == "log") {
    co_await handle_log(call);
  } else if (is_streamed(call)) {
    co_await handle_upgrade(call);
  } else if (name == "proxy") {
    fail(call, not_found());
  } else if (verb == "get") {
    get_object(call);
  } else if (verb == "update") {
    co_await update_object(call);
  } else if (verb == "patch") {
    co_await patch_object(call);
  } else {
    fail(call, not_allowed());
  }
}

Task<void> run_verb(Call& call) {
  std::string_view verb = call.info.verb;
  if (verb == "get") {
    // A watch of one object by its path.
    if (call.request().query.flag("watch")) {
      co_await watch_objects(call);
    } else {
      get_object(call);
    }
  } else if (verb == "list") {
    co_await list_objects(call);
  } else if (verb == "watch") {
    co_await watch_objects(call);
  } else if (verb == "create") {
    co_await create_object(call);
  } else if (verb == "update") {
    co_await update_object(call);
  } else if (verb == "patch") {
    co_await patch_object(call);
  } else if (verb == "delete") {
    co_await delete_object(call);
  } else if (verb == "deletecollection") {
    co_await delete_collection(call);
  } else {
    fail(call, not_allowed());
  }
}

}  // namespace

void ApiHandler::refuse(http::Exchange& exchange, int status, std::string_view message) {
  std::string_view reason = status == 413   ? "RequestEntityTooLarge"
                            : status == 400 ? "BadRequest"
                            : status == 500 ? "InternalError"
                                            : "";
  if (status == 500) services_.host.log_error("a request failed: " + std::string(message));
  exchange.respond(status, "application/json", failure_json(status, reason, message));
}

Task<void> ApiHandler::handle(http::Exchange& exchange) {
  auto began = http::Exchange::Clock::now();
  Call call{services_, exchange, read_request_info(exchange.request()), {}, {}, nullptr, nullptr, {}};
  co_await answer(call);
  bool known = call.entry != nullptr;
  services_.metrics.count(known ? call.info.verb : "other", known ? call.info.resource : "",
                          known ? call.info.subresource : "", exchange.status(), http::Exchange::Clock::now() - began);
}

Task<void> ApiHandler::answer(Call& call) {
  auto user = services_.authenticator.authenticate(call.request());
  if (!user) co_return fail(call, user.status());
  call.user = std::move(*user);
  Status status = impersonate(call);
  if (status.is_ok()) status = authorize(call);
  if (!status) co_return fail(call, status);
  if (!call.info.is_resource || paths_.serves_resource(call.info)) {
    co_await paths_.handle_path(call);
  } else {
    co_await answer_resource(call);
  }
}

// Impersonate-User and Impersonate-Group, as documented at
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
Status ApiHandler::impersonate(Call& call) {
  std::string_view name = call.request().header("Impersonate-User");
  if (name.empty()) return Status::ok();
  auto check = [&](std::string_view resource, std::string_view target, std::string_view name_space) -> Status {
    auth::Attributes wanted{.verb = "impersonate",
                            .group = {},
                            .version = "v1",
                            .resource = resource,
                            .subresource = {},
                            .name = target,
                            .name_space = name_space,
                            .path = {}};
    ORLOP_ASSIGN(bool allowed, services_.authorizer.allowed(call.user, wanted));
    return allowed ? Status::ok() : Status(Code::kForbidden, auth::refusal(call.user, wanted));
  };
  auth::User target;
  target.name = name;
  constexpr std::string_view kAccount = "system:serviceaccount:";
  size_t colon = name.find(':', kAccount.size());
  bool account = name.starts_with(kAccount) && colon != std::string_view::npos;
  if (account) {
    std::string name_space(name.substr(kAccount.size(), colon - kAccount.size()));
    ORLOP_TRY(check("serviceaccounts", name.substr(colon + 1), name_space));
    target.groups = {"system:serviceaccounts", "system:serviceaccounts:" + name_space};
  } else {
    ORLOP_TRY(check("users", name, ""));
  }
  for (const auto& [header, value] : call.request().headers) {
    std::string lower(header);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (lower != "impersonate-group") continue;
    ORLOP_TRY(check("groups", value, ""));
    target.groups.emplace_back(value);
  }
  if (name != auth::kAnonymous && !target.in_group(auth::kAuthenticated))
    target.groups.emplace_back(auth::kAuthenticated);
  call.user = std::move(target);
  return Status::ok();
}

Status ApiHandler::authorize(Call& call) {
  if (call.user.in_group(auth::kMasters)) return Status::ok();
  const RequestInfo& info = call.info;
  auth::Attributes wanted;
  wanted.verb = info.verb;
  if (info.is_resource) {
    wanted.group = info.group;
    wanted.version = info.version;
    wanted.resource = info.resource;
    wanted.subresource = info.subresource;
    wanted.name = info.name;
    wanted.name_space = info.name_space;
  } else {
    if (paths_.is_public(info.path)) return Status::ok();
    wanted.path = info.path;
  }
  ORLOP_ASSIGN(bool allowed, services_.authorizer.allowed(call.user, wanted));
  if (allowed) return Status::ok();
  return {Code::kForbidden, auth::refusal(call.user, wanted)};
}

Task<void> ApiHandler::answer_resource(Call& call) {
  RequestInfo& info = call.info;
  call.entry = registry().find(info.group, info.version, info.resource);
  if (call.entry == nullptr || info.too_long) co_return fail(call, not_found());
  const kube::Kind& kind = *call.entry->kind;
  if (!kind.namespaced) {
    // The path of a namespace names it twice; no other cluster-wide kind lives in one.
    if (!info.name_space.empty() && kind.id != "namespaces") co_return fail(call, not_found());
    info.name_space = {};
  } else if (info.name_space.empty() &&
             (!info.name.empty() || info.verb == "create" || info.verb == "deletecollection")) {
    co_return fail(call, info.name.empty() ? not_allowed() : not_found());
  }
  if (!info.subresource.empty()) {
    call.subresource = kind.subresource(info.subresource);
    if (call.subresource == nullptr) co_return fail(call, not_found());
  }
  kube::Verbs verbs = call.subresource != nullptr ? call.subresource->verbs : kind.verbs;
  if ((verbs & verb_bit(info.verb)) == 0) co_return fail(call, not_allowed());
  if (!is_streamed(call)) {
    auto format = negotiate_output(call.request().header("Accept"));
    if (!format) co_return fail(call, format.status());
    call.format = *format;
  }
  if (call.subresource != nullptr) {
    co_await run_subresource(call);
  } else if (!kind.persistent && info.verb == "create") {
    co_await handle_review(call);
  } else {
    co_await run_verb(call);
  }
}

}  // namespace orlop::rest
