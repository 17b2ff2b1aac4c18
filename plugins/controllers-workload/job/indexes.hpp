// Sets of completion indexes, as a Job's status writes them: "1,3-5,7" (batch/v1 JobStatus.completedIndexes). Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

class IndexSet {
 public:
  struct Interval {
    int32_t first = 0;
    int32_t last = 0;  // inclusive
  };

  IndexSet() = default;
  explicit IndexSet(const std::set<int32_t>& indexes);
  // What cannot be read is left out, and so is what is not below `completions`.
  static IndexSet parse(std::string_view text, int32_t completions);

  void merge(const IndexSet& other);
  [[nodiscard]] bool contains(int32_t index) const;
  [[nodiscard]] bool empty() const { return intervals_.empty(); }
  [[nodiscard]] int64_t size() const;
  // How many indexes are in both.
  [[nodiscard]] int64_t overlap(const IndexSet& other) const;
  // The lowest `count` indexes below `completions` that are not in the set.
  [[nodiscard]] std::vector<int32_t> lowest_missing(size_t count, int32_t completions) const;
  // Two neighbours are "3,4", three or more "3-5".
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Interval> intervals_;  // in order, neither touching nor overlapping
};

}  // namespace orlop::workload
