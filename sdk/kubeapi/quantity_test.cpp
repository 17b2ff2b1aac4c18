#include "orlop/kube/quantity.hpp"

#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

std::string canonical(std::string_view text) {
  const auto parsed = Quantity::parse(text);
  return parsed ? parsed->to_string() : "error: " + parsed.message();
}

TEST(QuantityTest, CanonicalForms) {
  const std::pair<const char*, const char*> cases[] = {
      {"0", "0"},
      {"0Gi", "0"},
      {"000", "0"},
      {"0.0", "0"},
      {"1", "1"},
      {"100m", "100m"},
      {"0.1", "100m"},
      {"0.5", "500m"},
      {".5", "500m"},
      {"1000m", "1"},
      {"1500m", "1500m"},
      {"1.5", "1500m"},
      {"1024", "1024"},
      {"1000", "1k"},
      {"1024Ki", "1Mi"},
      {"1024Mi", "1Gi"},
      {"1.5Gi", "1536Mi"},
      {"0.5Gi", "512Mi"},
      {"1Gi", "1Gi"},
      {"1G", "1G"},
      {"1e3", "1e3"},
      {"1E3", "1E3"},
      {"1000e0", "1e3"},
      {"12e6", "12e6"},
      {"2e1", "20"},
      {"128974848", "128974848"},
      {"129M", "129M"},
      {"123Mi", "123Mi"},
      {"-1", "-1"},
      {"-0.5", "-500m"},
      {"1n", "1n"},
      {"0.1n", "1n"},
      {"1u", "1u"},
      {"100u", "100u"},
      {"1P", "1P"},
      {"1Ei", "1Ei"},
      {"1E", "1E"},
      {"1001m", "1001m"},
      {"0.001", "1m"},
      {"1.1Ki", "1126400m"},
      {"512", "512"},
      {"0.5Ki", "512"},
      {"100Ei", "9223372036854775807"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(canonical(text), expected) << text;
}

TEST(QuantityTest, WrongOnes) {
  const std::string form =
      "error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  for (const char* text : {"", "abc", "1 Gi", "1.5.5", "1Gi!"}) EXPECT_EQ(canonical(text), form) << text;
  for (const char* text : {"--1", "1gi", "1Kk", "1i", "1mm", "1e"}) {
    const std::string got = canonical(text);
    EXPECT_TRUE(got == "error: unable to parse quantity's suffix" || got == form) << text << ": " << got;
  }
  EXPECT_EQ(canonical(std::string(40, '9')), "error: unable to parse numeric part of quantity");
}

TEST(QuantityTest, ValuesRoundUp) {
  EXPECT_EQ(quantity_milli("0.1"), 100);
  EXPECT_EQ(quantity_milli("2"), 2000);
  EXPECT_EQ(quantity_milli("100u"), 1);
  EXPECT_EQ(quantity_value("1Gi"), 1073741824);
  EXPECT_EQ(quantity_value("1500m"), 2);
  EXPECT_EQ(quantity_value("100Ei"), INT64_MAX);
  EXPECT_EQ(quantity_milli("1Ei"), INT64_MAX);
  EXPECT_EQ(quantity_value("nonsense"), 0);
}

Quantity q(std::string_view text) {
  return Quantity::parse(text).value();
}

TEST(QuantityTest, ComparesAcrossFormats) {
  EXPECT_EQ(q("1Gi"), q("1024Mi"));
  EXPECT_EQ(q("1"), q("1000m"));
  EXPECT_LT(q("1G"), q("1Gi"));
  EXPECT_LT(q("-1"), q("0"));
  EXPECT_LT(q("1n"), q("1e100"));
  EXPECT_GT(q("-1n"), q("-1e100"));
}

TEST(QuantityTest, Adds) {
  Quantity sum;
  sum += q("100m");
  sum += q("1.9");
  EXPECT_EQ(sum.to_string(), "2");
  Quantity memory;
  memory += q("512Mi");
  memory += q("512Mi");
  EXPECT_EQ(memory.to_string(), "1Gi");
  memory -= q("1Gi");
  EXPECT_TRUE(memory.is_zero());
  EXPECT_EQ(Quantity::of_milli(250).to_string(), "250m");
  EXPECT_EQ(Quantity::of(2048, Quantity::Format::kBinarySi).to_string(), "2Ki");
}

}  // namespace
}  // namespace orlop::kube
