#include "plugins/controllers-workload/job/tracking.hpp"

#include "plugins/controllers-workload/owned_pods.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr size_t kPerCommit = 100;

struct Prepared {
  std::vector<StoredPod> pods;  // as they are now, without the finalizer
  Status status;
};

// Those that have no finalizer any more are told as released at once.
Prepared prepare(const Objects<kube::Pod>& pods, const std::vector<const kube::Pod*>& which, size_t begin, size_t end,
                 std::set<std::string>& released) {
  Prepared out;
  for (size_t i = begin; i < end; ++i) {
    const auto& metadata = which[i]->metadata();
    auto stored = pods.get(metadata.namespace_(), metadata.name());
    if (!stored && stored.code() != Code::kNotFound) {
      out.status = stored.status();
      return out;
    }
    const bool is_gone = !stored || stored->object.metadata().uid() != metadata.uid();
    if (is_gone || !remove_tracking_finalizer(stored->object)) {
      released.insert(metadata.uid());
    } else {
      out.pods.push_back(std::move(*stored));
    }
  }
  return out;
}

Status write_all(const Host& host, const std::vector<StoredPod>& pods) {
  v1::CommitRequest request;
  for (const StoredPod& pod : pods) {
    const auto& metadata = pod.object.metadata();
    auto write = make_write<kube::Pod>(v1::UPDATE, metadata.namespace_(), metadata.name());
    write.set_if_revision(pod.revision);
    pod.object.SerializeToString(write.mutable_value());
    *request.add_writes() = std::move(write);
  }
  return pods.empty() ? Status::ok() : host.commit_wait(request).status();
}

}  // namespace

Released release_pods(const Objects<kube::Pod>& pods, const std::vector<const kube::Pod*>& which) {
  Released out;
  for (size_t begin = 0; begin < which.size(); begin += kPerCommit) {
    const size_t end = std::min(which.size(), begin + kPerCommit);
    Prepared prepared = prepare(pods, which, begin, end, out.uids);
    if (!prepared.status) {
      out.status = prepared.status;
      return out;
    }
    if (write_all(pods.host(), prepared.pods)) {
      for (const StoredPod& pod : prepared.pods) out.uids.insert(pod.object.metadata().uid());
      continue;
    }
    for (const StoredPod& pod : prepared.pods) {
      const Status written = pods.update(pod).status();
      if (written || written.code() == Code::kNotFound) {
        out.uids.insert(pod.object.metadata().uid());
      } else if (out.status) {
        out.status = written;
      }
    }
  }
  return out;
}

}  // namespace orlop::workload
