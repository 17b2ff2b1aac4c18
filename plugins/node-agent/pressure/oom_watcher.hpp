// Tells when the kernel has killed a program for want of memory, as events about the node: SystemOOM when the machine
// itself ran out (the kubelet's), OOMKilling when a pod reached its limit.
//
// It waits for lines of /dev/kmsg and costs nothing between them; where that cannot be read it tells nothing.
//
// Threads: one of its own between start() and stop().
#pragma once

#include "orlop/events.hpp"
#include "orlop/host.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace orlop::agent {

struct OomKill {
  bool of_machine = false;
  std::string cgroup;  // the one whose limit was reached; empty for the machine's
  std::string process;
  int64_t pid = 0;
};

// "…oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/orlop/…,task=…,pid=…"; nothing for any other line.
std::optional<OomKill> parse_oom_line(std::string_view line);

class OomWatcher {
 public:
  OomWatcher(Host host, std::string node) : host_(host), node_(std::move(node)), events_(host, "kubelet", node_) {}
  ~OomWatcher() { stop(); }
  void start();
  void stop();

  // One line of the kernel's log.
  void hear(std::string_view line);

 private:
  void run(int log);

  Host host_;
  std::string node_;
  EventRecorder events_;
  int wake_fd_ = -1;
  std::thread thread_;
};

}  // namespace orlop::agent
