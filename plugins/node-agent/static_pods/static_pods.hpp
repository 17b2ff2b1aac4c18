// The folder of static pods: which pods it holds now. A new file, a change or a removal is seen at once (inotify), and
// by looking again every 20 s where the folder cannot be watched. A bad file is told in the log with its line, once,
// and keeps no other away; while a file that was good is bad its pod stays.
//
// Defaults, validation and admission are the API's (orlop.v1.Kinds/Admit), as for any pod; where it cannot be asked yet
// the files wait for it.
//
// Threads: one of its own between start() and stop(); every other method from any.
#pragma once

#include "orlop/controller.hpp"
#include "orlop/host.hpp"
#include "orlop/pods.hpp"
#include "plugins/node-agent/static_pods/manifest.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace orlop::agent {

class StaticPods {
 public:
  using OnChange = std::function<void(const std::set<ObjectKey>&)>;

  // Hidden files (a dot first) are not looked at.
  StaticPods(Host host, std::string folder, std::string node, OnChange on_change);
  ~StaticPods() { stop(); }

  // Reads the folder once, then follows it. kUnavailable: it cannot be made or watched at all.
  Status start();
  void stop();
  // Reads the folder. True: every file could be dealt with; false: the API was not there.
  bool read();

  // The pod of that name that is to run; null: none.
  [[nodiscard]] std::shared_ptr<const kube::Pod> find(const ObjectKey& key) const;
  // One of that name that is no longer to run and has not been told to have left; null: none.
  [[nodiscard]] std::shared_ptr<const kube::Pod> leaving(const ObjectKey& key) const;
  // Nothing runs of it any more.
  void has_left(const std::string& uid);
  // Of those that are to run and those that are leaving. kUnavailable: a file still waits for the API.
  [[nodiscard]] Result<std::set<std::string>> uids() const;

 private:
  struct File {
    std::string content;
    std::vector<std::shared_ptr<const kube::Pod>> pods;
    bool waits = false;  // for the API
  };

  void loop();
  void read_file(const std::string& name, File& file, const std::string& content);
  Status admit(kube::Pod& pod) const;
  Result<std::string> ask(const kube::Pod& pod) const;
  void take_over(std::map<std::string, File> files, bool settled);

  Host host_;
  const std::string folder_;
  const std::string node_;
  const OnChange on_change_;
  std::map<std::string, File> files_;  // by name; the reader's own
  mutable std::mutex mutex_;
  std::map<ObjectKey, std::shared_ptr<const kube::Pod>> pods_;                             // guarded by mutex_
  std::map<std::string, std::pair<ObjectKey, std::shared_ptr<const kube::Pod>>> leaving_;  // by uid; guarded by mutex_
  bool settled_ = false;                                                                   // guarded by mutex_
  int stop_event_ = -1;
  std::thread thread_;
};

}  // namespace orlop::agent
