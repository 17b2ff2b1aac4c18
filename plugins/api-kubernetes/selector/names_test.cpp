#include "plugins/api-kubernetes/selector/names.hpp"

#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

TEST(Names, Dns1123Subdomain) {
  for (const auto* good : {"a", "a.b", "a-b.c0", "0"}) EXPECT_TRUE(dns1123_subdomain_faults(good).empty()) << good;
  for (const auto* wrong : {"", "A", "a_b", "-a", "a-", "a..b", ".a", "a."}) {
    EXPECT_EQ(dns1123_subdomain_faults(wrong).size(), 1u) << wrong;
  }
  EXPECT_EQ(
      dns1123_subdomain_faults("Foo").front(),
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
      "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
      "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  EXPECT_EQ(dns1123_subdomain_faults(std::string(254, 'a')).front(), "must be no more than 253 characters");
}

TEST(Names, Labels) {
  EXPECT_EQ(dns1123_label_faults("a.b").front(), "must not contain dots");
  EXPECT_TRUE(dns1123_label_faults("0a").empty());
  EXPECT_FALSE(dns1035_label_faults("0a").empty());
  EXPECT_TRUE(label_value_faults("").empty());
  EXPECT_FALSE(label_value_faults("-a").empty());
  EXPECT_TRUE(qualified_name_faults("example.com/MyName").empty());
  EXPECT_EQ(qualified_name_faults("/x").front(), "prefix part must be non-empty");
  EXPECT_EQ(qualified_name_faults("a/").front(), "name part must be non-empty");
  EXPECT_EQ(qualified_name_faults("a/b/c").size(), 1u);
  EXPECT_TRUE(path_segment_faults("system:node").empty());
  EXPECT_EQ(path_segment_faults("a/b").front(), "may not contain '/'");
}

TEST(Names, Ports) {
  EXPECT_TRUE(port_name_faults("http").empty());
  EXPECT_EQ(port_name_faults("80").front(), "must contain at least one letter (a-z)");
  EXPECT_EQ(port_number_faults(0).front(), "must be between 1 and 65535, inclusive");
  EXPECT_TRUE(port_number_faults(65535).empty());
}

TEST(Names, Quoted) {
  EXPECT_EQ(in_quotes("a\"b\n\x01"), "\"a\\\"b\\n\\x01\"");
}

}  // namespace
}  // namespace orlop::apikube
