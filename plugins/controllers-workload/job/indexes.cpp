#include "plugins/controllers-workload/job/indexes.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace orlop::workload {
namespace {

std::optional<int32_t> number(std::string_view text) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// Adds an interval that begins no earlier than the last one in `to`.
void append(std::vector<IndexSet::Interval>& to, const IndexSet::Interval& interval) {
  if (to.empty() || interval.first > to.back().last + 1) {
    to.push_back(interval);
  } else {
    to.back().last = std::max(to.back().last, interval.last);
  }
}

}  // namespace

IndexSet::IndexSet(const std::set<int32_t>& indexes) {
  for (const int32_t index : indexes) append(intervals_, {index, index});
}

IndexSet IndexSet::parse(std::string_view text, int32_t completions) {
  IndexSet out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t dash = part.find('-');
    const auto first = number(part.substr(0, dash));
    if (!first) continue;
    if (*first >= completions) break;
    const auto last = dash == std::string_view::npos ? first : number(part.substr(dash + 1));
    if (!last || *last < *first) continue;
    IndexSet one;
    one.intervals_.push_back({*first, std::min(*last, completions - 1)});
    out.merge(one);
  }
  return out;
}

void IndexSet::merge(const IndexSet& other) {
  std::vector<Interval> all;
  all.reserve(intervals_.size() + other.intervals_.size());
  std::merge(intervals_.begin(), intervals_.end(), other.intervals_.begin(), other.intervals_.end(),
             std::back_inserter(all), [](const Interval& a, const Interval& b) { return a.first < b.first; });
  intervals_.clear();
  for (const Interval& interval : all) append(intervals_, interval);
}

bool IndexSet::contains(int32_t index) const {
  const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), index,
                                      [](int32_t value, const Interval& interval) { return value < interval.first; });
  return after != intervals_.begin() && index <= std::prev(after)->last;
}

int64_t IndexSet::size() const {
  int64_t count = 0;
  for (const Interval& interval : intervals_) count += interval.last - interval.first + 1;
  return count;
}

int64_t IndexSet::overlap(const IndexSet& other) const {
  int64_t count = 0;
  auto a = intervals_.begin();
  auto b = other.intervals_.begin();
  while (a != intervals_.end() && b != other.intervals_.end()) {
    count += std::max(0, std::min(a->last, b->last) - std::max(a->first, b->first) + 1);
    if (a->last < b->last) {
      ++a;
    } else {
      ++b;
    }
  }
  return count;
}

std::vector<int32_t> IndexSet::lowest_missing(size_t count, int32_t completions) const {
  std::vector<int32_t> out;
  int32_t candidate = 0;
  for (const Interval& interval : intervals_) {
    for (; candidate < interval.first && candidate < completions && out.size() < count; ++candidate) {
      out.push_back(candidate);
    }
    candidate = std::max(candidate, interval.last + 1);
  }
  for (; candidate < completions && out.size() < count; ++candidate) out.push_back(candidate);
  return out;
}

std::string IndexSet::text() const {
  std::string out;
  for (const Interval& interval : intervals_) {
    if (!out.empty()) out += ',';
    out += std::to_string(interval.first);
    if (interval.last > interval.first) {
      out += interval.last == interval.first + 1 ? ',' : '-';
      out += std::to_string(interval.last);
    }
  }
  return out;
}

}  // namespace orlop::workload
