// ABI glue alone.
#include "orlop/plugin.hpp"

#include "orlop/controller.hpp"
#include "plugins/controllers-volume/binding/binding.hpp"
#include "plugins/controllers-volume/ephemeral/ephemeral.hpp"
#include "plugins/controllers-volume/protection/protection.hpp"

#include <memory>

namespace orlop::volumes {

class VolumeControllers final : public Plugin {
 public:
  using Plugin::Plugin;

  Status init(const Config& config) override {
    BindingSettings settings;
    settings.workers = static_cast<unsigned>(config.integer("workers", 4));
    settings.call_ms = static_cast<uint32_t>(config.integer("call_seconds", 60) * 1000);
    controllers_.add(std::make_unique<BindingController>(host(), settings));
    controllers_.add(std::make_unique<ProtectionController>(host()));
    controllers_.add(std::make_unique<EphemeralController>(host()));
    return Status::ok();
  }
  Status start() override { return controllers_.start(); }
  void stop() override { controllers_.stop(); }
  void wake(uint32_t) override { controllers_.wake(); }

 private:
  ControllerSet controllers_{host()};
};

}  // namespace orlop::volumes

ORLOP_PLUGIN(orlop::volumes::VolumeControllers)
