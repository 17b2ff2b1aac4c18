// A namespace that is being deleted takes everything in it along, then itself.
//
// Follows upstream's namespace lifecycle: status Terminating, content deleted kind by kind, then spec.finalizers is
// emptied through the `finalize` subresource, upon which the object goes.
#pragma once

#include "orlop/controller.hpp"

#include <string>
#include <vector>

namespace orlop::cluster {

class NamespaceController final : public Reconciler {
 public:
  explicit NamespaceController(Host host);

  [[nodiscard]] std::string_view name() const override { return "namespace-controller"; }
  [[nodiscard]] std::vector<std::string> kinds() const override { return {"namespaces"}; }
  void observe(const ChangeView& change, KeyQueue& queue) override;
  Result<Outcome> reconcile(const ObjectKey& key) override;

 private:
  // How many objects are still there after everything has been asked to go.
  Result<size_t> empty(const std::string& name_space);

  Host host_;
  std::vector<std::string> content_kinds_;
};

}  // namespace orlop::cluster
