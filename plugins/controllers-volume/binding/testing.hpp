// What the tests of this plugin share: a kernel in memory with the plugin's controllers, a storage provider that a test
// holds in its hands, and claims and volumes from a few words.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/storage_v1.hpp"
#include "orlop/rpc.hpp"
#include "orlop/testing/fake_kernel.hpp"
#include "orlop/v1/node.pb.h"
#include "orlop/v1/storage.pb.h"
#include "plugins/controllers-volume/binding/binding.hpp"
#include "plugins/controllers-volume/ephemeral/ephemeral.hpp"
#include "plugins/controllers-volume/protection/protection.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::volumes {

namespace core = k8s::io::api::core::v1;

// Makes volumes in memory; idempotent as the contract says.
class FakeStorage final : public v1::StorageController {
 public:
  using Controller = google::protobuf::RpcController;
  using Closure = google::protobuf::Closure;

  void GetInfo(Controller*, const v1::StorageInfoRequest*, v1::StorageInfoResponse* response, Closure* done) override {
    response->set_driver("test.io/driver");
    done->Run();
  }
  void CreateVolume(Controller* controller, const v1::CreateVolumeRequest* request, v1::CreateVolumeResponse* response,
                    Closure* done) override {
    last = *request;
    if (!create_fails) {
      CallController::of(controller).fail(create_fails);
    } else {
      existing.insert("id-" + request->name());
      response->mutable_volume()->set_id("id-" + request->name());
      response->mutable_volume()->set_capacity_bytes(request->required_bytes());
      if (!request->node().empty()) response->mutable_volume()->add_nodes(request->node());
    }
    done->Run();
  }
  void DeleteVolume(Controller* controller, const v1::DeleteVolumeRequest* request, v1::DeleteVolumeResponse*,
                    Closure* done) override {
    if (!delete_fails) {
      CallController::of(controller).fail(delete_fails);
    } else {
      existing.erase(request->id());
    }
    done->Run();
  }

  std::set<std::string> existing;
  v1::CreateVolumeRequest last;
  Status create_fails, delete_fails;
};

class FakeNode final : public v1::Node {
 public:
  void Recycle(google::protobuf::RpcController* controller, const v1::RecycleRequest* request, v1::RecycleResponse*,
               google::protobuf::Closure* done) override {
    if (!fails) {
      CallController::of(controller).fail(fails);
    } else {
      emptied.push_back(request->volume());
    }
    done->Run();
  }
  Status fails;
  std::vector<std::string> emptied;
};

// "RWO,RWX" and the like into Kubernetes' words.
inline std::vector<std::string> modes_of(const std::string& text) {
  std::vector<std::string> out;
  if (text.find("RWO") != std::string::npos && text.find("RWOP") == std::string::npos)
    out.emplace_back("ReadWriteOnce");
  if (text.find("ROX") != std::string::npos) out.emplace_back("ReadOnlyMany");
  if (text.find("RWX") != std::string::npos) out.emplace_back("ReadWriteMany");
  if (text.find("RWOP") != std::string::npos) out.emplace_back("ReadWriteOncePod");
  return out;
}

inline PersistentVolume make_volume(const std::string& name, const std::string& size,
                                    const std::string& class_name = "", const std::string& modes = "RWO") {
  PersistentVolume out;
  out.mutable_metadata()->set_name(name);
  (*out.mutable_spec()->mutable_capacity())["storage"].set_string(size);
  for (const std::string& mode : modes_of(modes)) out.mutable_spec()->add_accessmodes(mode);
  out.mutable_spec()->set_storageclassname(class_name);
  out.mutable_spec()->set_persistentvolumereclaimpolicy("Retain");
  out.mutable_spec()->mutable_persistentvolumesource()->mutable_hostpath()->set_path("/" + name);
  out.mutable_status()->set_phase("Pending");
  return out;
}

// class_name "-": it says nothing of a class.
inline Claim make_claim(const std::string& name, const std::string& size, const std::string& class_name = "",
                        const std::string& modes = "RWO") {
  Claim out;
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_namespace_("default");
  (*out.mutable_spec()->mutable_resources()->mutable_requests())["storage"].set_string(size);
  for (const std::string& mode : modes_of(modes)) out.mutable_spec()->add_accessmodes(mode);
  if (class_name != "-") out.mutable_spec()->set_storageclassname(class_name);
  out.mutable_status()->set_phase("Pending");
  return out;
}

inline StorageClass make_class(const std::string& name, const std::string& provisioner = "test.io/driver",
                               bool waits = false, const std::string& policy = "Delete") {
  StorageClass out;
  out.mutable_metadata()->set_name(name);
  out.set_provisioner(provisioner);
  out.set_reclaimpolicy(policy);
  out.set_volumebindingmode(waits ? "WaitForFirstConsumer" : "Immediate");
  return out;
}

class VolumesTest : public ::testing::Test {
 protected:
  VolumesTest() {
    kernel_.provide("storage", storage_, "test.io/driver");
    kernel_.provide("node", node_);
    restart();
  }
  // The plugin, as after its process has ended: it knows nothing any more.
  void restart() {
    controllers_ = std::make_unique<ControllerSet>(kernel_.host());
    controllers_->add(std::make_unique<BindingController>(kernel_.host(), BindingSettings{}));
    controllers_->add(std::make_unique<ProtectionController>(kernel_.host()));
    controllers_->add(std::make_unique<EphemeralController>(kernel_.host()));
  }
  void settle(std::chrono::milliseconds step = std::chrono::milliseconds(100)) {
    for (int i = 0; i < 40; ++i) {
      if (controllers_->run_until_idle(2000) == 0 && i > 3) return;
      kernel_.advance(step);
    }
  }
  void add(const PersistentVolume& volume) { ASSERT_TRUE(kernel_.create("persistentvolumes", volume)); }
  Claim add(const Claim& claim) { return *kernel_.create("persistentvolumeclaims", claim); }
  void add(const StorageClass& storage_class) {
    ASSERT_TRUE(kernel_.create("storageclasses.storage.k8s.io", storage_class));
  }
  void add_node(const std::string& name, const std::string& zone = "") {
    core::Node node;
    node.mutable_metadata()->set_name(name);
    (*node.mutable_metadata()->mutable_labels())["kubernetes.io/hostname"] = name;
    if (!zone.empty()) (*node.mutable_metadata()->mutable_labels())["zone"] = zone;
    ASSERT_TRUE(kernel_.create("nodes", node));
  }
  kube::Pod add_pod(const std::string& name, const std::string& claim, const std::string& node = "n1") {
    kube::Pod pod;
    pod.mutable_metadata()->set_name(name);
    pod.mutable_metadata()->set_namespace_("default");
    pod.mutable_spec()->set_nodename(node);
    auto& volume = *pod.mutable_spec()->add_volumes();
    volume.set_name("v");
    volume.mutable_volumesource()->mutable_persistentvolumeclaim()->set_claimname(claim);
    return *kernel_.create("pods", pod);
  }
  Claim claim(const std::string& name) {
    auto found = kernel_.get<Claim>("persistentvolumeclaims", "default", name);
    return found ? *found : Claim();
  }
  PersistentVolume volume(const std::string& name) {
    auto found = kernel_.get<PersistentVolume>("persistentvolumes", "", name);
    return found ? *found : PersistentVolume();
  }
  bool has_claim(const std::string& name) { return !claim(name).metadata().name().empty(); }
  bool has_volume(const std::string& name) { return !volume(name).metadata().name().empty(); }
  void remove_claim(const std::string& name) { ASSERT_TRUE(kernel_.remove("persistentvolumeclaims", "default", name)); }
  void select_node(const std::string& name, const std::string& node) {
    Claim changed = claim(name);
    storage::annotate(changed, storage::kSelectedNode, node);
    ASSERT_TRUE(kernel_.update("persistentvolumeclaims", changed));
  }
  std::vector<std::string> events(const std::string& reason) {
    std::vector<std::string> out;
    for (const auto& event : kernel_.list<core::Event>("events")) {
      if (event.reason() == reason) out.push_back(event.message());
    }
    return out;
  }

  testing::FakeKernel kernel_;
  FakeStorage storage_;
  FakeNode node_;
  std::unique_ptr<ControllerSet> controllers_;
};

}  // namespace orlop::volumes
