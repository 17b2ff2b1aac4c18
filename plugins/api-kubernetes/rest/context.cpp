#include "plugins/api-kubernetes/rest/context.hpp"

namespace orlop::rest {

void fail(Call& call, const Status& status) {
  StatusSubject subject;
  std::string name(call.info.name.empty() ? std::string_view(call.object_name) : call.info.name);
  if (call.info.is_resource) {
    subject.name = name;
    subject.group = call.info.group;
    subject.kind = call.info.resource;
    if (status.code() == Code::kInvalid && call.entry != nullptr) subject.kind = call.entry->kind->kind;
    // What makes no sense is about the request, not about an object.
    if (status.code() == Code::kBadRequest || status.code() == Code::kUnauthorized ||
        status.code() == Code::kUnsupportedMediaType || status.code() == Code::kNotAcceptable) {
      subject = {};
    }
  }
  if (status.retry_after_s() > 0) call.exchange.add_header("Retry-After", std::to_string(status.retry_after_s()));
  std::string json = failure_json(status, subject);
  if (call.format.encoding == Encoding::kYaml) {
    call.exchange.respond(http_code(status.code()), "application/yaml", as_encoding(std::move(json), Encoding::kYaml));
    return;
  }
  call.exchange.respond(http_code(status.code()), "application/json", std::move(json));
}

void answer_json(Call& call, int code, std::string json) {
  Encoding encoding = call.format.encoding == Encoding::kYaml ? Encoding::kYaml : Encoding::kJson;
  call.exchange.respond(code, encoding == Encoding::kYaml ? "application/yaml" : "application/json",
                        as_encoding(std::move(json), encoding));
}

void answer_object(Call& call, int code, std::string_view stored, uint64_t revision) {
  std::string body;
  append_object(body, *call.entry, call.format, read_include(call), stored, revision, call.now());
  if (body.empty()) return fail(call, Status(Code::kInternal, "the stored object cannot be read"));
  call.exchange.respond(code, call.format.content_type(), std::move(body));
}

void answer_message(Call& call, int code, std::string_view api_version, std::string_view kind,
                    const google::protobuf::Message& message) {
  std::string body;
  append_message(body, api_version, kind, call.format.encoding, message);
  call.exchange.respond(code, call.format.content_type(), std::move(body));
}

void add_warnings(Call& call, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    std::string text;
    for (char c : warning) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    call.exchange.add_header("Warning", "299 - \"" + text + "\"");
  }
}

Result<Current> read_current(const Call& call, const KindEntry& entry, std::string_view name_space,
                             std::string_view name) {
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind(std::string(entry.id()));
  key->set_namespace_(std::string(name_space));
  key->set_name(std::string(name));
  Current current;
  auto result = call.services.host.get(request, [&](const RecordView& record) {
    current.value = record.value;
    current.revision = record.revision;
    return true;
  });
  if (!result) return result.status();
  if (current.revision == 0)
    return Status(Code::kNotFound, entry.qualified + " \"" + std::string(name) + "\" not found");
  return current;
}

apikube::RequestContext rule_context(const Call& call, std::string_view verb) {
  apikube::RequestContext context;
  context.verb = verb;
  context.subresource = call.info.subresource;
  context.user = call.user.name;
  context.groups = call.user.groups;
  context.uid = call.user.uid;
  context.now = call.now();
  context.dry_run = call.request().query.get("dryRun") == "All";
  context.field_validation = call.request().query.get("fieldValidation");
  return context;
}

v1::Actor actor_of(const Call& call) {
  v1::Actor actor;
  actor.set_user(call.user.name);
  actor.set_uid(call.user.uid);
  for (const std::string& group : call.user.groups) actor.add_groups(group);
  return actor;
}

Result<bool> read_dry_run(const Call& call) {
  const http::Query& query = call.request().query;
  if (!query.has("dryRun")) return false;
  std::string_view value = query.get("dryRun");
  if (value == "All") return true;
  if (value.empty()) return false;
  std::string message =
      "Invalid value: [\"" + std::string(value) + "\"]: Invalid dry-run value, must be one of: [\"All\"]";
  return Status(Code::kInvalid, "dryRun: " + message, {{"FieldValueInvalid", message, "dryRun"}});
}

IncludeObject read_include(const Call& call) {
  std::string_view value = call.request().query.get("includeObject");
  if (value == "None") return IncludeObject::kNone;
  if (value == "Object") return IncludeObject::kObject;
  return IncludeObject::kMetadata;
}

Task<Result<v1::CommitResult>> commit(Call& call, v1::CommitRequest request) {
  http::Pending<Result<v1::CommitResult>> pending(call.exchange);
  call.services.host.commit(request, [&pending](Result<v1::CommitResult> result) { pending.set(std::move(result)); });
  co_return co_await pending;
}

}  // namespace orlop::rest
