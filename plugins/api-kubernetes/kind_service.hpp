// Capability `api`: what the kernel asks about kinds. And the store as the rules of kinds read it.
#pragma once

#include "orlop/host.hpp"
#include "orlop/v1/api.pb.h"
#include "plugins/api-kubernetes/kinds/rules.hpp"

namespace orlop::apikube {

// Every stored kind.
v1::DescribeResponse kind_infos();

// One verdict for each review, in order. Any thread.
v1::AdmitResponse admit_reviews(const KindRules& rules, const v1::AdmitRequest& request, int64_t wall_now_ns);

class HostReader final : public ObjectReader {
 public:
  explicit HostReader(Host host) : host_(host) {}
  Result<std::optional<std::string>> get(std::string_view kind_id, std::string_view name_space,
                                         std::string_view name) const override;
  Status list(std::string_view kind_id, std::string_view name_space,
              const std::function<void(std::string_view value)>& visit) const override;

 private:
  Host host_;
};

}  // namespace orlop::apikube
