#include "kernel/daemon/daemon.hpp"

#include "kernel/bus/call_router.hpp"
#include "kernel/bus/clock.hpp"
#include "kernel/bus/doorbell.hpp"
#include "kernel/bus/timer.hpp"
#include "kernel/daemon/files.hpp"
#include "kernel/daemon/notify.hpp"
#include "kernel/gate/gate.hpp"
#include "kernel/lifecycle/kernel_service.hpp"
#include "kernel/lifecycle/kind_providers.hpp"
#include "kernel/lifecycle/manager.hpp"
#include "kernel/lifecycle/wake_hub.hpp"
#include "kernel/store/lmdb_store.hpp"

#include <csignal>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace orlop::daemon {
namespace {

// All of the kernel. Members stand in the order in which they are made; the destructor takes them down in reverse.
class Daemon {
 public:
  Daemon(const Config& config, lifecycle::LogBook& logs) : config_(config), logs_(logs) {}

  ~Daemon() {
    if (router_) router_->detach("kernel", "the kernel is stopping");
    logs_.forget_all();
    manager_.reset();
    if (gate_) gate_->stop();
    wakes_.reset();
    if (router_) router_->stop();
    timer_.stop();
  }

  Status open(std::function<void()> on_settled);
  void start() { manager_->start(); }
  void stop_plugins() { manager_->stop(); }

 private:
  Status open_store();

  const Config& config_;
  lifecycle::LogBook& logs_;
  std::unique_ptr<FolderLock> lock_;
  bus::Timer timer_{bus::system_clock()};
  std::unique_ptr<store::Store> store_;
  std::optional<bus::CallRouter> router_;
  std::optional<lifecycle::RouterKindProviders> providers_;
  std::optional<gate::Gate> gate_;
  std::unique_ptr<bus::Doorbell> doorbell_;
  std::optional<lifecycle::WakeHub> wakes_;
  std::unique_ptr<lifecycle::ProcessHub> processes_;
  std::optional<lifecycle::Manager> manager_;
  std::shared_ptr<lifecycle::KernelService> service_;
};

Status Daemon::open_store() {
  ORLOP_ASSIGN(const auto secret, sealing_key(config_.folders.data));
  store::LmdbOptions options;
  options.folder = config_.folders.data + "/store";
  options.sealing_keys = {store::SealingKey{1, secret}};
  options.relaxed_durability_allowed = config_.relaxed_durability;
  options.map_bytes = config_.map_bytes;
  options.log_age_ms_max = config_.log_age_ms;
  options.log_bytes_max = config_.log_bytes;
  ORLOP_ASSIGN(store_, store::open_lmdb_store(std::move(options)));
  return {};
}

Status Daemon::open(std::function<void()> on_settled) {
  ORLOP_TRY(make_folders(config_.folders.data, 0700));
  ORLOP_TRY(make_folders(config_.folders.run, 0755));
  ORLOP_TRY(make_folders(config_.folders.config, 0755));
  ORLOP_ASSIGN(lock_, FolderLock::take(config_.folders.data, std::chrono::seconds(3)));
  ORLOP_TRY(open_store());
  router_.emplace(bus::system_clock(), timer_);
  providers_.emplace(*router_);
  gate_.emplace(*store_, *providers_);
  ORLOP_ASSIGN(doorbell_, bus::Doorbell::open({"inproc://orlop-doorbell-" + std::to_string(::getpid()),
                                               "ipc://" + config_.folders.run + "/doorbell.sock"}));
  wakes_.emplace(*store_, doorbell_.get());
  ORLOP_ASSIGN(processes_, lifecycle::ProcessHub::open());
  const lifecycle::KernelParts parts{bus::system_clock(), timer_, *store_, *gate_, *router_, *wakes_, logs_};
  lifecycle::ManagerOptions options;
  options.node_name = config_.node_name;
  options.folders = config_.folders;
  options.host_program = config_.folders.bin + "/orlop-host";
  options.on_settled = std::move(on_settled);
  manager_.emplace(parts, *processes_, std::move(options), config_.plugins);
  service_ = std::make_shared<lifecycle::KernelService>(parts, *manager_, config_.folders.data);
  service_->attach();
  return {};
}

// Waits for signals and for the moment when all plugins have settled. Returns when it is time to stop.
void serve(lifecycle::LogBook& logs, const Notifier& notifier, int signals, int settled, int64_t begun_ns) {
  bool told = false;
  while (true) {
    pollfd waits[] = {{signals, POLLIN, 0}, {settled, POLLIN, 0}};
    const int64_t period = notifier.watchdog_ms();
    ::poll(waits, 2, period > 0 ? static_cast<int>(period) : -1);
    if (period > 0) notifier.watchdog();
    if ((waits[1].revents & POLLIN) != 0) {
      uint64_t count = 0;
      if (::read(settled, &count, sizeof count) > 0 && !told) {
        told = true;
        const auto text =
            fmt::format("serving after {} ms", (bus::system_clock().monotonic_ns() - begun_ns) / 1'000'000);
        logs.info("kernel", text);
        notifier.ready(text);
      }
    }
    signalfd_siginfo info{};
    if ((waits[0].revents & POLLIN) == 0 || ::read(signals, &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGHUP) {
      if (auto status = logs.reopen(); !status.is_ok()) logs.error("kernel", status.message());
      continue;
    }
    logs.info("kernel", fmt::format("stopping for signal {}", info.ssi_signo));
    notifier.stopping();
    return;
  }
}

}  // namespace

int run_daemon(const Config& config) {
  const int64_t begun_ns = bus::system_clock().monotonic_ns();
  const Notifier notifier = Notifier::from_environment();
  // Blocked before the first thread is made, so that none of them takes a signal; read from the descriptor.
  sigset_t handled;
  sigemptyset(&handled);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&handled, signal);
  ::pthread_sigmask(SIG_BLOCK, &handled, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const int signals = ::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
  const int settled = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

  lifecycle::LogBook logs(bus::system_clock(), config.level, config.log_file);
  if (auto status = logs.reopen(); !status.is_ok()) {
    logs.error("kernel", status.message());
    return 1;
  }
  {
    Daemon daemon(config, logs);
    auto status = daemon.open([settled] {
      const uint64_t one = 1;
      [[maybe_unused]] const auto wrote = ::write(settled, &one, sizeof one);
    });
    if (!status.is_ok()) {
      logs.error("kernel", status.message());
      return 1;
    }
    daemon.start();
    serve(logs, notifier, signals, settled, begun_ns);
    // Signals stay blocked: some senders repeat theirs at once, and the stop has its own time limit.
    daemon.stop_plugins();
  }
  logs.info("kernel", "stopped");
  ::close(signals);
  ::close(settled);
  return 0;
}

}  // namespace orlop::daemon
