// Quantities of stored and decoded objects: text that was checked when it was read.
#pragma once

#include "orlop/kube/quantity.hpp"

#include <optional>
#include <string_view>

namespace orlop::apikube {

// nullopt: the text is none.
inline std::optional<kube::Quantity> parse_quantity(std::string_view text) {
  auto quantity = kube::Quantity::parse(text);
  if (!quantity) return std::nullopt;
  return *quantity;
}

inline kube::Quantity quantity_or_zero(std::string_view text) {
  return parse_quantity(text).value_or(kube::Quantity());
}

}  // namespace orlop::apikube
