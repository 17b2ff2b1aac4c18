// The command line's grammar, which is that of kubectl (GNU-style flags as spf13/pflag reads them): --name=value,
// --name value, -n value, -nvalue, bundled short switches (-it), flags anywhere among the arguments, and `--` after
// which nothing is a flag.
//
// Threads: values, nothing shared.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::cli {

enum class FlagKind {
  kSwitch,    // true when alone; =true, =false
  kText,      // one value, the last one given counts
  kList,      // may be given several times; commas separate too
  kTexts,     // may be given several times; commas belong to the value
  kNumber,    // an integer
  kDuration,  // 10s, 1m30s, 0; a bare number is seconds
};

struct Flag {
  std::string name;
  char letter = 0;
  FlagKind kind = FlagKind::kText;
  std::string fallback;  // what it is when it is not given
  std::string help;
  std::string alone;  // its value when given without one (--dry-run); empty: it needs one
};

class Arguments {
 public:
  [[nodiscard]] bool given(std::string_view name) const { return values_.find(name) != values_.end(); }
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] bool on(std::string_view name) const { return text(name) == "true"; }
  [[nodiscard]] int64_t number(std::string_view name) const;
  [[nodiscard]] double seconds(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;

  // As if the flag had been given.
  void set(const std::string& name, const std::string& value) { values_[name] = {value}; }

  std::vector<std::string> words;    // what is no flag, without the command's own words
  std::optional<size_t> dash_index;  // how many of `words` stood before `--`

 private:
  friend class Grammar;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> fallbacks_;
};

// The flags that a command and the tool itself know.
class Grammar {
 public:
  explicit Grammar(std::vector<Flag> flags) : flags_(std::move(flags)) {}

  // kBadRequest with pflag's sentence, without "error: ": unknown flag: --x; unknown shorthand flag: 'x' in -x; flag
  // needs an argument: --x; invalid argument "a" for "--x" flag: …
  [[nodiscard]] Result<Arguments> parse(const std::vector<std::string>& line) const;

  [[nodiscard]] const std::vector<Flag>& flags() const { return flags_; }
  [[nodiscard]] const Flag* by_name(std::string_view name) const;
  [[nodiscard]] const Flag* by_letter(char letter) const;

 private:
  Status parse_long(const std::vector<std::string>& line, size_t& at, Arguments& out) const;
  Status parse_letters(const std::vector<std::string>& line, size_t& at, Arguments& out) const;
  static Status take(const Flag& flag, const std::string& shown, const std::string& value, Arguments& out);
  std::vector<Flag> flags_;
};

// Seconds of "1h2m3.5s", "90" or "0"; nothing when it is no duration.
std::optional<double> parse_duration(std::string_view text);

}  // namespace orlop::cli
