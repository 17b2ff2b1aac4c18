// YAML as a plain tree that remembers for each value where it was written, so that every later complaint can name file
// and line, and so that two files can be laid one over the other.
//
// Limits, against files made to hurt: 4 MiB, 64 levels, 100,000 values (aliases counted each time they are used).
//
// Threads: values.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::lifecycle {

// One thing that is wrong in a file, with what to do about it.
struct Problem {
  std::string file;
  int line = 0;  // from 1; 0: the file as a whole
  std::string what;
  std::string mend;  // may be empty
  // "FILE:LINE: what; mend"
  [[nodiscard]] std::string text() const;
};
using Problems = std::vector<Problem>;

struct Tree {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::string scalar;
  bool quoted = false;                                // a scalar written in quotes: a string, whatever it looks like
  std::vector<std::pair<std::string, Tree>> entries;  // kMap, in the order of the file; no key twice
  std::vector<Tree> items;                            // kList
  std::shared_ptr<const std::string> file;
  int line = 0;

  [[nodiscard]] const Tree* find(std::string_view key) const;
  Tree* find(std::string_view key) { return const_cast<Tree*>(std::as_const(*this).find(key)); }
  [[nodiscard]] bool is_map() const { return kind == Kind::kMap; }
  [[nodiscard]] bool is_list() const { return kind == Kind::kList; }
  [[nodiscard]] bool is_null() const { return kind == Kind::kNull; }
  [[nodiscard]] bool is_scalar() const { return kind == Kind::kScalar; }
  // "a map", "a list", "the value x", "nothing"; for sentences.
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] Problem problem(std::string what, std::string mend = {}) const;
};

// Parses one document. Empty text gives an empty map. Failures: what is wrong, with file and line; a key twice; a
// limit.
struct YamlOutcome {
  Tree tree;
  Problems problems;  // empty: it is good
};
YamlOutcome parse_yaml(std::string_view text, const std::string& file);

// Lays `over` over `base`: maps by key, all else replaced as a whole.
void overlay(Tree& base, const Tree& over);

// Scalars as what they say. False: it is no such thing.
bool read_boolean(const Tree& tree, bool& value);  // true, false
bool read_integer(const Tree& tree, int64_t& value);
bool read_number(const Tree& tree, double& value);

// The one of `known` that was probably meant, or empty.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace orlop::lifecycle
