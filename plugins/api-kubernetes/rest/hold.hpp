// Namespaces hold themselves: while their spec names a finalizer, a deletion marks them and leaves them, in phase
// Terminating, until what they hold is gone. See Write.hold in orlop/v1/store.proto.
#pragma once

#include <string>
#include <string_view>

namespace orlop::rest {

struct Hold {
  bool hold = false;
  std::string left_behind;  // a deletion only: the object as it stays; empty: as it is
};

// `value`: the object as it is (deletion) or as it is to be (update).
Hold hold_of(std::string_view kind_id, std::string_view value, bool deletion);

}  // namespace orlop::rest
