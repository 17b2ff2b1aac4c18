// orlopd: the kernel's daemon.
#include "kernel/daemon/config.hpp"
#include "kernel/daemon/daemon.hpp"
#include "kernel/daemon/files.hpp"

#include <climits>
#include <cstdio>
#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace {

constexpr const char* kUserFile = "/etc/orlop/orlop.yaml";

orlop::daemon::Surroundings look_around() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return {name, program.parent_path().string()};
}

int complain(const orlop::lifecycle::Problems& problems) {
  for (const auto& problem : problems) std::fprintf(stderr, "%s\n", problem.text().c_str());
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string file;
  bool check = false, version = false, foreground = true;
  CLI::App app("Orlop's kernel: an object store, a bus, and the life of plugins.");
  app.add_option("--config", file, std::string("configuration file; default: ") + kUserFile + ", where it exists");
  app.add_flag("--check-config", check, "say what is wrong in the configuration, and start nothing");
  app.add_flag("--version", version, "print the version");
  app.add_flag("--foreground", foreground, "stay in the foreground (always so)");
  CLI11_PARSE(app, argc, argv);
  if (version) {
    std::printf("orlopd %s\n", ORLOP_VERSION);
    return 0;
  }
  const bool chosen = !file.empty();
  if (!chosen) file = kUserFile;
  auto text = orlop::daemon::read_whole_file(file);
  if (!text && (chosen || text.code() != orlop::Code::kNotFound)) {
    std::fprintf(stderr, "%s: %s\n", file.c_str(), text.message().c_str());
    return 1;
  }
  const auto outcome = orlop::daemon::load_config(text ? *text : "", file, look_around());
  if (!outcome.problems.empty()) return complain(outcome.problems);
  if (check) {
    const int code = complain(orlop::daemon::check_plugins(outcome.config));
    if (code == 0) std::printf("%s: good\n", text ? file.c_str() : "the built-in defaults");
    return code;
  }
  return orlop::daemon::run_daemon(outcome.config);
}
