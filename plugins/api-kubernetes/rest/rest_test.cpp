#include "orlop/kube/autoscaling_v1.hpp"
#include "orlop/kube/autoscaling_v2.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/events_v1.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "plugins/api-kubernetes/rest/codec.hpp"
#include "plugins/api-kubernetes/rest/convert.hpp"
#include "plugins/api-kubernetes/rest/hold.hpp"
#include "plugins/api-kubernetes/rest/list_query.hpp"
#include "plugins/api-kubernetes/rest/negotiate.hpp"
#include "plugins/api-kubernetes/rest/request_info.hpp"
#include "plugins/api-kubernetes/rest/selection.hpp"
#include "plugins/api-kubernetes/rest/watch_hub.hpp"
#include "plugins/api-kubernetes/rest/yaml_writer.hpp"

#include <gmock/gmock.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

namespace orlop::rest {
namespace {

using ::testing::HasSubstr;
namespace core = k8s::io::api::core::v1;

http::Request request_for(const std::string& method, const std::string& path, const std::string& query = {}) {
  http::Request request;
  static std::string kept;
  kept = method;
  request.method = kept;
  request.path = path;
  request.query = http::Query::parse(query);
  return request;
}

TEST(RequestInfo, ReadsPathsOfResources) {
  auto request = request_for("GET", "/api/v1/namespaces/default/pods/web/log");
  RequestInfo info = read_request_info(request);
  EXPECT_TRUE(info.is_resource);
  EXPECT_EQ(info.verb, "get");
  EXPECT_EQ(info.name_space, "default");
  EXPECT_EQ(info.resource, "pods");
  EXPECT_EQ(info.name, "web");
  EXPECT_EQ(info.subresource, "log");

  auto list = request_for("GET", "/apis/apps/v1/deployments", "watch=1");
  info = read_request_info(list);
  EXPECT_EQ(info.verb, "watch");
  EXPECT_EQ(info.group, "apps");
  EXPECT_EQ(info.name_space, "");

  auto name_space = request_for("PUT", "/api/v1/namespaces/blue/finalize");
  info = read_request_info(name_space);
  EXPECT_EQ(info.resource, "namespaces");
  EXPECT_EQ(info.name, "blue");
  EXPECT_EQ(info.subresource, "finalize");

  auto other = request_for("GET", "/healthz");
  EXPECT_FALSE(read_request_info(other).is_resource);
  auto deep = request_for("GET", "/api/v1/namespaces/a/pods/b/log/c/d");
  EXPECT_TRUE(read_request_info(deep).too_long);
}

TEST(Negotiate, TakesTheFirstThatIsServed) {
  auto table = negotiate_output(
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/"
      "json");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->shape, Shape::kTable);
  EXPECT_EQ(table->meta_version, "v1");
  auto protobuf = negotiate_output("application/vnd.kubernetes.protobuf,application/json");
  EXPECT_EQ(protobuf->encoding, Encoding::kProtobuf);
  EXPECT_EQ(negotiate_output("text/html, */*;q=0.1")->encoding, Encoding::kJson);
  EXPECT_EQ(negotiate_output("text/html").code(), Code::kNotAcceptable);
  EXPECT_EQ(negotiate_input("application/json; charset=utf-8").value(), Encoding::kJson);
  EXPECT_EQ(negotiate_input("text/csv").code(), Code::kUnsupportedMediaType);
}

TEST(YamlWriter, QuotesWhatYamlWouldMisread) {
  auto yaml = json_to_yaml(R"({"a":"true","b":"x y","c":[{"d":1,"e":[]},"z"],"f":{},"g":"web-1"})");
  ASSERT_TRUE(yaml);
  EXPECT_EQ(*yaml, "a: \"true\"\nb: \"x y\"\nc:\n- d: 1\n  e: []\n- z\nf: {}\ng: web-1\n");
}

TEST(Codec, SpeaksAllEncodings) {
  const KindEntry& entry = *registry().find("", "v1", "configmaps");
  std::vector<std::string> warnings;
  auto message = decode_body(entry, "application/json", R"({"metadata":{"name":"a"},"data":{"k":"v"},"nope":1})",
                             "Warn", warnings);
  ASSERT_TRUE(message) << message.message();
  EXPECT_THAT(warnings, ::testing::ElementsAre("unknown field \"nope\""));
  EXPECT_EQ(decode_body(entry, "application/json", R"({"nope":1})", "Strict", warnings).code(), Code::kBadRequest);
  EXPECT_EQ(decode_body(entry, "application/json", R"({"kind":"Pod","apiVersion":"v1"})", "", warnings).code(),
            Code::kBadRequest);
  auto stored = write_stored(entry, **message);
  ASSERT_TRUE(stored);
  std::string json;
  append_object(json, entry, {}, IncludeObject::kNone, *stored, 7, {});
  EXPECT_EQ(json, R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"7",)"
                  R"("creationTimestamp":null},"data":{"k":"v"}})"
                  "\n");
  OutputFormat protobuf;
  protobuf.encoding = Encoding::kProtobuf;
  std::string bytes;
  append_object(bytes, entry, protobuf, IncludeObject::kNone, *stored, 7, {});
  auto again = decode_body(entry, "application/vnd.kubernetes.protobuf", bytes, "", warnings);
  ASSERT_TRUE(again) << again.message();
  EXPECT_EQ(dynamic_cast<core::ConfigMap&>(**again).metadata().resourceversion(), "7");
}

TEST(Convert, EventsBothWays) {
  core::Event event;
  event.mutable_metadata()->set_name("e");
  event.mutable_involvedobject()->set_name("web");
  event.set_message("pulled");
  event.set_count(3);
  k8s::io::api::events::v1::Event other;
  convert(event, other);
  EXPECT_EQ(other.note(), "pulled");
  EXPECT_EQ(other.regarding().name(), "web");
  core::Event back;
  convert(other, back);
  std::string before;
  std::string after;
  kube::to_json(event, "v1", "Event", before);
  kube::to_json(back, "v1", "Event", after);
  EXPECT_EQ(after, before);
}

TEST(Convert, AutoscalersKeepWhatV1CannotSay) {
  namespace v2 = k8s::io::api::autoscaling::v2;
  v2::HorizontalPodAutoscaler scaler;
  scaler.mutable_spec()->set_maxreplicas(5);
  v2::MetricSpec* cpu = scaler.mutable_spec()->add_metrics();
  cpu->set_type("Resource");
  cpu->mutable_resource()->set_name("cpu");
  cpu->mutable_resource()->mutable_target()->set_type("Utilization");
  cpu->mutable_resource()->mutable_target()->set_averageutilization(60);
  v2::MetricSpec* memory = scaler.mutable_spec()->add_metrics();
  memory->set_type("Resource");
  memory->mutable_resource()->set_name("memory");
  memory->mutable_resource()->mutable_target()->set_type("Utilization");
  memory->mutable_resource()->mutable_target()->set_averageutilization(70);
  k8s::io::api::autoscaling::v1::HorizontalPodAutoscaler old;
  convert(scaler, old);
  EXPECT_EQ(old.spec().targetcpuutilizationpercentage(), 60);
  v2::HorizontalPodAutoscaler back;
  convert(old, back);
  ASSERT_EQ(back.spec().metrics_size(), 2);
  EXPECT_EQ(back.spec().metrics(1).resource().name(), "memory");
}

TEST(Hold, ANamespaceWithContentStays) {
  core::Namespace object;
  object.mutable_spec()->add_finalizers("kubernetes");
  Hold hold = hold_of("namespaces", object.SerializeAsString(), true);
  EXPECT_TRUE(hold.hold);
  core::Namespace left;
  left.ParseFromString(hold.left_behind);
  EXPECT_EQ(left.status().phase(), "Terminating");
  EXPECT_FALSE(hold_of("namespaces", core::Namespace().SerializeAsString(), true).hold);
  EXPECT_FALSE(hold_of("pods", "", true).hold);
}

TEST(Selection, LooksAtStoredLabels) {
  core::ConfigMap map;
  (*map.mutable_metadata()->mutable_labels())["app"] = "web";
  std::string stored = map.SerializeAsString();
  const KindEntry& entry = *registry().find("", "v1", "configmaps");
  auto yes = Selection::read(entry, http::Query::parse("labelSelector=app%3Dweb"));
  auto no = Selection::read(entry, http::Query::parse("labelSelector=app%21%3Dweb"));
  ASSERT_TRUE(yes && no);
  EXPECT_TRUE(yes->matches("default", "a", stored));
  EXPECT_FALSE(no->matches("default", "a", stored));
  auto named = Selection::read(entry, http::Query::parse("fieldSelector=metadata.name%3Db"));
  EXPECT_FALSE(named->matches("default", "a", stored));
  EXPECT_EQ(Selection::read(entry, http::Query::parse("fieldSelector=spec.nope%3Db")).code(), Code::kBadRequest);
}

class Recorder final : public http::Exchange {
 public:
  void notify() override { notified_ = true; }
  void post(std::coroutine_handle<>) override {}
  [[nodiscard]] bool notified() { return notified_.exchange(false); }

 protected:
  void start_write(std::coroutine_handle<>) override {}
  void start_wait(Clock::time_point, std::coroutine_handle<>) override {}
  void start_backend(std::coroutine_handle<>) override {}
  void start_backend_read(std::coroutine_handle<>) override {}
  void start_tunnel(std::coroutine_handle<>) override {}
  void on_begin(bool) override {}
};

TEST(WatchHubs, GiveEveryChangeOnceInOrder) {
  testing::FakeKernel kernel;
  WatchHubs hubs(kernel.host());
  kernel.on_wake([&](uint32_t) { hubs.wake(); });
  ASSERT_TRUE(kernel.host().subscribe({}));
  hubs.start();
  Recorder watcher;
  uint64_t cursor = kernel.revision();
  WatchHubs::Subscription subscription(hubs, "configmaps", watcher);
  for (int i = 0; i < 300; ++i) {
    core::ConfigMap map;
    map.mutable_metadata()->set_namespace_("default");
    map.mutable_metadata()->set_name("map-" + std::to_string(i));
    ASSERT_TRUE(kernel.create("configmaps", map));
  }
  int seen = 0;
  auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (seen < 300 && std::chrono::steady_clock::now() < give_up) {
    auto batch = hubs.take("configmaps", "", cursor);
    ASSERT_TRUE(batch) << batch.message();
    for (const WatchEventPtr& event : batch->events) {
      EXPECT_EQ(event->name, "map-" + std::to_string(seen));
      EXPECT_GT(event->revision, cursor);
      cursor = event->revision;
      ++seen;
    }
    cursor = std::max(cursor, batch->next_cursor);
  }
  EXPECT_EQ(seen, 300);
  EXPECT_TRUE(watcher.notified());
  // Somebody who comes back from before the ring reads the log.
  auto old = hubs.take("configmaps", "", 0);
  ASSERT_TRUE(old);
  EXPECT_FALSE(old->events.empty());
  kernel.on_wake({});
  hubs.stop();
}

TEST(ListQuery, TokensComeBack) {
  EXPECT_EQ(parse_revision("12").value(), 12u);
  EXPECT_EQ(parse_revision("-1").code(), Code::kBadRequest);
  EXPECT_EQ(parse_revision("x").code(), Code::kBadRequest);
  EXPECT_EQ(too_large_revision(9, 5).message(), "Too large resource version: 9, current: 5");
}

}  // namespace
}  // namespace orlop::rest
