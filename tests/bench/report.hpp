// What was measured: rows by a stable key, a column for each target, the median where there were several rounds.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace orlop::bench {

enum class Better { kHigher, kLower, kNeither };

class Report {
 public:
  explicit Report(std::vector<std::string> targets) : targets_(std::move(targets)) {}

  // `unit`: "/s", "ms", "us", "MB", "KB", "cores" or "". Rows stand in the order in which their keys were first added.
  void add(std::size_t target, const std::string& key, const std::string& label, const std::string& unit, Better better,
           double value);
  // Something that a reader of the figures must know: an error, a limit that the client set.
  void note(std::size_t target, const std::string& text);

  // For people; with two or more targets each further one's ratio to the first: above 1 is better than the first.
  [[nodiscard]] std::string table() const;
  [[nodiscard]] std::string json() const;

 private:
  struct Row {
    std::string key;
    std::string label;
    std::string unit;
    Better better;
    std::vector<std::vector<double>> values;  // [target][round]
  };
  std::vector<std::string> targets_;
  std::vector<Row> rows_;
  std::map<std::string, std::size_t> row_of_;
  std::vector<std::string> notes_;
};

// The value below which `part` (0 to 1) of `values` lie; sorts them. 0 when there are none.
double percentile(std::vector<float>& values, double part);

}  // namespace orlop::bench
