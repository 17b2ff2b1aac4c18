#include "cli/output/describe.hpp"
#include "cli/output/table.hpp"

#include <algorithm>
#include <cctype>
#include <ctime>

namespace orlop::cli {

namespace json = boost::json;
using client::list_of;
using client::map_of;
using client::number_of;
using client::pick;
using client::scalar_text;
using client::text_of;

void DescribeText::line(int depth, std::string_view text) {
  text_.append(static_cast<size_t>(depth) * 2, ' ').append(text).append("\n");
}

void DescribeText::field(int depth, std::string_view name, std::string_view value) {
  line(depth, std::string(name) + ":\t" + std::string(value));
}

namespace {

std::vector<std::pair<std::string, std::string>> sorted(const json::object& map) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& entry : map) out.emplace_back(std::string(entry.key()), scalar_text(entry.value()));
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

void DescribeText::labels(int depth, std::string_view name, const json::object& labels) {
  bool first = true;
  for (const auto& [key, value] : sorted(labels)) {
    line(depth, (first ? std::string(name) + ":\t" : "\t") + key + "=" + value);
    first = false;
  }
  if (first) field(depth, name, "<none>");
}

void DescribeText::annotations(int depth, std::string_view name, const json::object& annotations) {
  bool first = true;
  for (auto [key, value] : sorted(annotations)) {
    if (key == "kubectl.kubernetes.io/last-applied-configuration") continue;
    while (value.ends_with('\n')) value.pop_back();
    // A long value, or one of several lines, stands below its key.
    const bool below = key.size() + value.size() + 2 > 140 || value.find('\n') != std::string::npos;
    auto text = (first ? std::string(name) + ":\t" : "\t") + key + ":";
    if (!below) {
      line(depth, text + " " + value);
    } else {
      line(depth, text);
      for (size_t at = 0; at <= value.size();) {
        const auto end = std::min(value.find('\n', at), value.size());
        const auto part = value.substr(at, end - at);
        line(depth, "\t  " + (part.size() > 140 ? part.substr(0, 137) + "..." : part));
        at = end + 1;
      }
    }
    first = false;
  }
  if (first) field(depth, name, "<none>");
}

std::string DescribeText::finish() const {
  return align(text_, {0, 2});
}

std::string long_time(std::string_view timestamp) {
  const std::time_t when = parse_time(timestamp);
  if (when < 0) return "<unknown>";
  std::tm tm{};
  ::localtime_r(&when, &tm);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S %z", &tm)};
}

std::string selector_of(const json::object& selector) {
  std::string out;
  for (const auto& [key, value] : sorted(selector)) out += (out.empty() ? "" : ",") + key + "=" + value;
  return out.empty() ? "<none>" : out;
}

std::string controller_of(const json::value& object) {
  for (const auto& owner : list_of(object, "metadata.ownerReferences")) {
    if (client::flag_of(owner, "controller")) return text_of(owner, "kind") + "/" + text_of(owner, "name");
  }
  return {};
}

void describe_events(const std::vector<json::value>& events, int64_t now_s, DescribeText& out) {
  if (events.empty()) {
    out.field(0, "Events", "<none>");
    return;
  }
  const auto last_time = [](const json::value& event) {
    for (const auto* path : {"series.lastObservedTime", "lastTimestamp", "eventTime", "metadata.creationTimestamp"}) {
      auto text = text_of(event, path);
      if (!text.empty()) return text;
    }
    return std::string();
  };
  auto ordered = events;
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&](const json::value& a, const json::value& b) { return last_time(a) < last_time(b); });
  out.line(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
  out.line(0, "  ----\t------\t----\t----\t-------");
  for (const auto& event : ordered) {
    auto first = text_of(event, "firstTimestamp");
    if (first.empty()) first = text_of(event, "eventTime");
    if (first.empty()) first = text_of(event, "metadata.creationTimestamp");
    auto age = age_of(last_time(event), now_s);
    const auto count = number_of(event, "series.count", number_of(event, "count", 1));
    if (count > 1) age += " (x" + std::to_string(count) + " over " + age_of(first, now_s) + ")";
    auto from = text_of(event, "source.component");
    if (from.empty()) from = text_of(event, "reportingComponent");
    auto message = text_of(event, "message");
    while (!message.empty() && std::isspace(static_cast<unsigned char>(message.back())) != 0) message.pop_back();
    out.line(1, text_of(event, "type") + "\t" + text_of(event, "reason") + "\t" + age + "\t" + from + "\t" + message);
  }
}

namespace {

// "podCIDRs" -> "Pod CIDRs", "apiVersion" -> "API Version"
std::string title_of(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    const bool upper = std::isupper(c) != 0;
    const bool after_lower = i > 0 && std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
    if (upper && after_lower) out += ' ';
    out += i == 0 ? static_cast<char>(std::toupper(c)) : name[i];
  }
  for (const auto* word : {"Api", "Uid", "Ip", "Url", "Id"}) {
    const std::string plain = word;
    std::string capitals = plain;
    for (char& c : capitals) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (out == plain || out.starts_with(plain + " ")) out = capitals + out.substr(plain.size());
  }
  return out;
}

void describe_value(const json::value& value, std::string_view name, int depth, DescribeText& out) {
  if (value.is_object()) {
    out.line(depth, std::string(name) + ":");
    for (const auto& [key, unused] : sorted(value.get_object())) {
      describe_value(value.get_object().at(key), title_of(key), depth + 1, out);
    }
  } else if (value.is_array()) {
    out.line(depth, std::string(name) + ":");
    for (const auto& item : value.get_array()) {
      if (item.is_object()) {
        for (const auto& [key, unused] : sorted(item.get_object())) {
          describe_value(item.get_object().at(key), title_of(key), depth + 1, out);
        }
      } else {
        out.line(depth + 1, scalar_text(item));
      }
    }
  } else {
    auto text = scalar_text(value);
    if (text.find('\n') == std::string::npos) {
      out.field(depth, name, text);
      return;
    }
    for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2))
      text.replace(at, 1, "\n\t");
    out.field(depth, name, text);
  }
}

void head_of(const json::value& object, DescribeText& out) {
  out.field(0, "Name", text_of(object, "metadata.name"));
  const auto name_space = text_of(object, "metadata.namespace");
  if (!name_space.empty()) out.field(0, "Namespace", name_space);
  out.labels(0, "Labels", map_of(object, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(object, "metadata.annotations"));
}

}  // namespace

std::string describe_generic(const json::value& object, const DescribeContext& context) {
  DescribeText out;
  out.field(0, "Name", text_of(object, "metadata.name"));
  out.field(0, "Namespace", text_of(object, "metadata.namespace"));
  out.labels(0, "Labels", map_of(object, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(object, "metadata.annotations"));
  json::value rest = object;
  auto& fields = rest.as_object();
  if (auto* meta = fields.if_contains("metadata"); meta != nullptr && meta->is_object()) {
    for (const auto* known : {"name", "namespace", "labels", "annotations", "managedFields"})
      meta->get_object().erase(known);
  }
  for (const auto* first : {"apiVersion", "kind"}) {
    if (const auto* value = fields.if_contains(first)) describe_value(*value, title_of(first), 0, out);
    fields.erase(first);
  }
  for (const auto& [key, unused] : sorted(fields)) describe_value(fields.at(key), title_of(key), 0, out);
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

std::string describe_namespace(const json::value& name_space, const DescribeContext& context) {
  DescribeText out;
  out.field(0, "Name", text_of(name_space, "metadata.name"));
  out.labels(0, "Labels", map_of(name_space, "metadata.labels"));
  out.annotations(0, "Annotations", map_of(name_space, "metadata.annotations"));
  out.field(0, "Status", text_of(name_space, "status.phase"));
  const auto& conditions = list_of(name_space, "status.conditions");
  if (!conditions.empty()) {
    out.line(0, "Conditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage");
    out.line(1, "----\t------\t------------------\t------\t-------");
    for (const auto& condition : conditions) {
      out.line(1, text_of(condition, "type") + "\t" + text_of(condition, "status") + "\t" +
                      long_time(text_of(condition, "lastTransitionTime")) + "\t" + text_of(condition, "reason") + "\t" +
                      text_of(condition, "message"));
    }
  }
  if (context.quotas.empty()) {
    out.line(0, "\nNo resource quota.");
  } else {
    out.line(0, "\nResource Quotas");
    for (const auto& quota : context.quotas) {
      out.field(1, "Name", text_of(quota, "metadata.name"));
      out.line(1, "Resource\tUsed\tHard\n  --------\t---\t---");
      for (const auto& [key, hard] : sorted(map_of(quota, "status.hard"))) {
        const auto* used = map_of(quota, "status.used").if_contains(key);
        out.line(1, key + "\t" + (used == nullptr ? "0" : scalar_text(*used)) + "\t" + hard);
      }
    }
  }
  if (context.limits.empty()) {
    out.line(0, "\nNo LimitRange resource.");
  } else {
    out.line(0, "\nResource Limits");
    for (const auto& range : context.limits) out.field(1, "Name", text_of(range, "metadata.name"));
  }
  return out.finish();
}

std::string describe_config_map(const json::value& map, const DescribeContext& context) {
  DescribeText out;
  head_of(map, out);
  out.line(0, "\nData\n====");
  for (const auto& [key, value] : sorted(map_of(map, "data"))) {
    out.line(0, key + ":\n----");
    out.line(0, value + "\n");
  }
  out.line(0, "\nBinaryData\n====");
  for (const auto& [key, value] : sorted(map_of(map, "binaryData"))) {
    out.line(0, key + ": " + std::to_string(value.size() / 4 * 3) + " bytes");
  }
  out.line(0, "");
  describe_events(context.events, context.now_s, out);
  return out.finish();
}

std::string describe_secret(const json::value& secret, const DescribeContext&) {
  DescribeText out;
  head_of(secret, out);
  out.line(0, "\nType:\t" + text_of(secret, "type"));
  out.line(0, "\nData\n====");
  for (const auto& [key, value] : sorted(map_of(secret, "data"))) {
    const auto padding = static_cast<size_t>(std::count(value.begin(), value.end(), '='));
    out.line(0, key + ":\t" + std::to_string(value.size() / 4 * 3 - padding) + " bytes");
  }
  return out.finish();
}

}  // namespace orlop::cli
