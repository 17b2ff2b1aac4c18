#include "orlop/kube/quantity.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace orlop::kube {
namespace {

__extension__ using Wide = __int128;

constexpr int kNano = -9;
constexpr int kDigitsMax = 36;
constexpr size_t kInt64Digits = 18;

constexpr Wide kInt64Max = std::numeric_limits<int64_t>::max();
constexpr Wide kInt64Min = std::numeric_limits<int64_t>::min();

constexpr Wide power_of_ten(int exponent) {
  Wide out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

// Nothing when the product leaves 128 bits.
std::optional<Wide> multiplied(Wide value, Wide factor) {
  Wide out = 0;
  if (__builtin_mul_overflow(value, factor, &out)) return std::nullopt;
  return out;
}

std::optional<Wide> shifted_left(Wide value, int decimals) {
  if (value == 0) return Wide{0};
  if (decimals > 38) return std::nullopt;
  return multiplied(value, power_of_ten(decimals));
}

Wide divided_up(Wide value, int decimals) {
  if (decimals > 38) return value == 0 ? 0 : (value < 0 ? -1 : 1);
  const Wide divisor = power_of_ten(decimals);
  const Wide quotient = value / divisor;
  const Wide rest = value % divisor;
  if (rest == 0) return quotient;
  return value < 0 ? quotient - 1 : quotient + 1;
}

void append_integer(std::string& out, Wide value) {
  if (value < 0) {
    out += '-';
    value = -value;
  }
  char digits[48];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  while (count > 0) out += digits[--count];
}

struct Suffix {
  int base;
  int exponent;
  Quantity::Format format;
};

std::optional<Suffix> interpret(std::string_view suffix) {
  using enum Quantity::Format;
  static constexpr struct {
    std::string_view text;
    Suffix meaning;
  } kTable[] = {
      {"", {10, 0, kDecimalSi}},   {"m", {10, -3, kDecimalSi}}, {"Mi", {2, 20, kBinarySi}},
      {"Gi", {2, 30, kBinarySi}},  {"Ki", {2, 10, kBinarySi}},  {"k", {10, 3, kDecimalSi}},
      {"M", {10, 6, kDecimalSi}},  {"G", {10, 9, kDecimalSi}},  {"T", {10, 12, kDecimalSi}},
      {"P", {10, 15, kDecimalSi}}, {"E", {10, 18, kDecimalSi}}, {"n", {10, -9, kDecimalSi}},
      {"u", {10, -6, kDecimalSi}}, {"Ti", {2, 40, kBinarySi}},  {"Pi", {2, 50, kBinarySi}},
      {"Ei", {2, 60, kBinarySi}},
  };
  for (const auto& row : kTable) {
    if (row.text == suffix) return row.meaning;
  }
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return std::nullopt;
  std::string_view digits = suffix.substr(1);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (exponent > 1000 || exponent < -1000) return std::nullopt;
  return Suffix{10, exponent, kDecimalExponent};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct Parts {
  bool positive = true;
  std::string digits;  // of the number, the point left out
  size_t whole = 0;    // how many of them stand before the point
  std::string_view suffix;
};

// Nothing when the text has not the form of a quantity.
std::optional<Parts> take_apart(std::string_view text) {
  Parts parts;
  size_t at = 0;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    parts.positive = text[0] == '+';
    at = 1;
  }
  while (at < text.size() && text[at] == '0') ++at;
  const auto take_digits = [&] {
    while (at < text.size() && is_digit(text[at])) parts.digits += text[at++];
  };
  take_digits();
  if (parts.digits.empty()) parts.digits = "0";
  parts.whole = parts.digits.size();
  if (at < text.size() && text[at] == '.') {
    ++at;
    take_digits();
  }
  const size_t suffix_start = at;
  while (at < text.size() && std::string_view("eEinumkKMGTP").find(text[at]) != std::string_view::npos) ++at;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  while (at < text.size() && is_digit(text[at])) ++at;
  if (at != text.size()) return std::nullopt;
  parts.suffix = text.substr(suffix_start);
  return parts;
}

Status wrong(const char* sentence) {
  return {Code::kBadRequest, sentence};
}

constexpr const char* kWrongForm =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr const char* kWrongSuffix = "unable to parse quantity's suffix";
constexpr const char* kWrongNumber = "unable to parse numeric part of quantity";

// Whether Kubernetes keeps the text as it was written.
bool is_kept(const Parts& parts, const Suffix& suffix, Wide number) {
  const size_t decimals = parts.digits.size() - parts.whole;
  if (suffix.base == 2) {
    const int precision =
        15 - static_cast<int>(parts.whole) - static_cast<int>(static_cast<float>(suffix.exponent) * 3 / 10) - 1;
    return decimals == 0 && precision >= 0 && (number & 7) != 0;
  }
  const int scale = suffix.exponent - static_cast<int>(decimals);
  return parts.digits.size() <= kInt64Digits && scale >= kNano && scale % 3 == 0 && !parts.digits.ends_with("000") &&
         parts.digits[0] != '0';
}

}  // namespace

Quantity Quantity::of(int64_t value, Format format) {
  Quantity out;
  out.mantissa_ = value;
  out.format_ = format;
  return out;
}

Quantity Quantity::of_milli(int64_t milli, Format format) {
  Quantity out = of(milli, format);
  out.exponent_ = -3;
  return out;
}

Result<Quantity> Quantity::parse(std::string_view text) {
  if (text.empty()) return wrong(kWrongForm);
  const auto parts = take_apart(text);
  if (!parts) return wrong(kWrongForm);
  const auto suffix = interpret(parts->suffix);
  if (!suffix) return wrong(kWrongSuffix);
  if (parts->digits.size() > kDigitsMax) return wrong(kWrongNumber);

  Quantity out;
  out.format_ = suffix->format;
  Wide number = 0;
  for (const char c : parts->digits) number = number * 10 + (c - '0');
  if (number == 0) return out;
  out.exponent_ = -static_cast<int>(parts->digits.size() - parts->whole);
  if (is_kept(*parts, *suffix, number)) out.text_ = text;
  if (suffix->base == 10) {
    out.exponent_ += suffix->exponent;
  } else {
    // Binary quantities stop at the largest int64, as in Kubernetes.
    const auto product = multiplied(number, Wide{1} << suffix->exponent);
    number = product ? *product : kInt64Max;
    if (!product) out.exponent_ = 0;
  }
  if (out.exponent_ < kNano) {
    number = divided_up(number, kNano - out.exponent_);
    out.exponent_ = kNano;
  }
  if (suffix->base == 2) {
    const Wide whole = out.exponent_ == 0 ? number : number / power_of_ten(-out.exponent_);
    if (whole > kInt64Max) {
      number = kInt64Max;
      out.exponent_ = 0;
    } else if (whole == 0) {
      out.format_ = Format::kDecimalSi;
    }
  }
  out.mantissa_ = parts->positive ? number : -number;
  return out;
}

int64_t Quantity::scaled(int exponent) const {
  Wide value = mantissa_;
  if (exponent_ < exponent) {
    value = divided_up(value, exponent - exponent_);
  } else if (const auto wide = shifted_left(value, exponent_ - exponent)) {
    value = *wide;
  } else {
    value = value < 0 ? kInt64Min : kInt64Max;
  }
  return static_cast<int64_t>(std::clamp(value, kInt64Min, kInt64Max));
}

double Quantity::to_double() const {
  double out = static_cast<double>(mantissa_);
  for (int i = exponent_; i < 0; ++i) out /= 10;
  for (int i = exponent_; i > 0; --i) out *= 10;
  return out;
}

void Quantity::append_decimal(std::string& out, Format format) const {
  Wide amount = mantissa_;
  int exponent = exponent_;
  while (amount % 10 == 0) {
    amount /= 10;
    ++exponent;
  }
  while (exponent % 3 != 0 || (format == Format::kDecimalSi && exponent > 18)) {
    const auto wide = multiplied(amount, 10);
    if (!wide) break;
    amount = *wide;
    --exponent;
  }
  append_integer(out, amount);
  if (exponent == 0) return;
  if (format == Format::kDecimalSi && exponent >= kNano && exponent <= 18 && exponent % 3 == 0) {
    static constexpr std::string_view kSuffixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    out += kSuffixes[(exponent - kNano) / 3];
  } else {
    out += 'e';
    out += std::to_string(exponent);
  }
}

std::string Quantity::to_string() const {
  if (!text_.empty()) return text_;
  if (mantissa_ == 0) return "0";
  std::string out;
  if (format_ == Format::kBinarySi) {
    const auto whole = exponent_ >= 0 ? shifted_left(mantissa_, exponent_) : std::nullopt;
    const bool exact = whole || mantissa_ % power_of_ten(-exponent_) == 0;
    const Wide value = whole ? *whole : mantissa_ / power_of_ten(exponent_ < 0 ? -exponent_ : 0);
    if (exact && (value >= 1024 || value <= -1024)) {
      Wide amount = value;
      size_t times = 0;
      while (amount % 1024 == 0 && times < 6) {
        amount /= 1024;
        ++times;
      }
      append_integer(out, amount);
      static constexpr std::string_view kSuffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
      out += kSuffixes[times];
      return out;
    }
  }
  append_decimal(out, format_ == Format::kBinarySi ? Format::kDecimalSi : format_);
  return out;
}

int Quantity::compare(const Quantity& a, const Quantity& b) {
  if (a.sign() != b.sign()) return a.sign() < b.sign() ? -1 : 1;
  const int exponent = std::min(a.exponent_, b.exponent_);
  const auto left = shifted_left(a.mantissa_, a.exponent_ - exponent);
  const auto right = shifted_left(b.mantissa_, b.exponent_ - exponent);
  if (left && right) return *left < *right ? -1 : (*left > *right ? 1 : 0);
  // The one that leaves 128 bits is the greater in magnitude.
  const int magnitude = left ? -1 : 1;
  return a.sign() < 0 ? -magnitude : magnitude;
}

Quantity& Quantity::operator+=(const Quantity& other) {
  text_.clear();
  if (is_zero()) format_ = other.format_;
  const int exponent = std::min(exponent_, other.exponent_);
  const auto left = shifted_left(mantissa_, exponent_ - exponent);
  const auto right = shifted_left(other.mantissa_, other.exponent_ - exponent);
  if (left && right) {
    mantissa_ = *left + *right;
    exponent_ = exponent;
  } else if (!right) {
    // So far apart that the smaller one is below the greater one's last digit.
    mantissa_ = other.mantissa_;
    exponent_ = other.exponent_;
  }
  return *this;
}

Quantity Quantity::operator-() const {
  Quantity out = *this;
  out.mantissa_ = -out.mantissa_;
  out.text_.clear();
  return out;
}

Quantity& Quantity::operator-=(const Quantity& other) {
  return *this += -other;
}

int64_t quantity_value(std::string_view text) {
  const auto parsed = Quantity::parse(text);
  return parsed ? parsed->to_value() : 0;
}

int64_t quantity_milli(std::string_view text) {
  const auto parsed = Quantity::parse(text);
  return parsed ? parsed->to_milli() : 0;
}

}  // namespace orlop::kube
