#include "cli/output/table.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <ctime>

namespace orlop::cli {

using client::list_of;
using client::map_of;
using client::pick;
using client::scalar_text;
using client::text_of;

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

namespace {

std::vector<std::vector<std::string_view>> cells_of(std::string_view text) {
  std::vector<std::vector<std::string_view>> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text = end < text.size() ? text.substr(end + 1) : std::string_view{};
    auto& cells = lines.emplace_back();
    for (auto tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
      cells.push_back(line.substr(0, tab));
      line = line.substr(tab + 1);
    }
    cells.push_back(line);
  }
  return lines;
}

}  // namespace

std::string align(std::string_view text, const TabStops& stops) {
  const auto lines = cells_of(text);
  std::vector<std::vector<size_t>> widths(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) widths[i].resize(lines[i].size() - 1);
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t column = 0; column + 1 < lines[i].size(); ++column) {
      if (i > 0 && column + 1 < lines[i - 1].size()) continue;  // this run has been measured from its first line
      size_t width = stops.width_min;
      size_t end = i;
      for (; end < lines.size() && column + 1 < lines[end].size(); ++end) {
        width = std::max(width, width_of(lines[end][column]) + stops.padding);
      }
      for (size_t k = i; k < end; ++k) widths[k][column] = width;
    }
  }
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t column = 0; column < lines[i].size(); ++column) {
      out += lines[i][column];
      if (column + 1 < lines[i].size()) out.append(widths[i][column] - width_of(lines[i][column]), ' ');
    }
    if (i + 1 < lines.size() || text.ends_with('\n')) out += '\n';
  }
  return out;
}

namespace {

std::string labels_text(const json::object& labels) {
  std::vector<std::string> pairs;
  for (const auto& label : labels) pairs.push_back(std::string(label.key()) + "=" + scalar_text(label.value()));
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& pair : pairs) out += (out.empty() ? "" : ",") + pair;
  return out.empty() ? "<none>" : out;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// A cell may hold anything that a user wrote: a line end in it must not break the table.
std::string one_line(std::string text) {
  const auto at = text.find_first_of("\n\r\f");
  if (at != std::string::npos) text = text.substr(0, at) + "...";
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

}  // namespace

void TablePrinter::add(const json::value& table) {
  if (text_of(table, "kind") != "Table") {
    if (headers_.empty()) {
      headers_ = {"NAME", "AGE"};
      shown_ = {0, 1};
    }
    const auto name = text_of(table, "metadata.name");
    const auto age = age_of(text_of(table, "metadata.creationTimestamp"), std::time(nullptr));
    add_row(json::object{{"cells", json::array{name, age}}, {"object", table}});
    return;
  }
  const auto& columns = list_of(table, "columnDefinitions");
  if (headers_.empty() && !columns.empty()) {
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!options_.wide && client::number_of(columns[i], "priority") != 0) continue;
      if (text_of(columns[i], "format") == "name") name_column_ = i;
      headers_.push_back(upper(text_of(columns[i], "name")));
      shown_.push_back(i);
    }
  }
  for (const auto& row : list_of(table, "rows")) add_row(row);
}

void TablePrinter::add_row(const json::value& row) {
  const auto& cells = list_of(row, "cells");
  std::vector<std::string> line;
  if (options_.with_namespace) line.push_back(text_of(row, "object.metadata.namespace"));
  for (const auto column : shown_) {
    auto text = column < cells.size() ? one_line(scalar_text(cells[column])) : std::string();
    if (column < cells.size() && cells[column].is_null()) text = "<nil>";
    if (column == name_column_ && options_.with_kind) text = options_.kind_prefix + "/" + text;
    line.push_back(std::move(text));
  }
  const auto& labels = map_of(row, "object.metadata.labels");
  for (const auto& name : options_.label_columns) {
    const auto* value = labels.if_contains(name);
    line.push_back(value == nullptr ? "" : scalar_text(*value));
  }
  if (options_.show_labels) line.push_back(labels_text(labels));
  lines_.push_back(std::move(line));
}

std::string TablePrinter::take() {
  if (!header_given_ && options_.headers && !lines_.empty()) {
    auto header = headers_;
    if (options_.with_namespace) header.insert(header.begin(), "NAMESPACE");
    for (const auto& name : options_.label_columns) header.push_back(upper(name.substr(name.rfind('/') + 1)));
    if (options_.show_labels) header.emplace_back("LABELS");
    lines_.insert(lines_.begin(), std::move(header));
    header_given_ = true;
  }
  for (const auto& line : lines_) {
    widths_.resize(std::max(widths_.size(), line.size()), 6);
    for (size_t i = 0; i + 1 < line.size(); ++i) widths_[i] = std::max(widths_[i], width_of(line[i]) + 3);
  }
  std::string out;
  for (const auto& line : lines_) {
    for (size_t i = 0; i < line.size(); ++i) {
      out += line[i];
      if (i + 1 < line.size()) out.append(widths_[i] - width_of(line[i]), ' ');
    }
    out += '\n';
  }
  lines_.clear();
  return out;
}

std::string short_duration(int64_t seconds) {
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  const auto join = [](int64_t large, const char* large_unit, int64_t small, const char* small_unit) {
    auto out = std::to_string(large) + large_unit;
    if (small != 0) out += std::to_string(small) + small_unit;
    return out;
  };
  const int64_t minutes = seconds / 60;
  const int64_t hours = minutes / 60;
  const int64_t days = hours / 24;
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (minutes < 10) return join(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return std::to_string(minutes) + "m";
  if (hours < 8) return join(hours, "h", minutes % 60, "m");
  if (hours < 48) return std::to_string(hours) + "h";
  if (days < 8) return join(days, "d", hours % 24, "h");
  if (days < 730) return std::to_string(days) + "d";
  if (days < 2920) return join(days / 365, "y", days % 365, "d");
  return std::to_string(days / 365) + "y";
}

int64_t parse_time(std::string_view text) {
  std::tm tm{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
  if (rest == nullptr) return -1;
  return ::timegm(&tm);
}

std::string age_of(std::string_view timestamp, int64_t now_s) {
  const auto then = parse_time(timestamp);
  return then < 0 ? "<unknown>" : short_duration(now_s - then);
}

}  // namespace orlop::cli
