#include "plugins/api-kubernetes/rest/metrics.hpp"

#include <iterator>

namespace orlop::rest {
namespace {

constexpr double kBounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5};

std::string number(double value) {
  std::string text = std::to_string(value);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string labels_of(std::string_view verb, std::string_view resource, std::string_view subresource) {
  std::string labels = "verb=\"";
  labels += verb;
  labels += "\",resource=\"";
  labels += resource;
  labels += "\",subresource=\"";
  labels += subresource;
  labels += '"';
  return labels;
}

}  // namespace

void Metrics::count(std::string_view verb, std::string_view resource, std::string_view subresource, int code,
                    std::chrono::nanoseconds took) {
  std::string labels = labels_of(verb, resource, subresource);
  std::string with_code = labels + ",code=\"" + std::to_string(code) + "\"";
  double seconds = std::chrono::duration<double>(took).count();
  std::lock_guard lock(mutex_);
  ++requests_[with_code];
  if (verb == "watch") return;
  Latency& latency = latencies_[labels];
  size_t bucket = 0;
  while (bucket < std::size(kBounds) && seconds > kBounds[bucket]) ++bucket;
  ++latency.buckets[bucket];
  ++latency.count;
  latency.sum_s += seconds;
}

void Metrics::watch_began(std::string_view resource, int change) {
  std::lock_guard lock(mutex_);
  watches_[std::string(resource)] += change;
}

std::string Metrics::text() const {
  std::lock_guard lock(mutex_);
  std::string out =
      "# HELP apiserver_request_total Requests answered, by verb, resource and HTTP code.\n"
      "# TYPE apiserver_request_total counter\n";
  for (const auto& [labels, count] : requests_) {
    out += "apiserver_request_total{" + labels + "} " + std::to_string(count) + "\n";
  }
  out +=
      "# HELP apiserver_request_duration_seconds How long requests took, watches left out.\n"
      "# TYPE apiserver_request_duration_seconds histogram\n";
  for (const auto& [labels, latency] : latencies_) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= std::size(kBounds); ++i) {
      sum += latency.buckets[i];
      std::string bound = i < std::size(kBounds) ? number(kBounds[i]) : "+Inf";
      out += "apiserver_request_duration_seconds_bucket{" + labels + ",le=\"" + bound + "\"} " + std::to_string(sum) +
             "\n";
    }
    out += "apiserver_request_duration_seconds_sum{" + labels + "} " + number(latency.sum_s) + "\n";
    out += "apiserver_request_duration_seconds_count{" + labels + "} " + std::to_string(latency.count) + "\n";
  }
  out +=
      "# HELP apiserver_longrunning_requests Watches that are open.\n"
      "# TYPE apiserver_longrunning_requests gauge\n";
  for (const auto& [resource, count] : watches_) {
    out +=
        "apiserver_longrunning_requests{verb=\"WATCH\",resource=\"" + resource + "\"} " + std::to_string(count) + "\n";
  }
  return out;
}

}  // namespace orlop::rest
