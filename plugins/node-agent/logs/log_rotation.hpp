// Keeps the logs of running containers small: a file that has grown beyond the limit is renamed, the runtime is asked
// to open a new one, older ones are packed, the oldest go.
//
// Follows the kubelet's container log manager (containerLogMaxSize, containerLogMaxFiles). Lines that the runtime
// writes between the renaming and its opening of the new file go into the renamed one: nothing is lost. The newest
// rotated file is not packed before the next rotation, since the runtime may still hold it.
//
// Threads: one at a time. Asks the runtime only about containers whose log is too big.
#pragma once

#include "plugins/node-agent/runtime_client.hpp"

#include <cstdint>
#include <string>

namespace orlop::agent {

struct LogRotationSettings {
  int64_t bytes_max = 10ll << 20;  // of the file being written; 0: no rotation
  int64_t files_max = 5;           // with the one being written; at least 2
};

class LogRotation {
 public:
  // Below `folder`: <namespace>_<name>_<uid>/<container>/<attempt>.log
  LogRotation(Host host, const RuntimeClient& runtime, std::string folder, LogRotationSettings settings);

  // Looks at every log once. What fails is logged and tried again by the next look.
  void look();

 private:
  struct Log {
    std::string path, pod_uid, container;
    uint32_t attempt = 0;
  };

  void rotate(const Log& log);
  // Empty: it does not run.
  Result<std::string> running_container(const Log& log) const;
  void tidy(const std::string& path);

  Host host_;
  const RuntimeClient& runtime_;
  const std::string folder_;
  const LogRotationSettings settings_;
};

// "0.log.20261124-193000", in UTC.
std::string rotated_log_name(const std::string& path, int64_t unix_s);

}  // namespace orlop::agent
