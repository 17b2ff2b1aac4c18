#include "plugins/api-kubernetes/selector/fields.hpp"
#include "plugins/api-kubernetes/selector/labels.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

using Labels = std::map<std::string, std::string>;

struct MatchCase {
  const char* selector;
  Labels labels;
  bool matches;
};

TEST(LabelSelector, MatchesAsKubernetesDoes) {
  const MatchCase cases[] = {
      {"", {{"x", "y"}}, true},
      {"x=y", {{"x", "y"}}, true},
      {"x==y", {{"x", "z"}}, false},
      {"x=y,z=w", {{"x", "y"}, {"z", "w"}}, true},
      {"x!=y,z!=w", {{"x", "z"}, {"z", "a"}}, true},
      {"notin=in", {{"notin", "in"}}, true},
      {"x", {{"x", "z"}}, true},
      {"!x", {{"y", "z"}}, true},
      {"!x", {{"x", "z"}}, false},
      {"x>1", {{"x", "2"}}, true},
      {"x<1", {{"x", "0"}}, true},
      {"x<7", {{"x", "8"}}, false},
      {"x>1", {{"x", "two"}}, false},
      {"x in (a,b)", {{"x", "b"}}, true},
      {"x in (a,,b)", {{"x", ""}}, true},
      {"x notin (a,b)", {}, true},
      {"x notin (a,b)", {{"x", "a"}}, false},
      {"x=", {{"x", ""}}, true},
      {" x = y , z in ( w ) ", {{"x", "y"}, {"z", "w"}}, true},
      {"x in ()", {{"x", ""}}, true},
  };
  for (const auto& test : cases) {
    auto selector = LabelSelector::parse(test.selector);
    ASSERT_TRUE(selector.is_ok()) << test.selector << ": " << selector.message();
    EXPECT_EQ(selector->matches(test.labels), test.matches) << test.selector;
  }
}

TEST(LabelSelector, RefusesInKubernetesWords) {
  const std::pair<const char*, const char*> cases[] = {
      {"x=a||y=b",
       "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must be an empty "
       "string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
       "alphanumeric character (e.g. 'MyValue', or 'my_value', or '12345', regex used for validation is "
       "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
      {"x==a==b", "found '==', expected: ',' or 'end of string'"},
      {"=x", "found '=', expected: !, identifier, or 'end of string'"},
      {"x=y,", "found '', expected: identifier after ','"},
      {"x in", "unable to parse requirement: found '' expected: '('"},
      {"x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"},
      {"x>a",
       "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be "
       "an integer"},
  };
  for (const auto& [text, message] : cases) {
    auto selector = LabelSelector::parse(text);
    ASSERT_FALSE(selector.is_ok()) << text;
    EXPECT_EQ(selector.code(), Code::kBadRequest);
    if (std::string_view(text) != "x=a||y=b") {
      EXPECT_EQ(selector.message(), message);
    }
  }
}

TEST(LabelSelector, TextIsCanonicalAndParsesBack) {
  auto selector = LabelSelector::parse("z notin (b,a), a=1,!q,m>3");
  ASSERT_TRUE(selector.is_ok());
  EXPECT_EQ(selector->text(), "a=1,m>3,!q,z notin (a,b)");
  EXPECT_EQ(LabelSelector::parse(selector->text())->text(), selector->text());
  EXPECT_EQ(selector->index_term(), "label/a=1");
  EXPECT_FALSE(LabelSelector::parse("a!=1")->index_term().has_value());
  EXPECT_FALSE(LabelSelector::nothing().matches(Labels{}));
}

TEST(FieldSelector, ParsesAndChecks) {
  auto selector = FieldSelector::parse("metadata.name=a,status.phase!=Running,spec.nodeName==n\\,1");
  ASSERT_TRUE(selector.is_ok()) << selector.message();
  ASSERT_EQ(selector->terms().size(), 3u);
  EXPECT_EQ(selector->terms()[2].value, "n,1");
  EXPECT_TRUE(selector->check("pods").is_ok());
  EXPECT_EQ(selector->check("secrets").message(), "field label not supported: status.phase");
  EXPECT_EQ(selector->required("metadata.name"), "a");
  EXPECT_TRUE(selector->matches_key("ns", "a"));
  EXPECT_FALSE(selector->matches_key("ns", "b"));
  EXPECT_EQ(selector->index_term("pods"), "node/n,1");
  EXPECT_EQ(selector->text(), "metadata.name=a,status.phase!=Running,spec.nodeName=n\\,1");
}

TEST(FieldSelector, RefusesInKubernetesWords) {
  EXPECT_EQ(FieldSelector::parse("x").message(), "invalid selector: 'x'; can't understand 'x'");
  EXPECT_EQ(FieldSelector::parse("x=a\\b").message(), "invalid field selector: invalid escape sequence: \\b");
  EXPECT_EQ(FieldSelector::parse("x=a=b").message(), "invalid field selector: unescaped character in value: 61");
  EXPECT_TRUE(FieldSelector::parse("")->is_everything());
}

}  // namespace
}  // namespace orlop::apikube
