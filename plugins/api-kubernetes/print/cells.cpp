#include "plugins/api-kubernetes/print/cells.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/meta_v1.hpp"
#include "plugins/api-kubernetes/selector/labels.hpp"

#include <algorithm>
#include <map>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace orlop::apikube {
namespace {

std::string age_since(int64_t seconds, WallTime now) {
  const auto then = WallTime(std::chrono::seconds(seconds));
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(now - then));
}

}  // namespace

std::string human_duration(std::chrono::seconds age) {
  const int64_t seconds = age.count();
  // Clocks of two machines may differ a little.
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return fmt::format("{}s", seconds);
  const int64_t minutes = seconds / 60;
  if (minutes < 10)
    return seconds % 60 == 0 ? fmt::format("{}m", minutes) : fmt::format("{}m{}s", minutes, seconds % 60);
  if (minutes < 180) return fmt::format("{}m", minutes);
  const int64_t hours = minutes / 60;
  if (hours < 8) return minutes % 60 == 0 ? fmt::format("{}h", hours) : fmt::format("{}h{}m", hours, minutes % 60);
  if (hours < 48) return fmt::format("{}h", hours);
  const int64_t days = hours / 24;
  if (hours < 24 * 8) return hours % 24 == 0 ? fmt::format("{}d", days) : fmt::format("{}d{}h", days, hours % 24);
  if (hours < 24 * 365 * 2) return fmt::format("{}d", days);
  const int64_t years = days / 365;
  if (hours < 24 * 365 * 8)
    return days % 365 == 0 ? fmt::format("{}y", years) : fmt::format("{}y{}d", years, days % 365);
  return fmt::format("{}y", years);
}

void Cells::next() {
  if (!first_) *out_ += ',';
  first_ = false;
}

void Cells::text(std::string_view value) {
  next();
  kube::append_json_string(value, *out_);
}

void Cells::integer(int64_t value) {
  next();
  *out_ += std::to_string(value);
}

void Cells::boolean(bool value) {
  next();
  *out_ += value ? "true" : "false";
}

std::string Cells::age_text(const metav1::Time& time) const {
  return time.seconds() == 0 && time.nanos() == 0 ? "<unknown>" : age_since(time.seconds(), now_);
}

std::string Cells::age_text(const metav1::MicroTime& time) const {
  return time.seconds() == 0 && time.nanos() == 0 ? "<unknown>" : age_since(time.seconds(), now_);
}

void Cells::since(const metav1::Time& time) {
  text(age_text(time));
}
void Cells::age(const metav1::ObjectMeta& meta) {
  since(meta.creationtimestamp());
}

void Cells::date(const metav1::Time& time) {
  if (time.seconds() == 0) {
    text("<unknown>");
    return;
  }
  text(fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time.seconds()))));
}

void Cells::containers(const k8s::io::api::core::v1::PodSpec& spec) {
  std::vector<std::string> names;
  std::vector<std::string> images;
  for (const auto& container : spec.containers()) {
    names.push_back(container.name());
    images.push_back(container.image());
  }
  text(comma_joined(names));
  text(comma_joined(images));
}

std::string comma_joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) {
    if (&part != &parts.front()) text += ',';
    text += part;
  }
  return text;
}

std::string shortened(const std::vector<std::string>& all, std::string_view absent) {
  constexpr size_t kShown = 3;
  if (all.empty()) return std::string(absent);
  if (all.size() <= kShown) return comma_joined(all);
  const std::vector<std::string> head(all.begin(), all.begin() + kShown);
  return fmt::format("{} + {} more...", comma_joined(head), all.size() - kShown);
}

std::string labels_text(const StringMap& labels) {
  if (labels.empty()) return "<none>";
  const std::map<std::string_view, std::string_view> sorted(labels.begin(), labels.end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    if (!text.empty()) text += ',';
    text += fmt::format("{}={}", key, value);
  }
  return text;
}

std::string selector_text(const metav1::LabelSelector& selector) {
  std::vector<LabelRequirement> requirements;
  for (const auto& [key, value] : selector.matchlabels())
    requirements.push_back({key, LabelOperator::kEquals, {value}});
  for (const auto& expression : selector.matchexpressions()) {
    LabelRequirement requirement;
    requirement.key = expression.key();
    requirement.values.assign(expression.values().begin(), expression.values().end());
    std::sort(requirement.values.begin(), requirement.values.end());
    const auto& op = expression.operator_();
    requirement.op = op == "In"             ? LabelOperator::kIn
                     : op == "NotIn"        ? LabelOperator::kNotIn
                     : op == "DoesNotExist" ? LabelOperator::kDoesNotExist
                                            : LabelOperator::kExists;
    requirements.push_back(std::move(requirement));
  }
  if (requirements.empty()) return "<none>";
  return LabelSelector(std::move(requirements)).text();
}

std::string load_balancer_text(const std::vector<std::string>& addresses) {
  std::vector<std::string> sorted = addresses;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return comma_joined(sorted);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace orlop::apikube
