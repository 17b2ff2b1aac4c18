#include "plugins/runtime-containerd/settings.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace orlop::containerd {

namespace {

// A TOML basic string. Paths come from a person's configuration: a quote or a control character in them must not end
// it.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_path(const std::filesystem::path& path) {
  return toml_string(path.native());
}

}  // namespace

Result<HandlerChoice> parse_handler_choice(std::string_view text) {
  if (text == "auto") return HandlerChoice::kAuto;
  if (text == "crun") return HandlerChoice::kCrun;
  if (text == "runc") return HandlerChoice::kRunc;
  return Status(Code::kInvalid, fmt::format("handler: \"{}\" is not one of auto, crun, runc", text));
}

Layout::Layout(const Settings& settings)
    : root(settings.data_folder / "root"),
      log_file(settings.data_folder / "containerd.log"),
      state(settings.run_folder / "state"),
      socket(settings.owns_containerd() ? settings.run_folder / "containerd.sock" : settings.socket),
      config_file(settings.run_folder / "config.toml"),
      pid_file(settings.run_folder / "containerd.pid"),
      lock_file(settings.run_folder / "supervisor.lock"),
      namespace_folder(settings.run_folder / "ns"),
      namespace_pin(settings.run_folder / "ns" / "mnt"),
      shared_list(settings.run_folder / "shared_mounts"),
      cni_conf_dir(settings.cni_conf_dir.empty() ? settings.run_folder / "cni" / "net.d" : settings.cni_conf_dir),
      oci_root(settings.run_folder / "oci") {}

Result<Handler> choose_handler(HandlerChoice choice, const std::vector<Handler>& installed) {
  auto find = [&](std::string_view name) {
    return std::find_if(installed.begin(), installed.end(), [&](const Handler& h) { return h.name == name; });
  };
  auto wanted = choice == HandlerChoice::kRunc ? find("runc") : find("crun");
  if (wanted == installed.end() && choice == HandlerChoice::kAuto) wanted = find("runc");
  if (wanted != installed.end()) return *wanted;
  std::string name = choice == HandlerChoice::kAuto ? "neither crun nor runc"
                                                    : (choice == HandlerChoice::kCrun ? "no crun" : "no runc");
  return Status(Code::kUnavailable,
                fmt::format("{} found in the program path; install it (Debian: apt install crun runc)", name));
}

std::string containerd_config(const Settings& settings, const Layout& layout, const std::vector<Handler>& installed,
                              const Handler& default_handler) {
  constexpr std::string_view kCri = "plugins.\"io.containerd.grpc.v1.cri\"";
  std::string out;
  auto line = [&](std::string text) { out += std::move(text) + '\n'; };
  line("# Written by runtime-containerd at each start; changes made here are lost.");
  line("version = 2");
  line("root = " + toml_path(layout.root));
  line("state = " + toml_path(layout.state));
  line(
      "disabled_plugins = [\"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\", "
      "\"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\", "
      "\"io.containerd.tracing.processor.v1.otlp\", \"io.containerd.internal.v1.tracing\"]");
  line("[grpc]\n  address = " + toml_path(layout.socket));
  line("[ttrpc]\n  address = " + toml_string(layout.socket.native() + ".ttrpc"));
  line("[debug]\n  level = " + toml_string(settings.log_level));
  line("[plugins.\"io.containerd.internal.v1.opt\"]\n  path = " + toml_path(settings.data_folder / "opt"));
  line(fmt::format("[{}]", kCri));
  line("  sandbox_image = " + toml_string(settings.pause_name));
  line("  stream_server_address = \"127.0.0.1\"\n  stream_server_port = \"0\"");
  // Without CAP_SYS_RESOURCE a lower score than one's own cannot be set, and every container would fail to start.
  line("  restrict_oom_score_adj = true");
  line("  netns_mounts_under_state_dir = true");
  line("  tolerate_missing_hugetlb_controller = true");
  line(fmt::format("  [{}.cni]", kCri));
  line("    bin_dir = " + toml_path(settings.cni_bin_dir));
  line("    conf_dir = " + toml_path(layout.cni_conf_dir));
  if (!settings.registry_config_path.empty()) {
    line(fmt::format("  [{}.registry]", kCri));
    line("    config_path = " + toml_path(settings.registry_config_path));
  }
  line(fmt::format("  [{}.containerd]", kCri));
  line("    snapshotter = \"overlayfs\"");
  line("    default_runtime_name = " + toml_string(default_handler.name));
  for (const Handler& handler : installed) {
    line(fmt::format("    [{}.containerd.runtimes.{}]", kCri, handler.name));
    line("      runtime_type = \"io.containerd.runc.v2\"");
    line("      pod_annotations = [\"io.containerd.runc.v2.group\"]");
    line(fmt::format("      [{}.containerd.runtimes.{}.options]", kCri, handler.name));
    line("        BinaryName = " + toml_path(handler.program));
    line("        Root = " + toml_path(layout.oci_root / handler.name));
    line("        SystemdCgroup = false");
  }
  return out;
}

}  // namespace orlop::containerd
