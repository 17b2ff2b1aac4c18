#include "plugins/node-agent/pressure/memory_alarm.hpp"

#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

constexpr char kStalls[] = "/proc/pressure/memory";
constexpr char kStallTrigger[] = "some 100000 1000000";  // µs of stalls in a window of so many µs

bool write_text(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written = file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (file >= 0) ::close(file);
  return written;
}

}  // namespace

MemoryAlarm::MemoryAlarm(const CgroupTree& tree, std::string cgroup) : tree_(tree), cgroup_(std::move(cgroup)) {}

MemoryAlarm::~MemoryAlarm() {
  disarm();
}

void MemoryAlarm::disarm() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void MemoryAlarm::arm(uint64_t more_bytes) {
  if (tree_.unified()) {
    if (descriptor_ >= 0) return;  // stalls have no level to be set anew
    descriptor_ = ::open(kStalls, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor_ >= 0 && ::write(descriptor_, kStallTrigger, std::strlen(kStallTrigger) + 1) < 0) disarm();
    return;
  }
  disarm();
  const std::string folder = tree_.memory_folder(cgroup_);
  const auto used = read_number(folder + "/memory.usage_in_bytes");
  const int usage = ::open((folder + "/memory.usage_in_bytes").c_str(), O_RDONLY | O_CLOEXEC);
  if (!used || usage < 0) return;
  const int event = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const std::string request =
      std::to_string(event) + " " + std::to_string(usage) + " " + std::to_string(*used + more_bytes);
  if (event >= 0 && write_text(folder + "/cgroup.event_control", request)) {
    descriptor_ = event;
  } else if (event >= 0) {
    ::close(event);
  }
  ::close(usage);
}

void MemoryAlarm::clear() const {
  if (descriptor_ < 0 || tree_.unified()) return;
  uint64_t count = 0;
  static_cast<void>(!::read(descriptor_, &count, sizeof count));
}

}  // namespace orlop::agent
