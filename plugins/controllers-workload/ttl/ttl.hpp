// Deletes Jobs a while after they have finished (batch/v1 JobSpec.ttlSecondsAfterFinished).
#pragma once

#include "orlop/controller.hpp"
#include "orlop/objects.hpp"
#include "plugins/controllers-workload/job/conditions.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::workload {

// When the job is to go, in seconds since 1970; nothing: it stays, or is going already.
std::optional<int64_t> expires_at_s(const Job& job);

class TtlAfterFinishedController final : public Reconciler {
 public:
  explicit TtlAfterFinishedController(Host host) : host_(host), jobs_(host) {}

  [[nodiscard]] std::string_view name() const override { return "ttl-after-finished-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"jobs.batch"}; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  Host host_;
  Objects<Job> jobs_;
};

}  // namespace orlop::workload
