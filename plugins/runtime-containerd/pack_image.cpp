// orlop-pack-image: writes an image archive that holds one program.
#include "plugins/runtime-containerd/image_archive.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: orlop-pack-image NAME PROGRAM ARCHIVE\n");
    return 2;
  }
  std::ifstream in(argv[2], std::ios::binary);
  std::string program((std::istreambuf_iterator<char>(in)), {});
  if (!in || program.empty()) {
    std::fprintf(stderr, "orlop-pack-image: %s cannot be read\n", argv[2]);
    return 1;
  }
  std::string name = std::filesystem::path(argv[2]).filename().string();
  std::ofstream out(argv[3], std::ios::binary | std::ios::trunc);
  out << orlop::containerd::image_archive({argv[1], {"/" + name}, {{name, program, 0755}}});
  if (!out.flush()) {
    std::fprintf(stderr, "orlop-pack-image: %s cannot be written\n", argv[3]);
    return 1;
  }
  return 0;
}
