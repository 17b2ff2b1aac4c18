// The one way in which an expected failure is told, everywhere in Orlop.
//
// A function that can fail returns Status (nothing else to return) or Result<T>. Neither throws; exceptions stay inside
// the walls of the library that uses them. The codes map one to one to the reasons of a Kubernetes Status object
// (k8s.io/apimachinery/pkg/apis/meta/v1, StatusReason) and so to HTTP codes; nothing is lost on the way from the store
// to kubectl's screen.
//
// Threads: values, no shared state. Ownership: each holds what it says by value.
#pragma once

#include "orlop/abi/types.h"

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace orlop {

// Mirrors orlop_code of abi/types.h; the numbers are part of the ABI.
enum class Code : int32_t {
  kOk = ORLOP_OK,
  kBadRequest = ORLOP_BAD_REQUEST,               // 400 BadRequest: cannot be parsed or makes no sense
  kUnauthorized = ORLOP_UNAUTHORIZED,            // 401 Unauthorized
  kForbidden = ORLOP_FORBIDDEN,                  // 403 Forbidden
  kNotFound = ORLOP_NOT_FOUND,                   // 404 NotFound
  kMethodNotAllowed = ORLOP_METHOD_NOT_ALLOWED,  // 405 MethodNotAllowed
  kNotAcceptable = ORLOP_NOT_ACCEPTABLE,         // 406 NotAcceptable
  kAlreadyExists = ORLOP_ALREADY_EXISTS,         // 409 AlreadyExists
  kConflict = ORLOP_CONFLICT,                    // 409 Conflict: a precondition does not hold; read again, then retry
  kGone = ORLOP_GONE,                            // 410 Expired: the revision has been compacted; list again
  kTooLarge = ORLOP_TOO_LARGE,                   // 413 RequestEntityTooLarge
  kUnsupportedMediaType = ORLOP_UNSUPPORTED_MEDIA_TYPE,  // 415 UnsupportedMediaType
  kInvalid = ORLOP_INVALID,                    // 422 Invalid: parsed, and against the kind's rules; see causes
  kTooManyRequests = ORLOP_TOO_MANY_REQUESTS,  // 429 TooManyRequests
  kInternal = ORLOP_INTERNAL,                  // 500 InternalError: a fault of ours
  kUnavailable = ORLOP_UNAVAILABLE,            // 503 ServiceUnavailable: a provider is absent, or the disk is full
  kTimeout = ORLOP_TIMEOUT,                    // 504 Timeout: the deadline passed; the outcome may be unknown
  kCancelled = ORLOP_CANCELLED,                // the caller or a shutdown ended it
};

// The canonical name, e.g. "NotFound": what Status.reason of the Kubernetes API holds. Never fails.
constexpr std::string_view reason_of(Code code) {
  switch (code) {
    case Code::kOk:
      return "";
    case Code::kBadRequest:
      return "BadRequest";
    case Code::kUnauthorized:
      return "Unauthorized";
    case Code::kForbidden:
      return "Forbidden";
    case Code::kNotFound:
      return "NotFound";
    case Code::kMethodNotAllowed:
      return "MethodNotAllowed";
    case Code::kNotAcceptable:
      return "NotAcceptable";
    case Code::kAlreadyExists:
      return "AlreadyExists";
    case Code::kConflict:
      return "Conflict";
    case Code::kGone:
      return "Expired";
    case Code::kTooLarge:
      return "RequestEntityTooLarge";
    case Code::kUnsupportedMediaType:
      return "UnsupportedMediaType";
    case Code::kInvalid:
      return "Invalid";
    case Code::kTooManyRequests:
      return "TooManyRequests";
    case Code::kInternal:
      return "InternalError";
    case Code::kUnavailable:
      return "ServiceUnavailable";
    case Code::kTimeout:
      return "Timeout";
    case Code::kCancelled:
      return "Cancelled";
  }
  return "InternalError";
}

// One thing that is wrong with one field; the fields of Kubernetes' StatusCause.
struct Cause {
  std::string reason;   // FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, …
  std::string message;  // "Required value", "Invalid value: \"x\": must be …"
  std::string field;    // "spec.containers[0].name"
};

// Success, or a code with a sentence for a person: what is wrong, where, and how to mend it.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  Status(Code code, std::string message, std::vector<Cause> causes)
      : code_(code), message_(std::move(message)), causes_(std::move(causes)) {}

  static Status ok() { return {}; }

  [[nodiscard]] bool is_ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return is_ok(); }
  [[nodiscard]] Code code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::vector<Cause>& causes() const { return causes_; }
  // How long a caller should wait before it tries again; 0: not told. Unit: seconds.
  [[nodiscard]] int32_t retry_after_s() const { return retry_after_s_; }
  Status& with_retry_after_s(int32_t seconds) {
    retry_after_s_ = seconds;
    return *this;
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
  std::vector<Cause> causes_;
  int32_t retry_after_s_ = 0;
};

// A value, or the Status that says why there is none. value() of a failure is a programmer's error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}        // NOLINT: implicit by intent
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {  // NOLINT: implicit by intent
    assert(!std::get<1>(state_).is_ok() && "a Result made of a Status must be a failure");
  }
  Result(Code code, std::string message) : Result(Status(code, std::move(message))) {}

  [[nodiscard]] bool is_ok() const { return state_.index() == 0; }
  explicit operator bool() const { return is_ok(); }

  [[nodiscard]] const Status& status() const {
    static const Status ok;
    return is_ok() ? ok : std::get<1>(state_);
  }
  [[nodiscard]] Code code() const { return status().code(); }
  [[nodiscard]] const std::string& message() const { return status().message(); }

  T& value() & {
    assert(is_ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(is_ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(is_ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

// Leaves the enclosing function with the failure, if there is one. For functions that return Status or Result.
#define ORLOP_TRY(expression)                         \
  do {                                                \
    ::orlop::Status orlop_status_ = (expression);     \
    if (!orlop_status_.is_ok()) return orlop_status_; \
  } while (false)

#define ORLOP_CONCAT_INNER(a, b) a##b
#define ORLOP_CONCAT(a, b) ORLOP_CONCAT_INNER(a, b)

// ORLOP_ASSIGN(auto page, store.list(...)); leaves with the failure, or binds the value.
#define ORLOP_ASSIGN(declaration, expression)                                                                \
  auto ORLOP_CONCAT(orlop_result_, __LINE__) = (expression);                                                 \
  if (!ORLOP_CONCAT(orlop_result_, __LINE__).is_ok()) return ORLOP_CONCAT(orlop_result_, __LINE__).status(); \
  declaration = std::move(*ORLOP_CONCAT(orlop_result_, __LINE__))

}  // namespace orlop
