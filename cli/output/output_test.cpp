#include "cli/output/describe.hpp"
#include "cli/output/jsonpath.hpp"
#include "cli/output/table.hpp"
#include "cli/output/yaml_writer.hpp"
#include "orlop/kube/yaml.hpp"

#include <gtest/gtest.h>

namespace orlop::cli {
namespace {

namespace json = boost::json;

json::value parse(std::string_view text) {
  json::value out;
  EXPECT_TRUE(client::parse_json(text, out)) << text;
  return out;
}

TEST(Yaml, FormOfKubectl) {
  EXPECT_EQ(to_yaml(parse(R"({"b":[{"x":1,"a":[]},"s"],"a":{"e":{},"n":null,"t":true}})")),
            "a:\n  e: {}\n  \"n\": null\n  t: true\nb:\n- a: []\n  x: 1\n- s\n");
}

TEST(Yaml, QuotesWhatWouldBeReadAsAnotherType) {
  for (const auto* text :
       {"true", "yes", "", "~", "12", "1e3", "0x1f", "2024-01-02T03:04:05Z", "12:30", "null", ".5"}) {
    EXPECT_EQ(to_yaml(json::value(text)), "\"" + std::string(text) + "\"\n");
  }
  EXPECT_EQ(to_yaml(json::value("- x")), "'- x'\n");
  EXPECT_EQ(to_yaml(json::value("a: b")), "'a: b'\n");
  EXPECT_EQ(to_yaml(json::value("nginx:1.25")), "nginx:1.25\n");
}

TEST(Yaml, ReadsBackAsItWas) {
  const auto value = parse(R"({"a":"x\ny\n","b":"x\ny","c":" lead\nline","d":"tab\there",)"
                           R"("e":"end \nx","f":["- a","'q'","\"d\"","# c","@x","x: y","%"],)"
                           R"("g":"1_000","h":"=","i":"\n","j":"a\n\n","k":"ü",)"
                           R"("l":[[1,2],[{"m":[]}]],"true":"no","n":1.5,"o":-0.001,"p":"0b1","q":"\u0007"})");
  const auto documents = kube::yaml_to_json(to_yaml(value));
  ASSERT_TRUE(documents.is_ok()) << documents.message() << "\n" << to_yaml(value);
  EXPECT_EQ(client::compact_json(parse(documents->front())), client::compact_json(value)) << to_yaml(value);
}

TEST(TabStops, ColumnsAreRunsOfLines) {
  EXPECT_EQ(align("a\tb\nlonger\tc\nplain\nx\ty\n", {0, 2}), "a       b\nlonger  c\nplain\nx  y\n");
}

TEST(Table, WidthsAndOptionalColumns) {
  const auto table = parse(R"({"kind":"Table","columnDefinitions":[{"name":"Name","format":"name"},{"name":"Ready"},
    {"name":"Node","priority":1}],"rows":[{"cells":["web-1","1/1","n1"],
      "object":{"metadata":{"namespace":"default","labels":{"b":"2","a":"1"}}}}]})");
  TablePrinter plain({});
  plain.add(table);
  EXPECT_EQ(plain.take(), "NAME    READY\nweb-1   1/1\n");
  plain.add(table);
  EXPECT_EQ(plain.take(), "web-1   1/1\n") << "the header is given once";
  TableOptions options;
  options.wide = true;
  options.with_namespace = true;
  options.show_labels = true;
  options.with_kind = true;
  options.kind_prefix = "pod";
  TablePrinter wide(options);
  wide.add(table);
  EXPECT_EQ(wide.take(),
            "NAMESPACE   NAME        READY   NODE   LABELS\ndefault     pod/web-1   1/1     n1     a=1,b=2\n");
}

TEST(Duration, AsKubectlShortensIt) {
  EXPECT_EQ(short_duration(45), "45s");
  EXPECT_EQ(short_duration(192), "3m12s");
  EXPECT_EQ(short_duration(600), "10m");
  EXPECT_EQ(short_duration(3 * 3600 + 120), "3h2m");
  EXPECT_EQ(short_duration(50 * 3600), "2d2h");
  EXPECT_EQ(short_duration(800 * 86400LL), "2y70d");
}

TEST(JsonPath, PathsFiltersAndRanges) {
  const auto object = parse(R"({"items":[{"n":"a","s":1,"c":[{"t":"Ready","v":"True"}]},)"
                            R"({"n":"b","s":2}],"m":{"x.y":"z"}})");
  EXPECT_EQ(*expand_jsonpath(object, "{.items[*].n}"), "a b");
  EXPECT_EQ(*expand_jsonpath(object, "{.items[-1].n}-{.m.x\\.y}"), "b-z");
  EXPECT_EQ(*expand_jsonpath(object, R"({range .items[*]}{.n}{"\t"}{.s}{"\n"}{end})"), "a\t1\nb\t2\n");
  EXPECT_EQ(*expand_jsonpath(object, R"({.items[?(@.s>1)].n})"), "b");
  EXPECT_EQ(*expand_jsonpath(object, R"({.items[0].c[?(@.t=="Ready")].v})"), "True");
  EXPECT_EQ(*expand_jsonpath(object, "{..v}"), "True");
  EXPECT_EQ(*expand_jsonpath(object, "{.nothing}"), "");
  EXPECT_FALSE(expand_jsonpath(object, "{.items").is_ok());
}

TEST(Describe, PodAndItsEvents) {
  const auto pod = parse(R"({"metadata":{"name":"web","namespace":"default","labels":{"app":"web"}},
    "spec":{"nodeName":"n1",
      "containers":[{"name":"c","image":"nginx","ports":[{"containerPort":80,"protocol":"TCP"}]}]},
    "status":{"phase":"Running","podIP":"10.0.0.2","hostIP":"192.0.2.1","podIPs":[{"ip":"10.0.0.2"}],
      "containerStatuses":[{"name":"c","ready":true,"restartCount":2,
        "state":{"waiting":{"reason":"CrashLoopBackOff"}}}],
      "conditions":[{"type":"Ready","status":"True"}]}})");
  DescribeContext context;
  context.now_s = parse_time("2026-01-01T00:01:00Z");
  context.events.push_back(
      parse(R"({"type":"Normal","reason":"Pulled","count":3,"firstTimestamp":"2026-01-01T00:00:00Z",
    "lastTimestamp":"2026-01-01T00:00:50Z",
    "source":{"component":"node-agent"},"message":"done\n"})"));
  const auto text = describe_pod(pod, context);
  EXPECT_NE(text.find("Name:         web\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Node:         n1/192.0.2.1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("    Port:           80/TCP\n"), std::string::npos) << text;
  EXPECT_NE(text.find("      Reason:       CrashLoopBackOff\n"), std::string::npos) << text;
  EXPECT_NE(text.find("10s (x3 over 60s)"), std::string::npos) << text;
  EXPECT_NE(text.find("node-agent  done\n"), std::string::npos) << text;
}

TEST(DescribeStorage, AClaimAndItsVolume) {
  DescribeContext context;
  context.pods.push_back(parse(R"({"metadata":{"name":"web-1"}})"));
  const auto claim = describe_claim(parse(R"({"metadata":{"name":"c","namespace":"default",
    "finalizers":["kubernetes.io/pvc-protection"]},"spec":{"storageClassName":"local","volumeName":"v",
    "volumeMode":"Filesystem"},"status":{"phase":"Bound","capacity":{"storage":"1Gi"},
    "accessModes":["ReadWriteMany","ReadWriteOnce"]}})"),
                                    context);
  EXPECT_EQ(claim,
            "Name:          c\nNamespace:     default\nStorageClass:  local\nStatus:        Bound\nVolume:        v\n"
            "Labels:        <none>\nAnnotations:   <none>\nFinalizers:    [kubernetes.io/pvc-protection]\n"
            "Capacity:      1Gi\nAccess Modes:  RWO,RWX\nVolumeMode:    Filesystem\nUsed By:       web-1\n"
            "Events:        <none>\n");
  const auto volume = describe_volume(parse(R"({"metadata":{"name":"v"},"spec":{"claimRef":{"namespace":"default",
    "name":"c"},"capacity":{"storage":"1Gi"},"csi":{"driver":"orlop.io/local","volumeHandle":"v"},
    "nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname",
    "operator":"In","values":["n1"]}]}]}}},"status":{"phase":"Bound"}})"),
                                      {});
  EXPECT_NE(volume.find("default/c"), std::string::npos) << volume;
  EXPECT_NE(volume.find("kubernetes.io/hostname in [n1]"), std::string::npos) << volume;
  EXPECT_NE(volume.find("CSI (a Container Storage Interface (CSI) volume source)"), std::string::npos) << volume;
}

}  // namespace
}  // namespace orlop::cli
