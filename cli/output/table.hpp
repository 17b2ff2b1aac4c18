// Columns that line up: elastic tab stops, and the server's Table objects.
//
// Threads: one at a time for each object.
#pragma once

#include "cli/client/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::cli {

namespace json = boost::json;

// Text whose cells end with '\t' becomes text padded with spaces. A column is a run of neighbouring lines that each
// have a cell there; its width is that of its widest cell plus the padding. A line's last cell, which no tab ends, is
// not padded.
struct TabStops {
  size_t width_min = 0;
  size_t padding = 2;
};
std::string align(std::string_view text, const TabStops& stops);

// How many columns a terminal uses for UTF-8 text, each code point as one.
size_t width_of(std::string_view text);

struct TableOptions {
  bool wide = false;  // also the columns of priority above 0
  bool headers = true;
  bool with_namespace = false;  // first column NAMESPACE
  bool show_labels = false;     // last column LABELS
  bool with_kind = false;       // names as kind/name
  std::string kind_prefix;      // "deployment.apps"
  std::vector<std::string> label_columns;
};

// Rows of one or more Tables of the same kind under one header. Widths once used stay for the rows that a watch adds.
class TablePrinter {
 public:
  explicit TablePrinter(TableOptions options) : options_(std::move(options)) {}

  // Takes a meta.k8s.io/v1 Table's rows. An object that is no Table gives a row with its name and age.
  void add(const json::value& table);
  [[nodiscard]] bool empty() const { return lines_.empty(); }
  // The header when it has not been given yet, then the rows since the last call.
  std::string take();

 private:
  void add_row(const json::value& row);
  TableOptions options_;
  std::vector<std::string> headers_;
  std::vector<size_t> shown_;
  size_t name_column_ = 0;
  bool header_given_ = false;
  std::vector<std::vector<std::string>> lines_;
  std::vector<size_t> widths_;
};

// The time as kubectl prints ages: 45s, 3m12s, 5h, 12d, 2y30d. Negative times give "<invalid>".
std::string short_duration(int64_t seconds);

// Seconds since 1970 of an RFC 3339 text; -1 when it is none.
int64_t parse_time(std::string_view text);

// Age of a timestamp now: "5m"; "<unknown>" when it is none.
std::string age_of(std::string_view timestamp, int64_t now_s);

}  // namespace orlop::cli
