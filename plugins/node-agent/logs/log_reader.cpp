#include "plugins/node-agent/logs/log_reader.hpp"

#include "orlop/rfc3339.hpp"
#include "plugins/node-agent/logs/log_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

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

struct Tail {
  off_t begin = 0;    // where they begin
  int64_t lines = 0;  // how many there are
};

// The last `wanted` lines, or all when there are fewer.
Tail find_tail(int file, int64_t wanted) {
  Tail tail;
  off_t position = ::lseek(file, 0, SEEK_END);
  tail.begin = position;
  if (wanted <= 0) return tail;
  std::array<char, 65536> block;
  bool at_end = true;
  while (position > 0) {
    const auto size = static_cast<size_t>(std::min<off_t>(position, static_cast<off_t>(block.size())));
    position -= static_cast<off_t>(size);
    if (::pread(file, block.data(), size, position) != static_cast<ssize_t>(size)) break;
    for (size_t i = size; i-- > 0;) {
      const bool is_end_of_last = std::exchange(at_end, false);
      if (block[i] != '\n' || is_end_of_last) continue;
      if (++tail.lines == wanted) {
        tail.begin = position + static_cast<off_t>(i) + 1;
        return tail;
      }
    }
  }
  if (tail.begin > 0) ++tail.lines;  // the first line has no line feed before it
  tail.begin = 0;
  return tail;
}

// Turns the runtime's lines into what the container wrote.
class LineFilter {
 public:
  LineFilter(const LogOptions& options, const std::function<bool(std::string_view)>& write)
      : options_(options), write_(write) {}

  // When the last line was written; empty before the first.
  [[nodiscard]] const std::string& last_time() const { return last_time_; }

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
    last_time_ = time;
    if (options_.since_unix_ns) {
      const auto at = parse_rfc3339_ns(time);
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
  std::string last_time_;
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

ino_t inode_of(int file) {
  struct stat found {};
  return ::fstat(file, &found) == 0 ? found.st_ino : 0;
}

bool was_replaced(int file, const std::string& path) {
  struct stat named {};
  return ::stat(path.c_str(), &named) == 0 && named.st_ino != inode_of(file);
}

// All of one rotated file but its first lines. False: end. A damaged one is read as far as it goes.
bool send_rotated(const std::string& path, int64_t skipped_lines, LineFilter& filter) {
  auto source = LogSource::open(path);
  if (!source) return true;
  for (; skipped_lines > 0; --skipped_lines) {
    if (!source->line()) return true;
  }
  std::array<char, 65536> block;
  for (ssize_t size = source->read(block.data(), block.size()); size > 0;
       size = source->read(block.data(), block.size())) {
    if (!filter.add({block.data(), static_cast<size_t>(size)})) return false;
  }
  return true;
}

// One log, over all its files.
class LogWalk {
 public:
  LogWalk(const LogOptions& options, const std::function<bool(std::string_view)>& write)
      : options_(options), filter_(options, write) {}

  // Opens the file being written and sends what was rotated before it. False: end.
  Result<bool> begin() {
    open();
    std::vector<RotatedLog> before = rotated_logs(options_.path);
    std::erase_if(before, [&](const RotatedLog& log) { return file_ && log.inode == inode_of(file_->get()); });
    if (!file_ && before.empty()) {
      return Status(Code::kNotFound, "cannot open the log: " + std::string(std::strerror(errno)));
    }
    int64_t skipped = 0;
    if (options_.tail_lines) skipped = choose_tail(before);
    if (options_.since_unix_ns) {
      const auto is_old = [&](const RotatedLog& log) { return log.changed_ns < *options_.since_unix_ns; };
      if (!before.empty() && is_old(before.front())) skipped = 0;
      std::erase_if(before, is_old);
    }
    for (const RotatedLog& log : before) {
      if (!send_rotated(log.path, std::exchange(skipped, 0), filter_)) return false;
    }
    return true;
  }

  // Sends what there is now. False: end.
  bool go_on() {
    for (;;) {
      if (!file_) open();
      if (!file_) return true;
      if (!drain(file_->get(), filter_)) return false;
      if (!was_replaced(file_->get(), options_.path)) return true;
      // The runtime may have written into it until it opened the next one.
      if (!drain(file_->get(), filter_)) return false;
      for (const std::string& path : files_after(inode_of(file_->get()))) {
        if (!send_rotated(path, 0, filter_)) return false;
      }
      open();
    }
  }

 private:
  void open() {
    file_ = std::make_unique<Descriptor>(::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file_->get() < 0) file_.reset();
  }

  // Leaves those files of `before` that hold the tail and sets the position in the open one. Returns how many lines of
  // the first file are not part of it.
  int64_t choose_tail(std::vector<RotatedLog>& before) const {
    int64_t left = *options_.tail_lines;
    if (file_) {
      const Tail tail = find_tail(file_->get(), left);
      ::lseek(file_->get(), tail.begin, SEEK_SET);
      left -= tail.lines;
    }
    size_t first = before.size();
    int64_t skipped = 0;
    while (left > 0 && first > 0) {
      const int64_t lines = count_lines(before[--first].path);
      skipped = std::max<int64_t>(0, lines - left);
      left -= lines;
    }
    before.erase(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(first));
    return skipped;
  }

  // Files that were rotated after the one that was read: a slow reader may miss more than one rotation, and its own
  // file may be packed by then.
  std::vector<std::string> files_after(ino_t inode) const {
    std::vector<RotatedLog> rotated = rotated_logs(options_.path);
    std::vector<std::string> out;
    const auto own = std::find_if(rotated.begin(), rotated.end(), [&](const auto& log) { return log.inode == inode; });
    if (own != rotated.end()) {
      for (auto log = own + 1; log != rotated.end(); ++log) out.push_back(log->path);
      return out;
    }
    const auto last = parse_rfc3339_ns(filter_.last_time());
    if (!last) return out;
    for (const RotatedLog& log : rotated) {
      auto source = LogSource::open(log.path);
      const auto line = source ? source->line() : std::nullopt;
      const auto first = line ? parse_rfc3339_ns(line->substr(0, line->find(' '))) : std::nullopt;
      if (first && *first > *last) out.push_back(log.path);
    }
    return out;
  }

  const LogOptions& options_;
  LineFilter filter_;
  std::unique_ptr<Descriptor> file_;
};

}  // namespace

Status read_log(const LogOptions& options, int stop_event, int peer,
                const std::function<bool(std::string_view)>& write) {
  const Descriptor changes(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const std::string folder = options.path.substr(0, options.path.rfind('/'));
  ::inotify_add_watch(changes.get(), folder.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  LogWalk walk(options, write);
  ORLOP_ASSIGN(const bool begun, walk.begin());
  if (!begun) return Status::ok();
  for (;;) {
    const bool running = options.follow && options.still_running && options.still_running();
    if (!walk.go_on() || !running) return Status::ok();
    std::array<pollfd, 3> waits{{{changes.get(), POLLIN, 0}, {stop_event, POLLIN, 0}, {peer, POLLIN | POLLRDHUP, 0}}};
    ::poll(waits.data(), waits.size(), kRecheckMs);
    if (waits[1].revents != 0 || waits[2].revents != 0) return Status::ok();
    std::array<char, 4096> events;
    while (::read(changes.get(), events.data(), events.size()) > 0) {
    }
  }
}

}  // namespace orlop::agent
