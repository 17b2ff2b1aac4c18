#include "plugins/api-kubernetes/patch/patch.hpp"

#include <map>

#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

namespace json = boost::json;

json::value parsed(std::string_view text) {
  return json::parse({text.data(), text.size()});
}

struct PatchCase {
  const char* document;
  const char* patch;
  const char* expected;  // nullptr: refused
};

TEST(JsonPatch, Rfc6902) {
  const PatchCase cases[] = {
      {R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])", R"({"a":1,"b":2})"},
      {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/3","value":2}])", nullptr},
      {R"({"a":1})", R"([{"op":"add","path":"/b/c","value":2}])", nullptr},
      {R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])", R"({"b":2})"},
      {R"({"a":1})", R"([{"op":"remove","path":"/x"}])", nullptr},
      {R"({"a/b":{"c~d":1}})", R"([{"op":"replace","path":"/a~1b/c~0d","value":2}])", R"({"a/b":{"c~d":2}})"},
      {R"({"a":1})", R"([{"op":"replace","path":"/x","value":2}])", nullptr},
      {R"({"a":{"b":1},"c":{}})", R"([{"op":"move","from":"/a/b","path":"/c/d"}])", R"({"a":{},"c":{"d":1}})"},
      {R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b/c"}])", nullptr},
      {R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"}])", R"({"a":{"b":1},"c":{"b":1}})"},
      {R"({"a":[1,2]})", R"([{"op":"test","path":"/a/1","value":2}])", R"({"a":[1,2]})"},
      {R"({"a":1})", R"([{"op":"test","path":"/a","value":"1"}])", nullptr},
      {R"({"a":1})", R"([{"op":"test","path":"/b","value":null}])", R"({"a":1})"},
      {R"({"a":1})", R"([{"op":"mystery","path":"/a"}])", nullptr},
      {R"({"a":1})", R"([{"path":"/a"}])", nullptr},
      {R"({"a":[1]})", R"([{"op":"remove","path":"/a/01"}])", nullptr},
  };
  for (const auto& test : cases) {
    auto result = json_patch(parsed(test.document), parsed(test.patch));
    ASSERT_EQ(result.is_ok(), test.expected != nullptr) << test.patch;
    if (test.expected != nullptr) {
      EXPECT_EQ(*result, parsed(test.expected)) << test.patch;
    } else {
      EXPECT_EQ(result.code(), Code::kInvalid);
      EXPECT_EQ(result.message(), "the server rejected our request due to an error in our request");
    }
  }
}

TEST(JsonPatch, Caps) {
  EXPECT_EQ(json_patch(parsed("{}"), parsed("{}")).code(), Code::kBadRequest);
  json::array many(10'001, parsed(R"({"op":"test","path":"/x","value":null})"));
  EXPECT_EQ(json_patch(parsed("{}"), many).message(),
            "The allowed maximum operations in a JSON patch is 10000, got 10001");
  // Doubling: each copy puts the whole of a into a new member of it.
  json::array doubling;
  for (int i = 0; i < 64; ++i) {
    doubling.push_back({{"op", "copy"}, {"from", "/a"}, {"path", "/a/" + std::to_string(i)}});
  }
  EXPECT_EQ(json_patch(parsed(R"({"a":{"x":"0123456789"}})"), doubling).code(), Code::kTooLarge);
}

TEST(MergePatch, Rfc7386) {
  const PatchCase cases[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      {R"({"a":"foo"})", R"(["c"])", nullptr},
  };
  for (const auto& test : cases) {
    auto result = merge_patch(parsed(test.document), parsed(test.patch));
    ASSERT_EQ(result.is_ok(), test.expected != nullptr) << test.patch;
    if (test.expected != nullptr) {
      EXPECT_EQ(*result, parsed(test.expected)) << test.patch;
    }
  }
}

class FakeSchema : public MergeSchema {
 public:
  FieldMerge field(std::string_view name) const override {
    auto found = fields.find(name);
    return found == fields.end() ? FieldMerge{} : found->second;
  }
  std::map<std::string, FieldMerge, std::less<>> fields;
};

class StrategicMerge : public ::testing::Test {
 protected:
  StrategicMerge() {
    element_.fields["ports"] = {.known = true, .list = true, .merge = true, .merge_key = "port"};
    root_.fields["containers"] = {.known = true, .list = true, .merge = true, .merge_key = "name", .type = &element_};
    root_.fields["finalizers"] = {.known = true, .list = true, .merge = true};
    root_.fields["args"] = {.known = true, .list = true};
    root_.fields["spec"] = {.known = true, .type = &root_};
    root_.fields["whole"] = {.known = true, .replace = true, .type = &root_};
  }
  void expect(const PatchCase& test) {
    auto result = strategic_merge(parsed(test.document), parsed(test.patch), root_);
    ASSERT_EQ(result.is_ok(), test.expected != nullptr) << test.patch << " " << result.message();
    // Serialised, since the order of lists matters and that of maps does not.
    if (test.expected != nullptr) {
      EXPECT_EQ(*result, parsed(test.expected)) << test.patch << json::serialize(*result);
    }
  }
  FakeSchema element_;
  FakeSchema root_;
};

TEST_F(StrategicMerge, MapsAndScalars) {
  expect({R"({"spec":{"a":1,"b":2}})", R"({"spec":{"b":3,"c":4}})", R"({"spec":{"a":1,"b":3,"c":4}})"});
  expect({R"({"spec":{"a":1,"b":2}})", R"({"spec":{"a":null}})", R"({"spec":{"b":2}})"});
  expect({R"({"spec":{"a":1,"b":2}})", R"({"spec":{"$patch":"replace","c":4}})", R"({"spec":{"c":4}})"});
  expect({R"({"spec":{"a":1}})", R"({"spec":{"$patch":"delete"}})", R"({"spec":{}})"});
  expect({R"({"spec":{"a":1,"b":2}})", R"({"spec":{"$retainKeys":["b","c"],"c":3}})", R"({"spec":{"b":2,"c":3}})"});
  expect({R"({"spec":{"a":1}})", R"({"spec":{"$retainKeys":["b"],"c":3}})", nullptr});
  expect({R"({"whole":{"a":1}})", R"({"whole":{"b":2}})", R"({"whole":{"b":2}})"});
  expect({R"({})", R"({"spec":{"a":null,"b":{"c":null}}})", R"({"spec":{"b":{}}})"});
  expect({R"({"spec":{"a":1}})", R"({"spec":{"$patch":"mystery"}})", nullptr});
}

TEST_F(StrategicMerge, ListsByKey) {
  expect({R"({"containers":[{"name":"a","x":1},{"name":"b"}]})", R"({"containers":[{"name":"a","x":2}]})",
          R"({"containers":[{"name":"a","x":2},{"name":"b"}]})"});
  expect({R"({"containers":[{"name":"a"}]})", R"({"containers":[{"name":"b"}]})",
          R"({"containers":[{"name":"b"},{"name":"a"}]})"});
  expect({R"({"containers":[{"name":"a"},{"name":"b"}]})", R"({"containers":[{"name":"a","$patch":"delete"}]})",
          R"({"containers":[{"name":"b"}]})"});
  expect({R"({"containers":[{"name":"a"},{"name":"b"}]})", R"({"containers":[{"$patch":"replace"},{"name":"c"}]})",
          R"({"containers":[{"name":"c"}]})"});
  expect({R"({"containers":[{"name":"a","ports":[{"port":80,"p":"x"}]}]})",
          R"({"containers":[{"name":"a","ports":[{"port":80,"p":"y"},{"port":81}]}]})",
          R"({"containers":[{"name":"a","ports":[{"port":80,"p":"y"},{"port":81}]}]})"});
  expect({R"({"containers":[{"name":"a"}]})", R"({"containers":[{"image":"x"}]})", nullptr});
}

TEST_F(StrategicMerge, ListsWithoutKey) {
  expect({R"({"args":["a","b"]})", R"({"args":["c"]})", R"({"args":["c"]})"});
  expect({R"({"finalizers":["a","b"]})", R"({"finalizers":["c","a"]})", R"({"finalizers":["c","a","b"]})"});
  expect(
      {R"({"finalizers":["a","b"]})", R"({"$deleteFromPrimitiveList/finalizers":["a"]})", R"({"finalizers":["b"]})"});
}

TEST_F(StrategicMerge, Order) {
  expect({R"({"containers":[{"name":"a"},{"name":"b"}]})",
          R"({"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]})",
          R"({"containers":[{"name":"b"},{"name":"a"}]})"});
  expect({R"({"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]})",
          R"({"$setElementOrder/containers":[{"name":"a"},{"name":"b"},{"name":"c"}],"containers":[{"name":"c"}]})",
          R"({"containers":[{"name":"a"},{"name":"s"},{"name":"b"},{"name":"c"}]})"});
  expect({R"({"finalizers":["a","b"]})",
          R"({"$setElementOrder/finalizers":["b","c"],"finalizers":["c"],"$deleteFromPrimitiveList/finalizers":["a"]})",
          R"({"finalizers":["b","c"]})"});
  expect({R"({"containers":[{"name":"a"}]})",
          R"({"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"z"}]})", nullptr});
}

}  // namespace
}  // namespace orlop::apikube
