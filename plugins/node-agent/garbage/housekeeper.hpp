// When the agent tidies up: at its start, some time after something happened in the runtime, and images and logs now
// and then, since a disk fills without anybody telling. Where nothing happens it only looks at the sizes of logs.
//
// Threads: one of its own between start() and stop(); note_event() from any.
#pragma once

#include "plugins/node-agent/garbage/container_garbage.hpp"
#include "plugins/node-agent/images/image_garbage.hpp"
#include "plugins/node-agent/logs/log_rotation.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace orlop::agent {

class Housekeeper {
 public:
  // `on_images`: the list of images has changed.
  Housekeeper(Host host, LogRotation& logs, ContainerGarbage& containers, ImageGarbage& images,
              std::function<void()> on_images);
  ~Housekeeper() { stop(); }

  void start();
  void stop();
  // Something happened in the runtime. Returns at once.
  void note_event();

  // Does what is due; returns how long it may be left alone. The thread's work, for tests.
  int64_t step();

 private:
  void loop();
  void warn(const char* what, const Status& status);

  Host host_;
  LogRotation& logs_;
  ContainerGarbage& containers_;
  ImageGarbage& images_;
  const std::function<void()> on_images_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool running_ = false;          // guarded by mutex_
  bool images_dirty_ = true;      // guarded by mutex_
  bool containers_dirty_ = true;  // guarded by mutex_
  std::thread thread_;
  int64_t images_due_ns_ = 0;  // step()'s own, as is all below
  int64_t containers_due_ns_ = 0;
  int64_t collect_due_ns_ = 0;
};

}  // namespace orlop::agent
