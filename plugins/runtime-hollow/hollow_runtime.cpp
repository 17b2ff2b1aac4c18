#include "plugins/runtime-hollow/hollow_runtime.hpp"

#include "cri/api.pb.h"
#include "orlop/runtime_event_log.hpp"
#include "orlop/v1/runtime.pb.h"
#include "plugins/runtime-hollow/pods.hpp"

#include <deque>
#include <map>
#include <mutex>
#include <queue>
#include <set>
#include <unordered_map>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace orlop::hollow {

namespace {

using runtime_events::EventLog;
using runtime_events::EventPage;

constexpr const char* kVersion = "0.1.0";
// A whole cluster starts within a moment here; its reader shall not have to list for that.
constexpr size_t kEventsKept = 1u << 17;

EventLog::Clock::time_point moment(int64_t monotonic) {
  return EventLog::Clock::time_point(
      std::chrono::duration_cast<EventLog::Clock::duration>(std::chrono::nanoseconds(monotonic)));
}

// An image's id follows from its name, so that it is the same after a restart.
std::string image_id(const std::string& name) {
  return fmt::format("sha256:{:016x}{:016x}{:016x}{:016x}", std::hash<std::string>()(name),
                     std::hash<std::string>()(name + "1"), std::hash<std::string>()(name + "2"),
                     std::hash<std::string>()(name + "3"));
}

}  // namespace

struct HollowRuntime::Core {
  using Answer = Result<std::string>;
  using Handler = std::function<Answer(std::string_view payload)>;
  struct Method {
    Handler handler;
    bool changes = false;  // takes the configured latency
  };
  struct Delayed {
    const Method* method;
    std::string payload;
    CallDone done;
  };
  struct Timer {
    int64_t due;
    uint64_t order;  // of two that are due at once the earlier one comes first
    std::variant<PlannedExit, std::shared_ptr<Delayed>> what;
    bool operator<(const Timer& other) const { return due != other.due ? due > other.due : order > other.order; }
  };

  Core(const Settings& settings, Clocks clocks, uint64_t identity, IpPool addresses)
      : settings(settings),
        clocks(std::move(clocks)),
        log(fmt::format("{:016x}", identity), kEventsKept),
        pods(std::move(addresses), (identity & 0x7fffffffu) << 16, [this](runtime_events::Event event) {
          outbox.push_back([this, event = std::move(event)] { log.append(event); });
        }) {
    for (const std::string& image : settings.images) images[image_id(image)].insert(image);
    add_sandbox_methods();
    add_container_methods();
    add_image_methods();
  }

  // A method that parses a Request and gives a Result<Response> or a Response.
  template <typename Request, typename Body>
  void add(const std::string& name, bool changes, Body body) {
    methods["runtime.v1." + name] = {[name, body = std::move(body)](std::string_view payload) -> Answer {
                                       Request request;
                                       if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
                                         return Status(Code::kBadRequest, "not a request of " + name);
                                       }
                                       return serialized(body(request));
                                     },
                                     changes};
  }
  template <typename Response>
  static Answer serialized(const Result<Response>& response) {
    if (!response.is_ok()) return response.status();
    return response.value().SerializeAsString();
  }
  template <typename Response>
  static Answer serialized(const Response& response) {
    return response.SerializeAsString();
  }

  void add_sandbox_methods() {
    add<cri::VersionRequest>("RuntimeService/Version", false, [](const auto&) {
      cri::VersionResponse response;
      response.set_version("0.1.0");
      response.set_runtime_name("hollow");
      response.set_runtime_version(kVersion);
      response.set_runtime_api_version("v1");
      return response;
    });
    add<cri::StatusRequest>("RuntimeService/Status", false, [](const auto&) {
      cri::StatusResponse response;
      for (const char* type : {"RuntimeReady", "NetworkReady"}) {
        auto* condition = response.mutable_status()->add_conditions();
        condition->set_type(type);
        condition->set_status(true);
      }
      return response;
    });
    add<cri::UpdateRuntimeConfigRequest>("RuntimeService/UpdateRuntimeConfig", false,
                                         [](const auto&) { return cri::UpdateRuntimeConfigResponse(); });
    add<cri::RunPodSandboxRequest>("RuntimeService/RunPodSandbox", true,
                                   [this](const auto& request) { return pods.run(request, clocks.wall()); });
    add<cri::StopPodSandboxRequest>("RuntimeService/StopPodSandbox", true,
                                    [this](const auto& request) { return pods.stop(request, clocks.wall()); });
    add<cri::RemovePodSandboxRequest>("RuntimeService/RemovePodSandbox", true,
                                      [this](const auto& request) { return pods.remove(request, clocks.wall()); });
    add<cri::PodSandboxStatusRequest>("RuntimeService/PodSandboxStatus", false,
                                      [this](const auto& request) { return pods.status(request); });
    add<cri::ListPodSandboxRequest>("RuntimeService/ListPodSandbox", false,
                                    [this](const auto& request) { return pods.list(request); });
    add<cri::ListPodSandboxStatsRequest>("RuntimeService/ListPodSandboxStats", false,
                                         [this](const auto& request) { return pods.stats(request, clocks.wall()); });
  }

  void add_container_methods() {
    add<cri::CreateContainerRequest>("RuntimeService/CreateContainer", true,
                                     [this](const auto& request) { return pods.create(request, clocks.wall()); });
    add<cri::StartContainerRequest>("RuntimeService/StartContainer", true, [this](const auto& request) {
      std::optional<PlannedExit> planned;
      auto response = pods.start(request, clocks.wall(), planned);
      if (planned) timers.push({clocks.monotonic() + planned->after.count(), next_order++, *planned});
      return response;
    });
    add<cri::StopContainerRequest>("RuntimeService/StopContainer", true,
                                   [this](const auto& request) { return pods.stop(request, clocks.wall()); });
    add<cri::ExecSyncRequest>("RuntimeService/ExecSync", false,
                              [this](const auto& request) { return pods.exec(request); });
    add<cri::RemoveContainerRequest>("RuntimeService/RemoveContainer", true,
                                     [this](const auto& request) { return pods.remove(request, clocks.wall()); });
    add<cri::ContainerStatusRequest>("RuntimeService/ContainerStatus", false,
                                     [this](const auto& request) { return pods.status(request); });
    add<cri::ListContainersRequest>("RuntimeService/ListContainers", false,
                                    [this](const auto& request) { return pods.list(request); });
    add<cri::ContainerStatsRequest>("RuntimeService/ContainerStats", false,
                                    [this](const auto& request) { return pods.stats(request, clocks.wall()); });
    add<cri::ListContainerStatsRequest>("RuntimeService/ListContainerStats", false,
                                        [this](const auto& request) { return pods.stats(request, clocks.wall()); });
    add<cri::UpdateContainerResourcesRequest>(
        "RuntimeService/UpdateContainerResources", true,
        [this](const auto& request) { return pods.update(request, clocks.wall()); });
    // Nothing is logged, so there is nothing to do.
    add<cri::ReopenContainerLogRequest>("RuntimeService/ReopenContainerLog", false,
                                        [](const auto&) { return cri::ReopenContainerLogResponse(); });
  }

  // The images that have this name or id.
  std::map<std::string, std::set<std::string>>::const_iterator find_image(const std::string& wanted) const {
    auto by_id = images.find(wanted);
    return by_id != images.end() ? by_id : images.find(image_id(wanted));
  }
  static void describe(const std::string& id, const std::set<std::string>& names, cri::Image& out) {
    out.set_id(id);
    for (const std::string& name : names) out.add_repo_tags(name);
  }

  void add_image_methods() {
    add<cri::ImageStatusRequest>("ImageService/ImageStatus", false, [this](const auto& request) {
      cri::ImageStatusResponse response;
      auto found = find_image(request.image().image());
      if (found != images.end()) describe(found->first, found->second, *response.mutable_image());
      return response;
    });
    add<cri::ListImagesRequest>("ImageService/ListImages", false, [this](const auto& request) {
      cri::ListImagesResponse response;
      const std::string& wanted = request.filter().image().image();
      for (auto image = images.begin(); image != images.end(); ++image) {
        if (wanted.empty() || find_image(wanted) == image)
          describe(image->first, image->second, *response.add_images());
      }
      return response;
    });
    add<cri::PullImageRequest>("ImageService/PullImage", true,
                               [this](const auto& request) -> Result<cri::PullImageResponse> {
                                 const std::string& name = request.image().image();
                                 if (name.empty()) return Status(Code::kInvalid, "an image needs a name");
                                 if (name.starts_with(settings.missing_image_prefix)) {
                                   return Status(Code::kNotFound, fmt::format("{}: not found", name));
                                 }
                                 images[image_id(name)].insert(name);
                                 cri::PullImageResponse response;
                                 response.set_image_ref(image_id(name));
                                 return response;
                               });
    add<cri::RemoveImageRequest>("ImageService/RemoveImage", true, [this](const auto& request) {
      auto found = find_image(request.image().image());
      if (found != images.end()) images.erase(found);
      return cri::RemoveImageResponse();
    });
    add<cri::ImageFsInfoRequest>("ImageService/ImageFsInfo", false, [this](const auto&) {
      cri::ImageFsInfoResponse response;
      auto* usage = response.add_image_filesystems();
      usage->set_timestamp(clocks.wall());
      usage->mutable_used_bytes()->set_value(0);
      usage->mutable_inodes_used()->set_value(0);
      return response;
    });
  }

  // Answers and events leave in the order in which they arose and under no lock: whoever gets one may call back at
  // once, and then only adds to what is on its way.
  void flush() {
    std::unique_lock lock(mutex);
    if (flushing) return;
    flushing = true;
    while (!outbox.empty()) {
      auto send = std::move(outbox.front());
      outbox.pop_front();
      lock.unlock();
      send();
      lock.lock();
    }
    flushing = false;
  }

  // Under the lock.
  void perform(const Method& method, std::string_view payload, CallDone done) {
    Answer answer = method.handler(payload);
    outbox.push_back([answer = std::move(answer), done = std::move(done)] {
      if (answer.is_ok()) {
        done(Status(), *answer);
      } else {
        done(answer.status(), {});
      }
    });
  }

  void answer_events(const std::string& payload, int64_t deadline, const CallDone& done) {
    v1::RuntimeEventsRequest request;
    if (!request.ParseFromString(payload)) return done(Status(Code::kBadRequest, "not a RuntimeEventsRequest"), {});
    // A little ahead of the deadline, so that the answer still arrives.
    int64_t left = std::max<int64_t>(deadline - clocks.monotonic(), 0);
    deadline -= std::min<int64_t>(left / 10, 200'000'000);
    log.read(request.cursor(), request.instance(), moment(deadline),
             [this, done](const EventPage& page) { done(Status(), response_of(page, log.instance())); });
  }

  const Settings settings;
  const Clocks clocks;
  EventLog log;

  mutable std::mutex mutex;
  // Guarded by mutex.
  std::deque<std::function<void()>> outbox;
  bool flushing = false;
  bool stopped = false;
  Pods pods;
  std::map<std::string, std::set<std::string>> images;  // by id; the names that it has
  std::priority_queue<Timer> timers;
  uint64_t next_order = 0;

  std::unordered_map<std::string, Method> methods;  // never changed once it is filled
};

HollowRuntime::HollowRuntime(std::unique_ptr<Core> core) : core_(std::move(core)) {}
HollowRuntime::~HollowRuntime() = default;

Result<std::unique_ptr<HollowRuntime>> HollowRuntime::make(const Settings& settings, Clocks clocks, uint64_t identity) {
  ORLOP_ASSIGN(IpPool addresses, IpPool::parse(settings.ip_range));
  auto core = std::make_unique<Core>(settings, std::move(clocks), identity, std::move(addresses));
  return std::unique_ptr<HollowRuntime>(new HollowRuntime(std::move(core)));
}

void HollowRuntime::call(std::string_view name, std::string payload, int64_t deadline, CallDone done) {
  if (name == "orlop.v1.Runtime/Events") return core_->answer_events(payload, deadline, done);
  if (name == "orlop.v1.Runtime/Info") {
    v1::RuntimeInfoResponse response;
    response.set_name("hollow");
    response.set_version(kVersion);
    response.set_handler("hollow");
    response.set_hollow(true);
    return done(Status(), response.SerializeAsString());
  }
  auto found = core_->methods.find(std::string(name));
  if (found == core_->methods.end()) {
    return done(Status(Code::kMethodNotAllowed,
                       fmt::format("the hollow runtime has no {}: its containers are no processes", name)),
                {});
  }
  {
    std::lock_guard lock(core_->mutex);
    if (core_->stopped) {
      core_->outbox.push_back([done] { done(Status(Code::kUnavailable, "the runtime is stopping"), {}); });
    } else if (found->second.changes && core_->settings.latency.count() > 0) {
      auto delayed =
          std::make_shared<Core::Delayed>(Core::Delayed{&found->second, std::move(payload), std::move(done)});
      core_->timers.push(
          {core_->clocks.monotonic() + core_->settings.latency.count(), core_->next_order++, std::move(delayed)});
    } else {
      core_->perform(found->second, payload, std::move(done));
    }
  }
  core_->flush();
}

void HollowRuntime::tick() {
  int64_t now = core_->clocks.monotonic();
  {
    std::lock_guard lock(core_->mutex);
    while (!core_->timers.empty() && core_->timers.top().due <= now) {
      Core::Timer timer = core_->timers.top();
      core_->timers.pop();
      if (auto* planned = std::get_if<PlannedExit>(&timer.what)) {
        core_->pods.exit(*planned, core_->clocks.wall());
      } else {
        auto& delayed = *std::get<std::shared_ptr<Core::Delayed>>(timer.what);
        core_->perform(*delayed.method, delayed.payload, std::move(delayed.done));
      }
    }
  }
  core_->flush();
  core_->log.expire(moment(now));
}

std::optional<int64_t> HollowRuntime::next_due() const {
  std::optional<int64_t> due;
  if (auto deadline = core_->log.next_deadline()) due = deadline->time_since_epoch().count();
  std::lock_guard lock(core_->mutex);
  if (!core_->timers.empty() && (!due || core_->timers.top().due < *due)) due = core_->timers.top().due;
  return due;
}

void HollowRuntime::stop() {
  {
    std::lock_guard lock(core_->mutex);
    core_->stopped = true;
    while (!core_->timers.empty()) {
      if (auto* delayed = std::get_if<std::shared_ptr<Core::Delayed>>(&core_->timers.top().what)) {
        core_->outbox.push_back(
            [delayed = *delayed] { delayed->done(Status(Code::kUnavailable, "the runtime is stopping"), {}); });
      }
      core_->timers.pop();
    }
  }
  core_->flush();
  core_->log.stop();
}

size_t HollowRuntime::sandbox_count() const {
  std::lock_guard lock(core_->mutex);
  return core_->pods.sandbox_count();
}

}  // namespace orlop::hollow
