// Request targets: RFC 3986 percent-encoding and application/x-www-form-urlencoded queries.
// Pure functions and values; safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop::http {

// Decodes %XX; with plus_is_space also '+'. Nothing: a broken escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

// Escapes everything but unreserved characters.
std::string percent_encode(std::string_view text);

// The parameters of a query, in the order in which they came; a name may stand several times.
class Query {
 public:
  // Broken escapes are kept as they stand.
  static Query parse(std::string_view text);

  // The first value of that name; empty when absent.
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  // "", "0", "false" (any case) are false when present; absent is false, a bare name is true as in Kubernetes.
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }
  void add(std::string name, std::string value) { items_.emplace_back(std::move(name), std::move(value)); }
  // "a=1&b=2", escaped.
  [[nodiscard]] std::string encode() const;

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

}  // namespace orlop::http
