#include "plugins/api-kubernetes/kind_service.hpp"

#include "orlop/kube/kinds.hpp"
#include "plugins/api-kubernetes/rest/hold.hpp"
#include "plugins/api-kubernetes/rest/registry.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::apikube {
namespace {

bool is_relaxed(std::string_view id) {
  return id == "events" || id == "leases.coordination.k8s.io";
}

AdmitRequest admit_request(const v1::Actor& actor, const v1::Review& review, int64_t wall_now_ns) {
  const v1::Write& write = review.write();
  AdmitRequest request;
  request.kind = kube::find_storage(write.key().kind());
  request.name_space = write.key().namespace_();
  request.name = write.key().name();
  request.value = write.value();
  request.current = review.current();
  request.context.subresource = write.subresource();
  request.context.user = actor.user();
  request.context.groups.assign(actor.groups().begin(), actor.groups().end());
  request.context.uid = actor.uid();
  request.context.now = std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(wall_now_ns)));
  switch (write.verb()) {
    case v1::UPDATE:
      request.operation = Operation::kUpdate;
      request.context.verb = "update";
      break;
    case v1::DELETE:
      request.operation = Operation::kDelete;
      request.context.verb = "delete";
      if (write.delete_options().has_grace_period_seconds()) {
        request.grace_period_seconds = write.delete_options().grace_period_seconds();
      }
      break;
    default:
      request.operation = Operation::kCreate;
      request.context.verb = "create";
      break;
  }
  return request;
}

v1::Verdict verdict_of(const v1::Review& review, Result<Admitted> admitted) {
  v1::Verdict verdict;
  if (!admitted) {
    *verdict.mutable_status() = to_message(admitted.status());
    return verdict;
  }
  verdict.set_value(std::move(admitted->value));
  for (std::string& term : admitted->index_terms) verdict.add_index_terms(std::move(term));
  if (admitted->grace_seconds) verdict.set_grace_seconds(*admitted->grace_seconds);
  for (std::string& warning : admitted->warnings) verdict.add_warnings(std::move(warning));
  if (admitted->reservation) admitted->reservation->leave_to_store();
  bool deletion = review.write().verb() == v1::DELETE;
  rest::Hold hold = rest::hold_of(review.write().key().kind(), deletion ? review.current() : verdict.value(), deletion);
  verdict.set_hold(hold.hold);
  if (!hold.left_behind.empty()) verdict.set_value(std::move(hold.left_behind));
  return verdict;
}

}  // namespace

v1::DescribeResponse kind_infos() {
  v1::DescribeResponse response;
  for (const rest::KindEntry& entry : rest::registry().entries()) {
    if (!entry.is_storage() || !entry.kind->persistent) continue;
    v1::KindInfo* info = response.add_kinds();
    info->set_kind(std::string(entry.id()));
    info->set_namespaced(entry.kind->namespaced);
    const auto* status = entry.prototype->GetDescriptor()->FindFieldByName("status");
    if (status != nullptr) info->set_status_field(static_cast<uint32_t>(status->number()));
    info->set_tracks_generation(entry.kind->has_generation);
    info->set_relaxed(is_relaxed(entry.id()));
    info->set_sealed(entry.id() == "secrets");
  }
  return response;
}

v1::AdmitResponse admit_reviews(const KindRules& rules, const v1::AdmitRequest& request, int64_t wall_now_ns) {
  v1::AdmitResponse response;
  for (const v1::Review& review : request.reviews()) {
    AdmitRequest one = admit_request(request.actor(), review, wall_now_ns);
    if (one.kind == nullptr) {
      *response.add_verdicts() = verdict_of(review, Status(Code::kNotFound, "no kind " + review.write().key().kind()));
    } else {
      *response.add_verdicts() = verdict_of(review, rules.admit(std::move(one)));
    }
  }
  return response;
}

Result<std::optional<std::string>> HostReader::get(std::string_view kind_id, std::string_view name_space,
                                                   std::string_view name) const {
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind(std::string(kind_id));
  key->set_namespace_(std::string(name_space));
  key->set_name(std::string(name));
  std::optional<std::string> value;
  auto result = host_.get(request, [&](const RecordView& record) {
    value.emplace(record.value);
    return true;
  });
  if (!result) return result.status();
  return value;
}

Status HostReader::list(std::string_view kind_id, std::string_view name_space,
                        const std::function<void(std::string_view value)>& visit) const {
  v1::ListRequest request;
  request.set_kind(std::string(kind_id));
  request.set_namespace_(std::string(name_space));
  return host_
      .list(request,
            [&](const RecordView& record) {
              visit(record.value);
              return true;
            })
      .status();
}

}  // namespace orlop::apikube
