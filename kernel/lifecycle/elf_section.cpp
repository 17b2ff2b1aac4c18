#include "kernel/lifecycle/elf_section.hpp"

#include <cerrno>
#include <cstring>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orlop::lifecycle {
namespace {

class File {
 public:
  explicit File(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

  bool read(uint64_t offset, void* out, std::size_t size) const {
    auto* at = static_cast<char*>(out);
    while (size > 0) {
      const ssize_t got = ::pread(descriptor_, at, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      at += got;
      offset += static_cast<uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  int descriptor_;
};

// Whether [offset, offset + size) lies inside of a file of `total` bytes.
bool inside(uint64_t offset, uint64_t size, uint64_t total) {
  return offset <= total && size <= total - offset;
}

}  // namespace

Result<std::string> read_elf_section(const std::string& path, std::string_view name, std::size_t bytes_max) {
  const File file(path);
  if (file.descriptor() < 0) {
    const int error = errno;
    return Status(error == ENOENT ? Code::kNotFound : Code::kUnavailable,
                  error == ENOENT ? fmt::format("there is no file {}", path)
                                  : fmt::format("cannot read {}: {}", path, std::strerror(error)));
  }
  struct stat info {};
  if (::fstat(file.descriptor(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Status(Code::kInvalid, fmt::format("{} is not a regular file", path));
  }
  const auto total = static_cast<uint64_t>(info.st_size);
  auto broken = [&](const char* what) {
    return Status(Code::kInvalid, fmt::format("{} is not a shared library that can be read: {}", path, what));
  };

  Elf64_Ehdr header{};
  if (total < sizeof header || !file.read(0, &header, sizeof header)) return broken("it is no ELF file");
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return broken("it is no ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return broken("it is not for a 64-bit machine");
  constexpr unsigned char kOrder = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  if (header.e_ident[EI_DATA] != kOrder) return broken("it is for a machine of the other byte order");
  if (header.e_shoff == 0 || header.e_shnum == 0) return broken("it has no sections");
  if (header.e_shentsize != sizeof(Elf64_Shdr)) return broken("its section headers have an odd size");
  if (!inside(header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), total)) {
    return broken("its section headers lie outside of it");
  }
  if (header.e_shstrndx >= header.e_shnum) return broken("its section names are nowhere");

  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!file.read(header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr))) {
    return broken("its section headers cannot be read");
  }
  const Elf64_Shdr& names = sections[header.e_shstrndx];
  constexpr uint64_t kNamesMax = 1u << 20;
  if (names.sh_type != SHT_STRTAB || names.sh_size > kNamesMax || !inside(names.sh_offset, names.sh_size, total)) {
    return broken("its section names lie outside of it");
  }
  std::string text(names.sh_size, '\0');
  if (!file.read(names.sh_offset, text.data(), text.size())) return broken("its section names cannot be read");

  for (const auto& section : sections) {
    if (section.sh_name >= text.size()) continue;
    const char* start = text.data() + section.sh_name;
    const std::string_view section_name(start, ::strnlen(start, text.size() - section.sh_name));
    if (section_name != name || section.sh_type == SHT_NOBITS) continue;
    if (section.sh_size > bytes_max) return broken("its manifest is too large");
    if (!inside(section.sh_offset, section.sh_size, total)) return broken("its manifest lies outside of it");
    std::string bytes(section.sh_size, '\0');
    if (!file.read(section.sh_offset, bytes.data(), bytes.size())) return broken("its manifest cannot be read");
    return bytes;
  }
  return Status(Code::kNotFound, fmt::format("{} has no section {}: it is no plugin of Orlop", path, name));
}

}  // namespace orlop::lifecycle
