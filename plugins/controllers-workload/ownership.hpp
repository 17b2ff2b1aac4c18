// From a changed object to whoever controls it, before the change and after it.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/pods.hpp"

#include <string>
#include <string_view>

namespace orlop::workload {

// Adds the controllers of kind `owner_kind` to the queue. False: nobody controls the object, so that whoever selects it
// may adopt it. The change must carry the previous value.
template <typename Child>
bool enqueue_controllers(const ChangeView& change, std::string_view owner_kind, KeyQueue& queue) {
  bool controlled = false;
  Child child;
  for (const std::string_view bytes : {change.record.value, change.previous_value}) {
    if (bytes.empty() || !child.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) continue;
    const auto* owner = kube::controller_of(child.metadata());
    if (owner == nullptr) continue;
    controlled = true;
    if (owner->kind() == owner_kind) queue.add({std::string(change.record.name_space), owner->name()});
  }
  return controlled;
}

}  // namespace orlop::workload
