// The answers to requests for resources, one function for each verb or subresource. Each answers its call completely,
// also when it fails. The call outlives the Task.
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

namespace orlop::rest {

// read.cpp
void get_object(Call& call);
Task<void> list_objects(Call& call);
// watch.cpp
Task<void> watch_objects(Call& call);
// write.cpp
Task<void> create_object(Call& call);
Task<void> update_object(Call& call);
Task<void> patch_object(Call& call);
// remove.cpp
Task<void> delete_object(Call& call);
Task<void> delete_collection(Call& call);
// scale.cpp
Task<void> handle_scale(Call& call);
// subresources.cpp
Task<void> handle_binding(Call& call);
Task<void> handle_token(Call& call);
// A Secret of type kubernetes.io/service-account-token gets its token, CA and namespace. Anything else: nothing
// happens.
Status fill_token_secret(const Call& call, google::protobuf::Message& object);
// streams.cpp
Task<void> handle_log(Call& call);
Task<void> handle_upgrade(Call& call);
// eviction.cpp
Task<void> handle_eviction(Call& call);
// reviews.cpp
Task<void> handle_review(Call& call);

}  // namespace orlop::rest
