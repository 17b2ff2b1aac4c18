#include "plugins/node-agent/logs/termination_message.hpp"

#include "plugins/node-agent/files.hpp"
#include "plugins/node-agent/logs/log_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

constexpr int64_t kFileBytesMax = 4096;
constexpr size_t kLogBytesMax = 2048;
constexpr int64_t kLogLinesMax = 80;
constexpr size_t kPodBytesMax = 12 * 1024;

// Its last bytes. The file is the container's to write: no link of its making is followed, no pipe waited for.
std::string end_of_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat found {};
  if (file < 0 || ::fstat(file, &found) != 0 || !S_ISREG(found.st_mode)) {
    const std::string why = file < 0 ? std::strerror(errno) : "not a regular file";
    if (file >= 0) ::close(file);
    return "Error on reading termination log " + path + ": " + why;
  }
  std::string out(static_cast<size_t>(std::min<int64_t>(found.st_size, kFileBytesMax)), '\0');
  const ssize_t size = ::pread(file, out.data(), out.size(), found.st_size - static_cast<off_t>(out.size()));
  ::close(file);
  out.resize(static_cast<size_t>(std::max<ssize_t>(0, size)));
  return out;
}

std::string end_of_log(const std::string& path) {
  LogOptions options;
  options.path = path;
  options.tail_lines = kLogLinesMax;
  std::string out;
  const Status read = read_log(options, -1, -1, [&](std::string_view part) {
    out += part;
    if (out.size() > kLogBytesMax) out.erase(0, out.size() - kLogBytesMax);
    return true;
  });
  return read ? out : "Error reading from the log " + path + ": " + read.message();
}

// Cut in the middle of a character, a text would not be UTF-8 any more and could not be stored.
std::string as_utf8(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xf0 && first < 0xf5 ? 4
                          : first >= 0xe0                 ? 3
                          : first >= 0xc2                 ? 2
                                                          : 0;
    bool whole = length > 0 && first < 0xf5 && i + length <= text.size();
    for (size_t k = 1; whole && k < length; ++k) whole = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    if (whole && length == 3) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      whole = !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second >= 0xa0);
    } else if (whole && length == 4) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      whole = !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second >= 0x90);
    }
    out += whole ? text.substr(i, length) : "\xef\xbf\xbd";
    i += whole ? length : 1;
  }
  return out;
}

std::string message_of(const Container& container, const cri::ContainerStatus& status, const std::string& log_folder) {
  std::string out;
  for (const cri::Mount& mount : status.mounts()) {
    if (mount.container_path() == container.terminationmessagepath()) out = end_of_file(mount.host_path());
  }
  const bool asks_for_log = container.terminationmessagepolicy() == "FallbackToLogsOnError" && status.exit_code() != 0;
  if (out.empty() && asks_for_log) {
    out = end_of_log(log_folder + "/" + container.name() + "/" + std::to_string(status.metadata().attempt()) + ".log");
  }
  return as_utf8(out);
}

}  // namespace

Result<Mount> make_termination_file(const std::string& folder, const Container& container, uint32_t attempt) {
  const std::string inner = folder + "/containers/" + container.name();
  ORLOP_TRY(make_folder(inner, 0750));
  // Those of containers that are no longer kept.
  if (attempt >= 2) ::unlink((inner + "/" + std::to_string(attempt - 2)).c_str());
  const std::string path = inner + "/" + std::to_string(attempt);
  ORLOP_TRY(write_file(path, "", 0666));
  return Mount{path, container.terminationmessagepath(), false, ""};
}

void add_termination_messages(const kube::Pod& pod, const std::string& log_folder, RuntimePod& runtime) {
  const auto count = pod.spec().containers_size() + pod.spec().initcontainers_size();
  const size_t bytes_max =
      std::min<size_t>(kFileBytesMax, count == 0 ? kPodBytesMax : kPodBytesMax / static_cast<size_t>(count));
  for (cri::ContainerStatus& status : runtime.containers) {
    if (status.state() != cri::CONTAINER_EXITED) continue;
    for (const auto* list : {&pod.spec().containers(), &pod.spec().initcontainers()}) {
      for (const Container& container : *list) {
        if (container.name() != status.metadata().name()) continue;
        const std::string last_words = message_of(container, status, log_folder);
        if (last_words.empty()) continue;
        std::string whole = status.message().empty() ? last_words : status.message() + ": " + last_words;
        if (whole.size() > bytes_max) whole = as_utf8(whole.substr(0, bytes_max));
        status.set_message(whole);
      }
    }
  }
}

}  // namespace orlop::agent
