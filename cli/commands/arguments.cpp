#include "cli/commands/arguments.hpp"

#include <charconv>
#include <cstdlib>

namespace orlop::cli {
namespace {

Status bad(std::string message) {
  return {Code::kBadRequest, std::move(message)};
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> out;
  size_t at = 0;
  while (at <= text.size()) {
    const auto comma = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

bool is_integer(const std::string& text) {
  int64_t value = 0;
  const auto* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto result = std::from_chars(begin, text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

std::optional<double> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  double sign = 1;
  if (text.front() == '-') {
    sign = -1;
    text.remove_prefix(1);
  }
  const std::string copy(text);
  const char* at = copy.c_str();
  while (*at != 0) {
    char* end = nullptr;
    const double number = std::strtod(at, &end);
    if (end == at) return std::nullopt;
    const std::string_view unit(end);
    if (unit.empty()) {
      if (at != copy.c_str()) return std::nullopt;
      return sign * number;
    }
    if (unit.starts_with("ms")) {
      total += number / 1000;
      at = end + 2;
      continue;
    }
    const double scale = unit.front() == 'h' ? 3600 : unit.front() == 'm' ? 60 : unit.front() == 's' ? 1 : 0;
    if (scale == 0) return std::nullopt;
    total += number * scale;
    at = end + 1;
  }
  return sign * total;
}

std::string Arguments::text(std::string_view name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second.back();
  const auto fallback = fallbacks_.find(name);
  return fallback == fallbacks_.end() ? std::string() : fallback->second;
}

int64_t Arguments::number(std::string_view name) const {
  return std::strtoll(text(name).c_str(), nullptr, 10);
}

double Arguments::seconds(std::string_view name) const {
  return parse_duration(text(name)).value_or(0);
}

std::vector<std::string> Arguments::list(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

const Flag* Grammar::by_name(std::string_view name) const {
  for (const auto& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const Flag* Grammar::by_letter(char letter) const {
  for (const auto& flag : flags_) {
    if (flag.letter == letter) return &flag;
  }
  return nullptr;
}

Result<Arguments> Grammar::parse(const std::vector<std::string>& line) const {
  Arguments out;
  for (const auto& flag : flags_) {
    if (!flag.fallback.empty()) out.fallbacks_[flag.name] = flag.fallback;
  }
  for (size_t at = 0; at < line.size(); ++at) {
    const auto& word = line[at];
    if (word == "--") {
      out.dash_index = out.words.size();
      out.words.insert(out.words.end(), line.begin() + static_cast<std::ptrdiff_t>(at) + 1, line.end());
      break;
    }
    if (word.starts_with("--")) {
      ORLOP_TRY(parse_long(line, at, out));
    } else if (word.size() > 1 && word.front() == '-') {
      ORLOP_TRY(parse_letters(line, at, out));
    } else {
      out.words.push_back(word);
    }
  }
  return out;
}

Status Grammar::parse_long(const std::vector<std::string>& line, size_t& at, Arguments& out) const {
  const auto& word = line[at];
  const auto equals = word.find('=');
  const auto name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
  if (name.empty() || name.front() == '-') return bad("bad flag syntax: " + word);
  const auto* flag = by_name(name);
  if (flag == nullptr) return bad("unknown flag: --" + name);
  const auto shown = "--" + name;
  if (equals != std::string::npos) return take(*flag, shown, word.substr(equals + 1), out);
  if (flag->kind == FlagKind::kSwitch) return take(*flag, shown, "true", out);
  if (!flag->alone.empty()) return take(*flag, shown, flag->alone, out);
  if (at + 1 >= line.size()) return bad("flag needs an argument: --" + name);
  return take(*flag, shown, line[++at], out);
}

Status Grammar::parse_letters(const std::vector<std::string>& line, size_t& at, Arguments& out) const {
  const auto& word = line[at];
  for (size_t i = 1; i < word.size(); ++i) {
    const auto* flag = by_letter(word[i]);
    if (flag == nullptr) {
      return bad(std::string("unknown shorthand flag: '") + word[i] + "' in -" + word.substr(i));
    }
    const auto shown = std::string("-") + word[i] + ", --" + flag->name;
    if (i + 1 < word.size() && word[i + 1] == '=') return take(*flag, shown, word.substr(i + 2), out);
    if (flag->kind == FlagKind::kSwitch || !flag->alone.empty()) {
      ORLOP_TRY(take(*flag, shown, flag->kind == FlagKind::kSwitch ? "true" : flag->alone, out));
      continue;
    }
    if (i + 1 < word.size()) return take(*flag, shown, word.substr(i + 1), out);
    if (at + 1 >= line.size()) {
      return bad(std::string("flag needs an argument: '") + word[i] + "' in -" + word.substr(i));
    }
    return take(*flag, shown, line[++at], out);
  }
  return {};
}

Status Grammar::take(const Flag& flag, const std::string& shown, const std::string& value, Arguments& out) {
  const auto refuse = [&](const std::string& why) {
    return bad("invalid argument \"" + value + "\" for \"" + shown + "\" flag: " + why);
  };
  auto& values = out.values_[flag.name];
  switch (flag.kind) {
    case FlagKind::kSwitch: {
      const bool yes =
          value == "true" || value == "1" || value == "t" || value == "T" || value == "True" || value == "TRUE";
      const bool no =
          value == "false" || value == "0" || value == "f" || value == "F" || value == "False" || value == "FALSE";
      if (!yes && !no) return refuse("strconv.ParseBool: parsing \"" + value + "\": invalid syntax");
      values.emplace_back(yes ? "true" : "false");
      return {};
    }
    case FlagKind::kNumber:
      if (!is_integer(value)) return refuse("strconv.ParseInt: parsing \"" + value + "\": invalid syntax");
      break;
    case FlagKind::kDuration:
      if (!parse_duration(value)) return refuse("time: invalid duration \"" + value + "\"");
      break;
    case FlagKind::kList:
      for (auto& part : split_commas(value)) values.push_back(std::move(part));
      return {};
    case FlagKind::kText:
    case FlagKind::kTexts:
      break;
  }
  values.push_back(value);
  return {};
}

}  // namespace orlop::cli
