// ABI glue alone.
#include "orlop/plugin.hpp"

#include "orlop/rpc.hpp"
#include "plugins/storage-local/default_class.hpp"
#include "plugins/storage-local/folders.hpp"
#include "plugins/storage-local/mounts.hpp"
#include "plugins/storage-local/service.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace orlop::local {

class StorageLocal final : public Plugin {
 public:
  using Plugin::Plugin;

  Status init(const Config& config) override {
    FolderSettings settings;
    settings.folder = config.text("folder");
    if (settings.folder.empty()) settings.folder = config.folder("own_data") + "/volumes";
    if (!settings.folder.starts_with('/'))
      return {Code::kInvalid, "folder: \"" + settings.folder + "\" is not absolute"};
    settings.node = config.node_name();
    class_name_ = config.text("default_class", "local");
    note_ = config.folder("own_data") + "/default-class-made";
    folders_ = std::make_unique<Folders>(settings, mounts_);
    return Status::ok();
  }

  Status start() override {
    ORLOP_TRY(folders_->open());
    lane_.start();
    router_ = std::make_unique<ServiceRouter>(host());
    controller_ = std::make_unique<ControllerService>(*folders_, lane_);
    node_ = std::make_unique<NodeService>(*folders_, lane_);
    router_->add(*controller_);
    router_->add(*node_);
    class_maker_ = std::thread([this] { make_class(); });
    return Status::ok();
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    if (class_maker_.joinable()) class_maker_.join();
    lane_.stop();
  }

  void wake(uint32_t) override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }
  void handle_call(Call call) override { router_->handle(call); }

 private:
  static constexpr int64_t kAgainNs = 1'000'000'000;

  // The provider of the kind may start later, or anew.
  void make_class() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      woken_ = false;
      lock.unlock();
      const Status made = ensure_default_class(host(), class_name_, note_);
      if (made) return;
      host().log_warn("the StorageClass " + class_name_ + " cannot be made: " + made.message());
      host().wake_at(host().monotonic_now_ns() + kAgainNs);
      lock.lock();
      changed_.wait(lock, [this] { return woken_ || stopping_; });
    }
  }

  SystemMounts mounts_;
  std::unique_ptr<Folders> folders_;
  Lane lane_;
  std::unique_ptr<ServiceRouter> router_;
  std::unique_ptr<ControllerService> controller_;
  std::unique_ptr<NodeService> node_;
  std::string class_name_;
  std::string note_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread class_maker_;
};

}  // namespace orlop::local

ORLOP_PLUGIN(orlop::local::StorageLocal)
