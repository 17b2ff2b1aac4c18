// A Deployment with its controllers, in a kernel in memory: what its pods are made to use.
#include "plugins/controllers-workload/config-restart/config_restart.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "plugins/controllers-workload/deployment/deployment.hpp"
#include "plugins/controllers-workload/replicaset/replicaset.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::workload {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::StartsWith;
using ConfigMap = k8s::io::api::core::v1::ConfigMap;
using Secret = k8s::io::api::core::v1::Secret;
using Event = k8s::io::api::core::v1::Event;

constexpr char kDeployments[] = "deployments.apps";

PodSpec spec_that_uses_everything() {
  PodSpec spec;
  auto& init = *spec.add_initcontainers();
  init.add_envfrom()->mutable_configmapref()->mutable_localobjectreference()->set_name("init-from");
  auto& container = *spec.add_containers();
  container.add_envfrom()->mutable_secretref()->mutable_localobjectreference()->set_name("secret-from");
  auto& key = *container.add_env()->mutable_valuefrom()->mutable_configmapkeyref();
  key.mutable_localobjectreference()->set_name("map-key");
  container.add_env()->mutable_valuefrom()->mutable_secretkeyref()->mutable_localobjectreference()->set_name("both");
  container.add_env()->set_value("plain");
  spec.add_volumes()->mutable_volumesource()->mutable_configmap()->mutable_localobjectreference()->set_name("both");
  spec.add_volumes()->mutable_volumesource()->mutable_secret()->set_secretname("secret-volume");
  spec.add_volumes()->mutable_volumesource()->mutable_emptydir();
  auto& projected = *spec.add_volumes()->mutable_volumesource()->mutable_projected();
  projected.add_sources()->mutable_configmap()->mutable_localobjectreference()->set_name("projected-map");
  projected.add_sources()->mutable_secret()->mutable_localobjectreference()->set_name("projected-secret");
  spec.add_imagepullsecrets()->set_name("registry");
  return spec;
}

TEST(ConfigReferences, AreFoundInVolumesAndVariablesOfAllContainers) {
  std::vector<std::string> found;
  for (const ConfigName& name : configuration_of(spec_that_uses_everything()))
    found.push_back(name.kind + "/" + name.name);
  EXPECT_THAT(found,
              ElementsAre("configmaps/both", "configmaps/init-from", "configmaps/map-key", "configmaps/projected-map",
                          "secrets/both", "secrets/projected-secret", "secrets/secret-from", "secrets/secret-volume"));
}

TEST(ConfigReferences, AreReplacedByKindAndName) {
  PodSpec spec = spec_that_uses_everything();
  use_snapshots({{{"configmaps", "both"}, "both-map"}, {{"secrets", "secret-volume"}, "kept"}}, spec);
  EXPECT_EQ(spec.volumes(0).volumesource().configmap().localobjectreference().name(), "both-map");
  EXPECT_EQ(spec.volumes(1).volumesource().secret().secretname(), "kept");
  EXPECT_EQ(spec.containers(0).env(1).valuefrom().secretkeyref().localobjectreference().name(), "both");
}

TEST(ConfigReferences, AreWrittenAndReadAsText) {
  const ConfigSnapshots snapshots{{{"configmaps", "app"}, "app-1"}, {{"secrets", "db"}, "db-2"}};
  EXPECT_EQ(config_text(snapshots), "configmaps/app=app-1,secrets/db=db-2");
  EXPECT_EQ(read_config_text(config_text(snapshots)), snapshots);
  for (const char* bad : {"", ",", "app=x", "pods/a=b", "configmaps/=b", "configmaps/a=", "configmaps=a/b"}) {
    EXPECT_TRUE(read_config_text(bad).empty()) << bad;
  }
}

class ConfigRestartTest : public ::testing::Test {
 protected:
  ConfigRestartTest() {
    controllers_.add(std::make_unique<DeploymentController>(kernel_.host(), 1));
    controllers_.add(std::make_unique<ReplicaSetController>(kernel_.host(), 1));
    controllers_.add(std::make_unique<ConfigRestartController<Deployment>>(kernel_.host()));
  }

  static Deployment deployment() {
    Deployment out;
    out.mutable_metadata()->set_name("web");
    out.mutable_metadata()->set_namespace_("default");
    (*out.mutable_metadata()->mutable_annotations())[kRestartOnConfigChange] = "true";
    auto& spec = *out.mutable_spec();
    spec.set_replicas(2);
    spec.set_revisionhistorylimit(2);
    (*spec.mutable_selector()->mutable_matchlabels())["app"] = "web";
    auto& pod_template = *spec.mutable_template_();
    (*pod_template.mutable_metadata()->mutable_labels())["app"] = "web";
    auto& container = *pod_template.mutable_spec()->add_containers();
    container.add_envfrom()->mutable_configmapref()->mutable_localobjectreference()->set_name("app");
    auto& volume = *pod_template.mutable_spec()->add_volumes();
    volume.mutable_volumesource()->mutable_secret()->set_secretname("db");
    spec.mutable_strategy()->set_type("RollingUpdate");
    spec.mutable_strategy()->mutable_rollingupdate()->mutable_maxsurge()->set_intval(1);
    spec.mutable_strategy()->mutable_rollingupdate()->mutable_maxunavailable()->set_intval(0);
    return out;
  }
  void create(const Deployment& object) { ASSERT_TRUE(kernel_.create(kDeployments, object)); }
  Deployment stored() { return *kernel_.get<Deployment>(kDeployments, "default", "web"); }
  void edit(const std::function<void(Deployment&)>& change) {
    Deployment object = stored();
    change(object);
    ASSERT_TRUE(kernel_.update(kDeployments, object));
  }
  static ConfigMap config(const std::string& value, const std::string& name = "app") {
    ConfigMap map;
    map.mutable_metadata()->set_name(name);
    map.mutable_metadata()->set_namespace_("default");
    (*map.mutable_metadata()->mutable_labels())["app.kubernetes.io/instance"] = "shop";
    (*map.mutable_data())["key"] = value;
    return map;
  }
  static Secret secret(const std::string& value) {
    Secret out;
    out.mutable_metadata()->set_name("db");
    out.mutable_metadata()->set_namespace_("default");
    out.set_type("Opaque");
    (*out.mutable_data())["password"] = value;
    return out;
  }
  void make_config(const std::string& value) { ASSERT_TRUE(kernel_.create("configmaps", config(value))); }
  void set_config(const std::string& value) { ASSERT_TRUE(kernel_.update("configmaps", config(value))); }

  // Until nothing changes, pods becoming ready at once and time passing.
  void settle() {
    for (int i = 0; i < 100; ++i) {
      const uint64_t before = kernel_.revision();
      controllers_.run_until_idle();
      for (kube::Pod& pod : kernel_.list<kube::Pod>("pods", "default")) {
        if (kube::is_ready(pod)) continue;
        pod.mutable_status()->set_phase("Running");
        auto& ready = *pod.mutable_status()->add_conditions();
        ready.set_type("Ready");
        ready.set_status("True");
        ASSERT_TRUE(kernel_.update("pods", pod, "status"));
      }
      kernel_.advance(300ms);
      still_ = kernel_.revision() == before ? still_ + 1 : 0;
      if (still_ > 5) break;
    }
    still_ = 0;
  }
  // The values that the pods see, by what they refer to.
  std::set<std::string> values() {
    std::set<std::string> out;
    for (const kube::Pod& pod : kernel_.list<kube::Pod>("pods", "default")) {
      const auto name = pod.spec().containers(0).envfrom(0).configmapref().localobjectreference().name();
      const auto map = kernel_.get<ConfigMap>("configmaps", "default", name);
      out.insert(map ? map->data().at("key") : "no " + name);
    }
    return out;
  }
  std::vector<ReplicaSet> sets() { return kernel_.list<ReplicaSet>("replicasets.apps", "default"); }
  std::vector<ConfigMap> snapshots() {
    return kernel_.list<ConfigMap>("configmaps", "default", "label/orlop.dev/config-snapshot=true");
  }
  std::string revision() { return stored().metadata().annotations().at(kRevisionAnnotation); }
  void undo_to(const std::string& wanted) {
    for (const ReplicaSet& set : sets()) {
      if (set.metadata().annotations().at(kRevisionAnnotation) != wanted) continue;
      // What kubectl does: the set's template, and the set's annotations in place of the Deployment's own.
      edit([&](Deployment& object) {
        *object.mutable_spec()->mutable_template_() = set.spec().template_();
        object.mutable_spec()->mutable_template_()->mutable_metadata()->mutable_labels()->erase(kHashLabel);
        (*object.mutable_metadata()->mutable_annotations()) = set.metadata().annotations();
        (*object.mutable_metadata()->mutable_annotations())[kRevisionAnnotation] = revision();
      });
      return;
    }
    FAIL() << "no revision " << wanted;
  }

  testing::FakeKernel kernel_;
  ControllerSet controllers_{kernel_.host()};
  int still_ = 0;
};

TEST_F(ConfigRestartTest, PodsAreMadeWithSnapshots) {
  make_config("one");
  ASSERT_TRUE(kernel_.create("secrets", secret("s1")));
  create(deployment());
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"one"});
  EXPECT_EQ(sets().size(), 1u) << "no revision was made before the configuration was known";
  const Deployment object = stored();
  const auto& spec = object.spec().template_().spec();
  EXPECT_EQ(spec.containers(0).envfrom(0).configmapref().localobjectreference().name(), "app");
  ASSERT_EQ(snapshots().size(), 1u);
  const ConfigMap snapshot = snapshots().front();
  EXPECT_THAT(snapshot.metadata().name(), StartsWith("app-"));
  EXPECT_TRUE(snapshot.immutable());
  EXPECT_EQ(snapshot.metadata().labels().size(), 1u) << "none of the original's labels";
  EXPECT_EQ(snapshot.metadata().ownerreferences(0).uid(), object.metadata().uid());
  const auto pod = kernel_.list<kube::Pod>("pods", "default").front();
  const std::string kept = pod.spec().volumes(0).volumesource().secret().secretname();
  EXPECT_THAT(kept, StartsWith("db-"));
  const Secret copy = *kernel_.get<Secret>("secrets", "default", kept);
  EXPECT_EQ(copy.data().at("password"), "s1");
  EXPECT_EQ(copy.type(), "Opaque");
  EXPECT_TRUE(copy.immutable());
}

TEST_F(ConfigRestartTest, AChangeRollsOutAndUndoBringsItBack) {
  make_config("one");
  create(deployment());
  settle();
  set_config("two");
  controllers_.run_until_idle();
  EXPECT_EQ(values(), std::set<std::string>{"one"}) << "running pods keep theirs";
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"two"});
  EXPECT_EQ(revision(), "2");
  undo_to("1");
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"one"});
  EXPECT_EQ(revision(), "3");
  EXPECT_EQ(kernel_.get<ConfigMap>("configmaps", "default", "app")->data().at("key"), "two");
  kernel_.advance(100s);
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"one"}) << "what was seen already is no news";
  set_config("three");
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"three"});
}

TEST_F(ConfigRestartTest, ComingBackToAnOlderContentIsAChange) {
  make_config("one");
  create(deployment());
  settle();
  set_config("two");
  settle();
  set_config("one");
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"one"});
  EXPECT_EQ(revision(), "3");
  EXPECT_EQ(sets().size(), 2u);
}

TEST_F(ConfigRestartTest, SeveralChangesTogetherAreOneRollout) {
  make_config("one");
  ASSERT_TRUE(kernel_.create("secrets", secret("s1")));
  create(deployment());
  settle();
  for (const char* value : {"two", "three", "four"}) {
    set_config(value);
    ASSERT_TRUE(kernel_.update("secrets", secret(value)));
    controllers_.run_until_idle();
    kernel_.advance(300ms);
  }
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"four"});
  EXPECT_EQ(revision(), "2");
}

TEST_F(ConfigRestartTest, WhatIsDeletedServesOnAndItsSuccessorRollsOut) {
  make_config("one");
  create(deployment());
  settle();
  ASSERT_TRUE(kernel_.remove("configmaps", "default", "app"));
  settle();
  EXPECT_EQ(revision(), "1");
  edit([](Deployment& object) { object.mutable_spec()->set_replicas(4); });
  settle();
  EXPECT_EQ(kernel_.list<kube::Pod>("pods", "default").size(), 4u);
  EXPECT_EQ(values(), std::set<std::string>{"one"});
  make_config("one");
  settle();
  EXPECT_EQ(revision(), "1") << "the same content is no change";
  ASSERT_TRUE(kernel_.remove("configmaps", "default", "app"));
  make_config("two");
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"two"});
}

TEST_F(ConfigRestartTest, WhatIsMissingIsNamedAsItIsUntilItAppears) {
  create(deployment());
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"no app"});
  make_config("one");
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"one"});
  EXPECT_EQ(revision(), "2");
}

TEST_F(ConfigRestartTest, TokensOfServiceAccountsAreLeftAlone) {
  make_config("one");
  Secret token = secret("t");
  token.set_type("kubernetes.io/service-account-token");
  ASSERT_TRUE(kernel_.create("secrets", token));
  create(deployment());
  settle();
  EXPECT_EQ(kernel_.list<kube::Pod>("pods", "default").front().spec().volumes(0).volumesource().secret().secretname(),
            "db");
}

TEST_F(ConfigRestartTest, SnapshotsGoWithTheHistory) {
  make_config("0");
  create(deployment());
  settle();
  for (int i = 1; i <= 6; ++i) {
    set_config(std::to_string(i));
    settle();
  }
  edit([](Deployment& object) { (*object.mutable_metadata()->mutable_annotations())["touched"] = "yes"; });
  settle();
  EXPECT_EQ(sets().size(), 3u);
  std::set<std::string> kept;
  for (const ConfigMap& snapshot : snapshots()) kept.insert(snapshot.data().at("key"));
  EXPECT_EQ(kept, (std::set<std::string>{"4", "5", "6"}));
}

TEST_F(ConfigRestartTest, ASnapshotThatSomebodyDeletedIsMadeAgain) {
  make_config("one");
  create(deployment());
  settle();
  ASSERT_TRUE(kernel_.remove("configmaps", "default", snapshots().front().metadata().name()));
  settle();
  EXPECT_EQ(snapshots().size(), 1u);
  EXPECT_EQ(values(), std::set<std::string>{"one"});
}

TEST_F(ConfigRestartTest, WithoutTheAnnotationNothingOfItIsLeftInTheTemplate) {
  make_config("one");
  create(deployment());
  settle();
  edit([](Deployment& object) { object.mutable_metadata()->mutable_annotations()->erase(kRestartOnConfigChange); });
  settle();
  EXPECT_FALSE(stored().spec().template_().metadata().annotations().contains(kConfigAnnotation));
  const auto pod = kernel_.list<kube::Pod>("pods", "default").front();
  EXPECT_EQ(pod.spec().containers(0).envfrom(0).configmapref().localobjectreference().name(), "app");
  set_config("two");
  settle();
  EXPECT_EQ(revision(), "2");
}

TEST_F(ConfigRestartTest, ThatASnapshotIsRefusedIsTold) {
  make_config("one");
  kernel_.on_admit([](const v1::Review& review) {
    v1::Verdict verdict;
    if (review.write().key().kind() == "configmaps") {
      verdict.mutable_status()->set_code(static_cast<int>(Code::kForbidden));
      verdict.mutable_status()->set_message("exceeded quota");
    }
    return verdict;
  });
  create(deployment());
  controllers_.run_until_idle();
  EXPECT_TRUE(sets().empty());
  const auto events = kernel_.list<Event>("events", "default");
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& event) {
    return event.message() == "Configuration cannot be kept: exceeded quota";
  }));
}

TEST_F(ConfigRestartTest, GoesOnAfterFaults) {
  make_config("one");
  create(deployment());
  kernel_.conflict_commits(2);
  kernel_.lose_answers({Code::kUnavailable, "lost"}, 2);
  settle();
  kernel_.fail_reads({Code::kUnavailable, "away"}, 2);
  set_config("two");
  kernel_.lose_answers({Code::kUnavailable, "lost"}, 1);
  settle();
  kernel_.advance(10s);
  settle();
  EXPECT_EQ(values(), std::set<std::string>{"two"});
  EXPECT_EQ(snapshots().size(), 2u);
}

}  // namespace
}  // namespace orlop::workload
