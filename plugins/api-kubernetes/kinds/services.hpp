// The rules of Services, addresses included.
#pragma once

#include "plugins/api-kubernetes/kinds/field_errors.hpp"
#include "plugins/api-kubernetes/kinds/service_allocator.hpp"

#include <memory>

namespace k8s::io::api::core::v1 {
class Service;
}

namespace orlop::apikube {

namespace corev1 = k8s::io::api::core::v1;

void set_service_defaults(corev1::Service* service);
// Keeps what was allocated when an update leaves it out, drops what the new type has no use for.
void carry_over_service(corev1::Service* service, const corev1::Service& current);
void validate_service(const corev1::Service& service, FieldErrors* errors);
void validate_service_update(const corev1::Service& service, const corev1::Service& current, FieldErrors* errors);

// Gives the service the addresses and ports that its type needs and it has not yet. `current` null: a new one. Faults
// go into `errors`; then nothing is held. Null: nothing had to change hands.
std::unique_ptr<ServiceReservation> allocate_service(corev1::Service* service, const corev1::Service* current,
                                                     ServiceAllocator* allocator, FieldErrors* errors);

}  // namespace orlop::apikube
