#include "plugins/api-kubernetes/discovery/paths.hpp"

#include "orlop/kube/json.hpp"
#include "plugins/api-kubernetes/discovery/plugins.hpp"
#include "plugins/api-kubernetes/metrics_api/metrics_api.hpp"

#include <optional>

#include <sys/utsname.h>

namespace orlop::discovery {
namespace {

using rest::Call;
using rest::Task;

constexpr std::string_view kJson = "application/json";

// "v2" or "v2beta1" when the client takes the aggregated form.
std::optional<std::string_view> aggregated_version(std::string_view accept) {
  while (!accept.empty()) {
    size_t comma = accept.find(',');
    std::string_view item = accept.substr(0, comma);
    accept = comma == std::string_view::npos ? std::string_view() : accept.substr(comma + 1);
    if (item.find("as=APIGroupDiscoveryList") == std::string_view::npos ||
        item.find("g=apidiscovery.k8s.io") == std::string_view::npos ||
        item.find("application/json") == std::string_view::npos) {
      continue;
    }
    return item.find("v=v2beta1") != std::string_view::npos ? "v2beta1" : "v2";
  }
  return std::nullopt;
}

std::string version_json() {
  utsname system{};
  ::uname(&system);
  std::string machine = std::string(system.machine) == "x86_64" ? "amd64" : system.machine;
  return "{\n  \"major\": \"1\",\n  \"minor\": \"32\",\n  \"gitVersion\": \"" + std::string(kVersion) +
         "\",\n  \"gitCommit\": \"\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": \"1970-01-01T00:00:00Z\",\n"
         "  \"goVersion\": \"\",\n  \"compiler\": \"g++ " +
         std::to_string(__GNUC__) + "\",\n  \"platform\": \"linux/" + machine + "\"\n}";
}

std::string root_paths(const Documents& documents) {
  (void)documents;
  return "{\"paths\":[\"/.well-known/openid-configuration\",\"/api\",\"/api/v1\",\"/apis\",\"/healthz\",\"/livez\","
         "\"/metrics\",\"/openapi/v2\",\"/openapi/v3\",\"/openid/v1/jwks\",\"/readyz\",\"/version\"]}\n";
}

bool wants_protobuf(std::string_view accept) {
  return accept.find("protobuf") != std::string_view::npos;
}

void not_found(Call& call) {
  // A path that is no API at all gets plain text, as from Kubernetes.
  call.exchange.respond(404, "text/plain; charset=utf-8", "404 page not found\n");
}

void answer_document(Call& call, const std::shared_ptr<const apikube::OpenApiDocument>& document) {
  if (!document) {
    return rest::fail(call, Status(Code::kNotFound, "the server could not find the requested resource"));
  }
  call.exchange.add_header("Etag", document->etag);
  call.exchange.add_header("Vary", "Accept");
  if (call.request().header("If-None-Match") == document->etag) return call.exchange.respond(304, "", "");
  call.exchange.respond(200, document->content_type, document->bytes);
}

}  // namespace

bool Paths::is_public(std::string_view path) const {
  return path == "/healthz" || path == "/livez" || path == "/readyz" || path == "/version" || path == "/version/";
}

bool Paths::serves_resource(const rest::RequestInfo& info) const {
  if (metrics_api::serves(info)) return true;
  return info.group == "orlop.dev" && info.version == "v1" && info.resource == "plugins" && info.name_space.empty() &&
         (info.subresource.empty() || info.subresource == "log" || info.subresource == "restart");
}

bool Paths::answer_discovery(Call& call, std::string_view path) {
  std::string_view accept = call.request().header("Accept");
  if (path == "/api" || path == "/apis") {
    if (auto version = aggregated_version(accept)) {
      const Document& document = documents_.aggregated(path == "/api", *version);
      call.exchange.add_header("Etag", document.etag);
      call.exchange.add_header("Vary", "Accept");
      if (call.request().header("If-None-Match") == document.etag) {
        call.exchange.respond(304, "", "");
      } else {
        call.exchange.respond(
            200, "application/json;g=apidiscovery.k8s.io;v=" + std::string(*version) + ";as=APIGroupDiscoveryList",
            document.json);
      }
      return true;
    }
    call.exchange.respond(200, kJson,
                          path == "/api" ? documents_.api_versions(server_address_) : documents_.group_list());
    return true;
  }
  const std::string* document = nullptr;
  if (path.starts_with("/api/")) document = documents_.resources(path.substr(5));
  if (path.starts_with("/apis/")) {
    std::string_view name = path.substr(6);
    document = name.find('/') == std::string_view::npos ? documents_.group(name) : documents_.resources(name);
  }
  if (document != nullptr) call.exchange.respond(200, kJson, *document);
  return document != nullptr;
}

bool Paths::answer_openapi(Call& call, std::string_view path) {
  bool protobuf = wants_protobuf(call.request().header("Accept"));
  if (path == "/openapi/v2") {
    answer_document(call, protobuf ? openapi_.v2_protobuf() : openapi_.v2_json());
  } else if (path == "/openapi/v3") {
    answer_document(call, openapi_.v3_index());
  } else if (path.starts_with("/openapi/v3/")) {
    std::string_view name = path.substr(12);
    answer_document(call, protobuf ? openapi_.v3_protobuf(name) : openapi_.v3(name));
  } else {
    return false;
  }
  return true;
}

void Paths::answer_health(Call& call, std::string_view path) {
  std::string_view name = path.substr(1);
  // A read proves the store; being asked at all proves the rest.
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind("namespaces");
  key->set_name("default");
  Status store = call.services.host.get(request, [](const RecordView&) { return true; }).status();
  bool started = name == "livez" || ready_;
  bool healthy = store.is_ok() && started;
  if (healthy && !call.request().query.has("verbose"))
    return call.exchange.respond(200, "text/plain; charset=utf-8", "ok");
  std::string text = "[+]ping ok\n";
  text += store.is_ok() ? "[+]store ok\n" : "[-]store failed: " + store.message() + "\n";
  if (name != "livez") text += started ? "[+]first-objects ok\n" : "[-]first-objects failed: they are being made\n";
  text += std::string(name) + " check " + (healthy ? "passed" : "failed") + "\n";
  call.exchange.respond(healthy ? 200 : 500, "text/plain; charset=utf-8", text);
}

Task<void> Paths::handle_path(Call& call) {
  if (call.info.is_resource) {
    if (metrics_api::serves(call.info)) {
      co_await metrics_api::answer(call);
    } else {
      co_await answer_plugins(call);
    }
    co_return;
  }
  std::string_view path = call.info.path;
  if (call.info.verb != "get" && call.info.verb != "head") {
    co_return rest::fail(
        call, Status(Code::kMethodNotAllowed, "the server does not allow this method on the requested resource"));
  }
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  if (path == "/healthz" || path == "/livez" || path == "/readyz") co_return answer_health(call, path);
  if (path == "/version") co_return call.exchange.respond(200, kJson, version_json());
  if (path == "/metrics") {
    co_return call.exchange.respond(200, "text/plain; version=0.0.4; charset=utf-8", call.services.metrics.text());
  }
  if (path == "/") co_return call.exchange.respond(200, kJson, root_paths(documents_));
  if (path == "/openid/v1/jwks") {
    co_return call.exchange.respond(200, "application/jwk-set+json", call.services.tokens.key_set());
  }
  if (path == "/.well-known/openid-configuration") {
    std::string issuer(auth::kTokenIssuer);
    co_return call.exchange.respond(200, kJson,
                                    "{\"issuer\":\"" + issuer + "\",\"jwks_uri\":\"https://" + server_address_ +
                                        "/openid/v1/jwks\",\"response_types_supported\":[\"id_token\"],"
                                        "\"subject_types_supported\":[\"public\"],"
                                        "\"id_token_signing_alg_values_supported\":[\"ES256\"]}");
  }
  if (answer_discovery(call, path) || answer_openapi(call, path)) co_return;
  if (path.starts_with("/api/") || path.starts_with("/apis/")) {
    co_return rest::fail(call, Status(Code::kNotFound, "the server could not find the requested resource"));
  }
  not_found(call);
}

Task<void> Paths::answer_plugins(Call& call) {
  if (call.info.subresource == "restart" && call.info.verb == "create") {
    co_await answer_plugin_restart(call);
    co_return;
  }
  if (call.info.subresource == "log" && call.info.verb == "get") {
    co_await answer_plugin_log(call);
    co_return;
  }
  if (!call.info.subresource.empty()) {
    co_return rest::fail(
        call, Status(Code::kMethodNotAllowed, "the server does not allow this method on the requested resource"));
  }
  if (call.info.verb != "get" && call.info.verb != "list") {
    co_return rest::fail(
        call, Status(Code::kMethodNotAllowed, "the server does not allow this method on the requested resource"));
  }
  auto format = rest::negotiate_output(call.request().header("Accept"));
  if (!format) co_return rest::fail(call, format.status());
  call.format = *format;
  co_await answer_plugin_objects(call);
}

}  // namespace orlop::discovery
