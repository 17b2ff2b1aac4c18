// resource.Quantity of Kubernetes (k8s.io/apimachinery/pkg/api/resource): "100m", "1.5Gi", "2e3". Parsing, rounding and
// the canonical form are Kubernetes' own, so that what a user wrote comes back as an apiserver would give it back.
//
// A value is mantissa × 10^exponent with nothing smaller than a nano (10^-9); what is smaller is rounded away from
// zero. Up to 36 significant digits are taken. No protobuf in this header.
//
// Threads: values.
#pragma once

#include "orlop/result.hpp"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace orlop::kube {

class Quantity {
 public:
  enum class Format : uint8_t { kDecimalSi, kBinarySi, kDecimalExponent };

  Quantity() = default;  // 0
  static Quantity of(int64_t value, Format format = Format::kDecimalSi);
  static Quantity of_milli(int64_t milli, Format format = Format::kDecimalSi);

  // kBadRequest with Kubernetes' own sentence: the form is wrong, the suffix is unknown, or the number is too long.
  static Result<Quantity> parse(std::string_view text);

  // The canonical form, e.g. "500m" for 0.5, "1Gi" for 1024Mi; a form that Kubernetes would have kept is kept.
  [[nodiscard]] std::string to_string() const;

  // Rounded away from zero; at the ends of int64_t when outside its range.
  [[nodiscard]] int64_t to_value() const { return scaled(0); }
  [[nodiscard]] int64_t to_milli() const { return scaled(-3); }

  [[nodiscard]] bool is_zero() const { return mantissa_ == 0; }
  [[nodiscard]] int sign() const { return mantissa_ == 0 ? 0 : (mantissa_ < 0 ? -1 : 1); }
  [[nodiscard]] Format format() const { return format_; }
  [[nodiscard]] double to_double() const;

  // A zero takes the other's format, as in Kubernetes.
  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  Quantity operator-() const;

  friend std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) { return compare(a, b) <=> 0; }
  friend bool operator==(const Quantity& a, const Quantity& b) { return compare(a, b) == 0; }

 private:
  static int compare(const Quantity& a, const Quantity& b);
  [[nodiscard]] int64_t scaled(int exponent) const;
  void append_decimal(std::string& out, Format format) const;

  __extension__ using Mantissa = __int128;

  Mantissa mantissa_ = 0;
  int32_t exponent_ = 0;
  Format format_ = Format::kDecimalSi;
  std::string text_;  // kept when it was canonical already; empty: made anew
};

// Rounded up: the value and thousandths of a quantity's text, 0 for text that is none. For those who read stored
// objects, which were validated on their way in.
int64_t quantity_value(std::string_view text);
int64_t quantity_milli(std::string_view text);

}  // namespace orlop::kube
