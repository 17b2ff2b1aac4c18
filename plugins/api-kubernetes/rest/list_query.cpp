#include "plugins/api-kubernetes/rest/list_query.hpp"

#include "plugins/api-kubernetes/auth/encoding.hpp"

#include <charconv>

#include <boost/json.hpp>

namespace orlop::rest {
namespace {

namespace json = boost::json;

Status bad_token() {
  return {Code::kBadRequest, "continue key is not valid: the token cannot be read"};
}

Status read_continue(std::string_view token, ListQuery& query) {
  auto text = auth::base64url_decode(token);
  if (!text) return bad_token();
  boost::system::error_code error;
  json::value value = json::parse(*text, error);
  if (error || !value.is_object()) return bad_token();
  const json::value* revision = value.as_object().if_contains("rv");
  const json::value* start = value.as_object().if_contains("start");
  if (revision == nullptr || !revision->is_int64() || start == nullptr || !start->is_string()) return bad_token();
  std::string_view key(start->as_string());
  size_t slash = key.find('/');
  if (slash == std::string_view::npos) return bad_token();
  query.continued = true;
  query.inconsistent = revision->as_int64() < 0;
  query.at_revision = query.inconsistent ? 0 : static_cast<uint64_t>(revision->as_int64());
  query.after_namespace = key.substr(0, slash);
  query.after_name = key.substr(slash + 1);
  return Status::ok();
}

}  // namespace

Result<uint64_t> parse_revision(std::string_view text) {
  if (text.empty()) return uint64_t{0};
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status(Code::kBadRequest, "Invalid value: \"" + std::string(text) + "\": strconv.ParseUint: parsing \"" +
                                         std::string(text) + "\": invalid syntax");
  }
  return value;
}

Status too_large_revision(uint64_t asked, uint64_t current) {
  Status status(Code::kTimeout,
                "Too large resource version: " + std::to_string(asked) + ", current: " + std::to_string(current),
                {{"ResourceVersionTooLarge", "Too large resource version", ""}});
  status.with_retry_after_s(1);
  return status;
}

std::string make_continue_token(int64_t revision, std::string_view name_space, std::string_view name) {
  json::object token;
  token["v"] = "meta.k8s.io/v1";
  token["rv"] = revision;
  token["start"] = std::string(name_space) + "/" + std::string(name);
  return auth::base64url(json::serialize(token));
}

Result<ListQuery> read_list_query(const Call& call) {
  const http::Query& parameters = call.request().query;
  ListQuery query;
  ORLOP_ASSIGN(query.limit, parse_revision(parameters.get("limit")));
  std::string_view version_text = parameters.get("resourceVersion");
  std::string_view match = parameters.get("resourceVersionMatch");
  std::string_view token = parameters.get("continue");
  if (!match.empty() && match != "Exact" && match != "NotOlderThan") {
    return Status(Code::kInvalid, "resourceVersionMatch: Unsupported value: \"" + std::string(match) +
                                      "\": supported values: \"Exact\", \"NotOlderThan\", \"\"");
  }
  if (!match.empty() && version_text.empty()) {
    return Status(
        Code::kInvalid,
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  if (!token.empty()) {
    if (!version_text.empty() && version_text != "0") {
      return Status(Code::kBadRequest, "specifying resource version is not allowed when using continue");
    }
    ORLOP_TRY(read_continue(token, query));
    return query;
  }
  ORLOP_ASSIGN(uint64_t asked, parse_revision(version_text));
  if (match == "Exact" && asked == 0) {
    return Status(
        Code::kInvalid,
        "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
  }
  uint64_t current = call.services.host.revision();
  if (asked > current) return too_large_revision(asked, current);
  if (match == "Exact" || (match.empty() && query.limit > 0)) query.at_revision = asked;
  return query;
}

}  // namespace orlop::rest
