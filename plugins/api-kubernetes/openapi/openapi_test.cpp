#include "plugins/api-kubernetes/openapi/openapi.hpp"

#include "orlop/kube/kinds.hpp"

#include <set>
#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

json::value parsed(const OpenApiDocument& document) {
  return json::parse(document.bytes);
}

// Every $ref below `value`.
void collect_references(const json::value& value, std::set<std::string>* references) {
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      if (member.key() == "$ref" && member.value().is_string()) {
        references->emplace(member.value().as_string().c_str());
      } else {
        collect_references(member.value(), references);
      }
    }
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array) collect_references(element, references);
  }
}

TEST(OpenApi, V2KnowsEveryKind) {
  const auto api = OpenApi::make("v1.32.3");
  const auto document = parsed(*api->v2_json());
  const auto& definitions = document.at("definitions").as_object();
  const auto& deployment = definitions.at("io.k8s.api.apps.v1.Deployment").as_object();
  EXPECT_EQ(deployment.at("x-kubernetes-group-version-kind").at(0).at("kind"), "Deployment");
  EXPECT_EQ(deployment.at("properties").at("spec").at("$ref"), "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
  const auto& spec = definitions.at("io.k8s.api.apps.v1.DeploymentSpec").as_object();
  EXPECT_EQ(spec.at("required"), (json::value{"selector", "template"}));
  EXPECT_EQ(spec.at("properties").at("replicas"),
            (json::value{{"type", "integer"},
                         {"format", "int32"},
                         {"description", spec.at("properties").at("replicas").at("description")}}));
  EXPECT_EQ(spec.at("properties").at("strategy").at("x-kubernetes-patch-strategy"), "retainKeys");
  const auto& containers = definitions.at("io.k8s.api.core.v1.PodSpec").at("properties").at("containers");
  EXPECT_EQ(containers.at("x-kubernetes-patch-merge-key"), "name");
  EXPECT_EQ(containers.at("x-kubernetes-patch-strategy"), "merge");
  EXPECT_TRUE(definitions.at("io.k8s.api.core.v1.Volume").at("properties").as_object().contains("emptyDir"));

  std::set<std::string> references;
  collect_references(document, &references);
  for (const auto& reference : references) {
    EXPECT_TRUE(definitions.contains(reference.substr(std::string("#/definitions/").size()))) << reference;
  }
}

TEST(OpenApi, EveryOperationHasItsOwnId) {
  const auto api = OpenApi::make("v1.32.3");
  const auto document = parsed(*api->v2_json());
  std::set<std::string> ids;
  for (const auto& path : document.at("paths").as_object()) {
    for (const auto& operation : path.value().as_object()) {
      if (!operation.value().is_object()) continue;
      EXPECT_TRUE(ids.emplace(operation.value().at("operationId").as_string().c_str()).second)
          << path.key() << " " << operation.value().at("operationId");
    }
  }
}

// What kubectl looks for before it leaves validation to the server, and before it makes a strategic patch.
TEST(OpenApi, V3TellsWhatPatchTakes) {
  const auto api = OpenApi::make("v1.32.3");
  const auto index = parsed(*api->v3_index());
  const auto& address = index.at("paths").at("apis/apps/v1").at("serverRelativeURL").as_string();
  const auto document_pointer = api->v3("apis/apps/v1");
  ASSERT_NE(document_pointer, nullptr);
  EXPECT_NE(std::string(address.c_str()).find(document_pointer->etag.substr(1, 32)), std::string::npos);
  const auto document = parsed(*document_pointer);
  const auto& patch = document.at("paths").at("/apis/apps/v1/namespaces/{namespace}/deployments/{name}").at("patch");
  EXPECT_EQ(patch.at("x-kubernetes-group-version-kind").at("kind"), "Deployment");
  std::set<std::string> parameters;
  for (const auto& parameter : patch.at("parameters").as_array())
    parameters.emplace(parameter.at("name").as_string().c_str());
  EXPECT_TRUE(parameters.contains("fieldValidation"));
  EXPECT_TRUE(parameters.contains("dryRun"));
  EXPECT_TRUE(patch.at("requestBody").at("content").as_object().contains("application/strategic-merge-patch+json"));

  std::set<std::string> references;
  collect_references(document, &references);
  const auto& schemas = document.at("components").at("schemas").as_object();
  for (const auto& reference : references) {
    EXPECT_TRUE(schemas.contains(reference.substr(std::string("#/components/schemas/").size()))) << reference;
  }
  EXPECT_EQ(api->v3("apis/apps/v9"), nullptr);
  EXPECT_EQ(api->v3("apis/apps/v1"), document_pointer);
}

// Field 2 of length-delimited type, decoded by hand: the document is a well-formed message that names itself 2.0.
TEST(OpenApi, V2ProtobufIsWellFormed) {
  const auto api = OpenApi::make("v1.32.3");
  const auto document = api->v2_protobuf();
  ASSERT_GT(document->bytes.size(), 100'000u);
  EXPECT_EQ(document->bytes.substr(0, 5), std::string("\x0a\x03"
                                                      "2.0",
                                                      5));
  size_t at = 0;
  std::set<uint64_t> fields;
  auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0; at < document->bytes.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(document->bytes[at++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < document->bytes.size()) {
    const uint64_t tag = varint();
    ASSERT_EQ(tag & 7, 2u);
    fields.insert(tag >> 3);
    at += varint();
  }
  EXPECT_EQ(at, document->bytes.size());
  EXPECT_EQ(fields, (std::set<uint64_t>{1, 2, 8, 9, 12, 13}));
}

}  // namespace
}  // namespace orlop::apikube
