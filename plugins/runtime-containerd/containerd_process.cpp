#include "plugins/runtime-containerd/containerd_process.hpp"

#include "plugins/runtime-containerd/mount_namespace.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orlop::containerd {

namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

Status write_file(const fs::path& file, std::string_view content) {
  fs::path fresh = file.native() + ".new";
  OwnedFd fd(::open(fresh.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600));
  bool ok = fd.is_open() && ::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
  if (!ok || ::rename(fresh.c_str(), file.c_str()) != 0) {
    return Status(Code::kUnavailable, fmt::format("{} cannot be written: {}", file.native(), std::strerror(errno)));
  }
  return Status();
}

// Who listens on a unix socket: finds a containerd whose starter was killed before it could write the pid file
// (unix(7), SO_PEERCRED).
std::optional<ProcessIdentity> listener_of(const fs::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!fd.is_open() || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  auto stat = read_stat(peer.pid);
  return stat ? std::optional(stat->identity) : std::nullopt;
}

// For root alone: whoever may open the socket is root on this machine.
Status make_private_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return Status(Code::kUnavailable, fmt::format("{}: {}", folder.native(), error.message()));
  return Status();
}

}  // namespace

void rotate_log(const fs::path& file, uint64_t bytes_max) {
  std::error_code error;
  if (fs::file_size(file, error) <= bytes_max || error) return;
  fs::copy_file(file, file.native() + ".1", fs::copy_options::overwrite_existing, error);
  // The writer appends (O_APPEND), so it goes on at the new end.
  if (!error) fs::resize_file(file, 0, error);
}

std::string last_lines(const fs::path& file, size_t lines) {
  std::error_code error;
  uint64_t size = fs::file_size(file, error);
  if (error) return {};
  constexpr uint64_t kTail = 16384;
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(size > kTail ? size - kTail : 0));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  while (text.ends_with('\n')) text.pop_back();
  size_t begin = text.size();
  for (size_t i = 0; i < lines && begin != 0 && begin != std::string::npos; ++i) begin = text.rfind('\n', begin - 1);
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

ContainerdProcess::ContainerdProcess(Settings settings) : settings_(std::move(settings)), layout_(settings_) {}

Status ContainerdProcess::prepare() {
  constexpr size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;
  if (layout_.socket.native().size() + std::strlen(".ttrpc") > kSocketPathMax) {
    return Status(Code::kInvalid, fmt::format("{} is too long for a socket's path ({} characters at most); choose a "
                                              "shorter run folder",
                                              layout_.socket.native(), kSocketPathMax));
  }
  for (const fs::path& folder :
       {settings_.data_folder, settings_.run_folder, layout_.root, layout_.state, layout_.oci_root}) {
    ORLOP_TRY(make_private_folder(folder));
  }
  std::error_code error;
  fs::create_directories(layout_.cni_conf_dir, error);
  if (error) return Status(Code::kUnavailable, fmt::format("{}: {}", layout_.cni_conf_dir.native(), error.message()));
  program_ = find_program("containerd", settings_.program_path);
  if (program_.empty()) {
    return Status(Code::kUnavailable,
                  "containerd is not installed (Debian: apt install containerd), or set `socket` to a running one");
  }
  std::vector<Handler> installed;
  for (const char* name : {"crun", "runc"}) {
    fs::path program = find_program(name, settings_.program_path);
    if (!program.empty()) installed.push_back({name, program});
  }
  HandlerChoice choice = settings_.handler;
  // Both cgroup versions at once are more than crun takes, and only the namespace hides one of them.
  if (choice == HandlerChoice::kAuto && !settings_.private_mount_namespace && has_hybrid_cgroups()) {
    choice = HandlerChoice::kRunc;
  }
  ORLOP_ASSIGN(handler_, choose_handler(choice, installed));
  std::string config = containerd_config(settings_, layout_, installed, handler_);
  config_changed_ = content_of(layout_.config_file) != config;
  return config_changed_ ? write_file(layout_.config_file, config) : Status();
}

std::vector<std::string> ContainerdProcess::environment() const {
  std::string path;
  for (const fs::path& folder : settings_.program_path) path += (path.empty() ? "" : ":") + folder.native();
  std::vector<std::string> out = {"PATH=" + path, "HOME=/root", "LANG=C.UTF-8"};
  // Pulls go through the machine's proxy, where it has one.
  for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}) {
    if (const char* value = std::getenv(name)) out.push_back(fmt::format("{}={}", name, value));
  }
  return out;
}

bool ContainerdProcess::adopt() {
  return adopt(parse_identity(content_of(layout_.pid_file))) || adopt(listener_of(layout_.socket));
}

bool ContainerdProcess::adopt(const std::optional<ProcessIdentity>& identity) {
  if (!identity) return false;
  auto watch = watch_process(*identity);
  if (!watch.is_ok() || program_of(identity->pid).filename() != "containerd") return false;
  identity_ = *identity;
  watch_ = std::move(*watch);
  std::string line = format_identity(identity_);
  if (content_of(layout_.pid_file) != line && !write_file(layout_.pid_file, line).is_ok()) return false;
  auto stat = read_stat(identity_.pid);
  is_child_ = stat && stat->parent == ::getpid();
  return true;
}

Status ContainerdProcess::ensure_running() {
  if (watch_.is_open() && !wait_for_exit(watch_, std::chrono::milliseconds(0))) return Status();
  collect();
  adopted_ = adopt();
  if (adopted_ && config_changed_) {
    ORLOP_TRY(end());
    adopted_ = false;
  }
  config_changed_ = false;
  return adopted_ ? Status() : launch_containerd();
}

Status ContainerdProcess::launch_containerd() {
  OwnedFd mount_namespace;
  if (settings_.private_mount_namespace) {
    for (const fs::path& folder : settings_.shared_folders) ORLOP_TRY(share_folder(layout_, folder));
    ORLOP_ASSIGN(mount_namespace, open_mount_namespace(layout_));
  }
  OwnedFd log(::open(layout_.log_file.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log.is_open()) {
    return Status(Code::kUnavailable, fmt::format("{}: {}", layout_.log_file.native(), std::strerror(errno)));
  }
  Launch plan;
  plan.program = program_;
  plan.arguments = {"containerd", "--config", layout_.config_file.native()};
  plan.environment = environment();
  plan.output = log.get();
  plan.mount_namespace = mount_namespace.get();
  plan.own_session = true;
  ORLOP_ASSIGN(identity_, launch(plan));
  is_child_ = true;
  auto watch = watch_process(identity_);
  if (!watch.is_ok()) {
    collect();
    return Status(Code::kUnavailable, "containerd ended at once:\n" + last_lines(layout_.log_file, 5));
  }
  watch_ = std::move(*watch);
  return write_file(layout_.pid_file, format_identity(identity_));
}

void ContainerdProcess::collect() {
  if (is_child_) ::waitpid(identity_.pid, nullptr, WNOHANG);
  is_child_ = false;
  watch_.reset();
}

Status ContainerdProcess::end() {
  return end_within(std::chrono::seconds(5));
}

Status ContainerdProcess::kill() {
  return end_within(std::chrono::milliseconds(0));
}

Status ContainerdProcess::end_within(std::chrono::milliseconds grace) {
  if (!watch_.is_open() && !adopt()) return Status();
  ORLOP_TRY(end_process(watch_, grace));
  collect();
  std::error_code ignored;
  fs::remove(layout_.pid_file, ignored);
  return Status();
}

Status ContainerdProcess::import_image(const fs::path& archive) {
  Launch plan;
  plan.program = find_program("ctr", settings_.program_path);
  if (plan.program.empty()) return Status(Code::kUnavailable, "ctr is not installed; it comes with containerd");
  plan.arguments = {"ctr",    "--address", layout_.socket.native(), "--namespace", "k8s.io",
                    "images", "import",    archive.native()};
  plan.environment = environment();
  return run_program(std::move(plan), std::chrono::seconds(60)).status();
}

}  // namespace orlop::containerd
