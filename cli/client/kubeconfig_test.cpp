#include "cli/client/kubeconfig.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace orlop::client {
namespace {

class KubeconfigTest : public testing::Test {
 protected:
  KubeconfigTest() {
    char folder[] = "/tmp/orlop-kubeconfig-XXXXXX";
    folder_ = ::mkdtemp(folder);
  }
  ~KubeconfigTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const auto path = folder_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  Environment with(const std::string& list) const {
    return {[list, home = folder_](const std::string& name) {
      return name == "KUBECONFIG" ? list : name == "HOME" ? home : std::string();
    }};
  }

  std::string folder_;
};

constexpr char kFirst[] = R"(
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: one, cluster: {server: "https://one:1/", certificate-authority: ca.pem}}]
contexts: [{name: a, context: {cluster: one, user: joe, namespace: team}}]
users: [{name: joe, user: {token: first}}]
)";
constexpr char kSecond[] = R"(
current-context: b
clusters:
- {name: one, cluster: {server: "https://other"}}
- {name: two, cluster: {server: "https://two:2", insecure-skip-tls-verify: true}}
contexts: [{name: b, context: {cluster: two, user: ann}}]
users: [{name: joe, user: {token: second}}, {name: ann, user: {username: ann, password: secret}}]
)";

TEST_F(KubeconfigTest, FirstFileOfTheListWins) {
  write("ca.pem", "PEM");
  const auto list = write("1", kFirst) + ":" + folder_ + "/absent:" + write("2", kSecond);
  const auto config = load_kubeconfig({}, with(list));
  ASSERT_TRUE(config.is_ok()) << config.message();
  EXPECT_EQ(config->current_context, "a");
  EXPECT_EQ(config->files.size(), 2U);
  EXPECT_EQ(config->users.at("joe").token, "first");
  const auto access = resolve_access(*config, {});
  ASSERT_TRUE(access.is_ok()) << access.message();
  EXPECT_EQ(access->server, "https://one:1");
  EXPECT_EQ(access->ca_pem, "PEM") << "a relative path is relative to its file";
  EXPECT_EQ(access->token, "first");
  EXPECT_EQ(resolve_namespace(*config, {}), "team");
}

TEST_F(KubeconfigTest, FlagsGoBeforeTheFile) {
  const auto list = write("2", kSecond);
  const auto config = load_kubeconfig({}, with(list));
  ASSERT_TRUE(config.is_ok());
  AccessFlags flags;
  flags.server = "https://three:3";
  flags.token = "mine";
  flags.name_space = "here";
  const auto access = resolve_access(*config, flags);
  ASSERT_TRUE(access.is_ok());
  EXPECT_EQ(access->server, "https://three:3");
  EXPECT_EQ(access->token, "mine");
  EXPECT_TRUE(access->insecure);
  EXPECT_EQ(resolve_namespace(*config, flags), "here");
}

TEST_F(KubeconfigTest, UnknownContextIsNamed) {
  const auto config = load_kubeconfig({}, with(write("1", kFirst)));
  AccessFlags flags;
  flags.context = "nowhere";
  EXPECT_EQ(resolve_access(*config, flags).message(), "error: context \"nowhere\" does not exist");
}

TEST_F(KubeconfigTest, NamedFileMustExist) {
  AccessFlags flags;
  flags.kubeconfig = folder_ + "/absent";
  EXPECT_EQ(load_kubeconfig(flags, with("")).code(), Code::kNotFound);
}

TEST_F(KubeconfigTest, HomeIsLookedInLast) {
  std::filesystem::create_directory(folder_ + "/.kube");
  write(".kube/config", kSecond);
  EXPECT_EQ(kubeconfig_files({}, with("")), std::vector<std::string>{folder_ + "/.kube/config"});
}

TEST(Base64, BothWays) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\x01\xff\x80"})
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  EXPECT_EQ(encode_base64("hello"), "aGVsbG8=");
  EXPECT_EQ(decode_base64("!"), "");
}

}  // namespace
}  // namespace orlop::client
