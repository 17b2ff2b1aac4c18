#include "plugins/storage-local/default_class.hpp"

#include "orlop/kube/storage_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/storage.hpp"
#include "plugins/storage-local/service.hpp"

#include <filesystem>
#include <fstream>

namespace orlop::local {

Status ensure_default_class(const Host& host, const std::string& name, const std::string& note) {
  using StorageClass = k8s::io::api::storage::v1::StorageClass;
  if (name.empty() || std::filesystem::exists(note)) return Status::ok();
  StorageClass wanted;
  wanted.mutable_metadata()->set_name(name);
  storage::annotate(wanted, storage::kDefaultClass, "true");
  wanted.set_provisioner(kDriver);
  wanted.set_reclaimpolicy("Delete");
  wanted.set_volumebindingmode("WaitForFirstConsumer");
  const Status made = Objects<StorageClass>(host).create(wanted).status();
  if (!made && made.code() != Code::kAlreadyExists) return made;
  std::ofstream(note) << name << "\n";
  return Status::ok();
}

}  // namespace orlop::local
