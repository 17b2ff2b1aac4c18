#include "cli/commands/arguments.hpp"

#include <gtest/gtest.h>

namespace orlop::cli {
namespace {

Grammar grammar() {
  return Grammar({{"namespace", 'n', FlagKind::kText, "", ""},
                  {"stdin", 'i', FlagKind::kSwitch, "", ""},
                  {"tty", 't', FlagKind::kSwitch, "", ""},
                  {"wait", 0, FlagKind::kSwitch, "true", ""},
                  {"replicas", 0, FlagKind::kNumber, "1", ""},
                  {"filename", 'f', FlagKind::kTexts, "", ""},
                  {"image", 0, FlagKind::kList, "", ""},
                  {"timeout", 0, FlagKind::kDuration, "0s", ""},
                  {"dry-run", 0, FlagKind::kText, "none", "", "unchanged"}});
}

TEST(Grammar, ShortFlagsInAllTheirForms) {
  const auto args = grammar().parse({"-it", "pod", "-nkube-system", "--", "ls", "-l", "--", "x"});
  ASSERT_TRUE(args.is_ok()) << args.message();
  EXPECT_TRUE(args->on("stdin"));
  EXPECT_TRUE(args->on("tty"));
  EXPECT_EQ(args->text("namespace"), "kube-system");
  EXPECT_EQ(args->words, (std::vector<std::string>{"pod", "ls", "-l", "--", "x"}));
  EXPECT_EQ(args->dash_index, 1U);
  EXPECT_EQ(grammar().parse({"-n=a"})->text("namespace"), "a");
  EXPECT_EQ(grammar().parse({"-n", "a"})->text("namespace"), "a");
}

TEST(Grammar, ListsAndFallbacks) {
  const auto args = grammar().parse({"--image=a,b", "--image", "c", "-f", "-", "-f=x,y", "--wait=false", "--dry-run"});
  ASSERT_TRUE(args.is_ok()) << args.message();
  EXPECT_EQ(args->list("image"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(args->list("filename"), (std::vector<std::string>{"-", "x,y"}));
  EXPECT_FALSE(args->on("wait"));
  EXPECT_EQ(args->text("dry-run"), "unchanged");
  EXPECT_EQ(args->number("replicas"), 1);
  EXPECT_FALSE(args->given("replicas"));
}

TEST(Grammar, FaultsInTheWordsOfKubectl) {
  EXPECT_EQ(grammar().parse({"--nope"}).message(), "unknown flag: --nope");
  EXPECT_EQ(grammar().parse({"-ix"}).message(), "unknown shorthand flag: 'x' in -x");
  EXPECT_EQ(grammar().parse({"--namespace"}).message(), "flag needs an argument: --namespace");
  EXPECT_EQ(grammar().parse({"-n"}).message(), "flag needs an argument: 'n' in -n");
  EXPECT_EQ(grammar().parse({"--replicas=two"}).message(),
            "invalid argument \"two\" for \"--replicas\" flag: strconv.ParseInt: parsing \"two\": invalid syntax");
}

TEST(Duration, GoForms) {
  EXPECT_EQ(parse_duration("1h2m3.5s"), 3723.5);
  EXPECT_EQ(parse_duration("500ms"), 0.5);
  EXPECT_EQ(parse_duration("0"), 0);
  EXPECT_EQ(parse_duration("-1s"), -1);
  EXPECT_FALSE(parse_duration("fast"));
  EXPECT_FALSE(parse_duration(""));
}

}  // namespace
}  // namespace orlop::cli
