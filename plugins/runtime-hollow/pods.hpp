// Sandboxes and containers that exist in memory alone, and the rules of CRI about their lives. Pure: no clock, no
// thread.
//
// Memory: what a caller gave (names, labels, annotations) is kept as the bytes of its message, about as large as on the
// wire; the rest is some 200 bytes for a pod with one container.
#pragma once

#include "cri/api.pb.h"
#include "orlop/result.hpp"
#include "orlop/runtime_event_log.hpp"
#include "plugins/runtime-hollow/settings.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace orlop::hollow {

namespace cri = ::runtime::v1;

// The label by which agents look up what belongs to one pod; an index on it makes that independent of the number of
// pods.
inline constexpr char kPodUidLabel[] = "io.kubernetes.pod.uid";

// An id is twelve hexadecimal digits. Empty: the text is none.
std::string format_id(uint64_t id);
std::optional<uint64_t> parse_id(std::string_view text);

// A container that ends by itself, unless it is started again or gone by then.
struct PlannedExit {
  uint64_t container = 0;
  uint32_t start = 0;  // the how-manieth start it belongs to
  std::chrono::nanoseconds after{0};
};

// Threads: one at a time. Times are wall clock, nanoseconds since 1970.
class Pods {
 public:
  using EventSink = std::function<void(runtime_events::Event event)>;

  // `first_id`: ids count up from here; random, so that those of an earlier process mean nothing to this one.
  Pods(IpPool addresses, uint64_t first_id, EventSink events)
      : addresses_(std::move(addresses)), next_id_(first_id), events_(std::move(events)) {}

  // Lists are in no order. kAlreadyExists: a sandbox of this name, namespace, uid and attempt is there.
  Result<cri::RunPodSandboxResponse> run(const cri::RunPodSandboxRequest& request, int64_t now);
  Result<cri::StopPodSandboxResponse> stop(const cri::StopPodSandboxRequest& request, int64_t now);
  Result<cri::RemovePodSandboxResponse> remove(const cri::RemovePodSandboxRequest& request, int64_t now);
  Result<cri::PodSandboxStatusResponse> status(const cri::PodSandboxStatusRequest& request) const;
  cri::ListPodSandboxResponse list(const cri::ListPodSandboxRequest& request) const;
  cri::ListPodSandboxStatsResponse stats(const cri::ListPodSandboxStatsRequest& request, int64_t now) const;

  // kConflict: the sandbox has been stopped. kInvalid: an annotation makes no sense.
  Result<cri::CreateContainerResponse> create(const cri::CreateContainerRequest& request, int64_t now);
  // kConflict: it has been started before. `planned` is set when it is to end by itself.
  Result<cri::StartContainerResponse> start(const cri::StartContainerRequest& request, int64_t now,
                                            std::optional<PlannedExit>& planned);
  Result<cri::StopContainerResponse> stop(const cri::StopContainerRequest& request, int64_t now);
  // Ends at once with the code that its annotations name. kConflict: the container does not run.
  Result<cri::ExecSyncResponse> exec(const cri::ExecSyncRequest& request) const;
  Result<cri::RemoveContainerResponse> remove(const cri::RemoveContainerRequest& request, int64_t now);
  Result<cri::ContainerStatusResponse> status(const cri::ContainerStatusRequest& request) const;
  cri::ListContainersResponse list(const cri::ListContainersRequest& request) const;
  // Its annotations change the load from now on. kInvalid: one of them makes no sense.
  Result<cri::UpdateContainerResourcesResponse> update(const cri::UpdateContainerResourcesRequest& request,
                                                       int64_t now);
  cri::ListContainerStatsResponse stats(const cri::ListContainerStatsRequest& request, int64_t now) const;
  Result<cri::ContainerStatsResponse> stats(const cri::ContainerStatsRequest& request, int64_t now) const;

  void exit(const PlannedExit& planned, int64_t now);

  [[nodiscard]] size_t sandbox_count() const { return sandboxes_.size(); }

 private:
  struct Sandbox {
    std::string config;  // a cri::PodSandbox with metadata, labels and annotations
    std::string handler;
    std::vector<uint64_t> containers;
    int64_t created_at = 0;
    uint64_t name_hash = 0;
    uint64_t uid_hash = 0;
    uint32_t address = 0;  // 0: the host's network
    bool ready = true;
  };
  struct Container {
    std::string config;  // a cri::Container with metadata, image, labels and annotations
    uint64_t sandbox = 0;
    uint64_t uid_hash = 0;
    int64_t created_at = 0;
    int64_t started_at = 0;
    int64_t finished_at = 0;
    std::optional<ExitPlan> plan;
    Load load;
    int64_t load_from = 0;     // since when
    int64_t cpu_ns_until = 0;  // what was used up to then
    int32_t exit_code = 0;
    int32_t exec_code = 0;
    uint32_t starts = 0;
    cri::ContainerState state = cri::CONTAINER_CREATED;
  };

  const Container* find_container(const std::string& id) const;
  const Sandbox* find_sandbox(const std::string& id) const;
  cri::PodSandbox describe(uint64_t id, const Sandbox& sandbox) const;
  cri::Container describe(uint64_t id, const Container& container) const;
  // What it has used since its start.
  static int64_t cpu_ns_of(const Container& container, int64_t now);
  cri::ContainerStats stats_of(uint64_t id, const Container& container, int64_t now) const;
  void end(uint64_t id, Container& container, int32_t code, int64_t now);
  void erase_container(uint64_t id, int64_t now);
  void tell(runtime_events::EventType type, uint64_t id, int64_t now, int32_t code = 0);

  // Ids by the hash of their pod uid label; what is found is compared with the label itself.
  using UidIndex = std::unordered_multimap<uint64_t, uint64_t>;
  static void unindex(UidIndex& index, uint64_t hash, uint64_t id);
  // Calls `visit(id, item)` for every item, or for those alone that the selector's pod uid allows.
  template <typename Items, typename Selector, typename Visit>
  static void each(const Items& items, const UidIndex& index, const Selector& selector, const Visit& visit);

  IpPool addresses_;
  uint64_t next_id_;
  EventSink events_;
  std::unordered_map<uint64_t, Sandbox> sandboxes_;
  std::unordered_map<uint64_t, Container> containers_;
  UidIndex sandboxes_by_uid_;
  UidIndex containers_by_uid_;
  std::unordered_set<uint64_t>
      names_;  // hashes of what must be unique; 64 bits, so that a collision is not to be expected
};

}  // namespace orlop::hollow
