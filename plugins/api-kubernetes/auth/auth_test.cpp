#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/rbac_v1.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/api-kubernetes/auth/authenticator.hpp"
#include "plugins/api-kubernetes/auth/bootstrap.hpp"
#include "plugins/api-kubernetes/auth/credentials.hpp"
#include "plugins/api-kubernetes/auth/encoding.hpp"
#include "plugins/api-kubernetes/auth/files.hpp"
#include "plugins/api-kubernetes/auth/rbac.hpp"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::auth {
namespace {

namespace rbac = k8s::io::api::rbac::v1;
using ::testing::Contains;
using ::testing::HasSubstr;

class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/orlop-auth-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

CredentialsOptions options_in(const TempFolder& folder) {
  CredentialsOptions options;
  options.folder = folder.path();
  options.kubeconfig = "admin.kubeconfig";
  options.server = "https://127.0.0.1:6443";
  return options;
}

TEST(Encoding, Base64BothWays) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("ab"), std::string("abc"), std::string("\xff\x00z", 3)}) {
    EXPECT_EQ(base64_decode(base64(text)), text);
    EXPECT_EQ(base64url_decode(base64url(text)), text);
  }
  EXPECT_EQ(base64("hello"), "aGVsbG8=");
  EXPECT_FALSE(base64_decode("a*b"));
}

TEST(Credentials, AreMadeOnceAndRenewedWhenWorn) {
  TempFolder folder;
  CredentialsOptions options = options_in(folder);
  MachineNames machine{"box", {"192.0.2.7"}};
  auto now = std::chrono::system_clock::now();
  auto first = ensure_credentials(options, machine, now);
  ASSERT_TRUE(first) << first.message();
  auto again = ensure_credentials(options, machine, now);
  ASSERT_TRUE(again);
  EXPECT_EQ(first->serving.certificate, again->serving.certificate);
  auto facts = read_certificate(first->serving.certificate);
  EXPECT_THAT(facts->addresses, Contains("192.0.2.7"));
  EXPECT_THAT(facts->addresses, Contains("10.96.0.1"));
  EXPECT_THAT(facts->dns_names, Contains("kubernetes.default.svc.cluster.local"));
  EXPECT_TRUE(is_signed_by(first->serving.certificate, first->authority.certificate));

  machine.addresses.emplace_back("192.0.2.8");
  auto moved = ensure_credentials(options, machine, now);
  ASSERT_TRUE(moved);
  EXPECT_NE(first->serving.certificate, moved->serving.certificate);
  EXPECT_EQ(first->authority.certificate, moved->authority.certificate);
  auto aged = ensure_credentials(options, machine, now + std::chrono::hours(24 * 350));
  ASSERT_TRUE(aged);
  EXPECT_NE(moved->serving.certificate, aged->serving.certificate);
}

TEST(Credentials, KeysAreForTheirOwnerAlone) {
  TempFolder folder;
  ASSERT_TRUE(ensure_credentials(options_in(folder), {"box", {}}, std::chrono::system_clock::now()));
  for (const char* name : {"/pki/ca.key", "/pki/apiserver.key", "/pki/sa.key", "/pki/admin.key", "/admin.kubeconfig"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder.path() + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
}

TEST(Token, IsGoodUntilItExpiresOrIsTouched) {
  auto signer = TokenSigner::make(*make_key());
  ASSERT_TRUE(signer);
  TokenClaims claims;
  claims.name_space = "default";
  claims.account = "robot";
  claims.account_uid = "u-1";
  claims.audiences = {std::string(kTokenIssuer)};
  claims.issued = 1000;
  claims.expires = 2000;
  std::string token = (*signer)->sign(claims);
  auto read = (*signer)->verify(token, 1500);
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(read->account, "robot");
  EXPECT_EQ(read->account_uid, "u-1");
  EXPECT_FALSE((*signer)->verify(token, 2000));
  std::string touched = token;
  touched[token.find('.') + 5] ^= 1;
  EXPECT_FALSE((*signer)->verify(touched, 1500));
  auto other = TokenSigner::make(*make_key());
  EXPECT_FALSE((*other)->verify(token, 1500));
  EXPECT_FALSE((*signer)->verify("a.b.c", 1500));
  EXPECT_FALSE((*signer)->verify("", 1500));
}

TEST(TokenFile, NamesTheBrokenLine) {
  auto good = parse_token_file("secret,jane,1,\"a,b\"\n# a comment\n");
  ASSERT_TRUE(good);
  EXPECT_THAT(good->at("secret").groups, Contains("b"));
  auto bad = parse_token_file("secret,jane,1\nonly-one\n");
  EXPECT_EQ(bad.code(), Code::kInvalid);
  EXPECT_THAT(bad.message(), HasSubstr("line 2"));
}

class RbacTest : public ::testing::Test {
 protected:
  RbacTest() : authorizer_(kernel_.host()) {
    for (const BootstrapObject& object : bootstrap_access()) {
      v1::Write write;
      write.set_verb(v1::CREATE);
      write.mutable_key()->set_kind(object.kind);
      write.mutable_key()->set_namespace_(object.name_space);
      write.mutable_key()->set_name(object.name);
      write.set_value(object.value);
      auto written = kernel_.write(write);
      EXPECT_TRUE(written) << written.message();
    }
  }
  bool can(const User& user, std::string_view verb, std::string_view group, std::string_view resource,
           std::string_view name_space = "default", std::string_view subresource = {}) {
    Attributes wanted;
    wanted.verb = verb;
    wanted.group = group;
    wanted.resource = resource;
    wanted.subresource = subresource;
    wanted.name_space = name_space;
    auto allowed = authorizer_.allowed(user, wanted);
    return allowed && *allowed;
  }
  void bind(const std::string& name_space, const std::string& role, const std::string& user) {
    rbac::RoleBinding binding;
    binding.mutable_metadata()->set_name(user);
    binding.mutable_metadata()->set_namespace_(name_space);
    binding.mutable_roleref()->set_kind("ClusterRole");
    binding.mutable_roleref()->set_name(role);
    binding.add_subjects()->set_kind("User");
    binding.mutable_subjects(0)->set_name(user);
    ASSERT_TRUE(kernel_.create("rolebindings.rbac.authorization.k8s.io", binding));
  }

  testing::FakeKernel kernel_;
  Authorizer authorizer_;
};

TEST_F(RbacTest, MastersMayEverythingAndNobodyNothing) {
  EXPECT_TRUE(can({"root", "", {"system:masters"}, {}}, "delete", "", "nodes", ""));
  EXPECT_FALSE(can({"jane", "", {"system:authenticated"}, {}}, "get", "", "pods"));
}

TEST_F(RbacTest, ABindingCountsAtOnceAndInItsNamespaceAlone) {
  User jane{"jane", "", {"system:authenticated"}, {}};
  EXPECT_FALSE(can(jane, "create", "apps", "deployments"));
  bind("default", "edit", "jane");
  EXPECT_TRUE(can(jane, "create", "apps", "deployments"));
  EXPECT_TRUE(can(jane, "get", "", "pods", "default", "log"));
  EXPECT_FALSE(can(jane, "create", "apps", "deployments", "other"));
  EXPECT_FALSE(can(jane, "create", "rbac.authorization.k8s.io", "roles"));
  ASSERT_TRUE(kernel_.remove("rolebindings.rbac.authorization.k8s.io", "default", "jane"));
  EXPECT_FALSE(can(jane, "create", "apps", "deployments"));
}

TEST_F(RbacTest, ViewersSeeNoSecrets) {
  User joe{"joe", "", {"system:authenticated"}, {}};
  bind("default", "view", "joe");
  EXPECT_TRUE(can(joe, "list", "", "configmaps"));
  EXPECT_FALSE(can(joe, "list", "", "secrets"));
}

TEST(Rules, CoverWhatTheyHold) {
  std::vector<Rule> held = {{{"get", "list"}, {""}, {"pods", "pods/log"}, {}, {}}};
  EXPECT_TRUE(covers(held, {{{"get"}, {""}, {"pods"}, {"web"}, {}}}, nullptr));
  std::vector<Rule> missing;
  EXPECT_FALSE(covers(held, {{{"get", "delete"}, {""}, {"pods"}, {}, {}}}, &missing));
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(describe(missing[0]), R"({APIGroups:[""], Resources:["pods"], Verbs:["delete"]})");
  EXPECT_FALSE(covers(held, {{{"*"}, {"*"}, {"*"}, {}, {}}}, nullptr));
}

TEST(Refusal, IsInKubernetesWords) {
  User jane{"jane", "", {}, {}};
  Attributes wanted;
  wanted.verb = "get";
  wanted.group = "apps";
  wanted.resource = "deployments";
  wanted.name = "web";
  wanted.name_space = "default";
  EXPECT_EQ(
      refusal(jane, wanted),
      "deployments.apps \"web\" is forbidden: User \"jane\" cannot get resource \"deployments\" in API group \"apps\" "
      "in the namespace \"default\"");
}

}  // namespace
}  // namespace orlop::auth
