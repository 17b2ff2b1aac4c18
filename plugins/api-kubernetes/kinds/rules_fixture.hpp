// For the tests of rules: objects as JSON against the rules of their kinds, in a cluster where every namespace and
// service account exists, and nothing else.
#pragma once

#include "orlop/kube/json.hpp"
#include "orlop/kube/kinds.hpp"
#include "orlop/kube/schema.hpp"
#include "plugins/api-kubernetes/kinds/rules.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>
#include <gtest/gtest.h>

namespace orlop::apikube {

class PlainCluster : public ObjectReader {
 public:
  Result<std::optional<std::string>> get(std::string_view kind, std::string_view, std::string_view) const override {
    if (kind == "namespaces" || kind == "serviceaccounts") return std::optional<std::string>("");
    return std::optional<std::string>();
  }
  Status list(std::string_view, std::string_view, const std::function<void(std::string_view)>&) const override {
    return Status::ok();
  }
};

class RulesFixture : public ::testing::Test {
 protected:
  RulesFixture() {
    auto rules = KindRules::make(
        {}, cluster_, [] { return std::chrono::steady_clock::time_point(); }, [this] { return random_ += 104729; });
    EXPECT_TRUE(rules.is_ok());
    rules_ = std::move(*rules);
  }
  // A create in namespace "default".
  static AdmitRequest request(std::string_view kind_id, const std::string& json) {
    AdmitRequest request;
    request.kind = kube::find_storage(kind_id);
    request.name_space = "default";
    std::unique_ptr<google::protobuf::Message> message(
        kube::prototype(*kube::find_message(request.kind->message))->New());
    auto decoded = kube::from_json(json, *message);
    EXPECT_TRUE(decoded.is_ok()) << decoded.message() << json;
    request.value = message->SerializeAsString();
    return request;
  }
  Result<Admitted> create(std::string_view kind_id, const std::string& json) {
    return rules_->admit(request(kind_id, json));
  }
  // The words of it; empty: it is admitted.
  std::string refusal(std::string_view kind_id, const std::string& json) { return create(kind_id, json).message(); }
  // What is said to a change of the first into the second.
  std::string change_refusal(std::string_view kind_id, const std::string& before, const std::string& after) {
    auto stored = create(kind_id, before);
    EXPECT_TRUE(stored.is_ok()) << stored.message();
    AdmitRequest change = request(kind_id, after);
    change.operation = Operation::kUpdate;
    change.current = stored->value;
    return rules_->admit(change).message();
  }

  PlainCluster cluster_;
  uint64_t random_ = 1;
  std::unique_ptr<KindRules> rules_;
};

}  // namespace orlop::apikube
