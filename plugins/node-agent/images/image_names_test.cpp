// Names of images and the logins that belong to them: pure.
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/node-agent/images/image_name.hpp"
#include "plugins/node-agent/images/pull_secrets.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Secret = k8s::io::api::core::v1::Secret;

TEST(ImageName, IsReadAsEverybodyReadsIt) {
  struct Case {
    const char *text, *repository, *tag, *digest;
  };
  const std::string digest = "sha256:" + std::string(64, 'a');
  const std::string with_digest = "nginx@" + digest;
  const Case cases[] = {
      {"nginx", "docker.io/library/nginx", "latest", ""},
      {"nginx:1.25", "docker.io/library/nginx", "1.25", ""},
      {"team/app", "docker.io/team/app", "latest", ""},
      {"index.docker.io/nginx", "docker.io/library/nginx", "latest", ""},
      {"localhost/app:x", "localhost/app", "x", ""},
      {"localhost:5000/app", "localhost:5000/app", "latest", ""},
      {"127.0.0.1:5000/a/b__c-d.e:v1", "127.0.0.1:5000/a/b__c-d.e", "v1", ""},
      {"registry.k8s.io/pause:3.9", "registry.k8s.io/pause", "3.9", ""},
      {"Host/app", "Host/app", "latest", ""},
      {with_digest.c_str(), "docker.io/library/nginx", "", digest.c_str()},
  };
  for (const Case& c : cases) {
    const auto name = parse_image_name(c.text);
    ASSERT_TRUE(name) << c.text;
    EXPECT_EQ(name->full_repository(), c.repository) << c.text;
    EXPECT_EQ(name->tag, c.tag) << c.text;
    EXPECT_EQ(name->digest, c.digest) << c.text;
  }
}

TEST(ImageName, WhatIsNoneIsToldInTheGrammarsWords) {
  EXPECT_EQ(parse_image_name("Nginx").status().message(),
            "invalid reference format: repository name (library/Nginx) must be lowercase");
  EXPECT_EQ(parse_image_name(std::string(64, 'a')).status().message(),
            "invalid repository name (" + std::string(64, 'a') + "), cannot specify 64-byte hexadecimal strings");
  for (const char* bad : {"", " ", "a b", "nginx:", "nginx:a/b:", "-a", "a..b", "a___b", "a/", "/a", "x:y:z/a",
                          "nginx@sha256:12", "host:port/a",
                          "nginx:"
                          "\x01"}) {
    EXPECT_EQ(parse_image_name(bad).status().message(), "invalid reference format") << bad;
  }
  EXPECT_EQ(parse_image_name("docker.io/" + std::string(250, 'a')).status().message(),
            "repository name must not be more than 255 characters");
}

TEST(Places, CoverRepositories) {
  EXPECT_TRUE(place_covers("registry.example", "registry.example/team/app"));
  EXPECT_TRUE(place_covers("registry.example/team", "registry.example/team/app"));
  EXPECT_FALSE(place_covers("registry.example/other", "registry.example/team/app"));
  EXPECT_TRUE(place_covers("*.example", "registry.example/app"));
  EXPECT_FALSE(place_covers("*.example", "a.registry.example/app"));
  EXPECT_FALSE(place_covers("registry.example:5000", "registry.example/app"));
  EXPECT_TRUE(place_covers("registry.example:5000", "registry.example:5000/app"));
}

Secret secret(const std::string& name, const std::string& json, bool is_new = true) {
  Secret out;
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_namespace_("default");
  out.set_type(is_new ? "kubernetes.io/dockerconfigjson" : "kubernetes.io/dockercfg");
  (*out.mutable_data())[is_new ? ".dockerconfigjson" : ".dockercfg"] = json;
  return out;
}

TEST(KeyringTest, TheMostSpecificLoginComesFirst) {
  Keyring keyring;
  // dGVhbTpwOnc= is "team:p:w"
  ASSERT_TRUE(keyring.add(secret("a", R"({"auths":{
    "https://registry.example/v2/": {"username": "all", "password": "x"},
    "registry.example/team": {"auth": "dGVhbTpwOnc="},
    "https://index.docker.io/v1/": {"username": "hub", "password": "h"}}})")));
  ASSERT_TRUE(keyring.add(secret("b", R"({"registry.example": {"username": "old", "password": "y"}})", false)));
  EXPECT_THAT(keyring.find("registry.example/team/app"),
              ElementsAre(Login{"team", "p:w"}, Login{"all", "x"}, Login{"old", "y"}));
  EXPECT_THAT(keyring.find("registry.example/app"), ElementsAre(Login{"all", "x"}, Login{"old", "y"}));
  EXPECT_THAT(keyring.find("docker.io/library/nginx"), ElementsAre(Login{"hub", "h"}));
  EXPECT_THAT(keyring.find("elsewhere.example/app"), IsEmpty());
}

TEST(KeyringTest, TellsWhatItCannotReadButNotTheSecret) {
  Keyring keyring;
  EXPECT_EQ(keyring.add(secret("a", "hunter2")).message(),
            "secret \"default/a\" holds no JSON object in .dockerconfigjson");
  const Status bad = keyring.add(secret("a", R"({"auths":{"r.example":{"auth":"aHVudGVyMg=="}}})"));
  EXPECT_THAT(bad.message(), HasSubstr("unable to parse auth field"));
  EXPECT_EQ(bad.message().find("hunter2"), std::string::npos);
  Secret opaque = secret("a", "x");
  opaque.set_type("Opaque");
  EXPECT_TRUE(keyring.add(opaque));
}

TEST(CredentialsTest, ComeFromThePodsNamespaceAndTellWhatIsMissing) {
  testing::FakeKernel kernel;
  ASSERT_TRUE(kernel.create("secrets", secret("a", R"({"auths":{"r.example":{"username":"u","password":"p"}}})")));
  kube::Pod pod;
  pod.mutable_metadata()->set_namespace_("default");
  pod.mutable_spec()->add_imagepullsecrets()->set_name("a");
  pod.mutable_spec()->add_imagepullsecrets()->set_name("b");
  const auto found = find_credentials(kernel.host(), pod, "r.example/app");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->logins, ElementsAre(Login{"u", "p"}));
  EXPECT_THAT(found->missing, ElementsAre("b"));
}

}  // namespace
}  // namespace orlop::agent
