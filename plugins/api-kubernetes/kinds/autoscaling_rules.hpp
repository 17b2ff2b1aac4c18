// The rules of HorizontalPodAutoscaler (autoscaling/v2) and PodDisruptionBudget (policy/v1), as handler.hpp has them.
#pragma once

#include "plugins/api-kubernetes/kinds/handler.hpp"

#include <string_view>

namespace orlop::apikube {

void validate_budget(const Message& object, FieldErrors* errors);
void validate_budget_update(const Message& object, const Message& current, std::string_view subresource,
                            FieldErrors* errors);

void autoscaler_defaults(Message* object);
void validate_autoscaler(const Message& object, FieldErrors* errors);
void validate_autoscaler_update(const Message& object, const Message& current, std::string_view subresource,
                                FieldErrors* errors);

}  // namespace orlop::apikube
