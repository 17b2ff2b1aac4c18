// What a plugin written in C++ derives from, and the one line that exports it:
//
//   class Echo final : public orlop::Plugin { … };
//   ORLOP_PLUGIN(Echo)
//
// Life and threads are those of abi/plugin.h: init, start and stop come from one thread, one after another; handle_call
// and wake from any thread and must return at once. An exception that leaves one of these functions is turned into
// kInternal with its text; it never crosses the boundary.
#pragma once

#include "orlop/abi/plugin.h"
#include "orlop/config.hpp"
#include "orlop/host.hpp"
#include "orlop/result.hpp"

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/struct.pb.h>

namespace orlop {

// A call that somebody made to a capability of this plugin. To be answered exactly once, from any thread, before or
// after handle_call returns; copyable, owns its bytes.
struct Call {
  uint64_t id = 0;
  std::string method;   // "orlop.v1.Node/Exec"
  std::string payload;  // the request message's bytes
  int64_t deadline_ns = 0;
};

class Plugin {
 public:
  explicit Plugin(Host host) : host_(host) {}
  virtual ~Plugin() = default;
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Once, first: keep the settings, touch nothing outside. A failure's message is shown to the operator.
  virtual Status init(const Config& config) {
    (void)config;
    return Status::ok();
  }
  virtual Status start() { return Status::ok(); }
  // Must join every thread that the plugin started.
  virtual void stop() {}
  virtual void handle_call(Call call) {
    host_.respond(call.id, Status(Code::kMethodNotAllowed, "no such method: " + call.method));
  }
  virtual void wake(uint32_t reasons) { (void)reasons; }
  virtual bool healthy() { return true; }

 protected:
  [[nodiscard]] const Host& host() const { return host_; }

 private:
  Host host_;
};

namespace detail {

template <typename Body>
Status guarded(Body&& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    return {Code::kInternal, error.what()};
  }
}

template <typename Type>
struct Glue {
  static Plugin* from(void* self) { return static_cast<Plugin*>(self); }

  static orlop_code init(void* self, orlop_slice config, orlop_completion done, void* user) {
    const Status status = guarded([&] {
      google::protobuf::Struct fields;
      if (!fields.ParseFromArray(config.data, static_cast<int>(config.size))) {
        return Status(Code::kInternal, "the settings that the kernel gave cannot be read");
      }
      return from(self)->init(Config(std::move(fields)));
    });
    return complete(status, done, user);
  }
  static orlop_code start(void* self, orlop_completion done, void* user) {
    return complete(guarded([&] { return from(self)->start(); }), done, user);
  }
  static void stop(void* self) {
    (void)guarded([&] {
      from(self)->stop();
      return Status::ok();
    });
  }
  static void handle_call(void* self, uint64_t call_id, orlop_slice method, orlop_slice payload, int64_t deadline_ns) {
    (void)guarded([&] {
      from(self)->handle_call({call_id, std::string(view_of(method)), std::string(view_of(payload)), deadline_ns});
      return Status::ok();
    });
  }
  static void wake(void* self, uint32_t reasons) {
    (void)guarded([&] {
      from(self)->wake(reasons);
      return Status::ok();
    });
  }
  static orlop_code health(void* self) {
    bool healthy = false;
    (void)guarded([&] {
      healthy = from(self)->healthy();
      return Status::ok();
    });
    return healthy ? ORLOP_OK : ORLOP_UNAVAILABLE;
  }
  static void destroy(void* self) { delete from(self); }

  static orlop_code create(const orlop_host* host, orlop_plugin* out) {
    try {
      std::unique_ptr<Plugin> plugin = std::make_unique<Type>(Host(host));
      out->size = sizeof(orlop_plugin);
      out->init = &init;
      out->start = &start;
      out->stop = &stop;
      out->handle_call = &handle_call;
      out->wake = &wake;
      out->health = &health;
      out->destroy = &destroy;
      out->self = plugin.release();
      return ORLOP_OK;
    } catch (...) {
      return ORLOP_INTERNAL;
    }
  }
};

}  // namespace detail
}  // namespace orlop

#define ORLOP_PLUGIN(Type)                                     \
  extern "C" __attribute__((visibility("default")))            \
  const orlop_entry orlop_plugin_entry = {ORLOP_PLUGIN_MAGIC,  \
                                          ORLOP_ABI_MAJOR,     \
                                          ORLOP_ABI_MINOR,     \
                                          sizeof(orlop_entry), \
                                          0,                   \
                                          &::orlop::detail::Glue<Type>::create};
