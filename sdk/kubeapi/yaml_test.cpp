#include "orlop/kube/yaml.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

std::string one(std::string_view yaml) {
  const auto out = yaml_to_json(yaml);
  if (!out) return "error: " + out.message();
  if (out->size() != 1) return "documents: " + std::to_string(out->size());
  return out->front();
}

std::string failure(std::string_view yaml) {
  const auto out = yaml_to_json(yaml);
  return out ? "no error" : out.message();
}

TEST(YamlTest, ReadsAManifest) {
  EXPECT_EQ(
      one("apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels: {app: web}\nspec:\n  containers:\n"
          "  - name: nginx\n    image: nginx:1.25\n    ports:\n    - containerPort: 80\n    command: ['sh', \"-c\"]\n"),
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","labels":{"app":"web"}},)"
      R"("spec":{"containers":[{"name":"nginx","image":"nginx:1.25","ports":[{"containerPort":80}],)"
      R"("command":["sh","-c"]}]}})");
}

TEST(YamlTest, ScalarsAreYaml11s) {
  const std::pair<const char*, const char*> cases[] = {
      {"yes", "true"},
      {"No", "false"},
      {"on", "true"},
      {"OFF", "false"},
      {"y", "true"},
      {"n", "false"},
      {"true", "true"},
      {"TRUE", "true"},
      {"~", "null"},
      {"null", "null"},
      {"\"yes\"", R"("yes")"},
      {"'1'", R"("1")"},
      {"12", "12"},
      {"-7", "-7"},
      {"+7", "7"},
      {"0x1F", "31"},
      {"0o17", "15"},
      {"0644", "420"},
      {"0b101", "5"},
      {"1_000", "1000"},
      {"08", "8"},
      {"1.5", "1.5"},
      {".5", "0.5"},
      {"1e3", "1000"},
      {"1e-7", "1e-7"},
      {"1.0", "1"},
      {"100m", R"("100m")"},
      {"1.2.3", R"("1.2.3")"},
      {"2001-12-14", R"("2001-12-14")"},
      {"2001-12-14T21:59:43Z", R"("2001-12-14T21:59:43Z")"},
      {"!!str 12", R"("12")"},
      {"!!int 12", "12"},
      {"!!float 1", "1"},
      {"12:30", R"("12:30")"},
      {"18446744073709551615", "18446744073709551615"},
      {"maybe", R"("maybe")"},
      {"-", "[null]"},
      {"|\n  a\n  b\n", R"("a\nb\n")"},
  };
  for (const auto& [yaml, json] : cases) {
    EXPECT_EQ(one("k: " + std::string(yaml == std::string("-") ? "\n- " : yaml)), std::string("{\"k\":") + json + "}")
        << yaml;
  }
}

TEST(YamlTest, KeysBecomeText) {
  EXPECT_EQ(one("1: a\ntrue: b\n1.5: c\n\"2\": d\n"), R"({"1":"a","true":"b","1.5":"c","2":"d"})");
}

TEST(YamlTest, SeveralDocumentsAndEmptyOnes) {
  const auto out = yaml_documents("# only a comment\n---\na: 1\n---\n---\nb: 2\n...\n");
  ASSERT_TRUE(out) << out.message();
  ASSERT_EQ(out->size(), 2u);
  EXPECT_EQ((*out)[0].json, R"({"a":1})");
  EXPECT_EQ((*out)[0].line, 3);
  EXPECT_EQ((*out)[1].json, R"({"b":2})");
  EXPECT_EQ((*out)[1].line, 6);
  EXPECT_TRUE(yaml_to_json("").value().empty());
}

TEST(YamlTest, AnchorsAndMerges) {
  EXPECT_EQ(one("a: &x {b: 1, c: 2}\nd: *x\ne:\n  <<: *x\n  b: 3\n"),
            R"({"a":{"b":1,"c":2},"d":{"b":1,"c":2},"e":{"b":3,"c":2}})");
}

TEST(YamlTest, DoubledKeysNameTheirLines) {
  EXPECT_EQ(failure("a: 1\nb:\n  c: 1\n  c: 2\n"),
            "error converting YAML to JSON: yaml: unmarshal errors:\n  line 4: key \"c\" already set in map");
}

TEST(YamlTest, SyntaxErrorsNameTheirLine) {
  EXPECT_TRUE(failure("a: 1\nb: [1, 2\nc: 3\n").starts_with("error converting YAML to JSON: yaml: line "));
  EXPECT_TRUE(failure("a: 1\n\tb: 2\n").starts_with("error converting YAML to JSON: yaml: line 2: "));
  EXPECT_EQ(failure("a: *nothing\n").substr(0, 45), "error converting YAML to JSON: yaml: line 1: ");
  EXPECT_EQ(failure("a: 1\n? [x]\n: 2\n"),
            "error converting YAML to JSON: yaml: line 2: invalid map key: a key must be a scalar");
  EXPECT_EQ(failure("a: &x [*x]\n"), "error converting YAML to JSON: yaml: line 1: anchor value contains itself");
  EXPECT_EQ(failure("k: .inf\n"), "error converting YAML to JSON: yaml: line 1: json: unsupported value: .inf");
}

TEST(YamlTest, AliasBombsAreRefused) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j > 0 ? "," : "") + below;
    bomb += "]\n";
  }
  EXPECT_EQ(failure(bomb), "error converting YAML to JSON: yaml: document contains excessive aliasing");
}

TEST(YamlTest, LongScalarsBehindAliasesAreRefused) {
  std::string bomb = "a: &a \"" + std::string(1'000'000, 'x') + "\"\nb: [";
  for (int i = 0; i < 10'000; ++i) bomb += i > 0 ? ",*a" : "*a";
  bomb += "]\n";
  EXPECT_EQ(failure(bomb), "error converting YAML to JSON: yaml: document contains excessive aliasing");
}

TEST(YamlTest, MergeBombsAreRefused) {
  std::string bomb = "a0: &a0 {k: v}\n";
  for (int i = 1; i < 30; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " {<<: [" + below + "," + below + "," + below + "]}\n";
  }
  EXPECT_EQ(failure(bomb), "error converting YAML to JSON: yaml: document contains excessive aliasing");
}

TEST(YamlTest, DepthIsBounded) {
  EXPECT_EQ(failure(std::string(100'000, '[')), "error converting YAML to JSON: yaml: line 1: exceeded max depth");
  std::string blocks;
  for (int i = 0; i < 300; ++i) blocks += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_NE(failure(blocks).find("exceeded max depth"), std::string::npos);
  EXPECT_EQ(yaml_to_json(std::string(20 * 1024 * 1024, ' ')).code(), Code::kTooLarge);
}

TEST(YamlTest, GarbageDoesNotCrash) {
  for (const char* text : {"%", "%YAML 9.9\n---\n", "@", "`", "\x01", "!!binary x", "&", "*", "? ", ": ", "- - - -",
                           "{", "}", "]", "a: b: c", "\xff\xfe\x00", "!<tag:yaml.org,2002:int> x"}) {
    static_cast<void>(yaml_to_json(text));
  }
}

TEST(YamlTest, TellsJson) {
  EXPECT_TRUE(looks_like_json(" \n{\"a\":1}"));
  EXPECT_FALSE(looks_like_json("a: 1"));
}

}  // namespace
}  // namespace orlop::kube
