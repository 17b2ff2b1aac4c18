// A container image made out of a few files, as the archive that `docker save` writes and every runtime imports
// (image-spec of docker 1.2: manifest.json, one configuration, one layer). For the sandbox image and for tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orlop::containerd {

struct ImageFile {
  std::string path;  // without a leading slash
  std::string content;
  unsigned mode = 0755;
};

struct ImageRecipe {
  std::string name;  // "orlop.dev/pause:1"
  std::vector<std::string> entrypoint;
  std::vector<ImageFile> files;
};

// Pure: the same recipe gives the same bytes.
std::string image_archive(const ImageRecipe& recipe);

// A POSIX ustar archive of regular files, owner root, time 0. Paths are at most 99 characters long.
std::string tar_of(const std::vector<ImageFile>& files);

}  // namespace orlop::containerd
