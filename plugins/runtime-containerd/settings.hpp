// What this plugin is told, and the configuration of containerd that follows from it. Pure: nothing here touches the
// machine.
#pragma once

#include "orlop/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::containerd {

// Which OCI runtime starts containers unless a RuntimeClass says otherwise.
enum class HandlerChoice { kAuto, kCrun, kRunc };

// "auto", "crun" or "runc". kInvalid: anything else.
Result<HandlerChoice> parse_handler_choice(std::string_view text);

// An OCI runtime that containerd may use: the name that a RuntimeClass gives as its handler, and the program.
struct Handler {
  std::string name;
  std::filesystem::path program;
};

struct Settings {
  // A containerd that somebody else runs. Empty: the plugin starts and owns one.
  std::filesystem::path socket;

  std::filesystem::path data_folder;  // images and metadata: must survive a power cut
  std::filesystem::path run_folder;   // sockets, state of running containers: best on tmpfs

  std::filesystem::path cni_conf_dir;  // empty: <run>/cni/net.d
  std::filesystem::path cni_bin_dir = "/usr/lib/cni";
  std::filesystem::path registry_config_path;  // folder of <registry>/hosts.toml; empty: none
  std::filesystem::path pause_image;           // archive that holds pause_name
  std::string pause_name = "orlop.dev/pause:1";

  HandlerChoice handler = HandlerChoice::kAuto;
  std::string log_level = "info";       // containerd's own
  uint64_t log_bytes_max = 8u << 20;    // of one log file; one older file is kept
  bool private_mount_namespace = true;  // crun needs it where the cgroup layout is hybrid
  // Folders whose mounts made later on the machine must be seen by containers (the agent's volumes).
  std::vector<std::filesystem::path> shared_folders;

  // A containerd that runs is asked for its state so often, and killed and started again when it has not answered for
  // so long: containers go on, and nothing else would mend it.
  std::chrono::milliseconds check_interval{10'000};
  std::chrono::milliseconds hang_limit{30'000};

  // Where programs are looked for, in this order.
  std::vector<std::filesystem::path> program_path = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                                     "/usr/bin",        "/sbin",          "/bin"};

  [[nodiscard]] bool owns_containerd() const { return socket.empty(); }
};

// The files that the plugin owns, all below the two folders of the settings.
struct Layout {
  explicit Layout(const Settings& settings);

  std::filesystem::path root;              // <data>/root: containerd's persistent part
  std::filesystem::path log_file;          // <data>/containerd.log, with .1 the one before
  std::filesystem::path state;             // <run>/state: containerd's transient part
  std::filesystem::path socket;            // <run>/containerd.sock, or the one of the settings
  std::filesystem::path config_file;       // <run>/config.toml
  std::filesystem::path pid_file;          // <run>/containerd.pid: pid and start time
  std::filesystem::path lock_file;         // <run>/supervisor.lock: held by the one that may start containerd
  std::filesystem::path namespace_folder;  // <run>/ns: a mount of its own, so that the pin below stays private
  std::filesystem::path namespace_pin;     // <run>/ns/mnt: keeps containerd's mount namespace
  std::filesystem::path shared_list;       // <run>/shared_mounts: folders that were bound onto themselves
  std::filesystem::path cni_conf_dir;
  std::filesystem::path oci_root;  // <run>/oci: state of the OCI runtimes, one folder for each handler
};

// The handler that is the default. kUnavailable: the one asked for, or any at all, is not installed.
Result<Handler> choose_handler(HandlerChoice choice, const std::vector<Handler>& installed);

// config.toml for containerd 1.6 (its schema version 2; see containerd-config.toml(5) and CRI's own config guide).
// `installed` is not empty and holds `default_handler`.
std::string containerd_config(const Settings& settings, const Layout& layout, const std::vector<Handler>& installed,
                              const Handler& default_handler);

}  // namespace orlop::containerd
