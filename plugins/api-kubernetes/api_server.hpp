// The parts of the API server, put together: credentials, HTTP, rules, discovery, and a thread that keeps house (first
// objects, certificates that wear out). Independent of how it is hosted.
#pragma once

#include "orlop/host.hpp"
#include "orlop/plugin.hpp"
#include "orlop/result.hpp"
#include "plugins/api-kubernetes/config.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace orlop::apikube {

// Threads: start and stop from one; handle_call and wake from any.
class ApiServer {
 public:
  ApiServer(Host host, Settings settings);
  ~ApiServer();  // stops
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Makes credentials, opens the port. Readiness follows by host.set_ready() once the first objects exist.
  // kUnavailable: the folder cannot be written or the port not be opened.
  Status start();
  void stop();
  void wake();
  // orlop.v1.Kinds/Describe, Kinds/Admit, Tokens/Issue.
  void handle_call(const Call& call);
  [[nodiscard]] uint16_t port() const;

 private:
  struct Parts;
  Status listen();
  Status keep_listening(Status status);
  void keep_house(Status listening);
  Status make_first_objects();
  void refresh_certificate();
  Result<std::string> describe_kinds() const;
  Result<std::string> admit(const std::string& payload) const;
  Result<std::string> issue(const std::string& payload) const;

  Host host_;
  Settings settings_;
  std::unique_ptr<Parts> parts_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread housekeeper_;
};

}  // namespace orlop::apikube
