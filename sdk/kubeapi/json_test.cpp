#include "orlop/kube/json.hpp"

#include "orlop/kube/apiextensions_v1.hpp"
#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"

#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

using k8s::io::api::apps::v1::Deployment;
using k8s::io::api::core::v1::Pod;
using k8s::io::api::core::v1::PodList;
using k8s::io::api::core::v1::Secret;
using k8s::io::api::core::v1::Service;

template <typename Message>
std::string failure(std::string_view json, bool strict = true) {
  Message message;
  const auto out = from_json(json, message, {.strict = strict});
  return out ? "no error" : out.message();
}

template <typename Message>
std::string round_trip(std::string_view json, std::string_view api_version = "", std::string_view kind = "") {
  Message message;
  const auto decoded = from_json(json, message, {.strict = true});
  if (!decoded) return "error: " + decoded.message();
  std::string out;
  to_json(message, api_version, kind, out);
  std::string transcoded;
  EXPECT_TRUE(wire_to_json(*Message::descriptor(), message.SerializeAsString(), api_version, kind, transcoded));
  EXPECT_EQ(transcoded, out);
  return out;
}

TEST(JsonTest, StrictDecodingInTheApiserversWords) {
  EXPECT_EQ(failure<Deployment>(R"({"spec":{"foo":1,"replicas":2,"replicas":3}})"),
            R"(strict decoding error: unknown field "spec.foo", duplicate field "spec.replicas")");
  EXPECT_EQ(failure<Deployment>(R"({"spec":{"template":{"spec":{"containers":[{"name":"a"},{"nam":"b"}]}}}})"),
            R"(strict decoding error: unknown field "spec.template.spec.containers[1].nam")");
  EXPECT_EQ(failure<Pod>(R"({"metadata":{"labels":{"a":"1","a":"2"}},"Kind":"Pod"})"),
            R"(strict decoding error: duplicate field "metadata.labels.a", unknown field "Kind")");
}

TEST(JsonTest, LooseDecodingWarns) {
  Deployment deployment;
  const auto out = from_json(R"({"kind":"Deployment","spec":{"foo":1,"replicas":2,"replicas":3}})", deployment);
  ASSERT_TRUE(out) << out.message();
  EXPECT_EQ(out->warnings,
            (std::vector<std::string>{R"(unknown field "spec.foo")", R"(duplicate field "spec.replicas")"}));
  EXPECT_EQ(deployment.spec().replicas(), 3);
}

TEST(JsonTest, WrongTypesInGosWords) {
  EXPECT_EQ(failure<Deployment>(R"({"spec":{"replicas":"3"}})"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_EQ(failure<Deployment>(R"({"spec":{"replicas":1.5}})"),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_EQ(
      failure<Deployment>(R"({"spec":{"replicas":99999999999}})"),
      "json: cannot unmarshal number 99999999999 into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_EQ(failure<Pod>(R"({"metadata":{"labels":{"a":1}}})"),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string");
  EXPECT_EQ(failure<Pod>(R"({"metadata":{"labels":"x"}})"),
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string");
  EXPECT_EQ(failure<Pod>(R"({"spec":{"containers":{}}})"),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container");
  EXPECT_EQ(failure<Pod>(R"({"spec":{"containers":["x"]}})"),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container");
  EXPECT_EQ(failure<Pod>(R"({"spec":{"containers":[{"command":[1]}]}})"),
            "json: cannot unmarshal number into Go struct field Container.spec.containers.command of type string");
  EXPECT_EQ(failure<Pod>(R"({"spec":[]})"),
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec");
  EXPECT_EQ(failure<Pod>(R"({"spec":{"hostNetwork":"yes"}})"),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool");
  EXPECT_EQ(failure<Pod>(R"([])"), "json: cannot unmarshal array into Go value of type v1.Pod");
  EXPECT_EQ(failure<Secret>(R"({"data":{"a":"!!!"}})"), "illegal base64 data at input byte 0");
  EXPECT_EQ(failure<Pod>(R"({"spec":{"containers":[{"resources":{"limits":{"cpu":"1 x"}}}]}})"),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  EXPECT_EQ(failure<Pod>(R"({"metadata":{"creationTimestamp":"now"}})"),
            R"(parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006")");
}

TEST(JsonTest, BrokenTextInGosWords) {
  EXPECT_EQ(failure<Pod>("{"), "unexpected end of JSON input");
  EXPECT_EQ(failure<Pod>(""), "unexpected end of JSON input");
  EXPECT_EQ(failure<Pod>("{\"a\":}"), "invalid character '}' looking for beginning of value");
  EXPECT_EQ(failure<Pod>("{a:1}"), "invalid character 'a' looking for beginning of object key string");
  EXPECT_EQ(failure<Pod>("{\"a\":1,}"), "invalid character '}' looking for beginning of object key string");
  EXPECT_EQ(failure<Pod>("{\"a\" 1}"), "invalid character '1' after object key");
  EXPECT_EQ(failure<Pod>("{\"a\":1 \"b\":2}"), "invalid character '\"' after object key:value pair");
  EXPECT_EQ(failure<Pod>("[1 2]"), "invalid character '2' after array element");
  EXPECT_EQ(failure<Pod>("{} x"), "invalid character 'x' after top-level value");
  EXPECT_EQ(failure<Pod>("nul"), "unexpected end of JSON input");
  EXPECT_EQ(failure<Pod>("{\"a\":\"\n\"}"), "invalid character '\\n' in string literal");
}

TEST(JsonTest, DepthAndSizeAreBounded) {
  const auto nested = [](size_t depth, std::string_view open, std::string_view close) {
    std::string out;
    for (size_t i = 0; i < depth; ++i) out += open;
    out += "1";
    for (size_t i = 0; i < depth; ++i) out += close;
    return out;
  };
  EXPECT_EQ(failure<Pod>(nested(100'000, "[", "]")), "exceeded max depth");
  EXPECT_EQ(failure<Pod>(nested(100'000, "{\"a\":", "}")), "exceeded max depth");
  EXPECT_EQ(failure<Pod>(nested(500, "{\"a\":", "}")), "strict decoding error: unknown field \"a\"");
  EXPECT_EQ(failure<Pod>(std::string(100'000, '[')), "unexpected end of JSON input");
  Pod pod;
  EXPECT_EQ(from_json(std::string(4 * 1024 * 1024, ' '), pod).code(), Code::kTooLarge);
}

TEST(JsonTest, EmptyObjectsPrintAsGoDoes) {
  EXPECT_EQ(round_trip<Pod>("{}", "v1", "Pod"),
            R"({"kind":"Pod","apiVersion":"v1","metadata":{"creationTimestamp":null},"spec":{"containers":null},)"
            R"("status":{}})");
  EXPECT_EQ(round_trip<PodList>("{}", "v1", "PodList"),
            R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]})");
  EXPECT_EQ(
      round_trip<Deployment>("{}", "apps/v1", "Deployment"),
      R"({"kind":"Deployment","apiVersion":"apps/v1","metadata":{"creationTimestamp":null},"spec":{"selector":null,)"
      R"("template":{"metadata":{"creationTimestamp":null},"spec":{"containers":null}},"strategy":{}},"status":{}})");
}

TEST(JsonTest, PointersKeepZero) {
  EXPECT_NE(round_trip<Deployment>(R"({"spec":{"replicas":0}})").find(R"("replicas":0)"), std::string::npos);
  EXPECT_EQ(round_trip<Deployment>(R"({"spec":{"minReadySeconds":0}})").find("minReadySeconds"), std::string::npos);
}

TEST(JsonTest, SpecialTypes) {
  const std::string pod = round_trip<Pod>(
      R"({"metadata":{"creationTimestamp":"2024-02-29T23:59:59+02:00",)"
      R"("managedFields":[{"fieldsV1":{"f:a": {"." : {}}}}]},)"
      R"("spec":{"containers":[{"name":"a<b>&","resources":{"limits":{"memory":"1024Mi","cpu":0.5}},)"
      R"("livenessProbe":{"httpGet":{"port":"http"}},"readinessProbe":{"tcpSocket":{"port":8080}}}]}})");
  EXPECT_NE(pod.find(R"("creationTimestamp":"2024-02-29T21:59:59Z")"), std::string::npos) << pod;
  EXPECT_NE(pod.find(R"("fieldsV1":{"f:a":{".":{}}})"), std::string::npos) << pod;
  EXPECT_NE(pod.find(R"("name":"a\u003cb\u003e\u0026")"), std::string::npos) << pod;
  EXPECT_NE(pod.find(R"("limits":{"cpu":"500m","memory":"1Gi"})"), std::string::npos) << pod;
  EXPECT_NE(pod.find(R"("httpGet":{"port":"http"})"), std::string::npos) << pod;
  EXPECT_NE(pod.find(R"("tcpSocket":{"port":8080})"), std::string::npos) << pod;
}

TEST(JsonTest, NullsAreAbsence) {
  EXPECT_EQ(round_trip<Service>(R"({"metadata":null,"spec":{"ports":null,"selector":null}})"),
            R"({"metadata":{"creationTimestamp":null},"spec":{},"status":{"loadBalancer":{}}})");
}

TEST(JsonTest, BytesAndTheirPadding) {
  for (const char* text : {"", "YQ==", "YWI=", "YWJj", "YWJjZA=="}) {
    const std::string json = std::string(R"({"metadata":{"creationTimestamp":null},"data":{"k":")") + text + "\"}}";
    EXPECT_EQ(round_trip<Secret>(json), json);
  }
  EXPECT_EQ(failure<Secret>(R"({"data":{"k":"YQ="}})").substr(0, 19), "illegal base64 data");
}

TEST(JsonTest, CustomResourceDefinitions) {
  using k8s::io::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
  const std::string json =
      R"({"metadata":{"creationTimestamp":null},"spec":{"group":"example.com","names":{"plural":"foos","kind":"Foo"},)"
      R"("scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":)"
      R"({"$ref":"x","type":"object","default":{"a":[1,"b",null]},"maximum":1.5,"items":{"type":"string"},)"
      R"("properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true},)"
      R"("z":{"items":[{"type":"string"}]}},)"
      R"("additionalProperties":false,"dependencies":{"a":["b"],"c":{"type":"object"}}}}}]},)"
      R"("status":{"conditions":null,"acceptedNames":{"plural":"","kind":""},"storedVersions":null}})";
  EXPECT_EQ(round_trip<CustomResourceDefinition>(json), json);
}

TEST(JsonTest, DamagedBytesAreTold) {
  Pod pod;
  pod.mutable_metadata()->set_name("web");
  pod.mutable_spec()->add_containers()->set_image("nginx");
  const std::string wire = pod.SerializeAsString();
  size_t refused = 0;
  for (size_t length = 1; length < wire.size(); ++length) {
    std::string out = "before";
    if (!wire_to_json(*Pod::descriptor(), std::string_view(wire).substr(0, length), "v1", "Pod", out)) {
      EXPECT_EQ(out, "before");
      ++refused;
    }
  }
  EXPECT_GT(refused, 10u);
  // A message in two parts is their sum.
  Pod other;
  other.mutable_metadata()->set_namespace_("default");
  std::string out;
  ASSERT_TRUE(wire_to_json(*Pod::descriptor(), wire + other.SerializeAsString(), "", "", out));
  EXPECT_NE(out.find(R"("metadata":{"name":"web","namespace":"default")"), std::string::npos) << out;
}

TEST(JsonTest, TypeOfADocument) {
  const auto document = JsonDocument::parse(R"({"metadata":{},"kind":"Pod","apiVersion":"v1"})");
  ASSERT_TRUE(document) << document.message();
  EXPECT_EQ(document->type()->kind, "Pod");
  EXPECT_EQ(document->type()->api_version, "v1");
  EXPECT_FALSE(JsonDocument::parse("[]")->type());
  EXPECT_EQ(JsonDocument::parse(R"({"kind":1})")->type().message(),
            "json: cannot unmarshal number into Go struct field .kind of type string");
}

TEST(JsonTest, CanonicalIsWhatGoMakesOfAMap) {
  EXPECT_EQ(*canonical_json(R"( {"b": [ 1, -2, 1.50, 1e30, true, null, {} , []], "a" :{"z":"<x>","y":"\u00e9"}} )"),
            R"({"a":{"y":")"
            "\xc3\xa9"
            R"(","z":"\u003cx\u003e"},"b":[1,-2,1.5,1e+30,true,null,{},[]]})");
  EXPECT_EQ(*canonical_json(R"({"a":1,"a":2})"), R"({"a":2})");
  EXPECT_EQ(canonical_json("{").code(), Code::kBadRequest);
}

TEST(JsonTest, StringsAreEscapedAsGoDoes) {
  std::string out;
  append_json_string("a\"\\\b\f\n\r\t\x01\x7f<>&\xe2\x80\xa8\xe2\x82\xac\xff\xf0\x9f\x98\x80", out);
  EXPECT_EQ(out,
            "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\\u003c\\u003e\\u0026\\u2028\xe2\x82\xac\\ufffd\xf0\x9f\x98\x80\"");
}

}  // namespace
}  // namespace orlop::kube
