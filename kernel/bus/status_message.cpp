#include "kernel/bus/call_router.hpp"
#include "orlop/v1/object.pb.h"

namespace orlop::bus {

std::string encode_status(const Status& status) {
  v1::Status message;
  message.set_code(static_cast<int32_t>(status.code()));
  message.set_message(status.message());
  for (const auto& cause : status.causes()) {
    auto* added = message.add_causes();
    added->set_reason(cause.reason);
    added->set_message(cause.message);
    added->set_field(cause.field);
  }
  message.set_retry_after_seconds(status.retry_after_s());
  return message.SerializeAsString();
}

Status decode_status(Code code, std::string_view payload) {
  if (code == Code::kOk) return {};
  v1::Status message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return {code, "the answer's status could not be read"};
  }
  std::vector<Cause> causes;
  for (const auto& cause : message.causes()) causes.push_back({cause.reason(), cause.message(), cause.field()});
  Status status(code, message.message(), std::move(causes));
  status.with_retry_after_s(message.retry_after_seconds());
  return status;
}

}  // namespace orlop::bus
