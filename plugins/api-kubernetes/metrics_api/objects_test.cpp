#include "plugins/api-kubernetes/metrics_api/objects.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::metrics_api {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000'000;

TEST(MetricsObjects, AreWordedAsTheMetricsServersAre) {
  NodeMetrics node{"n1", kNow - 1'000'000'000, 15'250'000'000, {123'456'789, 2048 * 1024}};
  EXPECT_EQ(node_json({"", "n1", {{"a", "b"}}}, node, kNow),
            R"({"kind":"NodeMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"n1",)"
            R"("creationTimestamp":"2023-11-14T22:13:20Z","labels":{"a":"b"}},"timestamp":"2023-11-14T22:13:19Z",)"
            R"("window":"15.25s","usage":{"cpu":"123456789n","memory":"2Mi"}})");
  PodMetrics pod{"default", "web", "u", kNow, 10'000'000'000, {{"c", {0, 1000}}, {"d", {5, 1536}}}};
  const std::string json = pod_json({"default", "web", {}}, pod, kNow);
  EXPECT_EQ(json,
            R"({"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"web",)"
            R"("namespace":"default","creationTimestamp":"2023-11-14T22:13:20Z"},"timestamp":"2023-11-14T22:13:20Z",)"
            R"("window":"10s","containers":[{"name":"c","usage":{"cpu":"0","memory":"1k"}},)"
            R"({"name":"d","usage":{"cpu":"5n","memory":"1536"}}]})");
  EXPECT_EQ(list_json("PodMetricsList", {"{}", "{}"}),
            R"({"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{},{}]})"
            "\n");
}

TEST(MetricsObjects, BytesHaveUpstreamsFieldNumbers) {
  NodeMetrics node{"n1", kNow, 5, {7, 2048}};
  // 1: metadata {1: name, 8: creationTimestamp {1: seconds}}, 2: timestamp, 3: window, 4: usage, an entry for each.
  EXPECT_EQ(node_bytes({"", "n1", {}}, node, kNow),
            std::string("\x0a\x0c\x0a\x02n1\x42\x06\x08\x80\xe2\xcf\xaa\x06", 14) + "\x12\x06\x08\x80\xe2\xcf\xaa\x06" +
                "\x1a\x02\x08\x05" + "\x22\x0b\x0a\x03" + "cpu\x12\x04\x0a\x02" + "7n" +
                "\x22\x0f\x0a\x06memory\x12\x05\x0a\x03" + "2Ki");
  PodMetrics pod{"d", "p", "u", kNow, 5, {{"c", {7, 2048}}}};
  const std::string bytes = pod_bytes({"d", "p", {}}, pod, kNow);
  EXPECT_THAT(bytes, ::testing::HasSubstr(std::string("\x22\x21\x0a\x01") + "c\x12\x0b\x0a\x03" + "cpu"));
  EXPECT_EQ(list_bytes({"ab"}), std::string("\x0a\x00\x12\x02", 4) + "ab");
}

TEST(MetricsObjects, DurationsAreGos) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(500'000'000), "500ms");
  EXPECT_EQ(duration_text(15'000'000'000), "15s");
  EXPECT_EQ(duration_text(62'500'000'000), "1m2.5s");
  EXPECT_EQ(duration_text(3'600'000'000'000), "1h0m0s");
}

TEST(MetricsObjects, NothingIsToldBeforeASecondReading) {
  v1::PodStats stats;
  EXPECT_FALSE(pod_metrics(stats));
  stats.add_containers()->mutable_usage()->set_window_ns(5);
  EXPECT_TRUE(pod_metrics(stats));
  stats.add_containers()->set_name("new");
  EXPECT_FALSE(pod_metrics(stats));
  v1::StatsResponse node;
  EXPECT_FALSE(node_metrics("n", node));
}

}  // namespace
}  // namespace orlop::metrics_api
