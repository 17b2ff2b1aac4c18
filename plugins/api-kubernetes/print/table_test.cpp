#include "plugins/api-kubernetes/print/table.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/kinds.hpp"
#include "orlop/kube/schema.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace orlop::apikube {
namespace {

TEST(HumanDuration, AsKubernetesWordsIt) {
  using std::chrono::seconds;
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 60 * kMinute;
  constexpr int64_t kDay = 24 * kHour;
  const std::pair<int64_t, const char*> cases[] = {
      {-2, "<invalid>"},
      {-1, "0s"},
      {0, "0s"},
      {70, "70s"},
      {2 * kMinute, "2m"},
      {3 * kMinute + 1, "3m1s"},
      {10 * kMinute + 5, "10m"},
      {179 * kMinute, "179m"},
      {3 * kHour, "3h"},
      {3 * kHour + 5 * kMinute, "3h5m"},
      {9 * kHour, "9h"},
      {47 * kHour, "47h"},
      {48 * kHour, "2d"},
      {50 * kHour, "2d2h"},
      {10 * kDay, "10d"},
      {729 * kDay, "729d"},
      {730 * kDay, "2y"},
      {800 * kDay, "2y70d"},
      {9 * 365 * kDay, "9y"},
  };
  for (const auto& [age, text] : cases) EXPECT_EQ(human_duration(seconds(age)), text) << age;
}

// Angle brackets are escaped on the wire, as Go does it.
std::string plain(std::string text) {
  for (auto [from, to] : {std::pair{"\\u003c", "<"}, {"\\u003e", ">"}}) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from)) text.replace(at, 6, to);
  }
  return text;
}

std::string cells_of(std::string_view kind_id, std::string_view json) {
  const auto* kind = kube::find_storage(kind_id);
  const auto* descriptor = kube::find_message(kind->message);
  std::unique_ptr<google::protobuf::Message> message(kube::prototype(*descriptor)->New());
  auto decoded = kube::from_json(json, *message);
  EXPECT_TRUE(decoded.is_ok()) << decoded.message();
  std::string out;
  // 2024-01-01T01:00:00Z
  append_table_cells(kind_id, *message, WallTime(std::chrono::seconds(1704070800)), &out);
  return plain(out);
}

struct CellsCase {
  const char* kind;
  const char* json;
  const char* cells;
};

#define META(name) "\"metadata\":{\"name\":\"" name "\",\"creationTimestamp\":\"2024-01-01T00:00:00Z\"}"

TEST(TableCells, AsKubernetesPrintsThem) {
  const CellsCase cases[] = {
      {"pods", "{" META("a") R"(,"spec":{"nodeName":"n","containers":[{"name":"c"}]},"status":{"phase":"Running",
       "podIPs":[{"ip":"10.1.0.2"}],
       "containerStatuses":[{"name":"c","ready":true,"restartCount":2,"state":{"running":{}},
       "lastState":{"terminated":{"finishedAt":"2024-01-01T00:50:00Z"}}}]}})",
       R"j(["a","1/1","Running","2 (10m ago)","60m","10.1.0.2","n","<none>","<none>"])j"},
      {"pods", "{" META("a") R"(,"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Pending"}})",
       R"(["a","0/1","Pending","0","60m","<none>","<none>","<none>","<none>"])"},
      {"pods", "{" META("a") R"(,"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Running",
       "containerStatuses":[
       {"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})",
       R"(["a","0/1","CrashLoopBackOff","3","60m","<none>","<none>","<none>","<none>"])"},
      {"pods", "{" META("a") R"(,"spec":{"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"c"}]},
       "status":{"phase":"Pending",
       "initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}},{"name":"j",
       "state":{"running":{}}}],
       "containerStatuses":[{"state":{"waiting":{"reason":"PodInitializing"}}}]}})",
       R"(["a","0/1","Init:1/2","0","60m","<none>","<none>","<none>","<none>"])"},
      {"pods",
       "{" META("a") R"(,"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Succeeded","containerStatuses":[
       {"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}})",
       R"(["a","0/1","Completed","0","60m","<none>","<none>","<none>","<none>"])"},
      {"pods", "{" META("a") R"(,"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Failed",
       "containerStatuses":[
       {"state":{"terminated":{"exitCode":137,"signal":9}}}]}})",
       R"(["a","0/1","Signal:9","0","60m","<none>","<none>","<none>","<none>"])"},
      {"pods",
       R"({"metadata":{"name":"a","deletionTimestamp":"2024-01-01T00:00:00Z"},
       "spec":{"containers":[{"name":"c"}]},"status":{"phase":"Running"}})",
       R"(["a","0/1","Terminating","0","<unknown>","<none>","<none>","<none>","<none>"])"},
      {"deployments.apps", "{" META("d") R"(,"spec":{"replicas":3,"selector":{"matchLabels":{"app":"x"}},
       "template":{"spec":{"containers":[
       {"name":"c","image":"nginx"}]}}},"status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2}})",
       R"(["d","2/3",3,2,"60m","c","nginx","app=x"])"},
      {"services", "{" META("s") R"(,"spec":{"type":"NodePort","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9"],
       "ports":[{"port":80,"nodePort":30080,
       "protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"b":"2","a":"1"}}})",
       R"(["s","NodePort","10.96.0.9","<none>","80:30080/TCP,53/UDP","60m","a=1,b=2"])"},
      {"services", "{" META("s") R"(,"spec":{"type":"LoadBalancer","clusterIP":"None","clusterIPs":["None"]}})",
       R"(["s","LoadBalancer","None","<pending>","<none>","60m","<none>"])"},
      {"nodes",
       R"({"metadata":{"name":"n","creationTimestamp":"2024-01-01T00:00:00Z",
       "labels":{"node-role.kubernetes.io/control-plane":""}},
       "spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],
       "addresses":[{"type":"InternalIP","address":"10.0.0.1"}],
       "nodeInfo":{"kubeletVersion":"v1.32.3"}}})",
       R"(["n","Ready,SchedulingDisabled","control-plane","60m","v1.32.3","10.0.0.1","<none>","<unknown>",)"
       R"("<unknown>","<unknown>"])"},
      {"endpoints", "{" META("e") R"(,"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"},{"ip":"1.1.1.3"},
       {"ip":"1.1.1.4"}],"ports":[{"port":80}]}]})",
       R"(["e","1.1.1.1:80,1.1.1.2:80,1.1.1.3:80 + 1 more...","60m"])"},
      {"configmaps", "{" META("m") R"(,"data":{"a":"1","b":"2"}})", R"(["m",2,"60m"])"},
      {"clusterroles.rbac.authorization.k8s.io", "{" META("r") "}", R"(["r","2024-01-01T00:00:00Z"])"},
      {"events",
       R"({"metadata":{"name":"v"},"involvedObject":{"kind":"Pod","name":"a"},"reason":"Started",
       "message":" up\n","type":"Normal","count":2,
       "firstTimestamp":"2024-01-01T00:00:00Z","lastTimestamp":"2024-01-01T00:59:00Z",
       "source":{"component":"kubelet","host":"n"}})",
       R"(["60s","Normal","Started","pod/a","","kubelet, n","up","60m",2,"v"])"},
  };
  for (const auto& test : cases) EXPECT_EQ(cells_of(test.kind, test.json), test.cells) << test.json;
}

TEST(Table, EveryKindHasOneCellForEachColumn) {
  for (const auto& kind : kube::kinds()) {
    if (!kind.persistent || !kind.storage) continue;
    const auto* descriptor = kube::find_message(kind.message);
    ASSERT_NE(descriptor, nullptr) << kind.message;
    std::unique_ptr<google::protobuf::Message> message(kube::prototype(*descriptor)->New());
    std::string out;
    append_table_cells(kind.id, *message, WallTime(), &out);
    // Empty objects have no comma in any cell.
    const auto commas = std::count(out.begin(), out.end(), ',');
    EXPECT_EQ(static_cast<size_t>(commas) + 1, table_columns(kind.id).size()) << kind.id << out;
    EXPECT_FALSE(table_columns(kind.id)[0].description.empty()) << kind.id;
  }
}

TEST(Table, WritesOneDocument) {
  k8s::io::api::core::v1::Namespace space;
  space.mutable_metadata()->set_name("n");
  space.mutable_status()->set_phase("Active");
  std::string out;
  TableWriter writer(&out, "namespaces", "meta.k8s.io/v1", {"7", "", 0}, false, WallTime());
  writer.row(space, R"({"kind":"PartialObjectMetadata"})");
  writer.row(space, "");
  writer.finish();
  EXPECT_EQ(plain(out),
            R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},)"
            R"("columnDefinitions":null,"rows":[)"
            R"({"cells":["n","Active","<unknown>"],"object":{"kind":"PartialObjectMetadata"}},{"cells":["n","Active",)"
            R"("<unknown>"],"object":null}]})");
}

}  // namespace
}  // namespace orlop::apikube
