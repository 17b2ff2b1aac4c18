#include "plugins/api-kubernetes/kinds/rules.hpp"

#include "orlop/kube/apps_v1.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/schema.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

namespace corev1 = k8s::io::api::core::v1;
namespace appsv1 = k8s::io::api::apps::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MapReader : public ObjectReader {
 public:
  Result<std::optional<std::string>> get(std::string_view kind, std::string_view space,
                                         std::string_view name) const override {
    auto found = objects.find(std::string(kind) + "/" + std::string(space) + "/" + std::string(name));
    if (found == objects.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }
  Status list(std::string_view kind, std::string_view space,
              const std::function<void(std::string_view)>& visit) const override {
    const std::string prefix = std::string(kind) + "/" + (space.empty() ? "" : std::string(space) + "/");
    for (const auto& [key, value] : objects) {
      if (key.starts_with(prefix)) visit(value);
    }
    return Status::ok();
  }
  void put(std::string_view kind, std::string_view space, const google::protobuf::Message& object,
           std::string_view name) {
    objects[std::string(kind) + "/" + std::string(space) + "/" + std::string(name)] = object.SerializeAsString();
  }
  std::map<std::string, std::string> objects;
};

class KindRulesTest : public ::testing::Test {
 protected:
  KindRulesTest() {
    corev1::Namespace space;
    space.mutable_metadata()->set_name("default");
    reader_.put("namespaces", "", space, "default");
    corev1::ServiceAccount account;
    account.mutable_metadata()->set_name("default");
    reader_.put("serviceaccounts", "default", account, "default");
    auto rules = KindRules::make(
        {}, reader_, [this] { return now_; }, [this] { return random_ += 7919; });
    EXPECT_TRUE(rules.is_ok());
    rules_ = std::move(*rules);
  }

  static std::string bytes_of(const kube::Kind& kind, std::string_view json) {
    const auto* descriptor = kube::find_message(kind.message);
    std::unique_ptr<google::protobuf::Message> message(kube::prototype(*descriptor)->New());
    auto decoded = kube::from_json(json, *message);
    EXPECT_TRUE(decoded.is_ok()) << decoded.message();
    return message->SerializeAsString();
  }

  AdmitRequest request(std::string_view kind_id, std::string_view json, Operation operation = Operation::kCreate) {
    AdmitRequest request;
    request.kind = kube::find_storage(kind_id);
    request.operation = operation;
    request.name_space = request.kind->namespaced ? "default" : "";
    request.value = bytes_of(*request.kind, json);
    return request;
  }
  Result<Admitted> create(std::string_view kind_id, std::string_view json) {
    return rules_->admit(request(kind_id, json));
  }

  // The refusal's whole message; "" when it was granted.
  std::string refusal(std::string_view kind_id, std::string_view json) { return create(kind_id, json).message(); }

  template <typename T>
  T created(std::string_view kind_id, std::string_view json) {
    auto admitted = create(kind_id, json);
    EXPECT_TRUE(admitted.is_ok()) << admitted.message();
    T object;
    if (admitted.is_ok()) {
      EXPECT_TRUE(object.ParseFromString(admitted->value));
    }
    return object;
  }

  MapReader reader_;
  std::chrono::steady_clock::time_point now_{};
  uint64_t random_ = 1;
  std::unique_ptr<KindRules> rules_;
};

TEST_F(KindRulesTest, PodGetsItsDefaults) {
  const auto pod = created<corev1::Pod>(
      "pods", R"({"metadata":{"name":"a","labels":{"app":"x"}},"status":{"phase":"Running"},"spec":{
      "containers":[{"name":"c","image":"nginx","ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"1",
       "memory":"1Gi"}},
      "livenessProbe":{"httpGet":{"port":80}}},{"name":"d","image":"nginx:1.2"}]}})");
  const auto& spec = pod.spec();
  EXPECT_EQ(spec.restartpolicy(), "Always");
  EXPECT_EQ(spec.dnspolicy(), "ClusterFirst");
  EXPECT_EQ(spec.schedulername(), "default-scheduler");
  EXPECT_EQ(spec.terminationgraceperiodseconds(), 30);
  EXPECT_TRUE(spec.has_securitycontext());
  EXPECT_TRUE(spec.enableservicelinks());
  EXPECT_EQ(spec.serviceaccountname(), "default");
  EXPECT_EQ(spec.priority(), 0);
  EXPECT_EQ(spec.preemptionpolicy(), "PreemptLowerPriority");
  EXPECT_EQ(spec.tolerations_size(), 2);
  const auto& container = spec.containers(0);
  EXPECT_EQ(container.imagepullpolicy(), "Always");
  EXPECT_EQ(spec.containers(1).imagepullpolicy(), "IfNotPresent");
  EXPECT_EQ(container.ports(0).protocol(), "TCP");
  EXPECT_EQ(container.resources().requests().at("cpu").string(), "1");
  EXPECT_EQ(container.livenessprobe().periodseconds(), 10);
  EXPECT_EQ(container.livenessprobe().handler().httpget().path(), "/");
  EXPECT_EQ(container.terminationmessagepath(), "/dev/termination-log");
  ASSERT_EQ(container.volumemounts_size(), 1);
  EXPECT_EQ(container.volumemounts(0).mountpath(), "/var/run/secrets/kubernetes.io/serviceaccount");
  ASSERT_EQ(spec.volumes_size(), 1);
  EXPECT_THAT(spec.volumes(0).name(), HasSubstr("kube-api-access-"));
  EXPECT_EQ(spec.volumes(0).volumesource().projected().sources_size(), 3);
  EXPECT_EQ(pod.status().phase(), "Pending");
  EXPECT_EQ(pod.status().qosclass(), "Burstable");
}

TEST_F(KindRulesTest, VersionsOfADaemonsTemplateAreCounted) {
  constexpr char kName[] = "deprecated.daemonset.template.generation";
  const auto json = [](const std::string& image, const std::string& strategy) {
    return R"({"metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"app":"a"}},"updateStrategy":{"type":")" +
           strategy +
           R"("},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"c","image":")" + image +
           R"("}]}}}})";
  };
  const auto first = created<appsv1::DaemonSet>("daemonsets.apps", json("a:1", "RollingUpdate"));
  EXPECT_EQ(first.metadata().annotations().at(kName), "1");
  std::string current = first.SerializeAsString();
  const auto updated = [&](const std::string& to) {
    AdmitRequest update = request("daemonsets.apps", to, Operation::kUpdate);
    update.current = current;
    auto admitted = rules_->admit(update);
    EXPECT_TRUE(admitted) << admitted.message();
    current = admitted->value;
    appsv1::DaemonSet set;
    EXPECT_TRUE(set.ParseFromString(current));
    return set.metadata().annotations().at(kName);
  };
  EXPECT_EQ(updated(json("a:1", "OnDelete")), "1");
  EXPECT_EQ(updated(json("a:2", "OnDelete")), "2");
  EXPECT_EQ(updated(json("a:1", "OnDelete")), "3");
}

TEST_F(KindRulesTest, PodIsFoundByNodeAndLabels) {
  auto admitted = create("pods", R"({"metadata":{"name":"a","labels":{"app":"x","tier":"y"}},"spec":{"nodeName":"n1",
       "containers":[
      {"name":"c","image":"nginx"}]}})");
  ASSERT_TRUE(admitted.is_ok());
  EXPECT_THAT(admitted->index_terms, ElementsAre("label/app=x", "label/tier=y", "node/n1"));
}

struct RefusalCase {
  const char* kind;
  const char* json;
  const char* message;
};

TEST_F(KindRulesTest, RefusesInKubernetesWords) {
  const RefusalCase cases[] = {
      {"pods", R"({"metadata":{"name":"a"},"spec":{}})", "Pod \"a\" is invalid: spec.containers: Required value"},
      {"pods", R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c"}]}})",
       "Pod \"a\" is invalid: spec.containers[0].image: Required value"},
      {"pods", R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x"},{"name":"c",
       "image":"x"}]}})",
       "Pod \"a\" is invalid: spec.containers[1].name: Duplicate value: \"c\""},
      {"pods",
       R"({"metadata":{"name":"a"},"spec":{"restartPolicy":"Sometimes","containers":[{"name":"c","image":"x"}]}})",
       "Pod \"a\" is invalid: spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
       "\"OnFailure\", "
       "\"Never\""},
      {"pods",
       R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x",
       "ports":[{"containerPort":70000}]}]}})",
       "Pod \"a\" is invalid: spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
       "65535, inclusive"},
      {"pods",
       R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x","volumeMounts":[{"name":"v",
       "mountPath":"/v"}]}]}})",
       "Pod \"a\" is invalid: spec.containers[0].volumeMounts[0].name: Not found: \"v\""},
      {"pods",
       R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x",
       "resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}]}})",
       "Pod \"a\" is invalid: spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal "
       "to cpu limit of 1"},
      {"pods",
       R"({"metadata":{"name":"a"},"spec":{"serviceAccountName":"no","containers":[{"name":"c","image":"x"}]}})",
       "pods \"a\" is forbidden: error looking up service account default/no: serviceaccount \"no\" not found"},
      {"pods", R"({"metadata":{"name":"a"},"spec":{"priorityClassName":"no","containers":[{"name":"c",
       "image":"x"}]}})",
       "pods \"a\" is forbidden: no PriorityClass with name no was found"},
      {"pods", R"({"metadata":{"name":"a","namespace":"other"},"spec":{"containers":[{"name":"c","image":"x"}]}})",
       "the namespace of the provided object does not match the namespace sent on the request"},
      {"deployments.apps",
       R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"app":"a"}},
       "template":{"metadata":{"labels":{"app":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}})",
       "Deployment.apps \"d\" is invalid: spec.template.metadata.labels: Invalid value: "
       "map[string]string{\"app\":\"b\"}: `selector` "
       "does not match template `labels`"},
      {"deployments.apps",
       R"({"metadata":{"name":"d"},"spec":{"template":{"metadata":{"labels":{"app":"b"}},
       "spec":{"containers":[{"name":"c","image":"x"}]}}}})",
       "Deployment.apps \"d\" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid "
       "value: "
       "map[string]string{\"app\":\"b\"}: `selector` does not match template `labels`]"},
      {"services", R"({"metadata":{"name":"s"},"spec":{"ports":[]}})",
       "Service \"s\" is invalid: spec.ports: Required value"},
      {"services", R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":80}]}})",
       "Service \"s\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
       "The range of "
       "valid ports is 30000-32767"},
      {"services", R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80,"nodePort":30080}]}})",
       "Service \"s\" is invalid: spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
      {"services", R"({"metadata":{"name":"s"},"spec":{"clusterIP":"1.2.3.4","ports":[{"port":80}]}})",
       "Service \"s\" is invalid: spec.clusterIPs: Invalid value: []string{\"1.2.3.4\"}: failed to allocate IP "
       "1.2.3.4: the provided IP "
       "(1.2.3.4) is not in the valid range. The range of valid IPs is 10.96.0.0/12"},
      {"configmaps", R"({"metadata":{"name":"m"},"data":{"a b":"c"}})",
       "ConfigMap \"m\" is invalid: data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric "
       "characters, '-', "
       "'_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"},
  };
  for (const auto& test : cases) EXPECT_EQ(refusal(test.kind, test.json), test.message) << test.json;
}

TEST_F(KindRulesTest, NamesAreChecked) {
  EXPECT_THAT(
      refusal("configmaps", R"({"metadata":{"name":"Foo"}})"),
      HasSubstr(
          "ConfigMap \"Foo\" is invalid: metadata.name: Invalid value: \"Foo\": a lowercase RFC 1123 subdomain must "
          "consist of"));
  EXPECT_THAT(refusal("services", R"({"metadata":{"name":"1a"},"spec":{"ports":[{"port":1}]}})"),
              HasSubstr("a DNS-1035 label must"));
  EXPECT_EQ(refusal("configmaps", R"({"metadata":{}})"),
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
  EXPECT_THAT(refusal("configmaps", R"({"metadata":{"name":"a","labels":{"k":"-"}}})"),
              HasSubstr("metadata.labels: Invalid value: \"-\""));
  auto admitted = create("configmaps", R"({"metadata":{"generateName":"x-"}})");
  ASSERT_TRUE(admitted.is_ok());
  EXPECT_EQ(admitted->name.size(), 7u);
}

TEST_F(KindRulesTest, NamespacesAreGuarded) {
  auto missing = request("configmaps", R"({"metadata":{"name":"a"}})");
  missing.name_space = "nowhere";
  auto refused = rules_->admit(missing);
  EXPECT_EQ(refused.code(), Code::kNotFound);
  EXPECT_EQ(refused.message(), "namespaces \"nowhere\" not found");

  corev1::Namespace ending;
  ending.mutable_metadata()->set_name("ending");
  ending.mutable_status()->set_phase("Terminating");
  reader_.put("namespaces", "", ending, "ending");
  missing.name_space = "ending";
  EXPECT_EQ(
      rules_->admit(missing).message(),
      "configmaps \"a\" is forbidden: unable to create new content in namespace ending because it is being terminated");

  auto removal = request("namespaces", "{}", Operation::kDelete);
  removal.name = "default";
  EXPECT_EQ(rules_->admit(removal).message(), "namespaces \"default\" is forbidden: this namespace may not be deleted");

  const auto space = created<corev1::Namespace>("namespaces", R"({"metadata":{"name":"n"}})");
  EXPECT_THAT(space.spec().finalizers(), ElementsAre("kubernetes"));
  EXPECT_EQ(space.status().phase(), "Active");
  EXPECT_EQ(space.metadata().labels().at("kubernetes.io/metadata.name"), "n");
}

TEST_F(KindRulesTest, ServiceGetsAddresses) {
  const auto service = created<corev1::Service>(
      "services", R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","ports":[{"port":80}]}})");
  EXPECT_TRUE(service.spec().clusterip().starts_with("10.")) << service.spec().clusterip();
  EXPECT_THAT(service.spec().clusterips(), ElementsAre(service.spec().clusterip()));
  EXPECT_GE(service.spec().ports(0).nodeport(), 30000);
  EXPECT_EQ(service.spec().ports(0).targetport().intval(), 80);
  EXPECT_EQ(service.spec().sessionaffinity(), "None");
  EXPECT_EQ(service.spec().internaltrafficpolicy(), "Cluster");
  EXPECT_EQ(service.spec().externaltrafficpolicy(), "Cluster");
  EXPECT_THAT(service.spec().ipfamilies(), ElementsAre("IPv4"));

  // Back to ClusterIP, as `kubectl apply` sends it: the node port goes, the address stays.
  auto update = request("services", R"({"metadata":{"name":"s"},"spec":{"type":"ClusterIP",
       "ports":[{"port":80}]}})",
                        Operation::kUpdate);
  update.name = "s";
  update.current = service.SerializeAsString();
  auto admitted = rules_->admit(update);
  ASSERT_TRUE(admitted.is_ok()) << admitted.message();
  corev1::Service changed;
  ASSERT_TRUE(changed.ParseFromString(admitted->value));
  EXPECT_EQ(changed.spec().clusterip(), service.spec().clusterip());
  EXPECT_EQ(changed.spec().ports(0).nodeport(), 0);

  update.value =
      bytes_of(*update.kind, R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}})");
  EXPECT_EQ(
      rules_->admit(update).message(),
      "Service \"s\" is invalid: spec.clusterIPs[0]: Invalid value: []string{\"10.96.0.9\"}: may not change once set");
}

TEST_F(KindRulesTest, ServiceAddressIsReservedUntilSettled) {
  const char* json = R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.96.0.20","ports":[{"port":80}]}})";
  {
    auto first = create("services", json);
    ASSERT_TRUE(first.is_ok()) << first.message();
    EXPECT_THAT(refusal("services", json), HasSubstr("provided IP is already allocated"));
  }  // never committed
  auto second = create("services", json);
  ASSERT_TRUE(second.is_ok()) << second.message();
  second->reservation->confirm();
  // Confirmed, but the store knows nothing of it: before a refusal the store is asked again.
  EXPECT_EQ(refusal("services", json), "");
}

TEST_F(KindRulesTest, PodUpdatesMayChangeImagesAlone) {
  auto admitted = create("pods", R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x:1"}]}})");
  ASSERT_TRUE(admitted.is_ok());
  auto update = request("pods", "{}", Operation::kUpdate);
  update.name = "a";
  update.current = admitted->value;
  corev1::Pod pod;
  ASSERT_TRUE(pod.ParseFromString(admitted->value));
  pod.mutable_spec()->mutable_containers(0)->set_image("x:2");
  pod.mutable_status()->set_phase("Failed");
  update.value = pod.SerializeAsString();
  auto changed = rules_->admit(update);
  ASSERT_TRUE(changed.is_ok()) << changed.message();
  corev1::Pod after;
  ASSERT_TRUE(after.ParseFromString(changed->value));
  EXPECT_EQ(after.spec().containers(0).image(), "x:2");
  EXPECT_EQ(after.status().phase(), "Pending");

  update.context.subresource = "status";
  changed = rules_->admit(update);
  ASSERT_TRUE(changed.is_ok()) << changed.message();
  ASSERT_TRUE(after.ParseFromString(changed->value));
  EXPECT_EQ(after.spec().containers(0).image(), "x:1");
  EXPECT_EQ(after.status().phase(), "Failed");

  update.context.subresource = "";
  pod.mutable_spec()->set_hostname("other");
  update.value = pod.SerializeAsString();
  EXPECT_THAT(rules_->admit(update).message(),
              HasSubstr("Pod \"a\" is invalid: spec: Forbidden: pod updates may not change fields other than"));
}

TEST_F(KindRulesTest, PodsEndGracefully) {
  corev1::Pod pod;
  pod.mutable_spec()->set_terminationgraceperiodseconds(30);
  const auto& kind = *kube::find_storage("pods");
  EXPECT_EQ(rules_->grace_seconds(kind, pod, std::nullopt), 0);
  pod.mutable_spec()->set_nodename("n");
  EXPECT_EQ(rules_->grace_seconds(kind, pod, std::nullopt), 30);
  EXPECT_EQ(rules_->grace_seconds(kind, pod, 5), 5);
  pod.mutable_status()->set_phase("Succeeded");
  EXPECT_EQ(rules_->grace_seconds(kind, pod, std::nullopt), 0);
  EXPECT_EQ(rules_->grace_seconds(*kube::find_storage("configmaps"), corev1::ConfigMap(), 5), std::nullopt);
}

TEST_F(KindRulesTest, DeploymentDefaultsAndImmutableSelector) {
  const char* json =
      R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":
      {"app":"a"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}})";
  const auto deployment = created<appsv1::Deployment>("deployments.apps", json);
  EXPECT_EQ(deployment.spec().replicas(), 1);
  EXPECT_EQ(deployment.spec().strategy().type(), "RollingUpdate");
  EXPECT_EQ(deployment.spec().strategy().rollingupdate().maxsurge().strval(), "25%");
  EXPECT_EQ(deployment.spec().revisionhistorylimit(), 10);
  EXPECT_EQ(deployment.spec().progressdeadlineseconds(), 600);
  EXPECT_EQ(deployment.spec().template_().spec().restartpolicy(), "Always");

  auto update = request("deployments.apps",
                        R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"app":"b"}},"template":{
      "metadata":{"labels":{"app":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}})",
                        Operation::kUpdate);
  update.name = "d";
  update.current = deployment.SerializeAsString();
  EXPECT_EQ(rules_->admit(update).message(),
            "Deployment.apps \"d\" is invalid: spec.selector: Invalid value: "
            "v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"b\"}, "
            "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable");
}

}  // namespace
}  // namespace orlop::apikube
