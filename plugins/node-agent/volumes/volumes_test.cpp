#include "plugins/node-agent/volumes/volumes.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/api.pb.h"
#include "plugins/node-agent/volumes/empty_dir.hpp"
#include "plugins/node-agent/volumes/host_path.hpp"
#include "plugins/node-agent/volumes/hosts_file.hpp"
#include "plugins/node-agent/volumes/test_pods.hpp"

#include <chrono>
#include <vector>

#include <gmock/gmock.h>

namespace orlop::agent {
namespace {

namespace core = k8s::io::api::core::v1;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kMachineBytes = int64_t{4} << 30;

class VolumesTest : public ::testing::Test {
 protected:
  VolumesTest() {
    config_.pods_folder = folder_ / "pods";
    config_.cluster_domain = "cluster.local";
    machine_.memory_bytes = kMachineBytes;
    fs::create_directory(config_.pods_folder);
    kernel_.provide("api", [this](const v1::CallTarget&, const std::string& payload, testing::FakeKernel::Reply reply) {
      if (!issuing_) {
        reply(Status(Code::kUnavailable, "the API is away"));
        return;
      }
      v1::IssueTokenRequest request;
      ASSERT_TRUE(request.ParseFromString(payload));
      v1::IssueTokenResponse response;
      response.set_token("token-" + std::to_string(++issued_) + " for " + request.pod_uid());
      response.set_expires_unix_s(kernel_.wall_now_ns() / 1'000'000'000 + request.expiration_seconds());
      reply(response.SerializeAsString());
    });
    restart();
  }
  void restart() { volumes_ = std::make_unique<Volumes>(kernel_.host(), config_, machine_, mounter_); }
  template <typename Object>
  Object make(const std::string& name, const std::string& key, const std::string& value) {
    Object out;
    out.mutable_metadata()->set_name(name);
    out.mutable_metadata()->set_namespace_("default");
    (*out.mutable_data())[key] = value;
    return out;
  }
  std::string file(const std::string& path) { return content_of(config_.pods_folder + "/u/volumes/" + path); }
  std::string prepared(const kube::Pod& pod) {
    auto done = volumes_->prepare(pod);
    if (!done) return done.message();
    return done->stale.empty() ? "" : done->stale.front();
  }
  static std::vector<std::string> names(const std::vector<ObjectKey>& keys) {
    std::vector<std::string> out;
    for (const ObjectKey& key : keys) out.push_back(key.text());
    return out;
  }
  // What the agent would do upon a change.
  std::vector<std::string> tell(bool is_secret, const std::string& name) {
    return names(volumes_->object_changed({is_secret, "default", name}));
  }

  TemporaryFolder folder_;
  testing::FakeKernel kernel_;
  AgentConfig config_;
  Machine machine_;
  NotingMounter mounter_;
  bool issuing_ = true;
  int issued_ = 0;
  std::unique_ptr<Volumes> volumes_;
};

TEST_F(VolumesTest, AChangedConfigMapReachesThePodsThatUseItAndNoOther) {
  ASSERT_TRUE(kernel_.create("configmaps", make<core::ConfigMap>("m", "k", "1")));
  const kube::Pod pod = pod_from(R"("volumes":[{"name":"v","configMap":{"name":"m"}}])");
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(file("v/k"), "1");
  ASSERT_TRUE(kernel_.update("configmaps", make<core::ConfigMap>("m", "k", "2")));
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(file("v/k"), "1") << "looked at without having been told";
  EXPECT_THAT(tell(false, "other"), IsEmpty());
  EXPECT_THAT(tell(true, "m"), IsEmpty());
  EXPECT_THAT(tell(false, "m"), ElementsAre("default/p"));
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(file("v/k"), "2");
  ASSERT_TRUE(volumes_->remove("u"));
  EXPECT_THAT(tell(false, "m"), IsEmpty());
  EXPECT_FALSE(fs::exists(config_.pods_folder + "/u"));
}

TEST_F(VolumesTest, WhatIsMissingIsMendedOnceItComes) {
  const kube::Pod pod = pod_from(R"("volumes":[{"name":"v","configMap":{"name":"m"}}])");
  EXPECT_EQ(prepared(pod), "MountVolume.SetUp failed for volume \"v\" : configmap \"m\" not found");
  ASSERT_TRUE(kernel_.create("configmaps", make<core::ConfigMap>("m", "k", "1")));
  EXPECT_THAT(tell(false, "m"), ElementsAre("default/p"));
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(file("v/k"), "1");
}

TEST_F(VolumesTest, APodKeepsWhatItHasWhenItsObjectGoes) {
  ASSERT_TRUE(kernel_.create("secrets", make<core::Secret>("s", "k", "1")));
  const kube::Pod pod = pod_from(R"("volumes":[{"name":"v","secret":{"secretName":"s"}}])");
  EXPECT_EQ(prepared(pod), "");
  EXPECT_THAT(mounter_.mounted[config_.pods_folder + "/u/volumes/v"], ::testing::StartsWith("tmpfs size="));
  ASSERT_TRUE(kernel_.remove("secrets", "default", "s"));
  tell(true, "s");
  auto done = volumes_->prepare(pod);
  ASSERT_TRUE(done);
  EXPECT_THAT(done->stale, ElementsAre("MountVolume.SetUp failed for volume \"v\" : secret \"s\" not found"));
  EXPECT_GT(done->again_at_ns, 0);
  EXPECT_EQ(file("v/k"), "1");
}

TEST_F(VolumesTest, ImmutableOnesAreNotWatched) {
  auto map = make<core::ConfigMap>("m", "k", "1");
  map.set_immutable(true);
  ASSERT_TRUE(kernel_.create("configmaps", map));
  EXPECT_EQ(prepared(pod_from(R"("volumes":[{"name":"v","configMap":{"name":"m"}}])")), "");
  EXPECT_THAT(tell(false, "m"), IsEmpty());
}

TEST_F(VolumesTest, LabelsAreFollowed) {
  const std::string spec =
      R"("volumes":[{"name":"v","downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}}]}}])";
  EXPECT_EQ(prepared(pod_from(spec, R"(,"labels":{"a":"1"})")), "");
  EXPECT_EQ(file("v/l"), "a=\"1\"");
  EXPECT_EQ(prepared(pod_from(spec, R"(,"labels":{"a":"2"})")), "");
  EXPECT_EQ(file("v/l"), "a=\"2\"");
}

TEST_F(VolumesTest, TokensAreRenewedAtFourFifths) {
  const kube::Pod pod = pod_from(R"("volumes":[{"name":"v","projected":{"sources":[
      {"serviceAccountToken":{"path":"t","expirationSeconds":1000}}]}}])");
  auto done = volumes_->prepare(pod);
  ASSERT_TRUE(done) << done.message();
  EXPECT_EQ(file("v/t"), "token-1 for u");
  EXPECT_EQ(done->again_at_ns - kernel_.monotonic_now_ns(), 800'000'000'000);
  kernel_.advance(799s);
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(issued_, 1);
  kernel_.advance(1s);
  issuing_ = false;
  EXPECT_EQ(prepared(pod), "MountVolume.SetUp failed for volume \"v\" : failed to fetch token: the API is away");
  EXPECT_EQ(file("v/t"), "token-1 for u");
  issuing_ = true;
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(file("v/t"), "token-2 for u");
}

TEST_F(VolumesTest, MountsAreFoundAgainAfterARestart) {
  ASSERT_TRUE(kernel_.create("secrets", make<core::Secret>("s", "k", "1")));
  const kube::Pod pod = pod_from(
      R"("volumes":[{"name":"v","secret":{"secretName":"s"}},
      {"name":"e","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}}])");
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(mounter_.mounted[config_.pods_folder + "/u/volumes/e"], "tmpfs size=1048576,noswap");
  const auto before = mounter_.mounted;
  mounter_.refused_option = "tmpfs";
  restart();
  EXPECT_THAT(volumes_->known_pods(), ElementsAre("u"));
  EXPECT_FALSE(volumes_->is_in_use("u"));
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(mounter_.mounted, before);
}

TEST_F(VolumesTest, ContainersThatWaitForVariablesAreTold) {
  const kube::Pod pod = pod_from(
      R"("containers":[{"name":"c","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}])");
  EXPECT_EQ(prepared(pod), "");
  EXPECT_THAT(tell(true, "s"), IsEmpty());
  volumes_->wait_for_variables(pod);
  EXPECT_FALSE(volumes_->take_retry("u"));
  EXPECT_THAT(tell(true, "s"), ElementsAre("default/p"));
  EXPECT_TRUE(volumes_->take_retry("u"));
  EXPECT_FALSE(volumes_->take_retry("u"));
  EXPECT_THAT(tell(true, "s"), IsEmpty());
}

TEST_F(VolumesTest, WhereMountsLead) {
  fs::create_directories(folder_ / "host/a");
  const kube::Pod pod =
      pod_from(R"("volumes":[{"name":"e","emptyDir":{}},{"name":"h","hostPath":{"path":")" + folder_ / "host" + R"("}}],
      "containers":[{"name":"c","volumeMounts":[{"name":"e","mountPath":"/e","subPathExpr":"$(WHO)/x"},
      {"name":"h","mountPath":"rel","readOnly":true,"recursiveReadOnly":"IfPossible"}]}])");
  EXPECT_EQ(prepared(pod), "");
  const Container& container = pod.spec().containers(0);
  auto mounts = volumes_->mounts(pod, container, {{"WHO", "me"}}, true);
  ASSERT_TRUE(mounts) << mounts.message();
  const std::string own = config_.pods_folder + "/u/volume-subpaths/e/c/0";
  EXPECT_EQ((*mounts)[0].host_path, own);
  EXPECT_EQ(mounter_.mounted[own], "bind " + config_.pods_folder + "/u/volumes/e/me/x");
  EXPECT_EQ((*mounts)[1].host_path, folder_ / "host");
  EXPECT_EQ((*mounts)[1].container_path, "/rel");
  EXPECT_TRUE((*mounts)[1].recursive_read_only);
  EXPECT_FALSE((*volumes_->mounts(pod, container, {{"WHO", "me"}}, false))[1].recursive_read_only);
  EXPECT_EQ(volumes_->mounts(pod, container, {}, false).message(), "missing value for \"WHO\"");
  EXPECT_EQ(volumes_->mounts(pod, container, {{"WHO", ".."}}, false).message(),
            "unable to provision SubPath `../x`: must not contain '..'");
  fs::create_directory_symlink(folder_ / "host", config_.pods_folder + "/u/volumes/e/out");
  EXPECT_EQ(volumes_->mounts(pod, container, {{"WHO", "out"}}, false).message(),
            "failed to prepare subPath for volumeMount \"e\" of container \"c\"");
}

TEST_F(VolumesTest, RecursiveReadOnlyIsRefusedWhereItCannotBe) {
  const kube::Pod pod = pod_from(R"("volumes":[{"name":"e","emptyDir":{}}],"containers":[{"name":"c","volumeMounts":[
      {"name":"e","mountPath":"/e","readOnly":true,"recursiveReadOnly":"Enabled"}]}])");
  EXPECT_EQ(prepared(pod), "");
  EXPECT_EQ(
      volumes_->mounts(pod, pod.spec().containers(0), {}, false).message(),
      "failed to resolve recursive read-only mode: volume \"e\" requested recursive read-only mode, but it is not "
      "supported by the runtime");
}

TEST(EmptyDir, IsNoLargerThanThePodMayBe) {
  core::EmptyDirVolumeSource source;
  const kube::Pod open = pod_from(R"("containers":[{"name":"c"}])");
  const kube::Pod limited = pod_from(R"("containers":[{"name":"a","resources":{"limits":{"memory":"1Mi"}}},
      {"name":"b","resources":{"limits":{"memory":"2Mi"}}}])");
  EXPECT_EQ(memory_volume_bytes(open, source, kMachineBytes), kMachineBytes);
  EXPECT_EQ(memory_volume_bytes(limited, source, kMachineBytes), 3 << 20);
  source.mutable_sizelimit()->set_string("1Mi");
  EXPECT_EQ(memory_volume_bytes(limited, source, kMachineBytes), 1 << 20);
  source.mutable_sizelimit()->set_string("8Gi");
  EXPECT_EQ(memory_volume_bytes(open, source, kMachineBytes), kMachineBytes);
}

TEST(EmptyDir, OfHugePages) {
  const TemporaryFolder folder;
  NotingMounter mounter;
  core::EmptyDirVolumeSource source;
  source.set_medium("HugePages");
  EXPECT_FALSE(make_empty_dir(mounter, pod_from(R"("containers":[{"name":"c"}])"), source, folder / "v", 1));
  const kube::Pod pod = pod_from(R"("containers":[{"name":"c","resources":{"requests":{"hugepages-2Mi":"4Mi"}}}])");
  ASSERT_TRUE(make_empty_dir(mounter, pod, source, folder / "v", 1));
  EXPECT_EQ(mounter.mounted[folder / "v"], "hugetlbfs mode=0777,pagesize=2097152");
  source.set_medium("Tape");
  EXPECT_EQ(make_empty_dir(mounter, pod, source, folder / "w", 1).message(), "unknown storage medium \"Tape\"");
}

TEST(HostPath, IsWhatItsTypeSays) {
  const TemporaryFolder folder;
  core::HostPathVolumeSource source;
  const auto check = [&](const std::string& path, const std::string& type) {
    source.set_path(path);
    source.set_type(type);
    return check_host_path(source).message();
  };
  EXPECT_EQ(check(folder / "none", ""), "");
  EXPECT_EQ(check(folder / "none", "Directory"), "hostPath " + folder / "none" + " doesn't exist");
  EXPECT_EQ(check(folder / "d/e", "DirectoryOrCreate"), "");
  EXPECT_TRUE(fs::is_directory(folder / "d/e"));
  EXPECT_EQ(check(folder / "d/f", "FileOrCreate"), "");
  EXPECT_EQ(check(folder / "d/f", "File"), "");
  EXPECT_EQ(check(folder / "d/f", "DirectoryOrCreate"),
            "hostPath type check failed: " + folder / "d/f" + " is not a directory, it's a File");
  EXPECT_EQ(check(folder / "d", "Socket"),
            "hostPath type check failed: " + folder / "d" + " is not a socket file, it's a Directory");
  EXPECT_EQ(check("/dev/null", "CharDevice"), "");
  EXPECT_EQ(check("/dev/null", "BlockDevice"),
            "hostPath type check failed: /dev/null is not a block device, it's a CharDevice");
}

TEST(HostsFile, NamesThePodAndItsAliases) {
  const kube::Pod pod =
      pod_from(R"("hostname":"web","subdomain":"sub","hostAliases":[{"ip":"1.2.3.4","hostnames":["a","b"]}])");
  EXPECT_EQ(hosts_file(pod, {"10.0.0.9"}, "cluster.local", ""),
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
            "10.0.0.9\tweb.sub.default.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n");
  EXPECT_EQ(hosts_file(pod_from(R"("hostNetwork":true)"), {}, "cluster.local", "127.0.0.1 me\n"),
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n");
  EXPECT_EQ(*kernel_host_name(pod, "cluster.local"), "web");
  EXPECT_EQ(*kernel_host_name(pod_from(R"("hostname":"web","subdomain":"sub","setHostnameAsFQDN":true)"), "c"),
            "web.sub.default.svc.c");
  EXPECT_FALSE(kernel_host_name(pod_from(R"("hostname":"web","subdomain":"sub","setHostnameAsFQDN":true)"),
                                std::string(60, 'd')));
}

}  // namespace
}  // namespace orlop::agent
