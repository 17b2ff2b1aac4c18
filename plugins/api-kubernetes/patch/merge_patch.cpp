// RFC 7386.
#include "plugins/api-kubernetes/patch/patch.hpp"

namespace orlop::apikube {
namespace {

namespace json = boost::json;

void merge_into(json::object* target, const json::object& patch) {
  for (const auto& member : patch) {
    if (member.value().is_null()) {
      target->erase(member.key());
      continue;
    }
    if (const auto* change = member.value().if_object()) {
      auto& slot = (*target)[member.key()];
      if (!slot.is_object()) slot = json::object(target->storage());
      merge_into(&slot.as_object(), *change);
    } else {
      (*target)[member.key()] = member.value();
    }
  }
}

}  // namespace

Result<json::value> merge_patch(const json::value& document, const json::value& patch) {
  const auto* change = patch.if_object();
  if (change == nullptr) return Status(Code::kBadRequest, "error decoding patch: a merge patch must be an object");
  json::value result = document;
  if (!result.is_object()) result = json::object();
  merge_into(&result.as_object(), *change);
  return result;
}

}  // namespace orlop::apikube
