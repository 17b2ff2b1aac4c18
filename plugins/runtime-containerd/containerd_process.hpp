// The private containerd: found again, started, ended. Its life is not ours: it has a session of its own and goes on
// when the plugin, its host or the kernel daemon is killed, and so do the containers when it is killed itself.
#pragma once

#include "orlop/result.hpp"
#include "plugins/runtime-containerd/process.hpp"
#include "plugins/runtime-containerd/settings.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orlop::containerd {

// Moves a log that is larger than the limit to "<file>.1" by copying and cutting, since its writer keeps it open. Lines
// written between the two steps are lost.
void rotate_log(const std::filesystem::path& file, uint64_t bytes_max);
// The last lines of a text file, for a failure's message.
std::string last_lines(const std::filesystem::path& file, size_t lines);

// Threads: one at a time.
class ContainerdProcess {
 public:
  explicit ContainerdProcess(Settings settings);

  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const Handler& handler() const { return handler_; }

  // Makes the folders and writes the configuration. kUnavailable: a program is missing or a folder cannot be made; the
  // message says which.
  Status prepare();

  // Makes sure that containerd runs: takes over the one that runs with this configuration, else starts one. Does not
  // wait until it answers. kUnavailable: it could not be started.
  Status ensure_running();
  // Whether the last ensure_running took over a running one.
  [[nodiscard]] bool adopted() const { return adopted_; }

  // Readable when containerd has ended; closed (-1) when none runs.
  [[nodiscard]] const OwnedFd& watch() const { return watch_; }
  // To be called when watch() has become readable: collects what is left of it.
  void collect();

  // Ends containerd; containers go on.
  Status end();
  // The same without asking, for one that hangs.
  Status kill();

  // Imports an image archive with containerd's own client; containerd must answer.
  Status import_image(const std::filesystem::path& archive);

 private:
  bool adopt();
  bool adopt(const std::optional<ProcessIdentity>& identity);
  Status launch_containerd();
  Status end_within(std::chrono::milliseconds grace);
  [[nodiscard]] std::vector<std::string> environment() const;

  Settings settings_;
  Layout layout_;
  Handler handler_;
  std::filesystem::path program_;
  bool config_changed_ = false;
  bool adopted_ = false;
  bool is_child_ = false;
  ProcessIdentity identity_;
  OwnedFd watch_;
};

}  // namespace orlop::containerd
