// The store on LMDB: one folder, one writer process, any number of reading processes.
//
// The folder holds data.mdb (everything), lock.mdb (LMDB's reader table) and writer.lock (held, with its pid, by the
// process that has the store open for writing). A process opens a folder once at a time, for writing or for reading.
// The folder has to be on a local file system.
#pragma once

#include "kernel/store/store.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orlop::store {

// A key that seals values (AES-256-GCM). Its id is stored beside each value that it sealed.
struct SealingKey {
  uint32_t id = 0;
  std::array<uint8_t, 32> secret{};
};

struct LmdbOptions {
  std::string folder;  // made, with mode 0700, if it is not there (its parent must be)

  // The first seals; all of them open. Empty: writes with sealed = true are refused.
  std::vector<SealingKey> sealing_keys;

  bool relaxed_durability_allowed = true;  // false: Durability::kRelaxed is kDurable

  // Address space to begin with, not disk or memory; doubled when it is used up, until map_bytes_max.
  uint64_t map_bytes = 1ull << 30;
  uint64_t map_bytes_max = 1ull << 40;
  uint32_t readers_max = 512;  // read transactions at once, over all processes

  uint64_t transaction_bytes_max = 32ull << 20;
  uint64_t batch_transactions_max = 4096;
  uint64_t batch_bytes_max = 32ull << 20;

  // Writes are refused as "disk full" while fewer bytes than this are free, so that compaction and deletes still have
  // room.
  uint64_t disk_reserve_bytes = 8ull << 20;

  // The log keeps what is younger than this, unless it is larger than that; 0: no such bound.
  int64_t log_age_ms_max = 10 * 60 * 1000;
  uint64_t log_bytes_max = 1ull << 30;
  // How often age and stale readers are looked at when nobody writes; 0: never by itself.
  int64_t housekeeping_ms = 5000;

  std::function<int64_t()> unix_time_ms;  // unset: the system's clock
};

// Opens the store for writing, and makes it where there is none.
// Errors: kConflict: another process has it open for writing (named by its pid); kInvalid: the file is no store of
// ours, is damaged, or has a newer format; kUnavailable: the folder cannot be made, read or written, or the disk is
// full. Destroying the store writes what is queued, answers it, and joins its thread.
Result<std::unique_ptr<Store>> open_lmdb_store(LmdbOptions options);

// Opens an existing store for reading, beside the process that writes. Uses of the options: folder, sealing_keys,
// map_bytes, readers_max. kNotFound: there is none; others as above.
Result<std::unique_ptr<Reader>> open_lmdb_reader(LmdbOptions options);

struct SnapshotInfo {
  Revision revision = 0;
  uint64_t bytes = 0;
  std::string sha256;  // hexadecimal
};

// Reads a snapshot from end to end and holds it against its checksum. kInvalid: it is none, or damaged, or newer than
// this program; kNotFound, kUnavailable: it cannot be read.
Result<SnapshotInfo> verify_snapshot(const std::string& path);

// Verifies a snapshot and makes a store of it in `folder`, which must not exist or be empty (else kAlreadyExists).
// A failure leaves the folder without a data file.
Result<SnapshotInfo> restore_snapshot(const std::string& path, const std::string& folder);

}  // namespace orlop::store
