// orlop-containerd-down: what quickstart --down and an uninstaller run after orlopd has ended.
#include "plugins/runtime-containerd/teardown.hpp"

#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(
        stderr,
        "usage: orlop-containerd-down DATA_FOLDER RUN_FOLDER\n"
        "Ends the pods and the containerd of the plugin runtime-containerd, and takes back its mounts. The two\n"
        "folders are the plugin's own. The data folder, images included, stays.\n");
    return 2;
  }
  orlop::containerd::Settings settings;
  settings.data_folder = argv[1];
  settings.run_folder = argv[2];
  orlop::Status status = orlop::containerd::tear_down(
      settings, [](std::string_view line) { std::printf("%.*s\n", static_cast<int>(line.size()), line.data()); });
  if (status.is_ok()) return 0;
  std::fprintf(stderr, "orlop-containerd-down: %s\n", status.message().c_str());
  return 1;
}
