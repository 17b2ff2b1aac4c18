// The files of a configMap, secret, downwardAPI or projected volume, in the kubelet's words where something is missing.
//
// Threads: any; reads the store.
#pragma once

#include "orlop/host.hpp"
#include "plugins/node-agent/environment.hpp"
#include "plugins/node-agent/volumes/atomic_writer.hpp"
#include "plugins/node-agent/volumes/object_users.hpp"

#include <functional>
#include <set>
#include <string>

namespace orlop::agent {

using Volume = k8s::io::api::core::v1::Volume;
using TokenProjection = k8s::io::api::core::v1::ServiceAccountTokenProjection;

struct Payload {
  Files files;
  std::set<ObjectReference> immutable;  // objects that were read and can never change
};

// Gives the token that a projection asks for.
using TokenSource = std::function<Result<std::string>(const TokenProjection&)>;

// True for the kinds of volumes that this makes.
bool has_payload(const Volume& volume);
// Whether the files tell of the pod's labels or annotations.
bool tells_of_metadata(const Volume& volume);

// kNotFound: an object or key that is not optional is absent. kInvalid: a path that leaves the volume, a field or
// resource that there is not. Others: of the token source and the store.
Result<Payload> collect_payload(const Host& host, const EnvironmentInputs& inputs, const Volume& volume,
                                const TokenSource& tokens);

}  // namespace orlop::agent
