#include "plugins/api-kubernetes/kinds/volume_rules.hpp"

#include "orlop/kube/core_v1.hpp"
#include "plugins/api-kubernetes/kinds/environment_rules.hpp"
#include "plugins/api-kubernetes/kinds/meta_rules.hpp"
#include "plugins/api-kubernetes/kinds/quantities.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

bool climbs(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    if (path.substr(0, slash) == "..") return true;
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
}

// As above, and not one of the names that an atomic writer keeps for itself ("..data").
void validate_file_path(const std::string& value, const FieldPath& path, FieldErrors* errors) {
  validate_local_path(value, path, errors);
  if (value.starts_with("..") && !value.starts_with("../")) {
    errors->invalid(path, value, "must not start with '..'");
  }
}

void validate_mode(int32_t mode, const FieldPath& path, FieldErrors* errors) {
  if (mode < 0 || mode > 0777)
    errors->invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
}

template <typename Items>
void validate_items(const Items& items, const FieldPath& path, FieldErrors* errors) {
  for (int i = 0; i < items.size(); ++i) {
    const auto at = path.index(static_cast<size_t>(i));
    if (items[i].key().empty()) errors->required(at.child("key"));
    if (items[i].path().empty()) {
      errors->required(at.child("path"));
    } else {
      validate_file_path(items[i].path(), at.child("path"), errors);
    }
    if (items[i].has_mode()) validate_mode(items[i].mode(), at.child("mode"), errors);
  }
}

// Upstream gives the path of the list, not of the item.
void validate_downward(const google::protobuf::RepeatedPtrField<corev1::DownwardAPIVolumeFile>& items,
                       const FieldPath& path, FieldErrors* errors) {
  static const std::vector<std::string_view> kFields = {"metadata.annotations", "metadata.labels", "metadata.name",
                                                        "metadata.namespace", "metadata.uid"};
  for (const auto& file : items) {
    if (file.path().empty()) errors->required(path.child("path"));
    validate_file_path(file.path(), path.child("path"), errors);
    if (file.has_fieldref()) {
      validate_field_ref(file.fieldref(), kFields, path.child("fieldRef"), errors);
      if (file.has_resourcefieldref()) {
        errors->invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
      }
    } else if (file.has_resourcefieldref()) {
      validate_resource_ref(file.resourcefieldref(), true, path.child("resourceFieldRef"), errors);
    } else {
      errors->required(path, "one of fieldRef and resourceFieldRef is required");
    }
    if (file.has_mode()) validate_mode(file.mode(), path.child("mode"), errors);
  }
}

// The paths that the sources of one projected volume write; a second one of a name is a fault.
class ProjectedPaths {
 public:
  ProjectedPaths(const FieldPath& path, FieldErrors* errors) : path_(path), errors_(errors) {}
  void take(const std::string& file, const std::string& shown) {
    if (file.empty() || taken_.insert(file).second) return;
    errors_->invalid(path_, shown, "conflicting duplicate paths");
  }

 private:
  const FieldPath& path_;
  FieldErrors* errors_;
  std::set<std::string> taken_;
};

// Secret and config map projections have the same fields.
template <typename Projection>
void validate_keys(const Projection& source, const FieldPath& path, ProjectedPaths* taken, FieldErrors* errors) {
  const std::string& name = source.localobjectreference().name();
  if (name.empty()) errors->required(path.child("name"));
  validate_items(source.items(), path.child("items"), errors);
  for (const auto& item : source.items()) taken->take(item.path(), name);
}

void validate_token(const corev1::ServiceAccountTokenProjection& token, const FieldPath& path,
                    const FieldPath& volume_path, FieldErrors* errors) {
  constexpr int64_t kSecondsMin = 600, kSecondsMax = int64_t{1} << 32;
  const auto at = path.child("expirationSeconds");
  if (token.has_expirationseconds() && token.expirationseconds() < kSecondsMin) {
    errors->invalid(at, token.expirationseconds(), "may not specify a duration less than 10 minutes");
  }
  if (token.expirationseconds() > kSecondsMax) {
    errors->invalid(at, token.expirationseconds(), "may not specify a duration larger than 2^32 seconds");
  }
  if (token.path().empty()) {
    errors->required(volume_path.child("path"));
  } else {
    validate_file_path(token.path(), volume_path.child("path"), errors);
  }
}

void validate_projected(const corev1::ProjectedVolumeSource& projected, const FieldPath& path, FieldErrors* errors) {
  if (projected.has_defaultmode()) validate_mode(projected.defaultmode(), path.child("defaultMode"), errors);
  ProjectedPaths taken(path, errors);
  for (int i = 0; i < projected.sources_size(); ++i) {
    const auto& source = projected.sources(i);
    const auto at = path.child("sources").index(static_cast<size_t>(i));
    if (source.has_secret()) validate_keys(source.secret(), at.child("secret"), &taken, errors);
    if (source.has_configmap()) validate_keys(source.configmap(), at.child("configMap"), &taken, errors);
    if (source.has_downwardapi()) {
      validate_downward(source.downwardapi().items(), at.child("downwardAPI"), errors);
      for (const auto& file : source.downwardapi().items()) taken.take(file.path(), file.path());
    }
    if (source.has_serviceaccounttoken()) {
      validate_token(source.serviceaccounttoken(), at.child("serviceAccountToken"), path, errors);
    }
    if (source.has_secret() + source.has_configmap() + source.has_downwardapi() + source.has_serviceaccounttoken() >
        1) {
      errors->forbidden(at, "may not specify more than 1 volume type");
    }
  }
}

void validate_source(const corev1::VolumeSource& source, const FieldPath& path, FieldErrors* errors) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  source.GetReflection()->ListFields(source, &set);
  for (size_t i = 1; i < set.size(); ++i) {
    errors->forbidden(path.child(set[i]->name()), "may not specify more than 1 volume type");
  }
  if (set.empty()) errors->required(path, "must specify a volume type");
  if (set.size() != 1) return;
  if (source.has_emptydir() && !source.emptydir().sizelimit().string().empty()) {
    if (quantity_or_zero(source.emptydir().sizelimit().string()).sign() < 0) {
      errors->forbidden(path.child("emptyDir", "sizeLimit"), "SizeLimit field must be a valid resource quantity");
    }
  } else if (source.has_hostpath()) {
    const auto at = path.child("hostPath");
    if (source.hostpath().path().empty()) {
      errors->required(at.child("path"));
    } else if (climbs(source.hostpath().path())) {
      errors->invalid(at.child("path"), source.hostpath().path(), "must not contain '..'");
    }
    const auto& type = source.hostpath().type();
    static const std::set<std::string> kTypes = {"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
                                                 "File", "FileOrCreate", "Socket"};
    if (!kTypes.contains(type)) {
      errors->not_supported(at.child("type"), type, std::vector<std::string_view>(kTypes.begin(), kTypes.end()));
    }
  } else if (source.has_secret()) {
    if (source.secret().secretname().empty()) errors->required(path.child("secret", "secretName"));
    if (source.secret().has_defaultmode())
      validate_mode(source.secret().defaultmode(), path.child("secret", "defaultMode"), errors);
    validate_items(source.secret().items(), path.child("secret", "items"), errors);
  } else if (source.has_configmap()) {
    if (source.configmap().localobjectreference().name().empty()) errors->required(path.child("configMap", "name"));
    if (source.configmap().has_defaultmode())
      validate_mode(source.configmap().defaultmode(), path.child("configMap", "defaultMode"), errors);
    validate_items(source.configmap().items(), path.child("configMap", "items"), errors);
  } else if (source.has_persistentvolumeclaim()) {
    if (source.persistentvolumeclaim().claimname().empty())
      errors->required(path.child("persistentVolumeClaim", "claimName"));
  } else if (source.has_nfs()) {
    if (source.nfs().server().empty()) errors->required(path.child("nfs", "server"));
    if (source.nfs().path().empty()) {
      errors->required(path.child("nfs", "path"));
    } else if (!source.nfs().path().starts_with('/')) {
      errors->invalid(path.child("nfs", "path"), source.nfs().path(), "must be an absolute path");
    }
  } else if (source.has_downwardapi()) {
    const auto at = path.child("downwardAPI");
    if (source.downwardapi().has_defaultmode()) {
      validate_mode(source.downwardapi().defaultmode(), at.child("defaultMode"), errors);
    }
    validate_downward(source.downwardapi().items(), at, errors);
  } else if (source.has_projected()) {
    validate_projected(source.projected(), path.child("projected"), errors);
  } else if (source.has_csi()) {
    if (source.csi().driver().empty()) errors->required(path.child("csi", "driver"));
  } else if (source.has_ephemeral()) {
    if (!source.ephemeral().has_volumeclaimtemplate()) {
      errors->required(path.child("ephemeral", "volumeClaimTemplate"));
    } else {
      validate_claim_spec(source.ephemeral().volumeclaimtemplate().spec(),
                          path.child("ephemeral", "volumeClaimTemplate", "spec"), errors);
    }
  }
}

}  // namespace

void validate_local_path(const std::string& value, const FieldPath& path, FieldErrors* errors) {
  if (value.starts_with('/')) errors->invalid(path, value, "must be a relative path");
  if (climbs(value)) errors->invalid(path, value, "must not contain '..'");
}

KnownVolumes validate_volumes(const corev1::PodSpec& spec, const FieldPath& path, FieldErrors* errors) {
  KnownVolumes known;
  std::set<std::string> names;
  for (int i = 0; i < spec.volumes_size(); ++i) {
    const auto& volume = spec.volumes(i);
    const auto at = path.index(static_cast<size_t>(i));
    validate_source(volume.volumesource(), at, errors);
    if (volume.name().empty()) {
      errors->required(at.child("name"));
    } else {
      errors->invalid(at.child("name"), volume.name(), dns1123_label_faults(volume.name()));
    }
    if (!names.insert(volume.name()).second) errors->duplicate(at.child("name"), volume.name());
    known.emplace(volume.name(),
                  volume.volumesource().has_persistentvolumeclaim() || volume.volumesource().has_ephemeral());
  }
  return known;
}

void validate_claim_spec(const corev1::PersistentVolumeClaimSpec& spec, const FieldPath& path, FieldErrors* errors) {
  if (spec.accessmodes().empty()) errors->required(path.child("accessModes"), "at least 1 access mode is required");
  if (spec.has_selector()) validate_label_selector(spec.selector(), path.child("selector"), errors);
  static const std::vector<std::string_view> kModes = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                                       "ReadWriteOncePod"};
  for (const auto& mode : spec.accessmodes()) {
    if (std::find(kModes.begin(), kModes.end(), mode) == kModes.end())
      errors->not_supported(path.child("accessModes"), mode, kModes);
  }
  auto storage = spec.resources().requests().find("storage");
  if (storage == spec.resources().requests().end()) {
    errors->required(path.child("resources").key("storage"));
  } else {
    const auto amount = parse_quantity(storage->second.string());
    if (!amount || amount->sign() <= 0) {
      errors->invalid(path.child("resources").key("storage"), storage->second.string(), "must be greater than zero");
    }
  }
  if (!spec.storageclassname().empty()) {
    errors->invalid(path.child("storageClassName"), spec.storageclassname(),
                    dns1123_subdomain_faults(spec.storageclassname()));
  }
  if (spec.has_volumemode() && spec.volumemode() != "Block" && spec.volumemode() != "Filesystem") {
    errors->not_supported(path.child("volumeMode"), spec.volumemode(), {"Block", "Filesystem"});
  }
}

}  // namespace orlop::apikube
