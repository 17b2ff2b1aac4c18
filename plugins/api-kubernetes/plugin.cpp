// The ABI glue of api-kubernetes.
#include "orlop/plugin.hpp"

#include "plugins/api-kubernetes/api_server.hpp"

#include <memory>

namespace {

class ApiKubernetes final : public orlop::Plugin {
 public:
  using Plugin::Plugin;

  orlop::Status init(const orlop::Config& config) override {
    ORLOP_ASSIGN(settings_, orlop::apikube::read_settings(config));
    return orlop::Status::ok();
  }
  orlop::Status start() override {
    server_ = std::make_unique<orlop::apikube::ApiServer>(host(), settings_);
    return server_->start();
  }
  void stop() override {
    if (server_) server_->stop();
  }
  void handle_call(orlop::Call call) override { server_->handle_call(call); }
  void wake(uint32_t) override {
    if (server_) server_->wake();
  }

 private:
  orlop::apikube::Settings settings_;
  std::unique_ptr<orlop::apikube::ApiServer> server_;
};

}  // namespace

ORLOP_PLUGIN(ApiKubernetes)
