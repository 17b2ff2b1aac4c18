// The daemon's own files: folders, the lock, the sealing key.
#pragma once

#include "orlop/result.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace orlop::daemon {

// Makes a folder and its parents; an existing one keeps its mode. kUnavailable with path and reason.
Status make_folders(const std::string& path, unsigned mode);

// The whole of a small file. kNotFound, kUnavailable.
Result<std::string> read_whole_file(const std::string& path);

// Held for as long as the object lives, released by the end of the process whatever it is.
class FolderLock {
 public:
  // Waits up to PATIENCE for a holder that is on its way out. kConflict: another process holds it; the sentence names
  // its pid and the mend. kUnavailable: the file cannot be made or locked.
  static Result<std::unique_ptr<FolderLock>> take(const std::string& folder, std::chrono::milliseconds patience);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// The 32 bytes in FOLDER/sealing.key (mode 0600), made of the system's random source where there are none. kInvalid:
// the file is no key; kUnavailable: it cannot be read or written.
Result<std::array<uint8_t, 32>> sealing_key(const std::string& folder);

}  // namespace orlop::daemon
