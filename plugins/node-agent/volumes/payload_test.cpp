#include "plugins/node-agent/volumes/payload.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/volumes/test_pods.hpp"

#include <sys/stat.h>

namespace orlop::agent {
namespace {

namespace core = k8s::io::api::core::v1;
namespace fs = std::filesystem;

class PayloadTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::map<std::string, std::string>& data, bool immutable = false) {
    core::ConfigMap map;
    map.mutable_metadata()->set_name(name);
    map.mutable_metadata()->set_namespace_("default");
    map.set_immutable(immutable);
    for (const auto& [key, value] : data) (*map.mutable_data())[key] = value;
    ASSERT_TRUE(kernel_.create("configmaps", map));
  }
  Result<Payload> collect(const std::string& source, const std::string& more = "", const std::string& metadata = "") {
    pod_ = pod_from(R"("volumes":[{"name":"v",)" + source + "}]" + more, metadata);
    EnvironmentInputs inputs;
    inputs.pod = &pod_;
    inputs.cpu_milli_total = 2000;
    inputs.memory_total = 1 << 30;
    return collect_payload(kernel_.host(), inputs, pod_.spec().volumes(0), [this](const TokenProjection& asked) {
      audience_ = asked.audience();
      return Result<std::string>("token");
    });
  }
  testing::FakeKernel kernel_;
  kube::Pod pod_;
  std::string audience_;
};

TEST_F(PayloadTest, KeysBecomeFiles) {
  put("m", {{"a", "1"}, {"b", "2"}});
  auto all = collect(R"("configMap":{"name":"m","defaultMode":384})");
  ASSERT_TRUE(all) << all.message();
  EXPECT_EQ(all->files.at("b").bytes, "2");
  EXPECT_EQ(all->files.at("b").mode, 0600u);
  auto some = collect(R"("configMap":{"name":"m","items":[{"key":"a","path":"x/y","mode":256}]})");
  ASSERT_TRUE(some) << some.message();
  EXPECT_EQ(some->files.size(), 1u);
  EXPECT_EQ(some->files.at("x/y").mode, 0400u);
}

TEST_F(PayloadTest, WhatIsMissingIsToldInTheKubeletsWords) {
  put("m", {{"a", "1"}});
  EXPECT_EQ(collect(R"("configMap":{"name":"n"})").message(), "configmap \"n\" not found");
  EXPECT_EQ(collect(R"("secret":{"secretName":"n"})").message(), "secret \"n\" not found");
  EXPECT_EQ(collect(R"("configMap":{"name":"m","items":[{"key":"z","path":"z"}]})").message(),
            "configmap references non-existent config key: z");
  EXPECT_EQ(collect(R"("projected":{"sources":[{"configMap":{"name":"n"}},{"secret":{"name":"o"}}]})").message(),
            "[configmap \"n\" not found, secret \"o\" not found]");
  EXPECT_TRUE(collect(R"("configMap":{"name":"n","optional":true})")->files.empty());
  EXPECT_TRUE(collect(R"("configMap":{"name":"m","optional":true,"items":[{"key":"z","path":"z"}]})")->files.empty());
  EXPECT_FALSE(collect(R"("configMap":{"name":"m","items":[{"key":"a","path":"../z"}]})"));
}

TEST_F(PayloadTest, ImmutableOnesAreNamed) {
  put("fixed", {{"a", "1"}}, true);
  put("m", {{"b", "1"}});
  const auto payload =
      collect(R"("projected":{"sources":[{"configMap":{"name":"fixed"}},{"configMap":{"name":"m"}}]})");
  EXPECT_EQ(payload->files.size(), 2u);
  EXPECT_EQ(payload->immutable, (std::set<ObjectReference>{{false, "default", "fixed"}}));
}

TEST_F(PayloadTest, FieldsAndResources) {
  const auto payload = collect(
      R"("downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}},
      {"path":"one","fieldRef":{"fieldPath":"metadata.annotations['k']"}},
      {"path":"cpu","resourceFieldRef":{"containerName":"c","resource":"limits.cpu","divisor":"1m"}},
      {"path":"mib","mode":256,"resourceFieldRef":
      {"containerName":"i","resource":"requests.memory","divisor":"1Mi"}}]})",
      R"(,"containers":[{"name":"c","resources":{"limits":{"cpu":"250m"}}}],
      "initContainers":[{"name":"i","resources":{"requests":{"memory":"1500Ki"}}}])",
      R"(,"labels":{"b":"2","a":"say \"x\""},"annotations":{"k":"line\nline"})");
  ASSERT_TRUE(payload) << payload.message();
  EXPECT_EQ(payload->files.at("labels").bytes, "a=\"say \\\"x\\\"\"\nb=\"2\"");
  EXPECT_EQ(payload->files.at("one").bytes, "line\nline");
  EXPECT_EQ(payload->files.at("cpu").bytes, "250");
  EXPECT_EQ(payload->files.at("mib").bytes, "2");
  EXPECT_EQ(payload->files.at("mib").mode, 0400u);
  EXPECT_TRUE(tells_of_metadata(pod_.spec().volumes(0)));
}

TEST_F(PayloadTest, TokensAreReadByWhoMust) {
  const std::string source = R"("projected":{"sources":[{"serviceAccountToken":{"path":"t","audience":"vault"}}]})";
  auto payload = collect(source, R"(,"containers":[{"name":"c"}])");
  EXPECT_EQ(audience_, "vault");
  EXPECT_EQ(payload->files.at("t").mode, 0644u);
  EXPECT_FALSE(payload->files.at("t").owner);
  payload = collect(source, R"(,"containers":[{"name":"c","securityContext":{"runAsUser":7}}])");
  EXPECT_EQ(payload->files.at("t").mode, 0600u);
  EXPECT_EQ(*payload->files.at("t").owner, 7u);
  payload = collect(source, R"(,"containers":[{"name":"c"}],"securityContext":{"fsGroup":8})");
  EXPECT_EQ(payload->files.at("t").mode, 0600u);
}

TEST(AtomicWriter, ReadersSeeAllOfTheOldOrAllOfTheNew) {
  const TemporaryFolder folder;
  const std::string volume = folder / "v";
  fs::create_directory(volume);
  EXPECT_FALSE(was_written(volume));
  ASSERT_TRUE(write_atomically(volume, {{"a", {"1", 0644, {}}}, {"d/b", {"1", 0600, {}}}}, {}));
  EXPECT_TRUE(was_written(volume));
  EXPECT_EQ(content_of(volume + "/a"), "1");
  EXPECT_EQ(content_of(volume + "/d/b"), "1");
  const auto before = fs::read_symlink(volume + "/..data");
  ASSERT_TRUE(write_atomically(volume, {{"a", {"1", 0644, {}}}, {"d/b", {"1", 0600, {}}}}, {}));
  EXPECT_EQ(fs::read_symlink(volume + "/..data"), before);
  fs::create_directory(volume + "/..left-by-a-crash");
  ASSERT_TRUE(write_atomically(volume, {{"a", {"2", 0644, {}}}, {"c", {"2", 0644, {}}}}, {}));
  EXPECT_EQ(content_of(volume + "/a"), "2");
  EXPECT_FALSE(fs::exists(volume + "/d"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(volume + "/d")));
  EXPECT_FALSE(fs::exists(volume + "/..left-by-a-crash"));
  EXPECT_FALSE(fs::exists(volume / before));
}

TEST(AtomicWriter, TheGroupMayReadAndNotWrite) {
  const TemporaryFolder folder;
  const std::string volume = folder / "v";
  fs::create_directory(volume);
  ASSERT_TRUE(write_atomically(volume, {{"a", {"1", 0600, {}}}},
                               GroupOwnership{static_cast<uint32_t>(::getgid()), true, false}));
  struct stat info {};
  ASSERT_EQ(::stat((volume + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST(Ownership, OfTheWholeTreeUnlessTheRootMatches) {
  const TemporaryFolder folder;
  const std::string volume = folder / "v";
  fs::create_directories(volume + "/d");
  std::ofstream(volume + "/d/f") << "x";
  fs::create_symlink("/etc/passwd", volume + "/link");
  const auto group = static_cast<uint32_t>(::getgid());
  ASSERT_TRUE(give_to_group(volume, {group, false, false}));
  struct stat info {};
  ASSERT_EQ(::stat((volume + "/d/f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0660, 0660u);
  ASSERT_EQ(::stat((volume + "/d").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 02070, 02070u);
  std::ofstream(volume + "/d/later") << "x";
  ::chmod((volume + "/d/later").c_str(), 0600);
  ASSERT_TRUE(give_to_group(volume, {group, false, true}));
  ASSERT_EQ(::stat((volume + "/d/later").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  ASSERT_TRUE(give_to_group(volume, {group, false, false}));
  ASSERT_EQ(::stat((volume + "/d/later").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
}

}  // namespace
}  // namespace orlop::agent
