// The texts of `describe`: pure functions from objects (and what belongs to them) to text.
//
// Threads: any; nothing is shared.
#pragma once

#include "cli/client/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::cli {

// Lines whose tab-ended cells are lined up at the end.
class DescribeText {
 public:
  // One line at a depth of two blanks each.
  void line(int depth, std::string_view text);
  void field(int depth, std::string_view name, std::string_view value);  // "Name:\tvalue"
  // "Labels:\ta=1\n\tb=2"; "<none>" when there are none.
  void labels(int depth, std::string_view name, const boost::json::object& labels);
  void annotations(int depth, std::string_view name, const boost::json::object& annotations);
  [[nodiscard]] std::string finish() const;
  // The same with the tabs as they are.
  [[nodiscard]] const std::string& unaligned() const { return text_; }

 private:
  std::string text_;
};

// What a description needs beside the object; absent parts are left out.
struct DescribeContext {
  int64_t now_s = 0;
  std::vector<boost::json::value> events;
  std::vector<boost::json::value> pods;             // of a node, selected by a workload, or using a claim
  std::vector<boost::json::value> replica_sets;     // of a deployment
  std::vector<boost::json::value> endpoint_slices;  // of a service
  std::vector<boost::json::value> quotas, limits;   // of a namespace
  boost::json::value lease;                         // of a node
};

std::string describe_pod(const boost::json::value& pod, const DescribeContext& context);
std::string describe_deployment(const boost::json::value& deployment, const DescribeContext& context);
std::string describe_replica_set(const boost::json::value& set, const DescribeContext& context);
std::string describe_service(const boost::json::value& service, const DescribeContext& context);
std::string describe_node(const boost::json::value& node, const DescribeContext& context);
std::string describe_namespace(const boost::json::value& name_space, const DescribeContext& context);
std::string describe_config_map(const boost::json::value& map, const DescribeContext& context);
std::string describe_secret(const boost::json::value& secret, const DescribeContext& context);
std::string describe_claim(const boost::json::value& claim, const DescribeContext& context);
std::string describe_volume(const boost::json::value& volume, const DescribeContext& context);
std::string describe_storage_class(const boost::json::value& storage_class, const DescribeContext& context);
// Any other kind: its metadata and fields, words in title case.
std::string describe_generic(const boost::json::value& object, const DescribeContext& context);

// Parts that several descriptions share.
void describe_pod_template(const boost::json::value& pod_template, DescribeText& out);
void describe_containers(std::string_view title, const boost::json::array& containers,
                         const boost::json::array& statuses, const boost::json::value& pod, int depth,
                         DescribeText& out);
void describe_volumes(const boost::json::array& volumes, int depth, DescribeText& out);
void describe_events(const std::vector<boost::json::value>& events, int64_t now_s, DescribeText& out);
// "Mon, 02 Jan 2006 15:04:05 +0000" of an RFC 3339 text.
std::string long_time(std::string_view timestamp);
std::string selector_of(const boost::json::object& selector);
// "ReplicaSet/web-1" of the owner that controls the object; empty: none.
std::string controller_of(const boost::json::value& object);

}  // namespace orlop::cli
