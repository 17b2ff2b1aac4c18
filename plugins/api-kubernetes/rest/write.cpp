#include "orlop/kube/json.hpp"
#include "orlop/kube/yaml.hpp"
#include "plugins/api-kubernetes/patch/patch.hpp"
#include "plugins/api-kubernetes/rest/change.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"

#include <memory>

#include <boost/json.hpp>
#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

namespace json = boost::json;

enum class PatchKind { kJson, kMerge, kStrategic };

constexpr size_t kDepthMax = 512;

Result<PatchKind> patch_kind(std::string_view content_type) {
  std::string type = media_type(content_type);
  if (type == "application/json-patch+json") return PatchKind::kJson;
  if (type == "application/merge-patch+json") return PatchKind::kMerge;
  if (type == "application/strategic-merge-patch+json") return PatchKind::kStrategic;
  return Status(Code::kUnsupportedMediaType,
                "the body of the request was in an unknown format - accepted media types include: "
                "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json");
}

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  boost::system::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error) return Status(Code::kBadRequest, "error decoding patch: " + error.message());
  return value;
}

struct Patch {
  PatchKind kind;
  json::value body;
};

Result<MessagePtr> apply_patch(const Call& call, const Patch& patch, const Current& current,
                               std::vector<std::string>& warnings) {
  const KindEntry& entry = *call.entry;
  MessagePtr before = read_stored(entry, current.value, 0);
  if (!before) return Status(Code::kInternal, "the stored object cannot be read");
  std::string text;
  kube::to_json(*before, entry.api_version, entry.kind->kind, text);
  ORLOP_ASSIGN(json::value document, parse_json(text));
  auto patched = [&]() -> Result<json::value> {
    switch (patch.kind) {
      case PatchKind::kJson:
        return apikube::json_patch(document, patch.body);
      case PatchKind::kMerge:
        return apikube::merge_patch(document, patch.body);
      case PatchKind::kStrategic:
        break;
    }
    const apikube::MergeSchema* schema = apikube::merge_schema(entry.kind->message);
    if (schema == nullptr) return Status(Code::kInternal, "no merge schema for " + std::string(entry.kind->message));
    return apikube::strategic_merge(document, patch.body, *schema);
  }();
  if (!patched) return patched.status();
  MessagePtr after(entry.prototype->New());
  warnings.clear();
  ORLOP_TRY(decode_json_as(entry.api_version, entry.kind->kind, json::serialize(*patched),
                           call.request().query.get("fieldValidation"), *after, warnings));
  return after;
}

// Kinds that an update may bring to life.
bool creates_on_update(std::string_view id) {
  return id == "leases.coordination.k8s.io" || id == "endpoints" || id == "events" || id == "limitranges" ||
         id.ends_with(".rbac.authorization.k8s.io") || id == "priorityclasses.scheduling.k8s.io" ||
         id == "runtimeclasses.node.k8s.io";
}

}  // namespace

Task<void> create_object(Call& call) {
  std::vector<std::string> warnings;
  std::string body = call.exchange.take_body();
  auto object = decode_body(*call.entry, call.request().header("Content-Type"), body,
                            call.request().query.get("fieldValidation"), warnings);
  if (!object) co_return fail(call, object.status());
  Status filled = fill_token_secret(call, **object);
  if (!filled) co_return fail(call, filled);
  std::string name_space(call.info.name_space);
  auto created = co_await insert_object(call, *call.entry, name_space, std::move(*object), std::move(warnings));
  if (!created) co_return fail(call, created.status());
  answer_object(call, 201, created->value, created->revision);
}

Task<void> update_object(Call& call) {
  std::vector<std::string> warnings;
  std::string body = call.exchange.take_body();
  auto object = decode_body(*call.entry, call.request().header("Content-Type"), body,
                            call.request().query.get("fieldValidation"), warnings);
  if (!object) co_return fail(call, object.status());
  std::string name_space(call.info.name_space);
  std::string name(call.info.name);
  ChangeOptions options{"update", std::string(call.info.subresource), warnings};
  const google::protobuf::Message* wanted = object->get();
  MakeObject make = [wanted](const Current&) -> Result<MessagePtr> {
    MessagePtr copy(wanted->New());
    copy->CopyFrom(*wanted);
    return copy;
  };
  auto changed = co_await change_object(call, *call.entry, name_space, name, make, options);
  if (!changed && changed.code() == Code::kNotFound && call.info.subresource.empty() &&
      creates_on_update(call.entry->id()) && !read_current(call, *call.entry, name_space, name)) {
    auto created = co_await insert_object(call, *call.entry, name_space, std::move(*object), warnings);
    if (!created) co_return fail(call, created.status());
    answer_object(call, 201, created->value, created->revision);
    co_return;
  }
  if (!changed) co_return fail(call, changed.status());
  answer_object(call, 200, changed->value, changed->revision);
}

Task<void> patch_object(Call& call) {
  auto kind = patch_kind(call.request().header("Content-Type"));
  if (!kind) co_return fail(call, kind.status());
  std::string text = call.exchange.take_body();
  auto body = parse_json(text);
  if (!body && *kind != PatchKind::kJson) {
    // kubectl's edit and patch send YAML here now and then.
    auto as_json = kube::yaml_to_json(text);
    if (as_json && as_json->size() == 1) body = parse_json(as_json->front());
  }
  if (!body) co_return fail(call, body.status());
  auto patch = std::make_shared<Patch>(Patch{*kind, std::move(*body)});
  auto warnings = std::make_shared<std::vector<std::string>>();
  const Call* asked = &call;
  MakeObject make = [patch, warnings, asked](const Current& current) {
    return apply_patch(*asked, *patch, current, *warnings);
  };
  ChangeOptions options{"patch", std::string(call.info.subresource), {}};
  std::string name_space(call.info.name_space);
  std::string name(call.info.name);
  auto changed = co_await change_object(call, *call.entry, name_space, name, make, options);
  if (!changed) co_return fail(call, changed.status());
  add_warnings(call, *warnings);
  answer_object(call, 200, changed->value, changed->revision);
}

}  // namespace orlop::rest
