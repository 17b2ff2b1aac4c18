#include "kernel/lifecycle/config_schema.hpp"
#include "kernel/lifecycle/elf_section.hpp"
#include "kernel/lifecycle/log_book.hpp"
#include "kernel/lifecycle/manifest.hpp"
#include "kernel/lifecycle/plan.hpp"
#include "kernel/lifecycle/restart_policy.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace orlop::lifecycle {
namespace {

bool contains(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) std::printf("\"%s\" is not in: %s\n", part.c_str(), text.c_str());
  return found;
}

// ---------------------------------------------------------------------------------------------------------------- yaml

TEST(YamlTree, RemembersLinesAndQuotes) {
  const auto outcome = parse_yaml("a: 1\nb:\n  - x\n  - \"2\"\n", "f.yaml");
  ASSERT_TRUE(outcome.problems.empty());
  EXPECT_EQ(outcome.tree.find("a")->line, 1);
  EXPECT_EQ(outcome.tree.find("b")->items[1].line, 4);
  EXPECT_TRUE(outcome.tree.find("b")->items[1].quoted);
  int64_t number = 0;
  EXPECT_TRUE(read_integer(*outcome.tree.find("a"), number));
  EXPECT_FALSE(read_integer(outcome.tree.find("b")->items[1], number));
}

TEST(YamlTree, BrokenTextDoubledKeysAndBombsAreProblemsWithALine) {
  auto broken = parse_yaml("a: 1\nb: [1, 2\nc: 3\n", "f.yaml");
  ASSERT_EQ(broken.problems.size(), 1u);
  EXPECT_TRUE(contains(broken.problems[0].text(), "f.yaml:3: this is not YAML"));
  auto doubled = parse_yaml("a: 1\nb: 2\na: 3\n", "f.yaml");
  ASSERT_EQ(doubled.problems.size(), 1u);
  EXPECT_EQ(doubled.problems[0].line, 3);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  for (int i = 0; i < 100; ++i) deep += "]";
  EXPECT_FALSE(parse_yaml(deep, "f").problems.empty());
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 0; j < 9; ++j) bomb += "," + last;
    bomb += "]\n";
  }
  EXPECT_FALSE(parse_yaml(bomb, "f").problems.empty());
}

TEST(YamlTree, NearestFindsWhatWasMeant) {
  EXPECT_EQ(nearest("hostd", {"name", "hosted", "file"}), "hosted");
  EXPECT_EQ(nearest("zzzzzz", {"name", "hosted", "file"}), "");
}

// -------------------------------------------------------------------------------------------------------------- schema

constexpr const char* kSchemaText = R"(
type: object
required: [socket]
properties:
  socket: {type: string, description: where it listens}
  port: {type: integer, minimum: 1, maximum: 65535, default: 8080}
  ratio: {type: number}
  on: {type: boolean, default: true}
  mode: {type: string, enum: [fast, slow], default: fast}
  name: {type: string, pattern: '[a-z]+'}
  list: {type: array, items: {type: integer}}
  nested: {type: object, properties: {depth: {type: integer, default: 2}}}
  free: {type: object, additionalProperties: true}
)";

struct Checked {
  google::protobuf::Struct settings;
  std::string problems;
};

Checked check(const std::string& yaml) {
  Problems problems;
  auto schema = parse_schema(parse_yaml(kSchemaText, "schema").tree, problems);
  EXPECT_TRUE(problems.empty());
  Checked checked;
  checked.settings = check_settings(*schema, parse_yaml(yaml, "c.yaml").tree, "the config of x", problems);
  for (const auto& problem : problems) checked.problems += problem.text() + "\n";
  return checked;
}

TEST(ConfigSchema, FillsDefaultsAndKeepsTypes) {
  auto checked = check("socket: /s\nlist: [1, 2]\nfree: {a: 1, b: x}\n");
  EXPECT_EQ(checked.problems, "");
  const auto& fields = checked.settings.fields();
  EXPECT_EQ(fields.at("port").number_value(), 8080);
  EXPECT_TRUE(fields.at("on").bool_value());
  EXPECT_EQ(fields.at("mode").string_value(), "fast");
  EXPECT_EQ(fields.at("list").list_value().values_size(), 2);
  EXPECT_EQ(fields.at("nested").struct_value().fields().at("depth").number_value(), 2);
  EXPECT_EQ(fields.at("free").struct_value().fields().at("b").string_value(), "x");
  EXPECT_EQ(fields.count("ratio"), 0u);
}

TEST(ConfigSchema, EachViolationNamesFileLineAndMend) {
  EXPECT_TRUE(contains(check("").problems, "lacks the key socket; add `socket: …` (where it listens)"));
  EXPECT_TRUE(contains(check("socket: s\nprot: 1\n").problems,
                       "c.yaml:2: the config of x has no key prot; did you mean port?"));
  EXPECT_TRUE(contains(check("socket: s\nport: \"1\"\n").problems,
                       "c.yaml:2: the config of x.port is \"1\", not of the type integer"));
  EXPECT_TRUE(contains(check("socket: s\nport: 0\n").problems, "below its minimum; write 1 or more"));
  EXPECT_TRUE(contains(check("socket: s\nport: 70000\n").problems, "above its maximum; write 65535 or less"));
  EXPECT_TRUE(contains(check("socket: s\non: yes\n").problems, "write true or false"));
  EXPECT_TRUE(contains(check("socket: s\nmode: fst\n").problems, "did you mean fast?"));
  EXPECT_TRUE(contains(check("socket: s\nname: A1\n").problems, "does not match [a-z]+"));
  EXPECT_TRUE(contains(check("socket: s\nlist: [1, x]\n").problems, "x.list[1]"));
  EXPECT_TRUE(contains(check("socket: s\nnested: 3\n").problems, "not of the type object"));
  EXPECT_TRUE(contains(check("socket: [a]\n").problems, "is a list, not of the type string"));
}

TEST(ConfigSchema, AWordThatIsNotKnownIsAnErrorOfTheSchema) {
  Problems problems;
  parse_schema(parse_yaml("type: string\nminimun: 1\n", "m").tree, problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(
      contains(problems[0].text(), "m:2: the word minimun is not known in a config schema; did you mean minimum?"));
}

// ------------------------------------------------------------------------------------------------------------ manifest

constexpr const char* kManifest = R"(name: runtime-x
version: 0.1.0
abi: "1.0"
description: Sandboxes
provides: [{capability: runtime, instance: x}]
requires: [{capability: network, optional: true}]
permissions: {read: [nodes], write: []}
ready: reported
config: {type: object, properties: {socket: {type: string, default: ""}}}
)";

TEST(ManifestTest, IsReadWhole) {
  auto manifest = parse_manifest(kManifest, "x.so");
  ASSERT_TRUE(manifest) << manifest.message();
  EXPECT_EQ(manifest->name, "runtime-x");
  EXPECT_EQ(manifest->provides[0].instance, "x");
  EXPECT_TRUE(manifest->requirements[0].optional);
  EXPECT_EQ(manifest->reads, std::vector<std::string>{"nodes"});
  EXPECT_TRUE(manifest->reports_readiness);
  EXPECT_NE(manifest->config->property("socket"), nullptr);
}

TEST(ManifestTest, WhatIsWrongIsSaidInOneSentenceEach) {
  auto message = [](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return parse_manifest(text, "x.so").message();
  };
  EXPECT_TRUE(
      contains(message(kManifest, "\"1.0\"", "\"2.0\""), "is built for the plugin ABI 2.0; this kernel has 1.0"));
  EXPECT_TRUE(contains(message(kManifest, "\"1.0\"", "\"1.9\""), "newer than this kernel's 1.0"));
  EXPECT_TRUE(contains(message(kManifest, "\"1.0\"", "one"), "x.so:3: abi is \"one\""));
  EXPECT_TRUE(contains(message(kManifest, "version: 0.1.0\n", ""), "the manifest lacks the field version"));
  EXPECT_TRUE(contains(message(kManifest, "version: 0.1.0", "version: new"), "a semantic version"));
  EXPECT_TRUE(contains(message(kManifest, "name: runtime-x", "name: Runtime_X"), "small letters"));
  EXPECT_TRUE(contains(message(kManifest, "requires:", "require:"), "did you mean requires?"));
  EXPECT_TRUE(contains(message(kManifest, "capability: runtime", "capability: kernel"), "only the kernel provides"));
  EXPECT_TRUE(contains(message(kManifest, "{socket:", "{orlop:"), "which the kernel keeps for itself"));
}

// ----------------------------------------------------------------------------------------------------------------- elf

class ElfTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/orlop-elf-XXXXXX";
    const int descriptor = ::mkstemp(pattern);
    ASSERT_GE(descriptor, 0);
    ::close(descriptor);
    path_ = pattern;
  }
  void TearDown() override { ::unlink(path_.c_str()); }
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }
  static std::string own_bytes() {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }
  std::string path_;
};

TEST_F(ElfTest, FindsASectionOfARealFile) {
  auto comment = read_elf_section("/proc/self/exe", ".comment", 1 << 20);
  ASSERT_TRUE(comment) << comment.message();
  EXPECT_TRUE(contains(*comment, "GCC"));
  EXPECT_EQ(read_elf_section("/proc/self/exe", "orlop_manifest", 1 << 20).code(), Code::kNotFound);
  EXPECT_EQ(read_elf_section("/proc/self/exe", ".comment", 1).code(), Code::kInvalid);
}

TEST_F(ElfTest, WhatIsNoElfIsRefused) {
  EXPECT_EQ(read_elf_section(path_ + ".none", "x", 100).code(), Code::kNotFound);
  EXPECT_EQ(read_elf_section("/tmp", "x", 100).code(), Code::kInvalid);
  for (const std::string bytes : {"", "#!/bin/sh\n",
                                  "\x7f"
                                  "ELF"}) {
    write(bytes);
    EXPECT_EQ(read_elf_section(path_, "x", 100).code(), Code::kInvalid);
  }
}

TEST_F(ElfTest, BrokenTablesNeverLeadOutsideOfTheFile) {
  const std::string whole = own_bytes();
  std::mt19937_64 random(11);
  const uint64_t table = *reinterpret_cast<const uint64_t*>(whole.data() + 40);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = whole.substr(0, 64);  // the header alone, its tables beyond the end
    if (round % 2 == 0) {
      for (int flips = 0; flips < 4; ++flips) bytes[16 + random() % 48] = static_cast<char>(random());
    }
    write(bytes);
    EXPECT_FALSE(read_elf_section(path_, ".comment", 1 << 20));
  }
  for (int round = 0; round < 40; ++round) {
    std::string bytes = whole;
    for (int flips = 0; flips < 6; ++flips) {
      bytes[table + random() % (bytes.size() - table)] = static_cast<char>(random());
    }
    write(bytes);
    (void)read_elf_section(path_, ".comment", 1 << 20);  // any answer is fine, a crash is not
  }
}

// ---------------------------------------------------------------------------------------------------------------- plan

TEST(Plan, NeedsNameTheirProvidersAndOptionalOnesComeAfter) {
  auto plan = make_plan({{"agent", {}, {{"runtime", false}, {"network", true}}},
                         {"rt-a", {"runtime"}, {}},
                         {"rt-b", {"runtime"}, {}},
                         {"net", {"network"}, {{"kernel", false}}}},
                        {"kernel"});
  EXPECT_TRUE(plan[0].refusal.empty());
  ASSERT_EQ(plan[0].needs.size(), 1u);
  EXPECT_EQ(plan[0].needs[0].providers, (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(plan[0].after, (std::vector<std::size_t>{3}));
  EXPECT_TRUE(plan[3].needs.empty());
}

TEST(Plan, AMissingRequirementNamesPluginAndCapability) {
  auto plan = make_plan({{"agent", {}, {{"runtime", false}}}, {"other", {}, {}}}, {"kernel"});
  EXPECT_TRUE(contains(plan[0].refusal, "plugin agent requires the capability runtime, which no plugin"));
  EXPECT_TRUE(plan[1].refusal.empty());
}

TEST(Plan, ACycleNamesItsMembersAndTheRestGoesOn) {
  auto plan = make_plan(
      {{"a", {"x"}, {{"y", false}}}, {"b", {"y"}, {{"x", false}}}, {"behind", {}, {{"x", false}}}, {"free", {}, {}}},
      {});
  EXPECT_TRUE(contains(plan[0].refusal, "plugins a and b require each other in a cycle"));
  EXPECT_TRUE(contains(plan[0].refusal, "a requires y of b, b requires x of a"));
  EXPECT_EQ(plan[1].refusal, plan[0].refusal);
  EXPECT_TRUE(contains(plan[2].refusal, "plugin behind requires the capability x of a, which cannot start"));
  EXPECT_TRUE(plan[3].refusal.empty());
}

TEST(Plan, AnOptionalCycleIsNone) {
  auto plan = make_plan({{"a", {"x"}, {{"y", true}}}, {"b", {"y"}, {{"x", true}}}}, {});
  EXPECT_TRUE(plan[0].refusal.empty() && plan[1].refusal.empty());
  EXPECT_EQ(plan[0].after.size() + plan[1].after.size(), 1u);
}

// -------------------------------------------------------------------------------------------------------------- policy

constexpr int64_t kS = 1'000'000'000;

TEST(RestartPolicyTest, AtOnceThenDoublingThenQuarantine) {
  RestartPolicy policy;
  EXPECT_EQ(policy.on_fault(0, 0).delay_ns, 0);
  EXPECT_EQ(policy.on_fault(1, 0).delay_ns, kS / 10);
  EXPECT_EQ(policy.on_fault(2, 0).delay_ns, kS / 5);
  EXPECT_FALSE(policy.on_fault(3, 0).quarantine);
  EXPECT_TRUE(policy.on_fault(4, 0).quarantine);
  policy.reset();
  EXPECT_EQ(policy.on_fault(5, 0).delay_ns, 0);
}

TEST(RestartPolicyTest, SlowFaultsBackOffToTenSecondsAndALongRunForgives) {
  RestartPolicy policy;
  int64_t delay = 0;
  for (int i = 0; i < 12; ++i) {
    const auto verdict = policy.on_fault(i * 4 * kS, 0);
    EXPECT_FALSE(verdict.quarantine);
    delay = verdict.delay_ns;
  }
  EXPECT_EQ(delay, 10 * kS);
  EXPECT_EQ(policy.on_fault(100 * kS, 11 * kS).delay_ns, 0);
}

// ----------------------------------------------------------------------------------------------------------------- log

TEST(LogBookTest, FormatsOneLineAndKeepsTheLast) {
  EXPECT_EQ(LogBook::format(1'795'374'000'123'000'000, LogLevel::kInfo, "net-iptables", "message"),
            "2026-11-22T19:00:00.123Z INFO  net-iptables: message");
  LogBook book(bus::system_clock(), LogLevel::kInfo, "/dev/null");
  ASSERT_TRUE(book.reopen().is_ok());
  int woken = 0;
  EXPECT_NE(book.when_line("p", 0, [&] { ++woken; }), 0u);
  book.write("p", LogLevel::kDebug, "below the level");
  EXPECT_EQ(woken, 0);
  for (int i = 0; i < 2100; ++i) book.info("p", "line\n" + std::to_string(i));
  EXPECT_EQ(woken, 1);
  const auto lines = book.lines("p", 0, 0);
  ASSERT_EQ(lines.size(), 2000u);
  EXPECT_EQ(lines.front().text, "line 100");
  EXPECT_EQ(book.lines("p", 2099, 0).size(), 1u);
  EXPECT_EQ(book.lines("p", 0, 3).size(), 3u);
  EXPECT_TRUE(book.lines("other", 0, 0).empty());
}

}  // namespace
}  // namespace orlop::lifecycle
