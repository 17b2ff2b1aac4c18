// Volumes that outlive the pod: what a pod waits for, where its volumes lead, what is given back.
#include "plugins/node-agent/volumes/claims.hpp"

#include "orlop/rpc.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/storage.pb.h"
#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/volumes/recycle.hpp"
#include "plugins/node-agent/volumes/test_pods.hpp"
#include "plugins/node-agent/volumes/volumes.hpp"

#include <map>
#include <set>

#include <gmock/gmock.h>

namespace orlop::agent {
namespace {

namespace core = k8s::io::api::core::v1;
namespace fs = std::filesystem;
using storage::Claim;
using storage::PersistentVolume;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Controller = google::protobuf::RpcController;
using Closure = google::protobuf::Closure;

class FakeDriver final : public v1::StorageController {
 public:
  void GetInfo(Controller*, const v1::StorageInfoRequest*, v1::StorageInfoResponse* response, Closure* done) override {
    response->set_driver("d");
    response->set_stages(stages);
    done->Run();
  }
  bool stages = false;
};

class FakeDriverNode final : public v1::StorageNode {
 public:
  void StageVolume(Controller*, const v1::StageVolumeRequest* request, v1::StageVolumeResponse*,
                   Closure* done) override {
    staged.insert(request->staging_path());
    done->Run();
  }
  void UnstageVolume(Controller*, const v1::UnstageVolumeRequest* request, v1::UnstageVolumeResponse*,
                     Closure* done) override {
    staged.erase(request->staging_path());
    done->Run();
  }
  void PublishVolume(Controller* controller, const v1::PublishVolumeRequest* request, v1::PublishVolumeResponse*,
                     Closure* done) override {
    if (!fails) {
      CallController::of(controller).fail(fails);
    } else {
      fs::create_directory(request->target_path());
      published[request->target_path()] = *request;
    }
    done->Run();
  }
  void UnpublishVolume(Controller* controller, const v1::UnpublishVolumeRequest* request, v1::UnpublishVolumeResponse*,
                       Closure* done) override {
    if (!fails) {
      CallController::of(controller).fail(fails);
    } else {
      published.erase(request->target_path());
    }
    done->Run();
  }
  std::map<std::string, v1::PublishVolumeRequest> published;
  std::set<std::string> staged;
  Status fails;
};

class ClaimsTest : public ::testing::Test {
 protected:
  ClaimsTest() {
    config_.pods_folder = folder_ / "pods";
    fs::create_directory(config_.pods_folder);
    kernel_.provide("storage",
                    [this](const v1::CallTarget& target, const std::string& payload, testing::FakeKernel::Reply reply) {
                      const bool of_node = target.method().find("StorageNode/") != std::string::npos;
                      serve(of_node ? static_cast<google::protobuf::Service&>(node_) : driver_, target, payload, reply);
                    });
    core::Node node;
    node.mutable_metadata()->set_name("n1");
    (*node.mutable_metadata()->mutable_labels())["kubernetes.io/hostname"] = "n1";
    EXPECT_TRUE(kernel_.create("nodes", node));
    restart();
  }
  static void serve(google::protobuf::Service& service, const v1::CallTarget& target, const std::string& payload,
                    const testing::FakeKernel::Reply& reply) {
    const auto* method =
        service.GetDescriptor()->FindMethodByName(target.method().substr(target.method().find('/') + 1));
    const std::unique_ptr<google::protobuf::Message> request(service.GetRequestPrototype(method).New());
    const std::unique_ptr<google::protobuf::Message> response(service.GetResponsePrototype(method).New());
    ASSERT_TRUE(request->ParseFromString(payload));
    CallController controller(0);
    service.CallMethod(method, &controller, request.get(), response.get(),
                       google::protobuf::NewCallback(&google::protobuf::DoNothing));
    if (controller.Failed()) {
      reply(controller.status());
    } else {
      reply(response->SerializeAsString());
    }
  }
  void restart() { volumes_ = std::make_unique<Volumes>(kernel_.host(), config_, machine_, mounter_); }
  void add_pair(const std::string& source, const std::string& mode = "ReadWriteOnce", const std::string& more = "") {
    Claim claim;
    EXPECT_TRUE(kube::from_json(R"({"metadata":{"name":"c","namespace":"default","uid":"cu","annotations":
        {"pv.kubernetes.io/bind-completed":"yes"}},"spec":{"volumeName":"pv","accessModes":[")" +
                                    mode + R"("]},"status":{"phase":"Bound"}})",
                                claim));
    const Claim made = *kernel_.create("persistentvolumeclaims", claim);
    PersistentVolume volume;
    EXPECT_TRUE(kube::from_json(R"({"metadata":{"name":"pv"},"spec":{)" + source + more +
                                    R"(,"claimRef":{"namespace":"default","name":"c","uid":")" + made.metadata().uid() +
                                    R"("}},"status":{"phase":"Bound"}})",
                                volume));
    EXPECT_TRUE(kernel_.create("persistentvolumes", volume));
  }
  static kube::Pod pod_with(const std::string& more = "", const std::string& mount = "") {
    return pod_from(R"("nodeName":"n1","volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c")" + more +
                    R"(}}],"containers":[{"name":"c","volumeMounts":[{"name":"v","mountPath":"/v")" + mount + "}]}]");
  }
  static kube::Pod other_pod(kube::Pod pod) {
    pod.mutable_metadata()->set_name("q");
    pod.mutable_metadata()->set_uid("u2");
    return pod;
  }
  std::string prepared(const kube::Pod& pod) { return volumes_->prepare(pod).message(); }
  Mount mount_of(const kube::Pod& pod) {
    auto mounts = volumes_->mounts(pod, pod.spec().containers(0), {}, false);
    EXPECT_TRUE(mounts) << mounts.message();
    return mounts ? mounts->front() : Mount();
  }
  static constexpr char kHead[] =
      "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: "
      "error processing PVC default/c: ";
  static constexpr char kDriver[] = R"("csi":{"driver":"d","volumeHandle":"id","volumeAttributes":{"a":"b"}})";

  TemporaryFolder folder_;
  testing::FakeKernel kernel_;
  FakeDriver driver_;
  FakeDriverNode node_;
  AgentConfig config_;
  Machine machine_;
  NotingMounter mounter_;
  std::unique_ptr<Volumes> volumes_;
};

TEST_F(ClaimsTest, APodWaitsForItsClaimAndIsTold) {
  const kube::Pod pod = pod_with();
  EXPECT_EQ(prepared(pod),
            std::string(kHead) + "failed to fetch PVC from API server: persistentvolumeclaim \"c\" not found");
  EXPECT_EQ(volumes_->claim_changed({"default", "c"}).size(), 1u);
  EXPECT_THAT(volumes_->claim_changed({"default", "other"}), IsEmpty());
  Claim claim;
  claim.mutable_metadata()->set_name("c");
  claim.mutable_metadata()->set_namespace_("default");
  ASSERT_TRUE(kernel_.create("persistentvolumeclaims", claim));
  EXPECT_EQ(prepared(pod), std::string(kHead) + "PVC is not bound");
  ASSERT_TRUE(kernel_.remove("persistentvolumeclaims", "default", "c"));
  fs::create_directory(folder_ / "data");
  add_pair(R"("hostPath":{"path":")" + folder_ / "data" + R"("})");
  EXPECT_EQ(prepared(pod), "");
  EXPECT_THAT(volumes_->claim_changed({"default", "c"}), IsEmpty());
}

TEST_F(ClaimsTest, HostPathsAndLocalFoldersLeadThere) {
  fs::create_directory(folder_ / "data");
  add_pair(R"("local":{"path":")" + folder_ / "data" + R"("})");
  EXPECT_EQ(prepared(pod_with()), "");
  EXPECT_EQ(mount_of(pod_with()).host_path, folder_ / "data");
  EXPECT_FALSE(mount_of(pod_with()).read_only);
  ASSERT_TRUE(volumes_->remove("u"));
  EXPECT_TRUE(fs::exists(folder_ / "data"));
}

TEST_F(ClaimsTest, AMissingLocalFolderIsTold) {
  add_pair(R"("local":{"path":"/nowhere/at/all"})");
  EXPECT_EQ(prepared(pod_with()),
            "MountVolume.NewMounter initialization failed for volume \"pv\" : path \"/nowhere/at/all\" does not exist");
}

TEST_F(ClaimsTest, AVolumeOfAnotherNodeIsRefused) {
  add_pair(kDriver, "ReadWriteOnce",
           R"(,"nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[
             {"key":"kubernetes.io/hostname","operator":"In","values":["n2"]}]}]}})");
  EXPECT_EQ(prepared(pod_with()),
            "MountVolume.NodeAffinity check failed for volume \"pv\" : no matching NodeSelectorTerms");
  EXPECT_THAT(node_.published, IsEmpty());
}

TEST_F(ClaimsTest, ADriversVolumeIsPublishedAndGivenBack) {
  add_pair(kDriver);
  const kube::Pod pod = pod_with(R"(,"readOnly":true)");
  EXPECT_EQ(prepared(pod), "");
  const std::string target = config_.pods_folder + "/u/volumes/v";
  ASSERT_TRUE(node_.published.contains(target));
  EXPECT_EQ(node_.published[target].id(), "id");
  EXPECT_EQ(node_.published[target].context().at("a"), "b");
  EXPECT_TRUE(node_.published[target].read_only());
  EXPECT_EQ(mount_of(pod).host_path, target);
  EXPECT_TRUE(mount_of(pod).read_only);
  restart();
  ASSERT_TRUE(volumes_->remove("u"));
  EXPECT_THAT(node_.published, IsEmpty());
  EXPECT_FALSE(fs::exists(config_.pods_folder + "/u"));
}

TEST_F(ClaimsTest, AFailingDriverIsToldInItsWordsAndTriedAgain) {
  add_pair(kDriver);
  node_.fails = Status(Code::kInternal, "no such server");
  EXPECT_EQ(prepared(pod_with()), "MountVolume.SetUp failed for volume \"pv\" : no such server");
  node_.fails = Status::ok();
  EXPECT_EQ(prepared(pod_with()), "");
  node_.fails = Status(Code::kUnavailable, "busy");
  EXPECT_EQ(volumes_->remove("u").message(), "UnmountVolume.TearDown failed for volume \"v\" : busy");
  EXPECT_TRUE(fs::exists(config_.pods_folder + "/u/claims/v"));
  node_.fails = Status::ok();
  EXPECT_TRUE(volumes_->remove("u"));
}

TEST_F(ClaimsTest, AStagedVolumeIsStagedOnceAndLeftByTheLast) {
  driver_.stages = true;
  add_pair(kDriver);
  EXPECT_EQ(prepared(pod_with()), "");
  EXPECT_EQ(prepared(other_pod(pod_with())), "");
  EXPECT_EQ(node_.staged.size(), 1u);
  EXPECT_EQ(node_.published[config_.pods_folder + "/u/volumes/v"].staging_path(), *node_.staged.begin());
  ASSERT_TRUE(volumes_->remove("u"));
  EXPECT_EQ(node_.staged.size(), 1u);
  restart();
  ASSERT_TRUE(volumes_->remove("u2"));
  EXPECT_THAT(node_.staged, IsEmpty());
}

TEST_F(ClaimsTest, OncePodIsOnceAlsoAfterARestart) {
  fs::create_directory(folder_ / "data");
  add_pair(R"("hostPath":{"path":")" + folder_ / "data" + R"("})", "ReadWriteOncePod");
  EXPECT_EQ(prepared(pod_with()), "");
  const std::string refusal =
      "MountVolume.SetUp failed for volume \"pv\" : volume uses the ReadWriteOncePod access mode and is already in use "
      "by another pod";
  EXPECT_EQ(prepared(other_pod(pod_with())), refusal);
  restart();
  EXPECT_EQ(prepared(other_pod(pod_with())), refusal);
  EXPECT_EQ(prepared(pod_with()), "");
  ASSERT_TRUE(volumes_->remove("u"));
  EXPECT_EQ(prepared(other_pod(pod_with())), "");
}

TEST_F(ClaimsTest, AClaimThatIsGoingTakesNoNewPod) {
  fs::create_directory(folder_ / "data");
  add_pair(R"("hostPath":{"path":")" + folder_ / "data" + R"("})");
  EXPECT_EQ(prepared(pod_with()), "");
  Claim held = *kernel_.get<Claim>("persistentvolumeclaims", "default", "c");
  held.mutable_metadata()->add_finalizers("kubernetes.io/pvc-protection");
  ASSERT_TRUE(kernel_.update("persistentvolumeclaims", held));
  ASSERT_TRUE(kernel_.remove("persistentvolumeclaims", "default", "c"));
  restart();
  EXPECT_EQ(prepared(pod_with()), "");
  EXPECT_EQ(prepared(other_pod(pod_with())), std::string(kHead) + "PVC is being deleted");
}

TEST_F(ClaimsTest, BlockVolumesAndUnknownKindsAreRefused) {
  add_pair(R"("hostPath":{"path":"/dev/null"},"volumeMode":"Block")");
  EXPECT_EQ(prepared(pod_with()),
            std::string(kHead) + "volume v has volumeMode Block, which this node does not give to containers");
}

TEST_F(ClaimsTest, OtherSourcesAreRefused) {
  add_pair(R"("nfs":{"server":"s","path":"/p"})");
  EXPECT_EQ(prepared(pod_with()),
            "MountVolume.SetUp failed for volume \"pv\" : no plugin on this node mounts this type of volume");
}

TEST_F(ClaimsTest, PathsBelowAreSafe) {
  add_pair(kDriver);
  const kube::Pod pod = pod_with("", R"(,"subPath":"a/b")");
  EXPECT_EQ(prepared(pod), "");
  const std::string own = config_.pods_folder + "/u/volume-subpaths/v/c/0";
  EXPECT_EQ(mount_of(pod).host_path, own);
  EXPECT_EQ(mounter_.mounted[own], "bind " + config_.pods_folder + "/u/volumes/v/a/b");
  const kube::Pod out = pod_with("", R"(,"subPath":"out")");
  fs::create_directory_symlink("/etc", config_.pods_folder + "/u/volumes/v/out");
  EXPECT_EQ(volumes_->mounts(out, out.spec().containers(0), {}, false).message(),
            "failed to prepare subPath for volumeMount \"v\" of container \"c\"");
}

TEST_F(ClaimsTest, AnEphemeralVolumesClaimMustBeThePodsOwn) {
  fs::create_directory(folder_ / "data");
  add_pair(R"("hostPath":{"path":")" + folder_ / "data" + R"("})");
  Claim own = *kernel_.get<Claim>("persistentvolumeclaims", "default", "c");
  own.mutable_metadata()->set_name("p-v");
  ASSERT_TRUE(kernel_.create("persistentvolumeclaims", own));
  const kube::Pod pod = pod_from(R"("nodeName":"n1","volumes":[{"name":"v","ephemeral":{}}])");
  EXPECT_THAT(prepared(pod), ::testing::HasSubstr("PVC \"default/p-v\" was not created for pod \"default/p\""));
}

class RecycleTest : public ClaimsTest {
 protected:
  std::string add_released(const std::string& path, const std::string& phase = "Released",
                           const std::string& policy = "Recycle") {
    PersistentVolume volume;
    EXPECT_TRUE(kube::from_json(
        R"({"metadata":{"name":"r"},"spec":{"persistentVolumeReclaimPolicy":")" + policy + R"(","hostPath":{"path":")" +
            path + R"("},"claimRef":{"namespace":"default","name":"gone","uid":"x"}},"status":{"phase":")" + phase +
            R"("}})",
        volume));
    return kernel_.create("persistentvolumes", volume)->metadata().uid();
  }
};

TEST_F(RecycleTest, EmptiesTheFolderAndFollowsNothing) {
  fs::create_directories(folder_ / "data/a/b");
  fs::create_directories(folder_ / "outside");
  std::ofstream(folder_ / "outside/kept") << "x";
  std::ofstream(folder_ / "data/a/b/.hidden") << "x";
  fs::create_directory_symlink(folder_ / "outside", folder_ / "data/link");
  const std::string uid = add_released(folder_ / "data");
  EXPECT_TRUE(recycle_volume(kernel_.host(), "r", uid));
  EXPECT_TRUE(fs::is_empty(folder_ / "data"));
  EXPECT_TRUE(fs::exists(folder_ / "outside/kept"));
  EXPECT_TRUE(recycle_volume(kernel_.host(), "r", uid));
  EXPECT_EQ(recycle_volume(kernel_.host(), "r", "other").code(), Code::kNotFound);
}

TEST_F(RecycleTest, EmptiesNothingThatIsInUseOrKept) {
  fs::create_directories(folder_ / "data");
  std::ofstream(folder_ / "data/kept") << "x";
  const std::string bound = add_released(folder_ / "data", "Bound");
  EXPECT_EQ(recycle_volume(kernel_.host(), "r", bound).code(), Code::kConflict);
  ASSERT_TRUE(kernel_.remove("persistentvolumes", "", "r"));
  const std::string retained = add_released(folder_ / "data", "Released", "Retain");
  EXPECT_EQ(recycle_volume(kernel_.host(), "r", retained).code(), Code::kConflict);
  ASSERT_TRUE(kernel_.remove("persistentvolumes", "", "r"));
  const std::string whole = add_released("/../");
  EXPECT_EQ(recycle_volume(kernel_.host(), "r", whole).code(), Code::kConflict);
  EXPECT_TRUE(fs::exists(folder_ / "data/kept"));
}

}  // namespace
}  // namespace orlop::agent
