#include "plugins/api-kubernetes/openapi/openapi.hpp"

#include "orlop/kube/kinds.hpp"
#include "plugins/api-kubernetes/openapi/model.hpp"

#include <map>
#include <mutex>
#include <vector>

#include <fmt/format.h>
#include <openssl/sha.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

using DocumentPointer = std::shared_ptr<const OpenApiDocument>;
using KindList = std::vector<const kube::Kind*>;

std::string hash_of(std::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  std::string text;
  for (int i = 0; i < 16; ++i) text += fmt::format("{:02X}", digest[i]);
  return text;
}

DocumentPointer finished(std::string bytes, std::string content_type) {
  auto document = std::make_shared<OpenApiDocument>();
  document->etag = "\"" + hash_of(bytes) + "\"";
  document->bytes = std::move(bytes);
  document->content_type = std::move(content_type);
  return document;
}

json::object bearer_token() {
  return {
      {"type", "apiKey"}, {"description", "Bearer Token authentication"}, {"name", "authorization"}, {"in", "header"}};
}

class Documents final : public OpenApi {
 public:
  explicit Documents(std::string version) : version_(std::move(version)) {
    for (const auto& kind : kube::kinds()) {
      const std::string path = kind.group.empty() ? fmt::format("api/{}", kind.version)
                                                  : fmt::format("apis/{}/{}", kind.group, kind.version);
      groups_[path].push_back(&kind);
    }
  }

  DocumentPointer v2_json() const override {
    return cached("v2 json", [&] { return finished(json::serialize(v2_document()), "application/json"); });
  }

  DocumentPointer v2_protobuf() const override {
    return cached("v2 protobuf", [&] {
      return finished(v2_document_protobuf(v2_document()),
                      "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    });
  }

  // The hash in each address lets clients keep what has not changed.
  DocumentPointer v3_index() const override {
    return cached("v3 index", [&] {
      json::object paths;
      for (const auto& [path, kinds] : groups_) {
        const auto document = v3(path);
        const std::string_view etag(document->etag);
        paths[path] = {
            {"serverRelativeURL", fmt::format("/openapi/v3/{}?hash={}", path, etag.substr(1, etag.size() - 2))}};
      }
      return finished(json::serialize(json::object{{"paths", std::move(paths)}}), "application/json");
    });
  }

  DocumentPointer v3(std::string_view path) const override {
    auto found = groups_.find(path);
    if (found == groups_.end()) return nullptr;
    return cached("v3 " + std::string(path),
                  [&] { return finished(json::serialize(v3_document(found->second)), "application/json"); });
  }

  DocumentPointer v3_protobuf(std::string_view) const override { return nullptr; }

 private:
  template <typename Make>
  DocumentPointer cached(const std::string& name, Make make) const {
    // Recursive: the index is made of the documents. Making one takes some tens of milliseconds, once.
    const std::lock_guard lock(mutex_);
    if (auto found = cache_.find(name); found != cache_.end()) return found->second;
    auto document = make();
    cache_.emplace(name, document);
    return document;
  }

  json::object info() const { return {{"title", "Kubernetes"}, {"version", version_}}; }

  json::object v2_document() const {
    KindList all;
    for (const auto& kind : kube::kinds()) all.push_back(&kind);
    json::object document{{"swagger", "2.0"}, {"info", info()}};
    document["paths"] = paths_of(all, Dialect::kV2);
    document["definitions"] = definitions_of(messages_of(all), Dialect::kV2);
    document["securityDefinitions"] = {{"BearerToken", bearer_token()}};
    document["security"] = json::array{json::object{{"BearerToken", json::array()}}};
    return document;
  }

  json::object v3_document(const KindList& kinds) const {
    json::object document{{"openapi", "3.0.0"}, {"info", info()}};
    document["paths"] = paths_of(kinds, Dialect::kV3);
    document["components"] = {{"schemas", definitions_of(messages_of(kinds), Dialect::kV3)},
                              {"securitySchemes", json::object{{"BearerToken", bearer_token()}}}};
    return document;
  }

  const std::string version_;
  std::map<std::string, KindList, std::less<>> groups_;  // by path, "apis/apps/v1"
  mutable std::recursive_mutex mutex_;
  mutable std::map<std::string, DocumentPointer> cache_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<OpenApi> OpenApi::make(std::string version) {
  return std::make_unique<Documents>(std::move(version));
}

}  // namespace orlop::apikube
