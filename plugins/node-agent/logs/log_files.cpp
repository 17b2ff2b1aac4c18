#include "plugins/node-agent/logs/log_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace orlop::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPacked = ".gz";
constexpr std::string_view kHalfMade = ".tmp";

gzFile as_gz(void* file) {
  return static_cast<gzFile>(file);
}

Status failed(const std::string& what, const std::string& path) {
  return {Code::kUnavailable, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

}  // namespace

std::vector<RotatedLog> rotated_logs(const std::string& path) {
  std::vector<RotatedLog> out;
  const std::string begin = fs::path(path).filename().string() + ".";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(begin) || name.ends_with(kHalfMade)) continue;
    struct stat found {};
    if (::stat(entry.path().c_str(), &found) != 0) continue;
    out.push_back({entry.path(), found.st_ino, found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec,
                   name.ends_with(kPacked)});
  }
  std::sort(out.begin(), out.end(), [](const RotatedLog& a, const RotatedLog& b) { return a.path < b.path; });
  // A crash between packing and removing leaves both: the packed one is whole, since it was renamed into place.
  const auto is_double = [&](const RotatedLog& log) {
    return !log.packed && std::any_of(out.begin(), out.end(), [&](const RotatedLog& other) {
      return other.packed && other.path == log.path + std::string(kPacked);
    });
  };
  std::vector<RotatedLog> once;
  std::copy_if(out.begin(), out.end(), std::back_inserter(once), [&](const auto& log) { return !is_double(log); });
  return once;
}

void LogSource::Closer::operator()(void* file) const {
  ::gzclose(as_gz(file));
}

std::optional<LogSource> LogSource::open(const std::string& path) {
  gzFile file = ::gzopen(path.c_str(), "rbe");
  if (file == nullptr) return std::nullopt;
  ::gzbuffer(file, 65536);
  return LogSource(file);
}

ssize_t LogSource::read(char* to, size_t size) {
  return ::gzread(as_gz(file_.get()), to, static_cast<unsigned>(size));
}

std::optional<std::string> LogSource::line() {
  std::string out;
  // gzgetc is a macro.
  for (int c = gzgetc(as_gz(file_.get())); c != -1; c = gzgetc(as_gz(file_.get()))) {
    if (c == '\n') return out;
    out += static_cast<char>(c);
  }
  return out.empty() ? std::nullopt : std::optional(out);
}

int64_t count_lines(const std::string& path) {
  auto source = LogSource::open(path);
  if (!source) return 0;
  std::array<char, 65536> block;
  int64_t lines = 0;
  for (ssize_t size = source->read(block.data(), block.size()); size > 0;
       size = source->read(block.data(), block.size())) {
    lines += std::count(block.data(), block.data() + size, '\n');
  }
  return lines;
}

Status pack_log(const std::string& path) {
  const std::string packed = path + std::string(kPacked);
  const std::string beside = packed + std::string(kHalfMade);
  struct stat found {};
  const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (from < 0 || ::fstat(from, &found) != 0) {
    const Status status = failed("read", path);
    if (from >= 0) ::close(from);
    return status;
  }
  gzFile to = ::gzopen(beside.c_str(), "wbe6");
  bool whole = to != nullptr;
  std::array<char, 65536> block;
  ssize_t size = 0;
  while (whole && (size = ::read(from, block.data(), block.size())) > 0) {
    whole = ::gzwrite(to, block.data(), static_cast<unsigned>(size)) == size;
  }
  whole = whole && size == 0;
  if (to != nullptr) whole = ::gzclose(to) == Z_OK && whole;
  ::close(from);
  if (whole) {
    const timespec times[2] = {found.st_atim, found.st_mtim};
    ::utimensat(AT_FDCWD, beside.c_str(), times, 0);
    whole = ::chmod(beside.c_str(), found.st_mode & 07777) == 0 && ::rename(beside.c_str(), packed.c_str()) == 0;
  }
  if (!whole) {
    const Status status = failed("pack", path);
    ::unlink(beside.c_str());
    return status;
  }
  if (::unlink(path.c_str()) != 0) return failed("remove", path);
  return Status::ok();
}

}  // namespace orlop::agent
