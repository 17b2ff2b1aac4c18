// metav1.Status: how every failure is told, and some successes.
#pragma once

#include "orlop/result.hpp"

#include <string>
#include <string_view>

namespace orlop::rest {

// What a failure is about; empty parts are left out.
struct StatusSubject {
  std::string_view name;
  std::string_view group;
  std::string_view kind;  // the resource ("pods"); for kInvalid the kind ("Pod")
  std::string_view uid;
};

// The HTTP code of a failure.
int http_code(Code code);

// The object's JSON. `code`: of `status` unless it is given.
std::string failure_json(const Status& status, const StatusSubject& subject);
// A failure of the HTTP layer, which has a code of its own.
std::string failure_json(int http_code, std::string_view reason, std::string_view message);
std::string success_json(const StatusSubject& subject, int code = 0);

}  // namespace orlop::rest
