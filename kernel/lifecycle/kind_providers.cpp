#include "kernel/lifecycle/kind_providers.hpp"

#include <fmt/format.h>

namespace orlop::lifecycle {

void RouterKindProviders::admit(const std::string& provider, const v1::AdmitRequest& request,
                                std::chrono::milliseconds deadline, AdmitDone done) {
  router_.call_plugin(
      provider, "orlop.v1.Kinds/Admit", request.SerializeAsString(), static_cast<uint32_t>(deadline.count()),
      [provider, done = std::move(done)](Code code, std::string_view payload) {
        if (code != Code::kOk) return done(bus::decode_status(code, payload));
        v1::AdmitResponse response;
        if (!response.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
          return done(Status(Code::kInternal, fmt::format("plugin {} answered a review with what is none", provider)));
        }
        done(std::move(response));
      });
}

}  // namespace orlop::lifecycle
