// This plugin as the conformance suite of capability `storage` sees it.
#pragma once

#include "orlop/rpc.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/testing/storage_conformance.hpp"
#include "plugins/storage-local/testing.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace orlop::local {

class Attached final : public Plugin {
 public:
  Attached(Host host, Folders& folders)
      : Plugin(host), controller_(folders, lane_), node_(folders, lane_), router_(host) {
    router_.add(controller_);
    router_.add(node_);
    lane_.start();
  }
  void handle_call(Call call) override { router_.handle(call); }

 private:
  Lane lane_;
  ControllerService controller_;
  NodeService node_;
  ServiceRouter router_;
};

class Provider final : public orlop::testing::StorageUnderTest {
 public:
  explicit Provider(std::unique_ptr<Mounts> mounts) : mounts_(std::move(mounts)) {
    std::filesystem::create_directory(folder_ / "targets");
    restart();
  }
  ~Provider() override { kernel_.detach(); }
  Result<std::string> call(std::string_view method, std::string_view payload) override {
    return kernel_.invoke(std::string(method), std::string(payload));
  }
  std::string folder() override { return folder_ / "targets"; }
  bool restart() override {
    kernel_.detach();
    plugin_.reset();
    folders_ = std::make_unique<Folders>(FolderSettings{folder_ / "volumes", "n1"}, *mounts_);
    EXPECT_TRUE(folders_->open());
    plugin_ = std::make_unique<Attached>(kernel_.host(), *folders_);
    kernel_.attach(*plugin_);
    return true;
  }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Mounts> mounts_;
  orlop::testing::FakeKernel kernel_;
  std::unique_ptr<Folders> folders_;
  std::unique_ptr<Attached> plugin_;
};

}  // namespace orlop::local
