// ConfigMaps and Secrets, and what pods may do with them: the words of each refusal.
#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/json_fault.hpp"
#include "plugins/api-kubernetes/kinds/rules_fixture.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;
using ::testing::HasSubstr;

class ConfigRulesTest : public RulesFixture {
 protected:
  std::string pod_refusal(const std::string& spec) {
    return refusal("pods", R"({"metadata":{"name":"p"},"spec":{)" + spec + "}}");
  }
};

std::string secret(const std::string& type, const std::string& data) {
  return R"({"metadata":{"name":"s"},"type":")" + type + R"(","stringData":{)" + data + "}}";
}

TEST_F(ConfigRulesTest, SecretsHoldWhatTheirTypeAsks) {
  const std::string of = "Secret \"s\" is invalid: ";
  const auto says = [&](const std::string& type, const std::string& data) {
    return refusal("secrets", secret(type, data));
  };
  EXPECT_EQ(says("Opaque", ""), "");
  EXPECT_EQ(says("my.own/type", R"("x":"y")"), "");
  EXPECT_EQ(says("Opaque", R"("a/b":"y")"),
            of + "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', "
                 "'_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
                 "'[-._a-zA-Z0-9]+')");
  EXPECT_EQ(says("kubernetes.io/dockerconfigjson", R"(".dockerconfigjson":"{\"auths\":{}}")"), "");
  EXPECT_EQ(says("kubernetes.io/dockerconfigjson", ""), of + "data[.dockerconfigjson]: Required value");
  EXPECT_EQ(says("kubernetes.io/dockerconfigjson", R"(".dockerconfigjson":"auths")"),
            of + "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'a' "
                 "looking for beginning of value");
  EXPECT_EQ(says("kubernetes.io/dockercfg", R"(".dockercfg":"{")"),
            of + "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input");
  EXPECT_EQ(says("kubernetes.io/tls", R"("tls.crt":"x")"), of + "data[tls.key]: Required value");
  EXPECT_EQ(says("kubernetes.io/tls", R"("tls.crt":"x","tls.key":"")"), "");
  EXPECT_EQ(says("kubernetes.io/basic-auth", ""),
            of + "[data[username]: Required value, data[password]: Required value]");
  EXPECT_EQ(says("kubernetes.io/basic-auth", R"("password":"")"), "");
  EXPECT_EQ(says("kubernetes.io/ssh-auth", R"("ssh-privatekey":"")"), of + "data[ssh-privatekey]: Required value");
  EXPECT_EQ(says("kubernetes.io/service-account-token", ""),
            of + "metadata.annotations[kubernetes.io/service-account.name]: Required value");
}

TEST_F(ConfigRulesTest, SizesAndDoubledKeys) {
  const std::string big(1024 * 1024, 'x');
  EXPECT_EQ(refusal("configmaps", R"({"metadata":{"name":"m"},"data":{"k":")" + big + R"("}})"), "");
  EXPECT_EQ(refusal("configmaps", R"({"metadata":{"name":"m"},"data":{"k":")" + big + R"(","l":"x"}})"),
            "ConfigMap \"m\" is invalid: []: Too long: may not be more than 1048576 bytes");
  EXPECT_EQ(refusal("secrets", secret("Opaque", R"("k":")" + big + R"(","l":"x")")),
            "Secret \"s\" is invalid: data: Too long: may not be more than 1048576 bytes");
  EXPECT_EQ(refusal("configmaps", R"({"metadata":{"name":"m"},"data":{"k":"a"},"binaryData":{"k":"YQ=="}})"),
            "ConfigMap \"m\" is invalid: data[k]: Invalid value: \"k\": duplicate of key present in binaryData");
}

TEST_F(ConfigRulesTest, TheImmutableStay) {
  const std::string fixed = R"({"metadata":{"name":"m","resourceVersion":"1"},"immutable":true,"data":{"k":"YQ=="}})";
  const std::string detail = "Forbidden: field is immutable when `immutable` is set";
  EXPECT_EQ(change_refusal("configmaps", fixed, fixed), "");
  EXPECT_EQ(
      change_refusal("configmaps", fixed, R"({"metadata":{"name":"m","resourceVersion":"1"},"data":{"k":"Yg=="}})"),
      "ConfigMap \"m\" is invalid: [immutable: " + detail + ", data: " + detail + "]");
  EXPECT_EQ(
      change_refusal("secrets", fixed, R"({"metadata":{"name":"m","resourceVersion":"1"},"immutable":true,"data":{}})"),
      "Secret \"m\" is invalid: data: " + detail);
  EXPECT_EQ(change_refusal("secrets", R"({"metadata":{"name":"m","resourceVersion":"1"}})",
                           R"({"metadata":{"name":"m","resourceVersion":"1"},"type":"a/b"})"),
            "Secret \"m\" is invalid: type: Invalid value: \"a/b\": field is immutable");
}

TEST(JsonFault, InGosWords) {
  for (const char* good : {"{}", " {\"a\": [1, -2.5e3, true, null, \"\\u00e9\\n\"]} ", "null"}) {
    EXPECT_EQ(json_object_fault(good), "") << good;
  }
  EXPECT_EQ(json_object_fault(""), "unexpected end of JSON input");
  EXPECT_EQ(json_object_fault("{\"a\":"), "unexpected end of JSON input");
  EXPECT_EQ(json_object_fault("{a}"), "invalid character 'a' looking for beginning of object key string");
  EXPECT_EQ(json_object_fault("{\"a\" 1}"), "invalid character '1' after object key");
  EXPECT_EQ(json_object_fault("{\"a\":1 2}"), "invalid character '2' after object key:value pair");
  EXPECT_EQ(json_object_fault("{}x"), "invalid character 'x' after top-level value");
  EXPECT_EQ(json_object_fault("nul!"), "invalid character '!' in literal null (expecting 'l')");
  EXPECT_EQ(json_object_fault("[1]"), "json: cannot unmarshal array into Go value of type map[string]interface {}");
}

const char* const kPlain = R"("containers":[{"name":"c","image":"x"}],)";

TEST_F(ConfigRulesTest, VolumesOfPods) {
  const auto says = [&](const std::string& source) {
    const std::string text = pod_refusal(kPlain + (R"("volumes":[{"name":"v",)" + source) + "}]");
    const std::string head = "Pod \"p\" is invalid: ";
    return text.starts_with(head) ? text.substr(head.size()) : text;
  };
  EXPECT_EQ(says(R"("configMap":{"name":"m","items":[{"key":"k","path":"..x"}]})"),
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"..x\": must not start with '..'");
  EXPECT_EQ(says(R"("configMap":{"name":"m","items":[{"key":"k","path":"a/../../x"}]})"),
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"a/../../x\": must not contain '..'");
  EXPECT_EQ(says(R"("secret":{"secretName":"m","defaultMode":512})"),
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both "
            "inclusive");
  EXPECT_EQ(says(R"("downwardAPI":{"items":[{"path":"a","fieldRef":{"fieldPath":"status.podIP"}}]})"),
            "spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: \"status.podIP\": supported values: "
            "\"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", "
            "\"metadata.uid\"");
  EXPECT_EQ(says(R"("downwardAPI":{"items":[{"path":"a","resourceFieldRef":{"resource":"limits.cpu"}}]})"),
            "spec.volumes[0].downwardAPI.resourceFieldRef.containerName: Required value");
  EXPECT_EQ(says(R"("projected":{"sources":[{"secret":{"name":"a","items":[{"key":"k","path":"f"}]}},
                 {"configMap":{"name":"b","items":[{"key":"k","path":"f"}]}}]})"),
            "spec.volumes[0].projected: Invalid value: \"b\": conflicting duplicate paths");
  EXPECT_EQ(says(R"("projected":{"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":599}}]})"),
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not "
            "specify a duration less than 10 minutes");
  EXPECT_EQ(says(R"("hostPath":{"path":"/a/../b"})"),
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'");
  EXPECT_EQ(says(R"("emptyDir":{"medium":"Memory","sizeLimit":"1Mi"})"), "");
}

TEST_F(ConfigRulesTest, MountsAndVariablesOfContainers) {
  const auto says = [&](const std::string& fields) {
    const std::string text =
        pod_refusal(R"("volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"c","image":"x",)" + fields + "}]");
    const std::string head = "Pod \"p\" is invalid: spec.containers[0].";
    return text.starts_with(head) ? text.substr(head.size()) : text;
  };
  EXPECT_EQ(says(R"("volumeMounts":[{"name":"v","mountPath":"/a","subPath":"/x"}])"),
            "volumeMounts.subPath: Invalid value: \"/x\": must be a relative path");
  EXPECT_EQ(says(R"("volumeMounts":[{"name":"v","mountPath":"/a","subPathExpr":"$(A)/../x"}])"),
            "volumeMounts.subPathExpr: Invalid value: \"$(A)/../x\": must not contain '..'");
  EXPECT_EQ(says(R"("volumeMounts":[{"name":"v","mountPath":"/a","recursiveReadOnly":"Enabled"}])"),
            "volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true");
  EXPECT_EQ(says(R"("volumeMounts":[{"name":"v","mountPath":"/a","mountPropagation":"Bidirectional"}])"),
            "volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged "
            "containers");
  EXPECT_EQ(says(R"("env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.foo"}}}])"),
            "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.foo\": error converting fieldPath: field label "
            "not supported: spec.foo");
  EXPECT_EQ(says(R"("env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}}])"), "");
  EXPECT_EQ(says(R"("env":[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"limits.disk"}}}])"),
            "env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"limits.disk\": supported values: "
            "\"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", "
            "\"requests.ephemeral-storage\", \"requests.memory\"");
  EXPECT_EQ(says(R"("env":[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"2"}}}])"),
            "env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 "
            "are supported with the cpu resource");
  EXPECT_EQ(says(R"("securityContext":{"appArmorProfile":{"type":"Localhost"}})"),
            "securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is "
            "Localhost");
}

TEST_F(ConfigRulesTest, SettingsOfPods) {
  EXPECT_THAT(pod_refusal(std::string(kPlain) + R"("securityContext":{"sysctls":[{"name":"Net.x","value":"1"}]})"),
              HasSubstr("spec.securityContext.sysctls[0].name: Invalid value: \"Net.x\": must have at most 253"));
  EXPECT_EQ(
      pod_refusal(std::string(kPlain) +
                  R"("hostNetwork":true,"securityContext":{"sysctls":[{"name":"net/core/somaxconn","value":"1"}]})"),
      "Pod \"p\" is invalid: spec.securityContext.sysctls[0].name: Invalid value: \"net/core/somaxconn\": may not "
      "be specified when 'hostNetwork' is true");
  EXPECT_THAT(pod_refusal(std::string(kPlain) + R"("hostUsers":false,"hostPID":true)"),
              HasSubstr("HostPID: Forbidden: when `pod.Spec.HostUsers` is false"));
  EXPECT_EQ(
      pod_refusal(std::string(kPlain) + R"("securityContext":{"supplementalGroupsPolicy":"Some"})"),
      "Pod \"p\" is invalid: spec.securityContext.supplementalGroupsPolicy: Unsupported value: \"Some\": supported "
      "values: \"Merge\", \"Strict\"");
  EXPECT_THAT(pod_refusal(std::string(kPlain) + R"("dnsConfig":{"searches":["a_b"]})"),
              HasSubstr("spec.dnsConfig.searches[0]: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain"));
}

}  // namespace
}  // namespace orlop::apikube
