// Keeps as many pods as a ReplicationController says: a ReplicaSet's rules over a selector that is a map of labels.
#pragma once

#include "plugins/controllers-workload/replicaset/replicaset.hpp"

namespace orlop::workload {

using ReplicationControllerController = ReplicaController<ReplicationController>;

}  // namespace orlop::workload
