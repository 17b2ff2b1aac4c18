// A plugin's shared library, loaded and driven as the kernel does it: for a test of the glue between the ABI and the
// plugin.
//
//   FakeKernel kernel;
//   LoadedPlugin plugin(ECHO_PLUGIN_FILE, kernel);
//   ASSERT_TRUE(plugin.init(settings).is_ok());
//   ASSERT_TRUE(plugin.start().is_ok());
//   auto answer = kernel.invoke("orlop.v1.Echo/Say", bytes);
//
// Threads: one. The library stays loaded for the rest of the process, as everywhere.
#pragma once

#include "orlop/abi/plugin.h"
#include "orlop/host.hpp"
#include "orlop/result.hpp"
#include "orlop/testing/fake_kernel.hpp"

#include <map>
#include <string>

#include <dlfcn.h>
#include <google/protobuf/struct.pb.h>

namespace orlop::testing {

class LoadedPlugin {
 public:
  LoadedPlugin(const std::string& file, FakeKernel& kernel) : kernel_(kernel) {
    void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    const auto* entry =
        library == nullptr ? nullptr : static_cast<const orlop_entry*>(::dlsym(library, "orlop_plugin_entry"));
    if (entry == nullptr || entry->magic != ORLOP_PLUGIN_MAGIC) {
      const char* reason = ::dlerror();
      loaded_ = Status(Code::kUnavailable, file + ": " + (reason != nullptr ? reason : "is no plugin"));
      return;
    }
    table_.size = sizeof table_;
    const orlop_code code = entry->create(kernel.table(), &table_);
    if (code != ORLOP_OK) loaded_ = Status(static_cast<Code>(code), file + ": create failed");
  }
  ~LoadedPlugin() {
    if (started_) stop();
    if (table_.self != nullptr) table_.destroy(table_.self);
  }
  LoadedPlugin(const LoadedPlugin&) = delete;
  LoadedPlugin& operator=(const LoadedPlugin&) = delete;

  // The settings as they stand in a configuration; `folders` is what Config::folder() answers.
  Status init(google::protobuf::Struct settings, const std::map<std::string, std::string>& folders = {}) {
    ORLOP_TRY(loaded_);
    auto& own = *(*settings.mutable_fields())["orlop"].mutable_struct_value()->mutable_fields();
    auto& paths = *own["folders"].mutable_struct_value()->mutable_fields();
    for (const auto& [name, path] : folders) paths[name].set_string_value(path);
    const std::string bytes = settings.SerializeAsString();
    Status status;
    table_.init(table_.self, slice_of(bytes), &take, &status);
    return status;
  }
  Status start() {
    ORLOP_TRY(loaded_);
    kernel_.attach(table_);
    Status status;
    table_.start(table_.self, &take, &status);
    started_ = status.is_ok();
    return status;
  }
  void stop() {
    table_.stop(table_.self);
    kernel_.detach();
    started_ = false;
  }
  [[nodiscard]] bool healthy() const { return table_.health(table_.self) == ORLOP_OK; }

 private:
  static void take(void* user, orlop_code code, orlop_slice payload) {
    *static_cast<Status*>(user) = status_from(code, payload);
  }

  FakeKernel& kernel_;
  Status loaded_;
  orlop_plugin table_{};
  bool started_ = false;
};

}  // namespace orlop::testing
