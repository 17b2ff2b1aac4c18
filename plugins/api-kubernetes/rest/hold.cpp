#include "plugins/api-kubernetes/rest/hold.hpp"

#include "orlop/kube/core_v1.hpp"

namespace orlop::rest {

Hold hold_of(std::string_view kind_id, std::string_view value, bool deletion) {
  if (kind_id != "namespaces") return {};
  k8s::io::api::core::v1::Namespace object;
  if (!object.ParseFromArray(value.data(), static_cast<int>(value.size()))) return {};
  Hold hold;
  hold.hold = !object.spec().finalizers().empty();
  if (hold.hold && deletion) {
    object.mutable_status()->set_phase("Terminating");
    hold.left_behind = object.SerializeAsString();
  }
  return hold;
}

}  // namespace orlop::rest
