#include "plugins/node-agent/log_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::agent {
namespace {

constexpr int kRecheckMs = 1000;  // how often a followed log asks whether its container still runs

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

// Where the last `lines` lines begin.
off_t find_tail(int file, int64_t lines) {
  off_t position = ::lseek(file, 0, SEEK_END);
  if (lines <= 0) return position;
  std::array<char, 65536> block;
  bool at_end = true;
  while (position > 0) {
    const auto size = static_cast<size_t>(std::min<off_t>(position, static_cast<off_t>(block.size())));
    position -= static_cast<off_t>(size);
    if (::pread(file, block.data(), size, position) != static_cast<ssize_t>(size)) return 0;
    for (size_t i = size; i-- > 0;) {
      if (block[i] != '\n') {
        at_end = false;
        continue;
      }
      if (at_end) {  // the line feed of the last line itself
        at_end = false;
        continue;
      }
      if (--lines == 0) return position + static_cast<off_t>(i) + 1;
    }
  }
  return 0;
}

// Turns the runtime's lines into what the container wrote.
class LineFilter {
 public:
  LineFilter(const LogOptions& options, const std::function<bool(std::string_view)>& write)
      : options_(options), write_(write) {}

  // False: the reader went away or the limit is reached.
  bool add(std::string_view bytes) {
    pending_ += bytes;
    std::string out;
    size_t begin = 0;
    for (size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n', begin)) {
      line(std::string_view(pending_).substr(begin, end - begin), out);
      begin = end + 1;
    }
    pending_.erase(0, begin);
    if (options_.limit_bytes) {
      const auto left = static_cast<size_t>(std::max<int64_t>(0, *options_.limit_bytes - sent_));
      if (out.size() >= left) {
        out.resize(left);
        write_(out);
        return false;
      }
    }
    sent_ += static_cast<int64_t>(out.size());
    return out.empty() || write_(out);
  }

 private:
  void line(std::string_view text, std::string& out) {
    const size_t stream = text.find(' ');
    const size_t tag = stream == std::string_view::npos ? stream : text.find(' ', stream + 1);
    const size_t content = tag == std::string_view::npos ? tag : text.find(' ', tag + 1);
    if (content == std::string_view::npos) return;
    const std::string_view time = text.substr(0, stream);
    if (options_.since_unix_ns) {
      const auto at = parse_log_time(time);
      if (at && *at < *options_.since_unix_ns) return;
    }
    const bool whole = text.substr(tag + 1, content - tag - 1).starts_with('F');
    // A long line comes in parts: what the container wrote has one beginning.
    if (options_.timestamps && at_begin_) out.append(time).push_back(' ');
    out.append(text.substr(content + 1));
    if (whole) out.push_back('\n');
    at_begin_ = whole;
  }

  const LogOptions& options_;
  const std::function<bool(std::string_view)>& write_;
  std::string pending_;
  int64_t sent_ = 0;
  bool at_begin_ = true;
};

// All that can be read now. False: end.
bool drain(int file, LineFilter& filter) {
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t size = ::read(file, block.data(), block.size());
    if (size <= 0) return size == 0 || errno == EINTR;
    if (!filter.add({block.data(), static_cast<size_t>(size)})) return false;
  }
}

bool was_replaced(int file, const std::string& path) {
  struct stat open_file {
  }, named{};
  if (::fstat(file, &open_file) != 0 || ::stat(path.c_str(), &named) != 0) return false;
  return open_file.st_ino != named.st_ino;
}

}  // namespace

std::optional<int64_t> parse_log_time(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  int64_t nanos = 0;
  if (*rest == '.') {
    int64_t unit = 100'000'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) nanos += (*rest - '0') * unit;
  }
  int64_t offset_s = 0;
  if (*rest == '+' || *rest == '-') {
    int hours = 0, minutes = 0;
    if (std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2) return std::nullopt;
    offset_s = (hours * 3600 + minutes * 60) * (*rest == '-' ? -1 : 1);
  }
  return (static_cast<int64_t>(::timegm(&parts)) - offset_s) * 1'000'000'000 + nanos;
}

Status read_log(const LogOptions& options, int stop_event, int peer,
                const std::function<bool(std::string_view)>& write) {
  auto file = std::make_unique<Descriptor>(::open(options.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file->get() < 0) return {Code::kNotFound, "cannot open the log: " + std::string(std::strerror(errno))};
  if (options.tail_lines) ::lseek(file->get(), find_tail(file->get(), *options.tail_lines), SEEK_SET);
  LineFilter filter(options, write);
  const Descriptor changes(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const std::string folder = options.path.substr(0, options.path.rfind('/'));
  ::inotify_add_watch(changes.get(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  for (;;) {
    const bool running = options.follow && options.still_running && options.still_running();
    if (!drain(file->get(), filter)) return Status::ok();
    if (was_replaced(file->get(), options.path)) {
      file = std::make_unique<Descriptor>(::open(options.path.c_str(), O_RDONLY | O_CLOEXEC));
      if (file->get() >= 0) continue;
      return Status::ok();
    }
    if (!running) return Status::ok();
    std::array<pollfd, 3> waits{{{changes.get(), POLLIN, 0}, {stop_event, POLLIN, 0}, {peer, POLLIN | POLLRDHUP, 0}}};
    ::poll(waits.data(), waits.size(), kRecheckMs);
    if (waits[1].revents != 0 || waits[2].revents != 0) return Status::ok();
    std::array<char, 4096> events;
    while (::read(changes.get(), events.data(), events.size()) > 0) {
    }
  }
}

}  // namespace orlop::agent
