#include "plugins/node-agent/node_service.hpp"

#include "orlop/rpc.hpp"
#include "plugins/node-agent/pod_config.hpp"
#include "plugins/node-agent/static_pods/manifest.hpp"
#include "plugins/node-agent/volumes/recycle.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <unistd.h>

namespace orlop::agent {
namespace {

using ContainerStatus = k8s::io::api::core::v1::ContainerStatus;
using google::protobuf::Closure;
using google::protobuf::RpcController;

bool has_terminal(const kube::Pod& pod, const std::string& name) {
  const auto& spec = pod.spec();
  if (name.empty()) return spec.containers(0).tty();
  for (const auto* list : {&spec.containers(), &spec.initcontainers()}) {
    for (const Container& container : *list) {
      if (container.name() == name) return container.tty();
    }
  }
  for (const auto& ephemeral : spec.ephemeralcontainers()) {
    if (ephemeral.ephemeralcontainercommon().name() == name) return ephemeral.ephemeralcontainercommon().tty();
  }
  return false;
}

const ContainerStatus* find_status(const kube::Pod& pod, const std::string& name) {
  const auto& status = pod.status();
  for (const auto* list :
       {&status.containerstatuses(), &status.initcontainerstatuses(), &status.ephemeralcontainerstatuses()}) {
    for (const ContainerStatus& container : *list) {
      if (container.name() == name) return &container;
    }
  }
  return nullptr;
}

// Why there is no log of this container yet, as the kubelet says it.
Status no_log(const kube::Pod& pod, const std::string& name) {
  const std::string who = "container \"" + name + "\" in pod \"" + pod.metadata().name() + "\" ";
  const ContainerStatus* status = find_status(pod, name);
  if (status == nullptr) return {Code::kBadRequest, who + "is not available"};
  if (status->state().has_terminated()) return {Code::kBadRequest, who + "is terminated"};
  const std::string& reason = status->state().waiting().reason();
  if (reason.empty()) return {Code::kBadRequest, who + "is waiting to start - no logs yet"};
  const std::string what = reason == "ErrImagePull"       ? "image can't be pulled"
                           : reason == "ImagePullBackOff" ? "trying and failing to pull image"
                                                          : reason;
  return {Code::kBadRequest, who + "is waiting to start: " + what};
}

// "http://127.0.0.1:40123/exec/TOKEN" into its parts.
Status parse_url(const std::string& url, v1::StreamAddress& out) {
  const auto begin = url.find("://");
  const auto host = begin == std::string::npos ? begin : begin + 3;
  const auto slash = host == std::string::npos ? host : url.find('/', host);
  const auto colon = slash == std::string::npos ? slash : url.rfind(':', slash);
  if (colon == std::string::npos || colon < host)
    return {Code::kInternal, "the runtime gave an address that cannot be read: " + url};
  uint32_t port = 0;
  std::from_chars(url.data() + colon + 1, url.data() + slash, port);
  out.set_host(url.substr(host, colon - host));
  out.set_port(port);
  out.set_path(url.substr(slash));
  return Status::ok();
}

}  // namespace

Result<const cri::ContainerStatus*> choose_log(const kube::Pod& pod, const RuntimePod& runtime, const std::string& name,
                                               bool previous) {
  const cri::ContainerStatus* newest = runtime.find(name);
  if (newest != nullptr && newest->state() == cri::CONTAINER_CREATED) newest = runtime.find(name, 1);
  if (!previous) return newest != nullptr ? Result<const cri::ContainerStatus*>(newest) : no_log(pod, name);
  // While it waits to be started again, the one that has ended is the previous one.
  const ContainerStatus* status = find_status(pod, name);
  const bool waits = status != nullptr && status->state().has_waiting() && newest != nullptr &&
                     newest->state() == cri::CONTAINER_EXITED;
  const cri::ContainerStatus* before = waits ? newest : runtime.find(name, 1);
  if (before != nullptr) return before;
  return Status(Code::kBadRequest,
                "previous terminated container \"" + name + "\" in pod \"" + pod.metadata().name() + "\" not found");
}

NodeService::NodeService(Host host, const AgentConfig& config, const RuntimeClient& runtime, LogServer& logs,
                         NodeStats& stats)
    : host_(host), config_(config), runtime_(runtime), logs_(logs), stats_(stats) {}

void NodeService::start() {
  running_ = true;
  for (Lane* lane : {&calls_, &recycles_}) lane->thread = std::thread([this, lane] { loop(*lane); });
}

void NodeService::stop() {
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    ready_.notify_all();
  }
  for (Lane* lane : {&calls_, &recycles_}) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

void NodeService::queue(Lane& lane, RpcController* controller, Closure* done, std::function<Status()> work) {
  const std::lock_guard lock(mutex_);
  lane.work.push_back([controller, done, work = std::move(work)] {
    const Status status = work();
    if (!status) CallController::of(controller).fail(status);
    done->Run();
  });
  ready_.notify_all();
}

void NodeService::loop(Lane& lane) {
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [&] { return !running_ || !lane.work.empty(); });
    if (!running_) return;
    auto next = std::move(lane.work.front());
    lane.work.pop_front();
    lock.unlock();
    next();
    lock.lock();
  }
}

Result<kube::Pod> NodeService::find_pod(const v1::PodReference& reference) const {
  ORLOP_ASSIGN(auto stored, Objects<kube::Pod>(host_).get(reference.namespace_(), reference.name()));
  if (!reference.uid().empty() && stored.object.metadata().uid() != reference.uid()) {
    return Status(Code::kNotFound, "pods \"" + reference.name() + "\" not found");
  }
  // A static pod runs under its own uid.
  if (is_mirror(stored.object)) {
    const std::string uid = stored.object.metadata().annotations().at(kConfigMirror);
    stored.object.mutable_metadata()->set_uid(uid);
  }
  return std::move(stored.object);
}

Result<std::string> NodeService::running_container(const kube::Pod& pod, const std::string& name) const {
  ORLOP_ASSIGN(const RuntimePod runtime, runtime_.pod(pod.metadata().uid()));
  const std::string& wanted = name.empty() ? pod.spec().containers(0).name() : name;
  const cri::ContainerStatus* container = runtime.find(wanted);
  if (container == nullptr) return Status(Code::kBadRequest, "container not found (\"" + wanted + "\")");
  if (container->state() != cri::CONTAINER_RUNNING) {
    return Status(Code::kInternal, "container " + wanted + " is not running: its last exit code is " +
                                       std::to_string(container->exit_code()));
  }
  return container->id();
}

void NodeService::Exec(RpcController* controller, const v1::StreamRequest* request, v1::StreamAddress* response,
                       Closure* done) {
  queue(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(const kube::Pod pod, find_pod(request->pod()));
    ORLOP_ASSIGN(const std::string id, running_container(pod, request->container()));
    cri::ExecRequest exec;
    exec.set_container_id(id);
    *exec.mutable_cmd() = request->command();
    exec.set_tty(request->tty());
    exec.set_stdin(request->stdin());
    exec.set_stdout(request->stdout());
    exec.set_stderr(request->stderr());
    ORLOP_ASSIGN(const auto answer, runtime_.invoke<cri::ExecResponse>("RuntimeService/Exec", exec));
    return parse_url(answer.url(), *response);
  });
}

void NodeService::Attach(RpcController* controller, const v1::StreamRequest* request, v1::StreamAddress* response,
                         Closure* done) {
  queue(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(const kube::Pod pod, find_pod(request->pod()));
    ORLOP_ASSIGN(const std::string id, running_container(pod, request->container()));
    cri::AttachRequest attach;
    attach.set_container_id(id);
    // A terminal is what the container was made with; it has one stream for both outputs.
    const bool tty = has_terminal(pod, request->container());
    attach.set_tty(tty);
    attach.set_stdin(request->stdin());
    attach.set_stdout(request->stdout());
    attach.set_stderr(request->stderr() && !tty);
    ORLOP_ASSIGN(const auto answer, runtime_.invoke<cri::AttachResponse>("RuntimeService/Attach", attach));
    return parse_url(answer.url(), *response);
  });
}

void NodeService::PortForward(RpcController* controller, const v1::PortForwardRequest* request,
                              v1::StreamAddress* response, Closure* done) {
  queue(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(const kube::Pod pod, find_pod(request->pod()));
    ORLOP_ASSIGN(const RuntimePod runtime, runtime_.pod(pod.metadata().uid()));
    if (!runtime.sandbox_ready()) return {Code::kInternal, "pod " + pod.metadata().name() + " is not running"};
    cri::PortForwardRequest forward;
    forward.set_pod_sandbox_id(runtime.sandboxes.front().id());
    *forward.mutable_port() = request->ports();
    ORLOP_ASSIGN(const auto answer, runtime_.invoke<cri::PortForwardResponse>("RuntimeService/PortForward", forward));
    return parse_url(answer.url(), *response);
  });
}

void NodeService::Logs(RpcController* controller, const v1::LogsRequest* request, v1::StreamAddress* response,
                       Closure* done) {
  queue(controller, done, [this, request, response] { return logs(*request, *response); });
}

void NodeService::Stats(RpcController* controller, const v1::StatsRequest* request, v1::StatsResponse* response,
                        Closure* done) {
  queue(controller, done, [this, request, response]() -> Status {
    ORLOP_ASSIGN(*response, stats_.read(*request));
    return Status::ok();
  });
}

void NodeService::Recycle(RpcController* controller, const v1::RecycleRequest* request, v1::RecycleResponse*,
                          Closure* done) {
  queue(recycles_, controller, done,
        [this, request] { return recycle_volume(host_, request->volume(), request->uid()); });
}

Status NodeService::logs(const v1::LogsRequest& request, v1::StreamAddress& response) {
  ORLOP_ASSIGN(const kube::Pod pod, find_pod(request.pod()));
  ORLOP_ASSIGN(const RuntimePod runtime, runtime_.pod(pod.metadata().uid()));
  const std::string& name = request.container().empty() ? pod.spec().containers(0).name() : request.container();
  ORLOP_ASSIGN(const cri::ContainerStatus* container, choose_log(pod, runtime, name, request.previous()));
  LogOptions options;
  options.path =
      pod_log_folder(config_, pod) + "/" + name + "/" + std::to_string(container->metadata().attempt()) + ".log";
  options.follow = request.follow();
  options.timestamps = request.timestamps();
  if (request.has_since_unix_ns()) options.since_unix_ns = request.since_unix_ns();
  if (request.has_since_seconds())
    options.since_unix_ns = host_.wall_now_ns() - request.since_seconds() * 1'000'000'000;
  if (request.has_tail_lines()) options.tail_lines = request.tail_lines();
  if (request.has_limit_bytes()) options.limit_bytes = request.limit_bytes();
  options.still_running = [this, id = container->id()] {
    cri::ContainerStatusRequest ask;
    ask.set_container_id(id);
    auto answer = runtime_.invoke<cri::ContainerStatusResponse>("RuntimeService/ContainerStatus", ask, 2000);
    // Not knowing is no reason to hang up: the runtime may be restarting. Gone is.
    if (!answer) return answer.code() != Code::kNotFound;
    return answer->status().state() == cri::CONTAINER_RUNNING || answer->status().state() == cri::CONTAINER_CREATED;
  };
  response.set_token(logs_.open(std::move(options)));
  response.set_unix_socket(logs_.socket_path());
  return Status::ok();
}

}  // namespace orlop::agent
