// Static pods: what files say, the folder over time, and the objects that stand for them.
#include "plugins/node-agent/static_pods/static_pods.hpp"

#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/api.pb.h"
#include "plugins/node-agent/static_pods/mirror_pods.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kWeb[] = R"(apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: c, image: web}]
)";

TEST(Manifest, GivesThePodItsNodesName) {
  const auto pods = read_manifest(kWeb, "/m/web.yaml", "n1");
  ASSERT_EQ(pods.size(), 1u);
  ASSERT_TRUE(pods[0].status) << pods[0].status.message();
  const kube::Pod& pod = pods[0].pod;
  EXPECT_EQ(pod.metadata().name(), "web-n1");
  EXPECT_EQ(pod.metadata().namespace_(), "default");
  EXPECT_EQ(pod.spec().nodename(), "n1");
  EXPECT_EQ(pod.metadata().uid().size(), 32u);
  EXPECT_EQ(pod.metadata().annotations().at("kubernetes.io/config.source"), "file");
  EXPECT_EQ(pod.metadata().annotations().at("kubernetes.io/config.hash"), pod.metadata().uid());
  EXPECT_EQ(pod.spec().tolerations(0).effect(), "NoExecute");
  const std::string uid = pod.metadata().uid();
  EXPECT_EQ(read_manifest(std::string("# a comment\n") + kWeb, "/m/web.yaml", "n1")[0].pod.metadata().uid(), uid);
  EXPECT_NE(read_manifest(kWeb, "/m/other.yaml", "n1")[0].pod.metadata().uid(), uid);
  EXPECT_NE(read_manifest(kWeb, "/m/web.yaml", "n2")[0].pod.metadata().uid(), uid);
}

TEST(Manifest, TellsWhatIsWrongAndWhere) {
  const std::string text = std::string(kWeb) + R"(---
apiVersion: v1
kind: Service
metadata: {name: x}
---
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j"}, "spec": {"containers": 7}}
---
apiVersion: v1
kind: Pod
metadata: {namespace: a}
---
apiVersion: v1
kind: Pod
metadata: {name: odd}
spec: {color: red, containers: []}
)";
  const auto pods = read_manifest(text, "/m/f", "n1");
  ASSERT_EQ(pods.size(), 5u);
  EXPECT_TRUE(pods[0].status);
  EXPECT_EQ(pods[1].line, 7);
  EXPECT_EQ(pods[1].status.message(), "a static pod is a v1 Pod, not apiVersion \"v1\", kind \"Service\"");
  EXPECT_THAT(pods[2].status.message(), HasSubstr("cannot unmarshal number"));
  EXPECT_EQ(pods[3].status.message(), "metadata.name: Required value");
  EXPECT_THAT(pods[4].warnings, ElementsAre("unknown field \"spec.color\""));
  EXPECT_THAT(read_manifest("a: [b", "/m/f", "n1")[0].status.message(), HasSubstr("yaml: line"));
}

class StaticPodsTest : public ::testing::Test {
 protected:
  StaticPodsTest() {
    kernel_.provide("api", [this](const v1::CallTarget&, const std::string& payload, testing::FakeKernel::Reply reply) {
      reply(admit(payload));
    });
  }
  ~StaticPodsTest() override { fs::remove_all(folder_); }
  static std::string make_folder() {
    char name[] = "/tmp/orlop-agent-XXXXXX";
    return ::mkdtemp(name);
  }
  // As the API: defaults, and words for what is not a pod.
  Result<std::string> admit(const std::string& payload) {
    if (is_away_) return Status(Code::kUnavailable, "it is away");
    v1::AdmitRequest request;
    request.ParseFromString(payload);
    kube::Pod pod;
    pod.ParseFromString(request.reviews(0).write().value());
    v1::AdmitResponse answer;
    auto& verdict = *answer.add_verdicts();
    if (pod.metadata().namespace_() == "absent") {
      *verdict.mutable_status() = to_message(Status(Code::kNotFound, "namespaces \"absent\" not found"));
    } else if (pod.spec().containers().empty()) {
      *verdict.mutable_status() = to_message(Status(Code::kInvalid, "spec.containers: Required value"));
    }
    EXPECT_TRUE(is_mirror(pod));
    pod.mutable_spec()->set_restartpolicy("Always");
    pod.SerializeToString(verdict.mutable_value());
    return answer.SerializeAsString();
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ + "/" + name) << text; }
  std::set<ObjectKey> read() {
    changed_.clear();
    settled_ = pods_.read();
    return changed_;
  }

  testing::FakeKernel kernel_;
  std::string folder_ = make_folder();
  bool is_away_ = false;
  bool settled_ = false;
  std::set<ObjectKey> changed_;
  StaticPods pods_{kernel_.host(), folder_, "n1", [this](const std::set<ObjectKey>& keys) { changed_ = keys; }};
  const ObjectKey web_{"default", "web-n1"};
};

TEST_F(StaticPodsTest, ComeChangeAndGo) {
  write("web.yaml", kWeb);
  write(".web.yaml.swp", "nonsense");
  EXPECT_THAT(read(), ElementsAre(web_));
  ASSERT_NE(pods_.find(web_), nullptr);
  EXPECT_EQ(pods_.find(web_)->spec().restartpolicy(), "Always");
  const std::string first = pods_.find(web_)->metadata().uid();
  EXPECT_THAT(read(), IsEmpty());
  std::string changed = kWeb;
  changed.replace(changed.find("image: web"), 10, "image: w-2");
  write("web.yaml", changed);
  EXPECT_THAT(read(), ElementsAre(web_));
  const std::string second = pods_.find(web_)->metadata().uid();
  EXPECT_NE(first, second);
  EXPECT_EQ(pods_.leaving(web_)->metadata().uid(), first);
  EXPECT_THAT(*pods_.uids(), ::testing::UnorderedElementsAre(first, second));
  pods_.has_left(first);
  EXPECT_EQ(pods_.leaving(web_), nullptr);
  fs::remove(folder_ + "/web.yaml");
  EXPECT_THAT(read(), ElementsAre(web_));
  EXPECT_EQ(pods_.find(web_), nullptr);
  EXPECT_EQ(pods_.leaving(web_)->metadata().uid(), second);
}

TEST_F(StaticPodsTest, ABadFileIsToldOnceAndKeepsNothingAway) {
  write("a.yaml", "kind: [");
  write("b.yaml", kWeb);
  write("c.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: c}\n");
  EXPECT_THAT(read(), ElementsAre(web_));
  EXPECT_TRUE(kernel_.logged("static pod manifest " + folder_ + "/a.yaml:1: "));
  EXPECT_TRUE(kernel_.logged("/c.yaml:1: spec.containers: Required value"));
  const size_t lines = kernel_.logs().size();
  read();
  EXPECT_EQ(kernel_.logs().size(), lines);
  // What runs stays while its file is bad.
  write("b.yaml", "kind: [");
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_NE(pods_.find(web_), nullptr);
}

TEST_F(StaticPodsTest, WaitForTheApi) {
  is_away_ = true;
  write("web.yaml", kWeb);
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_FALSE(settled_);
  EXPECT_EQ(pods_.uids().code(), Code::kUnavailable);
  is_away_ = false;
  EXPECT_THAT(read(), ElementsAre(web_));
  EXPECT_TRUE(settled_);
}

TEST_F(StaticPodsTest, RunWithoutTheirNamespace) {
  std::string text = kWeb;
  text.replace(text.find("{name: web}"), 11, "{name: web, namespace: absent}");
  write("web.yaml", text);
  EXPECT_THAT(read(), ElementsAre(ObjectKey{"absent", "web-n1"}));
}

TEST(MirrorPodsTest, StandForWhatRuns) {
  testing::FakeKernel kernel;
  const MirrorPods mirrors(kernel.host());
  kube::Pod pod = read_manifest(kWeb, "/m/web.yaml", "n1")[0].pod;
  std::string why;
  auto mirror = mirrors.ensure(pod, why);
  ASSERT_TRUE(mirror);
  ASSERT_TRUE(*mirror) << why;
  const std::string uid = (*mirror)->object.metadata().uid();
  EXPECT_NE(uid, pod.metadata().uid());
  EXPECT_EQ((*mirror)->object.metadata().annotations().at(kConfigMirror), pod.metadata().uid());
  EXPECT_EQ((*mirrors.ensure(pod, why))->object.metadata().uid(), uid);
  // Another content is another mirror.
  pod.mutable_metadata()->set_uid("other");
  EXPECT_NE((*mirrors.ensure(pod, why))->object.metadata().uid(), uid);
  ASSERT_TRUE(kernel.remove("pods", "default", "web-n1"));
  EXPECT_TRUE((*mirrors.ensure(pod, why)).has_value());
  ASSERT_TRUE(mirrors.remove((*mirrors.ensure(pod, why))->object));
  EXPECT_THAT(kernel.list<kube::Pod>("pods"), IsEmpty());
  // Somebody else's pod is left alone.
  kube::Pod own;
  own.mutable_metadata()->set_name("web-n1");
  own.mutable_metadata()->set_namespace_("default");
  ASSERT_TRUE(kernel.create("pods", own));
  EXPECT_FALSE((*mirrors.ensure(pod, why)).has_value());
  EXPECT_THAT(why, HasSubstr("not its mirror"));
}

}  // namespace
}  // namespace orlop::agent
