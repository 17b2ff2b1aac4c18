#include "plugins/node-agent/volumes/recycle.hpp"

#include "orlop/objects.hpp"
#include "orlop/storage.hpp"
#include "orlop/tree.hpp"

#include <filesystem>

namespace orlop::agent {
namespace {

Status may_be_emptied(const Host& host, const storage::PersistentVolume& volume) {
  const std::string who = "volume \"" + volume.metadata().name() + "\" ";
  const auto& spec = volume.spec();
  if (!spec.persistentvolumesource().has_hostpath() || spec.persistentvolumereclaimpolicy() != "Recycle") {
    return {Code::kConflict, who + "is not one to be recycled"};
  }
  const std::string& phase = volume.status().phase();
  if (phase != "Released" && phase != "Failed") return {Code::kConflict, who + "is " + phase + ", not Released"};
  const auto& ref = spec.claimref();
  const auto claim = Objects<storage::Claim>(host).get(ref.namespace_(), ref.name());
  if (!claim && claim.code() != Code::kNotFound) return claim.status();
  if (claim && claim->object.metadata().uid() == ref.uid()) return {Code::kConflict, who + "still has its claim"};
  return Status::ok();
}

}  // namespace

Status recycle_volume(const Host& host, const std::string& name, const std::string& uid) {
  ORLOP_ASSIGN(const auto volume, Objects<storage::PersistentVolume>(host).get("", name));
  if (volume.object.metadata().uid() != uid) return {Code::kNotFound, "volume \"" + name + "\" is another one by now"};
  ORLOP_TRY(may_be_emptied(host, volume.object));
  const std::string& path = volume.object.spec().persistentvolumesource().hostpath().path();
  const std::filesystem::path plain = std::filesystem::path(path).lexically_normal();
  if (!plain.is_absolute() || plain == "/") return {Code::kConflict, "\"" + path + "\" is not emptied"};
  const OwnDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.is_open()) return remove_content(folder.get());
  if (errno == ENOENT) return Status::ok();
  return {Code::kUnavailable, "cannot open " + path + ": " + std::strerror(errno)};
}

}  // namespace orlop::agent
