// Label selectors: the text form of `kubectl get -l` and of the labelSelector query parameter, and the structured form
// that objects carry.
//
// Grammar as in k8s.io/apimachinery/pkg/labels: a comma joins requirements, all of which must hold; `k`, `!k`, `k=v`,
// `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k>1`, `k<1`. An absent label satisfies `!=` and `notin`.
//
// Threads: a parsed selector is immutable; any thread may match with it.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::apikube {

enum class LabelOperator {
  kEquals,
  kDoubleEquals,
  kNotEquals,
  kIn,
  kNotIn,
  kExists,
  kDoesNotExist,
  kGreaterThan,
  kLessThan
};

struct LabelRequirement {
  std::string key;
  LabelOperator op = LabelOperator::kExists;
  std::vector<std::string> values;  // sorted, without doubles

  // `value`: nullptr when the object has no such label.
  [[nodiscard]] bool matches(const std::string* value) const;
  [[nodiscard]] std::string text() const;
};

class LabelSelector {
 public:
  // Selects everything.
  LabelSelector() = default;
  // Selects what meets all of `requirements`.
  explicit LabelSelector(std::vector<LabelRequirement> requirements);
  // Selects nothing at all: what a nil selector of an object means.
  static LabelSelector nothing();

  // kBadRequest with Kubernetes' own sentence: "unable to parse requirement: …", "found 'x', expected: …".
  static Result<LabelSelector> parse(std::string_view text);

  [[nodiscard]] bool is_everything() const { return !nothing_ && requirements_.empty(); }
  [[nodiscard]] const std::vector<LabelRequirement>& requirements() const { return requirements_; }

  // `labels`: anything with find(const std::string&) and end() over pairs: protobuf's Map, std::map, unordered_map.
  template <typename Map>
  [[nodiscard]] bool matches(const Map& labels) const {
    if (nothing_) return false;
    for (const auto& requirement : requirements_) {
      auto found = labels.find(requirement.key);
      if (!requirement.matches(found == labels.end() ? nullptr : &found->second)) return false;
    }
    return true;
  }

  // The canonical text, requirements ordered by key; "" selects everything. parse(text()) gives an equal selector.
  [[nodiscard]] std::string text() const;

  // "label/k=v" of the first requirement that demands exactly one value: a term of the store's index that every match
  // carries (KindRules::index_terms). nullopt: no requirement does.
  [[nodiscard]] std::optional<std::string> index_term() const;

 private:
  std::vector<LabelRequirement> requirements_;  // sorted by key
  bool nothing_ = false;
};

}  // namespace orlop::apikube
