// The glue between the ABI and Runtime.
#include "orlop/plugin.hpp"

#include "plugins/runtime-containerd/runtime.hpp"

#include <chrono>
#include <memory>
#include <utility>

namespace {

using orlop::containerd::Runtime;
using orlop::containerd::Settings;
using orlop::containerd::Severity;

class RuntimeContainerd final : public orlop::Plugin {
 public:
  using Plugin::Plugin;

  orlop::Status init(const orlop::Config& config) override {
    settings_.socket = config.text("socket");
    settings_.data_folder = config.folder("own_data");
    settings_.run_folder = config.folder("own_run");
    settings_.cni_conf_dir = config.text("cni_conf_dir");
    if (settings_.cni_conf_dir.empty()) settings_.cni_conf_dir = config.folder("run") + "/cni/net.d";
    settings_.cni_bin_dir = config.text("cni_bin_dir", "/usr/lib/cni");
    settings_.registry_config_path = config.text("registry_config_path");
    if (settings_.registry_config_path.empty()) settings_.registry_config_path = config.folder("config") + "/certs.d";
    settings_.pause_image = config.text("pause_image");
    if (settings_.pause_image.empty()) settings_.pause_image = config.folder("bin") + "/../share/orlop/pause.tar";
    settings_.private_mount_namespace = config.boolean("private_mount_namespace", true);
    settings_.log_level = config.text("log_level", "info");
    settings_.log_bytes_max = static_cast<uint64_t>(config.integer("log_megabytes_max", 8)) << 20;
    for (const std::string& folder : config.texts("shared_folders")) settings_.shared_folders.emplace_back(folder);
    if (settings_.shared_folders.empty()) settings_.shared_folders.emplace_back(config.folder("data") + "/plugins");
    ORLOP_ASSIGN(settings_.handler, orlop::containerd::parse_handler_choice(config.text("handler", "auto")));
    return {};
  }

  orlop::Status start() override {
    orlop::containerd::Reports reports;
    reports.log = [this](Severity severity, std::string_view text) { log(severity, text); };
    reports.ready = [this](bool ready, std::string_view reason) { host().set_ready(ready, reason); };
    runtime_ = std::make_unique<Runtime>(settings_, std::move(reports));
    return runtime_->start();
  }

  void stop() override {
    if (runtime_ != nullptr) runtime_->stop();
  }

  void handle_call(orlop::Call call) override {
    auto left = std::chrono::nanoseconds(call.deadline_ns - host().monotonic_now_ns());
    runtime_->call(std::move(call.method), std::move(call.payload), std::chrono::steady_clock::now() + left,
                   [host = host(), id = call.id](const orlop::Status& status, std::string_view payload) {
                     if (status.is_ok()) {
                       host.respond(id, payload);
                     } else {
                       host.respond(id, status);
                     }
                   });
  }

 private:
  void log(Severity severity, std::string_view text) {
    auto level = severity == Severity::kError  ? orlop::LogLevel::kError
                 : severity == Severity::kWarn ? orlop::LogLevel::kWarn
                                               : orlop::LogLevel::kInfo;
    // The host takes one line at a time.
    while (!text.empty()) {
      size_t end = std::min(text.find('\n'), text.size());
      host().log(level, text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  Settings settings_;
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace

ORLOP_PLUGIN(RuntimeContainerd)
