#include "tests/bench/report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace orlop::bench {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string shown(double value, const std::string& unit) {
  if (unit == "/s") return fmt::format("{:.0f}/s", value);
  if (unit.empty()) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f} {}", value, value >= 100 ? 0 : value >= 10 ? 1 : 2, unit);
}

std::string in_quotes(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      out += letter;
    }
  }
  return out + "\"";
}

}  // namespace

double percentile(std::vector<float>& values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}

void Report::add(std::size_t target, const std::string& key, const std::string& label, const std::string& unit,
                 Better better, double value) {
  const auto [found, is_new] = row_of_.try_emplace(key, rows_.size());
  if (is_new) {
    rows_.push_back({key, label, unit, better, std::vector<std::vector<double>>(targets_.size())});
    fmt::print(stderr, "  {:<58}", label);
  } else {
    fmt::print(stderr, "  {:<58}", rows_[found->second].label);
  }
  fmt::print(stderr, " {:>14}  {}\n", shown(value, unit), targets_[target]);
  rows_[found->second].values[target].push_back(value);
}

void Report::note(std::size_t target, const std::string& text) {
  fmt::print(stderr, "  ! {}: {}\n", targets_[target], text);
  notes_.push_back(targets_[target] + ": " + text);
}

std::string Report::table() const {
  constexpr int kColumn = 18;
  std::size_t label_width = 10;
  for (const Row& row : rows_) label_width = std::max(label_width, row.label.size());
  std::string out = fmt::format("{:<{}}", "", label_width);
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    out += fmt::format("{:>{}}", targets_[i].substr(0, kColumn - 2), kColumn);
    if (i > 0) out += fmt::format("{:>9}", "ratio");
  }
  out += '\n';
  for (const Row& row : rows_) {
    out += fmt::format("{:<{}}", row.label, label_width);
    double first = 0;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      const bool have = !row.values[i].empty();
      const double value = have ? median(row.values[i]) : 0;
      out += fmt::format("{:>{}}", have ? shown(value, row.unit) : "-", kColumn);
      if (i == 0) {
        first = have ? value : 0;
        continue;
      }
      const bool comparable = have && first > 0 && value > 0 && row.better != Better::kNeither;
      const double ratio = row.better == Better::kHigher ? value / first : first / value;
      out += fmt::format("{:>9}", comparable ? fmt::format("x{:.2f}", ratio) : "");
    }
    out += '\n';
  }
  if (targets_.size() > 1) out += "ratio: to the first column; above 1 is better than it\n";
  for (const std::string& note : notes_) out += "! " + note + '\n';
  return out;
}

std::string Report::json() const {
  std::string out = "{\"targets\":[";
  for (std::size_t i = 0; i < targets_.size(); ++i) out += (i > 0 ? "," : "") + in_quotes(targets_[i]);
  out += "],\n\"rows\":[";
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    out += fmt::format("{}\n{{\"key\":{},\"label\":{},\"unit\":{},\"values\":[", i > 0 ? "," : "", in_quotes(row.key),
                       in_quotes(row.label), in_quotes(row.unit));
    for (std::size_t target = 0; target < targets_.size(); ++target) {
      if (target > 0) out += ',';
      out += row.values[target].empty() ? "null" : fmt::format("{:.4f}", median(row.values[target]));
    }
    out += "]}";
  }
  out += "],\n\"notes\":[";
  for (std::size_t i = 0; i < notes_.size(); ++i) out += (i > 0 ? "," : "") + in_quotes(notes_[i]);
  return out + "]}\n";
}

}  // namespace orlop::bench
