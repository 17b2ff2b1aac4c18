// The kinds beside pods, services and the core ones: defaults and refusals in tables.
#include "orlop/kube/kinds.hpp"

#include "orlop/kube/json.hpp"
#include "orlop/kube/schema.hpp"
#include "plugins/api-kubernetes/kinds/rules.hpp"

#include <boost/json.hpp>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

// A cluster where every namespace exists and nothing else.
class EmptyCluster : public ObjectReader {
 public:
  Result<std::optional<std::string>> get(std::string_view kind, std::string_view, std::string_view) const override {
    if (kind == "namespaces") return std::optional<std::string>("");
    return std::optional<std::string>();
  }
  Status list(std::string_view, std::string_view, const std::function<void(std::string_view)>&) const override {
    return Status::ok();
  }
};

class KindsTest : public ::testing::Test {
 protected:
  KindsTest() {
    auto rules = KindRules::make(
        {}, cluster_, [] { return std::chrono::steady_clock::time_point(); }, [this] { return random_ += 104729; });
    EXPECT_TRUE(rules.is_ok());
    rules_ = std::move(*rules);
  }
  static std::unique_ptr<google::protobuf::Message> message_of(const kube::Kind& kind) {
    return std::unique_ptr<google::protobuf::Message>(kube::prototype(*kube::find_message(kind.message))->New());
  }
  AdmitRequest request(std::string_view kind_id, std::string_view json) {
    AdmitRequest request;
    request.kind = kube::find_storage(kind_id);
    request.name_space = request.kind->namespaced ? "default" : "";
    auto message = message_of(*request.kind);
    auto decoded = kube::from_json(json, *message);
    EXPECT_TRUE(decoded.is_ok()) << decoded.message();
    request.value = message->SerializeAsString();
    return request;
  }
  // The stored object as JSON; the refusal's words in a string when there is one.
  boost::json::value created(std::string_view kind_id, std::string_view json) {
    auto admitted = rules_->admit(request(kind_id, json));
    if (!admitted) return boost::json::value(admitted.message());
    auto message = message_of(*kube::find_storage(kind_id));
    EXPECT_TRUE(message->ParseFromString(admitted->value));
    std::string out;
    kube::to_json(*message, "", "", out);
    return boost::json::parse(out);
  }

  EmptyCluster cluster_;
  uint64_t random_ = 1;
  std::unique_ptr<KindRules> rules_;
};

struct DefaultCase {
  const char* kind;
  const char* json;
  const char* pointer;
  const char* value;
};

TEST_F(KindsTest, GetTheirDefaults) {
  const DefaultCase cases[] = {
      {"jobs.batch",
       R"({"metadata":{"name":"j"},"spec":{"template":{"spec":{"restartPolicy":"Never",
       "containers":[{"name":"c","image":"x"}]}}}})",
       "/spec/backoffLimit", "6"},
      {"jobs.batch",
       R"({"metadata":{"name":"j"},"spec":{"template":{"spec":{"restartPolicy":"Never",
       "containers":[{"name":"c","image":"x"}]}}}})",
       "/spec/template/metadata/labels/job-name", "\"j\""},
      {"cronjobs.batch",
       R"({"metadata":{"name":"j"},"spec":{"schedule":"*/5 * * * *",
       "jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
       "containers":[{"name":"c","image":"x"}]}}}}}})",
       "/spec/concurrencyPolicy", "\"Allow\""},
      {"statefulsets.apps",
       R"({"metadata":{"name":"s"},"spec":{"serviceName":"s","selector":{"matchLabels":{"a":"b"}},
       "template":{"metadata":{"labels":{"a":"b"}},
       "spec":{"containers":[{"name":"c","image":"x","volumeMounts":[{"name":"data","mountPath":"/d"}]}]}},
       "volumeClaimTemplates":[{"metadata":{"name":"data"},
       "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}})",
       "/spec/podManagementPolicy", "\"OrderedReady\""},
      {"daemonsets.apps",
       R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},
       "template":{"metadata":{"labels":{"a":"b"}},"spec":{
       "containers":[{"name":"c","image":"x"}]}}}})",
       "/spec/updateStrategy/rollingUpdate/maxUnavailable", "1"},
      {"persistentvolumeclaims",
       R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],
       "resources":{"requests":{"storage":"1Gi"}}}})",
       "/metadata/finalizers", R"(["kubernetes.io/pvc-protection"])"},
      {"persistentvolumes",
       R"({"metadata":{"name":"v"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteMany"],
       "nfs":{"server":"s","path":"/p"}}})",
       "/spec/persistentVolumeReclaimPolicy", "\"Retain\""},
      {"storageclasses.storage.k8s.io", R"({"metadata":{"name":"s"},"provisioner":"a/b"})", "/reclaimPolicy",
       "\"Delete\""},
      {"networkpolicies.networking.k8s.io", R"({"metadata":{"name":"n"},"spec":{"podSelector":{},"egress":[{}]}})",
       "/spec/policyTypes", R"(["Ingress","Egress"])"},
      {"clusterrolebindings.rbac.authorization.k8s.io",
       R"({"metadata":{"name":"b:x"},"roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[{"kind":"User",
       "name":"u"}]})",
       "/subjects/0/apiGroup", "\"rbac.authorization.k8s.io\""},
      {"priorityclasses.scheduling.k8s.io", R"({"metadata":{"name":"p"},"value":5})", "/preemptionPolicy",
       "\"PreemptLowerPriority\""},
      {"horizontalpodautoscalers.autoscaling",
       R"({"metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"}}})",
       "/spec/metrics/0/resource/target/averageUtilization", "80"},
      {"endpointslices.discovery.k8s.io",
       R"({"metadata":{"name":"e"},"addressType":"IPv4","endpoints":[],"ports":[{"port":1}]})", "/ports/0/protocol",
       "\"TCP\""},
      {"secrets", R"({"metadata":{"name":"s"},"stringData":{"a":"b"}})", "/data/a", "\"Yg==\""},
  };
  for (const auto& test : cases) {
    const auto object = created(test.kind, test.json);
    ASSERT_TRUE(object.is_object()) << test.kind << object;
    boost::json::error_code error;
    const auto* value = object.find_pointer(test.pointer, error);
    ASSERT_NE(value, nullptr) << test.kind << test.pointer << object;
    EXPECT_EQ(boost::json::serialize(*value), test.value) << test.kind;
  }
}

struct RefusalCase {
  const char* kind;
  const char* json;
  const char* message;
};

TEST_F(KindsTest, AreRefusedInKubernetesWords) {
  const RefusalCase cases[] = {
      {"jobs.batch",
       R"({"metadata":{"name":"j"},"spec":{"template":{"spec":{"containers":[{"name":"c","image":"x"}]}}}})",
       "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", "
       "\"Never\""},
      {"cronjobs.batch",
       R"({"metadata":{"name":"j"},"spec":{"schedule":"* *",
       "jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
       "containers":[{"name":"c","image":"x"}]}}}}}})",
       "CronJob.batch \"j\" is invalid: spec.schedule: Invalid value: \"* *\": expected exactly 5 fields, found 2: [* "
       "*]"},
      {"ingresses.networking.k8s.io",
       R"({"metadata":{"name":"i"},"spec":{"rules":[{"http":{"paths":[{"path":"/",
       "backend":{"service":{"name":"s","port":{"number":80}}}}]}}]}})",
       "Ingress.networking.k8s.io \"i\" is invalid: spec.rules[0].http.paths[0].pathType: Required value: pathType "
       "must be specified"},
      {"roles.rbac.authorization.k8s.io",
       R"({"metadata":{"name":"r"},"rules":[{"resources":["pods"],"apiGroups":[""]}]})",
       "Role.rbac.authorization.k8s.io \"r\" is invalid: rules[0].verbs: Required value: verbs must contain at least "
       "one value"},
      {"persistentvolumes",
       R"({"metadata":{"name":"v"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteMany"]}})",
       "PersistentVolume \"v\" is invalid: spec: Required value: must specify a volume type"},
      {"persistentvolumes",
       R"({"metadata":{"name":"v"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteMany"],
       "local":{"path":"/x"}}})",
       "PersistentVolume \"v\" is invalid: metadata.annotations: Required value: Local volume requires node affinity"},
      {"persistentvolumes",
       R"({"metadata":{"name":"v"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteMany"],
       "persistentVolumeReclaimPolicy":"Recycle","hostPath":{"path":"/"}}})",
       "PersistentVolume \"v\" is invalid: spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a "
       "hostPath mount of '/'"},
      {"persistentvolumeclaims", R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOncePod","ReadWriteOnce"],
       "resources":{"requests":{"storage":"1Gi"}}}})",
       "PersistentVolumeClaim \"c\" is invalid: spec.accessModes: Forbidden: may not use ReadWriteOncePod with other "
       "access modes"},
      {"persistentvolumeclaims", R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"]}})",
       "PersistentVolumeClaim \"c\" is invalid: spec.resources[storage]: Required value"},
      {"priorityclasses.scheduling.k8s.io", R"({"metadata":{"name":"p"},"value":2000000000})",
       "PriorityClass.scheduling.k8s.io \"p\" is invalid: value: Forbidden: maximum allowed value of a user defined "
       "priority is 1000000000"},
      {"volumeattachments.storage.k8s.io", R"({"metadata":{"name":"a"},"spec":{"source":{},"nodeName":"n"}})",
       "VolumeAttachment.storage.k8s.io \"a\" is invalid: spec.attacher: Required value"},
      {"poddisruptionbudgets.policy",
       R"({"metadata":{"name":"b"},"spec":{"maxUnavailable":"150%","unhealthyPodEvictionPolicy":"Never"}})",
       "PodDisruptionBudget.policy \"b\" is invalid: [spec.maxUnavailable: Invalid value: 150%: must not be greater "
       "than "
       "100%, spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", "
       "\"IfHealthyBudget\"]"},
      {"horizontalpodautoscalers.autoscaling",
       R"({"metadata":{"name":"h"},"spec":{"minReplicas":5,"maxReplicas":3,
       "scaleTargetRef":{"kind":"Deployment","name":"a/b"}}})",
       "HorizontalPodAutoscaler.autoscaling \"h\" is invalid: [spec.maxReplicas: Invalid value: 3: must be greater "
       "than "
       "or equal to `minReplicas`, spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/']"},
      {"horizontalpodautoscalers.autoscaling",
       R"({"metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"},
       "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization"}}},
       {"type":"ContainerResource","containerResource":{"name":"cpu","target":{"type":"AverageValue",
       "averageValue":"-1"}}},
       {"type":"Pods","object":{"metric":{"name":"m"},"describedObject":{"kind":"K","name":"n"},
       "target":{"type":"Value","value":"1"}}}]}})",
       "HorizontalPodAutoscaler.autoscaling \"h\" is invalid: [spec.metrics[0].resource.target.averageUtilization: "
       "Required value: must set either a target raw value or a target utilization, "
       "spec.metrics[1].containerResource.container: Required value: must specify a container, "
       "spec.metrics[1].containerResource.target.averageValue: Invalid value: -1: must be positive, "
       "spec.metrics[2].pods: Required value: must populate information for the given metric source]"},
      {"horizontalpodautoscalers.autoscaling",
       R"({"metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"},
       "behavior":{"scaleUp":{"selectPolicy":"Any","policies":[{"type":"Nodes","value":0,"periodSeconds":1801}]},
       "scaleDown":{"stabilizationWindowSeconds":3601}}}})",
       "HorizontalPodAutoscaler.autoscaling \"h\" is invalid: [spec.behavior.scaleUp.selectPolicy: Unsupported value: "
       "\"Any\": supported values: \"Disabled\", \"Max\", \"Min\", spec.behavior.scaleUp.policies[0].type: Unsupported "
       "value: \"Nodes\": supported values: \"Percent\", \"Pods\", spec.behavior.scaleUp.policies[0].value: Invalid "
       "value: 0: must be greater than zero, spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: "
       "must "
       "be less than or equal to 1800, spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must "
       "be "
       "less than or equal to 3600]"},
  };
  for (const auto& test : cases) {
    const auto answer = created(test.kind, test.json);
    ASSERT_TRUE(answer.is_string()) << test.kind << answer;
    EXPECT_EQ(std::string(answer.as_string().c_str()), test.message) << test.json;
  }
}

TEST_F(KindsTest, PersistentOnesCanBeCreatedWithADefaultedSpec) {
  // Whatever a kind's rules refuse, they refuse with a sentence and never crash on an empty object.
  for (const auto& kind : kube::kinds()) {
    if (!kind.persistent || !kind.storage) continue;
    const auto answer = created(kind.id, R"({"metadata":{"name":"x"}})");
    if (!answer.is_string()) continue;
    EXPECT_NE(std::string(answer.as_string().c_str()).find("\"x\" is"), std::string::npos) << kind.id << answer;
  }
}

}  // namespace
}  // namespace orlop::apikube
