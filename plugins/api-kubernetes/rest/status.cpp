#include "plugins/api-kubernetes/rest/status.hpp"

#include "orlop/kube/json.hpp"

namespace orlop::rest {
namespace {

void append_field(std::string& out, std::string_view key, std::string_view value, bool& first) {
  if (value.empty()) return;
  if (!first) out += ',';
  first = false;
  out += '"';
  out += key;
  out += "\":";
  kube::append_json_string(value, out);
}

std::string details(const Status& status, const StatusSubject& subject) {
  std::string out;
  bool first = true;
  append_field(out, "name", subject.name, first);
  append_field(out, "group", subject.group, first);
  append_field(out, "kind", subject.kind, first);
  append_field(out, "uid", subject.uid, first);
  if (!status.causes().empty()) {
    out += first ? "\"causes\":[" : ",\"causes\":[";
    first = false;
    bool first_cause = true;
    for (const Cause& cause : status.causes()) {
      out += first_cause ? "{" : ",{";
      first_cause = false;
      bool first_field = true;
      append_field(out, "reason", cause.reason, first_field);
      append_field(out, "message", cause.message, first_field);
      append_field(out, "field", cause.field, first_field);
      out += '}';
    }
    out += ']';
  }
  if (status.retry_after_s() > 0) {
    out += first ? "" : ",";
    first = false;
    out += "\"retryAfterSeconds\":" + std::to_string(status.retry_after_s());
  }
  return out;
}

}  // namespace

int http_code(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kBadRequest:
      return 400;
    case Code::kUnauthorized:
      return 401;
    case Code::kForbidden:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kMethodNotAllowed:
      return 405;
    case Code::kNotAcceptable:
      return 406;
    case Code::kAlreadyExists:
    case Code::kConflict:
      return 409;
    case Code::kGone:
      return 410;
    case Code::kTooLarge:
      return 413;
    case Code::kUnsupportedMediaType:
      return 415;
    case Code::kInvalid:
      return 422;
    case Code::kTooManyRequests:
      return 429;
    case Code::kInternal:
      return 500;
    case Code::kUnavailable:
    case Code::kCancelled:
      return 503;
    case Code::kTimeout:
      return 504;
  }
  return 500;
}

std::string failure_json(const Status& status, const StatusSubject& subject) {
  std::string out = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":)";
  kube::append_json_string(status.message(), out);
  out += ",\"reason\":\"";
  out += status.code() == Code::kCancelled ? "ServiceUnavailable" : reason_of(status.code());
  out += '"';
  std::string text = details(status, subject);
  if (!text.empty()) out += ",\"details\":{" + text + "}";
  return out + ",\"code\":" + std::to_string(http_code(status.code())) + "}\n";
}

std::string failure_json(int code, std::string_view reason, std::string_view message) {
  std::string out = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":)";
  kube::append_json_string(message, out);
  out += ",\"reason\":\"";
  out += reason;
  return out + "\",\"code\":" + std::to_string(code) + "}\n";
}

std::string success_json(const StatusSubject& subject, int code) {
  std::string out = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success")";
  std::string text = details(Status::ok(), subject);
  if (!text.empty()) out += ",\"details\":{" + text + "}";
  if (code != 0) out += ",\"code\":" + std::to_string(code);
  return out + "}\n";
}

}  // namespace orlop::rest
