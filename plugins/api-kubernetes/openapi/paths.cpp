#include "orlop/kube/schema.hpp"
#include "plugins/api-kubernetes/openapi/model.hpp"

#include <map>
#include <span>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

constexpr std::string_view kMeta = "k8s.io.apimachinery.pkg.apis.meta.v1.";

// A parameter's documentation is that of the option type's field.
std::string option_doc(std::string_view type, std::string_view field) {
  const auto* descriptor = kube::find_message(std::string(kMeta) + std::string(type));
  if (descriptor == nullptr) return "";
  const auto found = kube::find_json_field(*descriptor, field);
  return found && found->schema ? std::string(found->schema->doc()) : "";
}

// What one operation is, before a dialect writes it down.
struct Operation {
  std::string method;  // "get", "post", …
  std::string action;  // "list", "get", "post", "put", "patch", "delete", "deletecollection", "connect"
  std::string id;
  std::string description;
  std::string body;  // message; empty: none
  bool body_required = true;
  std::string answer;       // message; empty: a string
  bool created = false;     // answers 201 too
  bool accepted = false;    // answers 202 too
  std::string option_type;  // whose fields are the query parameters
  std::vector<std::string> query;
  json::object kind;
};

class Paths {
 public:
  Paths(const kube::Kind& kind, Dialect dialect, json::object* out) : kind_(kind), dialect_(dialect), out_(out) {
    const std::string root = kind.group.empty() ? fmt::format("/api/{}", kind.version)
                                                : fmt::format("/apis/{}/{}", kind.group, kind.version);
    const std::string scope = kind.namespaced ? root + "/namespaces/{namespace}" : root;
    collection_ = fmt::format("{}/{}", scope, kind.plural);
    all_ = fmt::format("{}/{}", root, kind.plural);
    item_ = collection_ + "/{name}";
  }

  void write() {
    const std::string name(kind_.kind);
    const std::string message(kind_.message);
    if (kind_.has(kube::kVerbList)) add(collection_, list_operation(kind_.namespaced ? "Namespaced" : ""));
    if (kind_.has(kube::kVerbCreate)) add(collection_, create_operation(message, "create a " + name, ""));
    if (kind_.has(kube::kVerbDeleteCollection)) add(collection_, delete_collection_operation());
    if (kind_.namespaced && kind_.has(kube::kVerbList)) {
      auto operation = list_operation("");
      operation.id += "ForAllNamespaces";
      add(all_, std::move(operation));
    }
    if (kind_.has(kube::kVerbGet))
      add(item_, simple("get", "get", "read", "read the specified " + name, message, own_kind(), ""));
    if (kind_.has(kube::kVerbUpdate))
      add(item_, replace_operation(message, own_kind(), "", "replace the specified " + name));
    if (kind_.has(kube::kVerbPatch))
      add(item_, patch_operation(message, own_kind(), "", "partially update the specified " + name));
    if (kind_.has(kube::kVerbDelete)) add(item_, delete_operation());
    for (const auto& sub : kind_.subresources) write_subresource(sub);
  }

 private:
  json::object own_kind() const { return kind_object(kind_.group, kind_.version, kind_.kind); }
  static json::object kind_object(std::string_view group, std::string_view version, std::string_view kind) {
    return {{"group", std::string(group)}, {"kind", std::string(kind)}, {"version", std::string(version)}};
  }

  std::string camel_group() const {
    std::string text;
    bool upper = true;
    const std::string_view group =
        kind_.group.empty() ? std::string_view("core") : kind_.group.substr(0, kind_.group.find('.'));
    for (char c : fmt::format("{} {}", group, kind_.version)) {
      if (c == ' ') {
        upper = true;
        continue;
      }
      text += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
    return text;
  }
  std::string id(std::string_view verb, std::string_view scope, std::string_view suffix) const {
    return fmt::format("{}{}{}{}{}", verb, camel_group(), scope, kind_.kind, suffix);
  }
  std::string scope() const { return kind_.namespaced ? "Namespaced" : ""; }

  static std::string suffix_of(std::string_view subresource) {
    std::string suffix(subresource);
    if (!suffix.empty() && suffix[0] >= 'a' && suffix[0] <= 'z') suffix[0] = static_cast<char>(suffix[0] - 'a' + 'A');
    return suffix;
  }

  Operation list_operation(std::string_view scope_word) const {
    Operation operation{"get", "list", id("list", scope_word, ""),
                        fmt::format("list or watch objects of kind {}", kind_.kind)};
    operation.answer = kind_.list_message;
    operation.option_type = "ListOptions";
    operation.query = {
        "allowWatchBookmarks",  "continue",          "fieldSelector",  "labelSelector", "limit", "resourceVersion",
        "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"};
    operation.kind = own_kind();
    return operation;
  }

  Operation create_operation(const std::string& message, std::string description, std::string_view subresource) const {
    Operation operation{"post", "post", id("create", scope(), suffix_of(subresource)), std::move(description)};
    operation.body = message;
    operation.answer = message;
    operation.created = true;
    operation.accepted = true;
    operation.option_type = "CreateOptions";
    operation.query = {"dryRun", "fieldManager", "fieldValidation"};
    operation.kind = own_kind();
    return operation;
  }

  Operation simple(std::string method, std::string action, std::string_view verb, std::string description,
                   const std::string& message, json::object kind, std::string_view subresource) const {
    Operation operation{std::move(method), std::move(action), id(verb, scope(), suffix_of(subresource)),
                        std::move(description)};
    operation.answer = message;
    operation.kind = std::move(kind);
    return operation;
  }

  Operation replace_operation(const std::string& message, json::object kind, std::string_view subresource,
                              std::string description) const {
    auto operation = simple("put", "put", "replace", std::move(description), message, std::move(kind), subresource);
    operation.body = message;
    operation.created = true;
    operation.option_type = "UpdateOptions";
    operation.query = {"dryRun", "fieldManager", "fieldValidation"};
    return operation;
  }

  Operation patch_operation(const std::string& message, json::object kind, std::string_view subresource,
                            std::string description) const {
    auto operation = simple("patch", "patch", "patch", std::move(description), message, std::move(kind), subresource);
    operation.body = std::string(kMeta) + "Patch";
    operation.created = true;
    operation.option_type = "PatchOptions";
    operation.query = {"dryRun", "fieldManager", "fieldValidation", "force"};
    return operation;
  }

  Operation delete_operation() const {
    auto operation = simple("delete", "delete", "delete", fmt::format("delete a {}", kind_.kind),
                            std::string(kMeta) + "Status", own_kind(), "");
    operation.body = std::string(kMeta) + "DeleteOptions";
    operation.body_required = false;
    operation.accepted = true;
    operation.option_type = "DeleteOptions";
    operation.query = {"dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"};
    return operation;
  }

  Operation delete_collection_operation() const {
    Operation operation{"delete", "deletecollection", id("delete", "Collection" + scope(), ""),
                        fmt::format("delete collection of {}", kind_.kind)};
    operation.body = std::string(kMeta) + "DeleteOptions";
    operation.body_required = false;
    operation.answer = std::string(kMeta) + "Status";
    operation.option_type = "DeleteOptions";
    operation.query = {"dryRun",         "gracePeriodSeconds", "orphanDependents", "propagationPolicy",
                       "continue",       "fieldSelector",      "labelSelector",    "limit",
                       "resourceVersion"};
    operation.kind = own_kind();
    return operation;
  }

  void write_subresource(const kube::Subresource& sub) {
    const std::string path = fmt::format("{}/{}", item_, sub.name);
    const auto* descriptor = kube::find_message(sub.group, sub.version, sub.kind);
    const auto kind = kind_object(sub.group, sub.version, sub.kind);
    const bool connects =
        sub.name == "exec" || sub.name == "attach" || sub.name == "portforward" || sub.name == "proxy";
    if (connects || descriptor == nullptr) {
      if ((sub.verbs & kube::kVerbGet) != 0)
        add(path, simple("get", "connect", "connectGet",
                         fmt::format("connect GET requests to {} of {}", sub.name, kind_.kind), "", kind, sub.name));
      if ((sub.verbs & kube::kVerbCreate) != 0)
        add(path, simple("post", "connect", "connectPost",
                         fmt::format("connect POST requests to {} of {}", sub.name, kind_.kind), "", kind, sub.name));
      return;
    }
    const std::string message = descriptor->full_name();
    if ((sub.verbs & kube::kVerbGet) != 0) {
      add(path, simple("get", "get", "read", fmt::format("read {} of the specified {}", sub.name, kind_.kind),
                       sub.name == "log" ? "" : message, kind, sub.name));
    }
    if ((sub.verbs & kube::kVerbUpdate) != 0)
      add(path, replace_operation(message, kind, sub.name,
                                  fmt::format("replace {} of the specified {}", sub.name, kind_.kind)));
    if ((sub.verbs & kube::kVerbPatch) != 0)
      add(path, patch_operation(message, kind, sub.name,
                                fmt::format("partially update {} of the specified {}", sub.name, kind_.kind)));
    if ((sub.verbs & kube::kVerbCreate) != 0) {
      auto operation = create_operation(message, fmt::format("create {} of a {}", sub.name, kind_.kind), sub.name);
      operation.kind = kind;
      add(path, std::move(operation));
    }
  }

  json::object parameter(std::string_view in, std::string_view name, std::string_view type, std::string_view doc,
                         bool required) const {
    json::object out{{"name", std::string(name)}, {"in", std::string(in)}};
    if (!doc.empty()) out["description"] = std::string(doc);
    if (required) out["required"] = true;
    if (dialect_ == Dialect::kV2) {
      out["type"] = std::string(type);
      out["uniqueItems"] = true;
    } else {
      out["schema"] = {{"type", std::string(type)}, {"uniqueItems", true}};
    }
    return out;
  }

  json::array query_parameters(const Operation& operation) const {
    static const std::map<std::string_view, std::string_view> kTypes = {
        {"allowWatchBookmarks", "boolean"}, {"limit", "integer"},           {"sendInitialEvents", "boolean"},
        {"timeoutSeconds", "integer"},      {"watch", "boolean"},           {"force", "boolean"},
        {"gracePeriodSeconds", "integer"},  {"orphanDependents", "boolean"}};
    json::array out;
    for (const auto& name : operation.query) {
      auto type = kTypes.find(name);
      std::string doc = option_doc(operation.option_type, name);
      if (doc.empty()) doc = option_doc("ListOptions", name);
      out.push_back(parameter("query", name, type == kTypes.end() ? "string" : type->second, doc, false));
    }
    return out;
  }

  json::object content(const json::object& schema, std::initializer_list<std::string_view> types) const {
    json::object out;
    for (auto type : types) out[json::string_view(type.data(), type.size())] = {{"schema", schema}};
    return out;
  }

  json::object response(std::string_view description, const std::string& message) const {
    json::object out{{"description", std::string(description)}};
    const json::object schema = message.empty() ? json::object{{"type", "string"}} : reference_to(message, dialect_);
    if (dialect_ == Dialect::kV2) {
      out["schema"] = schema;
    } else {
      out["content"] = content(schema, {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"});
    }
    return out;
  }

  json::object written(const Operation& operation) const {
    json::object out{{"description", operation.description}, {"operationId", operation.id}};
    out["tags"] = json::array{fmt::format(
        "{}_{}", kind_.group.empty() ? "core" : kind_.group.substr(0, kind_.group.find('.')), kind_.version)};
    json::array parameters = query_parameters(operation);
    const bool patch = operation.method == "patch";
    if (!operation.body.empty()) {
      const auto schema = reference_to(operation.body, dialect_);
      if (dialect_ == Dialect::kV2) {
        json::object body{{"in", "body"}, {"name", "body"}, {"schema", schema}};
        if (operation.body_required) body["required"] = true;
        parameters.push_back(std::move(body));
      } else {
        json::object body;
        body["content"] =
            patch ? content(schema, {"application/json-patch+json", "application/merge-patch+json",
                                     "application/strategic-merge-patch+json", "application/apply-patch+yaml"})
                  : content(schema, {"*/*"});
        if (operation.body_required) body["required"] = true;
        out["requestBody"] = std::move(body);
      }
    }
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    json::object responses{{"200", response("OK", operation.answer)}};
    if (operation.created) responses["201"] = response("Created", operation.answer);
    if (operation.accepted) responses["202"] = response("Accepted", operation.answer);
    responses["401"] = {{"description", "Unauthorized"}};
    out["responses"] = std::move(responses);
    if (dialect_ == Dialect::kV2) {
      out["schemes"] = json::array{"https"};
      out["produces"] = json::array{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"};
      out["consumes"] = patch ? json::array{"application/json-patch+json", "application/merge-patch+json",
                                            "application/strategic-merge-patch+json", "application/apply-patch+yaml"}
                              : json::array{"*/*"};
    }
    out["x-kubernetes-action"] = operation.action;
    out["x-kubernetes-group-version-kind"] = operation.kind;
    return out;
  }

  void add(const std::string& path, const Operation& operation) {
    auto& slot = (*out_)[path];
    if (!slot.is_object()) {
      json::array parameters;
      if (path.find("{name}") != std::string::npos)
        parameters.push_back(parameter("path", "name", "string", fmt::format("name of the {}", kind_.kind), true));
      if (path.find("{namespace}") != std::string::npos) {
        parameters.push_back(parameter("path", "namespace", "string",
                                       "object name and auth scope, such as for teams and projects", true));
      }
      parameters.push_back(
          parameter("query", "pretty", "string", "If 'true', then the output is pretty printed.", false));
      slot = json::object{{"parameters", std::move(parameters)}};
    }
    slot.as_object()[operation.method] = written(operation);
  }

  const kube::Kind& kind_;
  const Dialect dialect_;
  json::object* const out_;
  std::string collection_;
  std::string all_;
  std::string item_;
};

}  // namespace

json::object paths_of(std::span<const kube::Kind* const> kinds, Dialect dialect) {
  json::object paths;
  for (const auto* kind : kinds) Paths(*kind, dialect, &paths).write();
  return paths;
}

}  // namespace orlop::apikube
