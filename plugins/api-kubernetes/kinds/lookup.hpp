// What the rules need to see of other objects: whether a namespace exists, what a service account holds.
#pragma once

#include "orlop/result.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::apikube {

// Reads the latest state. Implemented over the host's get and list; by a map in tests.
// Threads: any, at once. The calls are short and may block for a store read.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  // The stored message's bytes. nullopt: absent. A failure: the store could not be read.
  virtual Result<std::optional<std::string>> get(std::string_view kind_id, std::string_view name_space,
                                                 std::string_view name) const = 0;
  // `visit` gets the bytes of each; valid during the visit only. Empty namespace: all.
  virtual Status list(std::string_view kind_id, std::string_view name_space,
                      const std::function<void(std::string_view value)>& visit) const = 0;
};

}  // namespace orlop::apikube
