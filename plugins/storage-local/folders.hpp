// Volumes as folders: each volume is <folder>/<id>/ with `data`, what pods see, `volume`, what it was asked for, and
// `published/`, a file for each path that it is mounted at. A volume comes with one rename and goes with one, so there
// is never half of one.
//
// Threads: any; one call at a time does its work.
#pragma once

#include "orlop/result.hpp"
#include "orlop/tree.hpp"
#include "orlop/v1/storage.pb.h"
#include "plugins/storage-local/mounts.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace orlop::local {

struct FolderSettings {
  std::string folder;  // absolute; made when it is missing
  std::string node;    // this machine
};

// Failures are CSI's, see orlop/storage.hpp; their words name the step.
class Folders {
 public:
  // `mounts` outlives this.
  Folders(FolderSettings settings, Mounts& mounts) : settings_(std::move(settings)), mounts_(mounts) {}

  // Makes the folder; removes what a crash has left half made or half removed.
  Status open();
  Result<v1::Volume> create(const v1::CreateVolumeRequest& request);
  Status remove(const std::string& id);
  Status publish(const v1::PublishVolumeRequest& request);
  Status unpublish(const v1::UnpublishVolumeRequest& request);
  Result<v1::VolumeHealthResponse> health(const std::string& id);
  // Bytes that a new volume can have.
  Result<int64_t> available(const std::string& node);

 private:
  struct Publication {
    std::string target;
    bool read_only = false;
    bool once = false;   // ReadWriteOncePod
    std::string record;  // the file's name
  };

  [[nodiscard]] OwnDescriptor open_root() const;
  Result<int64_t> available_locked(const std::string& node) const;
  Status make(const v1::CreateVolumeRequest& request) const;
  // Those that stand; records of mounts that are gone (a restart of the machine) are removed.
  Result<std::vector<Publication>> publications(int volume, int data) const;
  Status throw_away(const std::string& name) const;

  FolderSettings settings_;
  Mounts& mounts_;
  std::mutex mutex_;
};

}  // namespace orlop::local
