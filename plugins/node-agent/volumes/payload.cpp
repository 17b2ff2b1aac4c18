#include "plugins/node-agent/volumes/payload.hpp"

#include "orlop/objects.hpp"
#include "plugins/node-agent/files.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace orlop::agent {
namespace {

namespace core = k8s::io::api::core::v1;

constexpr int32_t kDefaultMode = 0644;
constexpr uint32_t kOwnerOnly = 0600;

using Items = google::protobuf::RepeatedPtrField<core::KeyToPath>;
using DownwardItems = google::protobuf::RepeatedPtrField<core::DownwardAPIVolumeFile>;

struct Words {
  const char* kind;
  const char* missing_key;
};
template <typename Object>
Words words_of();
template <>
Words words_of<core::ConfigMap>() {
  return {"configmap", "configmap references non-existent config key: "};
}
template <>
Words words_of<core::Secret>() {
  return {"secret", "references non-existent secret key: "};
}

Status leaves(const std::string& path) {
  return {Code::kInvalid, "path \"" + path + "\" leaves its volume"};
}

template <typename Object>
std::map<std::string, std::string> data_of(const Object& object) {
  std::map<std::string, std::string> data(object.data().begin(), object.data().end());
  if constexpr (requires { object.binarydata(); }) {
    data.insert(object.binarydata().begin(), object.binarydata().end());
  }
  return data;
}

class Collector {
 public:
  Collector(const Host& host, const EnvironmentInputs& inputs, const TokenSource& tokens)
      : host_(host), inputs_(inputs), tokens_(tokens) {}

  template <typename Object>
  Status add_object(const std::string& name, bool optional, const Items& items, int32_t mode) {
    const std::string& space = inputs_.pod->metadata().namespace_();
    auto stored = Objects<Object>(host_).get(space, name);
    const Words words = words_of<Object>();
    if (!stored) {
      if (stored.code() != Code::kNotFound) return stored.status();
      if (optional) return Status::ok();
      return {Code::kNotFound, std::string(words.kind) + " \"" + name + "\" not found"};
    }
    if (stored->object.immutable()) out_.immutable.insert({std::is_same_v<Object, core::Secret>, space, name});
    const std::map<std::string, std::string> data = data_of(stored->object);
    if (items.empty()) {
      for (const auto& [key, bytes] : data) put(key, {bytes, static_cast<uint32_t>(mode), {}});
      return Status::ok();
    }
    for (const core::KeyToPath& item : items) {
      const auto found = data.find(item.key());
      if (found == data.end()) {
        if (optional) continue;
        return {Code::kNotFound, words.missing_key + item.key()};
      }
      if (!is_inner_path(item.path())) return leaves(item.path());
      put(item.path(), {found->second, static_cast<uint32_t>(item.has_mode() ? item.mode() : mode), {}});
    }
    return Status::ok();
  }

  Status add_downward(const DownwardItems& items, int32_t mode) {
    for (const auto& item : items) {
      if (!is_inner_path(item.path())) return leaves(item.path());
      FileContent file{{}, static_cast<uint32_t>(item.has_mode() ? item.mode() : mode), {}};
      if (item.has_fieldref()) {
        const auto value = field_value(inputs_, item.fieldref().fieldpath());
        if (!value) return {Code::kInvalid, "unsupported fieldPath: " + item.fieldref().fieldpath()};
        file.bytes = *value;
      } else {
        ORLOP_ASSIGN(file.bytes, resource_of(inputs_, item.resourcefieldref()));
      }
      put(item.path(), std::move(file));
    }
    return Status::ok();
  }

  Status add_token(const TokenProjection& projection, int32_t mode) {
    if (!is_inner_path(projection.path())) return leaves(projection.path());
    ORLOP_ASSIGN(std::string token, tokens_(projection));
    FileContent file{std::move(token), static_cast<uint32_t>(mode), common_user_of(*inputs_.pod)};
    // Whoever else the containers run as reads it by the volume's group, which opens it to 0640.
    if (file.owner || fs_group_of(*inputs_.pod)) file.mode = kOwnerOnly;
    put(projection.path(), std::move(file));
    return Status::ok();
  }

  Status add_projected(const core::ProjectedVolumeSource& source) {
    const int32_t mode = source.has_defaultmode() ? source.defaultmode() : kDefaultMode;
    std::vector<Status> faults;
    const auto note = [&](Status status) {
      if (!status) faults.push_back(std::move(status));
    };
    for (const auto& part : source.sources()) {
      if (part.has_configmap()) {
        const auto& from = part.configmap();
        note(add_object<core::ConfigMap>(from.localobjectreference().name(), from.optional(), from.items(), mode));
      }
      if (part.has_secret()) {
        const auto& from = part.secret();
        note(add_object<core::Secret>(from.localobjectreference().name(), from.optional(), from.items(), mode));
      }
      if (part.has_downwardapi()) note(add_downward(part.downwardapi().items(), mode));
      if (part.has_serviceaccounttoken()) note(add_token(part.serviceaccounttoken(), mode));
      if (part.has_clustertrustbundle()) {
        note({Code::kInvalid, "ClusterTrustBundle projection is not supported in static kubelet mode"});
      }
    }
    if (faults.empty()) return Status::ok();
    if (faults.size() == 1) return faults.front();
    std::string all;
    for (const Status& fault : faults) all += (all.empty() ? "" : ", ") + fault.message();
    return {faults.front().code(), "[" + all + "]"};
  }

  Payload take() { return std::move(out_); }

 private:
  void put(const std::string& path, FileContent file) { out_.files[path] = std::move(file); }

  const Host& host_;
  const EnvironmentInputs& inputs_;
  const TokenSource& tokens_;
  Payload out_;
};

bool tells_of_metadata(const DownwardItems& items) {
  return std::any_of(items.begin(), items.end(), [](const auto& item) {
    const std::string& path = item.fieldref().fieldpath();
    return path.starts_with("metadata.labels") || path.starts_with("metadata.annotations");
  });
}

}  // namespace

bool has_payload(const Volume& volume) {
  const auto& source = volume.volumesource();
  return source.has_configmap() || source.has_secret() || source.has_downwardapi() || source.has_projected();
}

bool tells_of_metadata(const Volume& volume) {
  const auto& source = volume.volumesource();
  if (source.has_downwardapi()) return tells_of_metadata(source.downwardapi().items());
  const auto& parts = source.projected().sources();
  return std::any_of(parts.begin(), parts.end(),
                     [](const auto& part) { return tells_of_metadata(part.downwardapi().items()); });
}

Result<Payload> collect_payload(const Host& host, const EnvironmentInputs& inputs, const Volume& volume,
                                const TokenSource& tokens) {
  Collector collector(host, inputs, tokens);
  const auto& source = volume.volumesource();
  const auto mode = [](const auto& from) { return from.has_defaultmode() ? from.defaultmode() : kDefaultMode; };
  if (source.has_configmap()) {
    const auto& from = source.configmap();
    ORLOP_TRY(collector.add_object<core::ConfigMap>(from.localobjectreference().name(), from.optional(), from.items(),
                                                    mode(from)));
  } else if (source.has_secret()) {
    const auto& from = source.secret();
    ORLOP_TRY(collector.add_object<core::Secret>(from.secretname(), from.optional(), from.items(), mode(from)));
  } else if (source.has_downwardapi()) {
    ORLOP_TRY(collector.add_downward(source.downwardapi().items(), mode(source.downwardapi())));
  } else {
    ORLOP_TRY(collector.add_projected(source.projected()));
  }
  return collector.take();
}

}  // namespace orlop::agent
