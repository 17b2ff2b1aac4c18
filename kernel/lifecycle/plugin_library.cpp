#include "kernel/lifecycle/plugin_library.hpp"

#include "kernel/bus/call_router.hpp"
#include "kernel/bus/wire.hpp"
#include "kernel/lifecycle/manifest.hpp"

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <new>
#include <unordered_map>

#include <boost/dll/shared_library.hpp>
#include <dlfcn.h>
#include <fmt/format.h>

namespace orlop::lifecycle {
namespace {

constexpr const char* kSymbol = "orlop_plugin_entry";

// The address of the entry as bytes, not yet believed to be one.
Result<const void*> load_symbol(const std::string& path) {
  static std::mutex mutex;
  static auto& libraries = *new std::unordered_map<std::string, boost::dll::shared_library>;  // never unloaded
  std::lock_guard lock(mutex);
  auto found = libraries.find(path);
  if (found == libraries.end()) {
    boost::dll::fs::error_code error;
    boost::dll::shared_library library;
    library.load(path, error, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    if (error) {
      // Boost's code says only that it failed; the loader's own words name the missing symbol or library.
      const char* why = ::dlerror();
      return Status(std::filesystem::exists(path) ? Code::kInvalid : Code::kNotFound,
                    fmt::format("{} cannot be loaded: {}", path, why != nullptr ? why : error.message()));
    }
    found = libraries.emplace(path, std::move(library)).first;
  }
  if (!found->second.has(kSymbol)) {
    return Status(Code::kInvalid,
                  fmt::format("{} does not export {}: write ORLOP_PLUGIN(…) in one of its files", path, kSymbol));
  }
  return static_cast<const void*>(&found->second.get<const unsigned char>(kSymbol));
}

struct Outcome {
  bool answered = false;
  Status status;
  static void take(void* user, orlop_code code, orlop_slice payload) {
    auto* self = static_cast<Outcome*>(user);
    self->answered = true;
    self->status = bus::decode_status(bus::code_from_number(static_cast<uint64_t>(code)), view_of_slice(payload));
  }
  [[nodiscard]] Status judge(orlop_code code, const char* function) const {
    if (!answered && code == ORLOP_OK) return {};
    if (!answered) {
      return {bus::code_from_number(static_cast<uint64_t>(code)),
              fmt::format("{} failed with code {} and gave no reason", function, code)};
    }
    return status;
  }
};

}  // namespace

Result<const orlop_entry*> load_entry(const std::string& path) {
  ORLOP_ASSIGN(const void* address, load_symbol(path));
  uint64_t magic = 0;
  std::memcpy(&magic, address, sizeof magic);
  if (magic != ORLOP_PLUGIN_MAGIC) {
    return Status(Code::kInvalid, fmt::format("{} exports {}, but not an Orlop plugin's: its magic is {:#x}, not {:#x}",
                                              path, kSymbol, magic, static_cast<uint64_t>(ORLOP_PLUGIN_MAGIC)));
  }
  uint32_t versions[2] = {};
  std::memcpy(versions, static_cast<const char*>(address) + offsetof(orlop_entry, abi_major), sizeof versions);
  ORLOP_TRY(check_abi(versions[0], versions[1], path));
  uint32_t size = 0;
  std::memcpy(&size, static_cast<const char*>(address) + offsetof(orlop_entry, size), sizeof size);
  if (size < sizeof(orlop_entry)) {
    return Status(Code::kInvalid,
                  fmt::format("{} exports {} of {} bytes, {} are needed", path, kSymbol, size, sizeof(orlop_entry)));
  }
  const auto* entry = static_cast<const orlop_entry*>(address);
  if (entry->create == nullptr) return Status(Code::kInvalid, fmt::format("{} has no create function", path));
  return entry;
}

Result<orlop_plugin> create_plugin(const orlop_entry& entry, const orlop_host& host, const std::string& path) {
  orlop_plugin plugin{};
  plugin.size = sizeof plugin;
  const orlop_code code = entry.create(&host, &plugin);
  if (code != ORLOP_OK) {
    return Status(Code::kInternal, fmt::format("create of {} failed with code {} ({})", path, code,
                                               reason_of(bus::code_from_number(static_cast<uint64_t>(code)))));
  }
  const bool complete = plugin.size >= offsetof(orlop_plugin, destroy) + sizeof plugin.destroy &&
                        plugin.init != nullptr && plugin.start != nullptr && plugin.stop != nullptr &&
                        plugin.handle_call != nullptr && plugin.wake != nullptr && plugin.health != nullptr &&
                        plugin.destroy != nullptr;
  if (!complete) return Status(Code::kInternal, fmt::format("create of {} left a function out", path));
  return plugin;
}

Status run_init(const orlop_plugin& plugin, std::string_view config) {
  Outcome outcome;
  const orlop_code code = plugin.init(plugin.self, slice_of_bytes(config), &Outcome::take, &outcome);
  return outcome.judge(code, "init");
}

Status run_start(const orlop_plugin& plugin) {
  Outcome outcome;
  const orlop_code code = plugin.start(plugin.self, &Outcome::take, &outcome);
  return outcome.judge(code, "start");
}

}  // namespace orlop::lifecycle
