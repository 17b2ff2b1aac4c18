#include "plugins/node-agent/images/image_garbage.hpp"

#include "orlop/v1/runtime.pb.h"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

using ContainerImage = k8s::io::api::core::v1::ContainerImage;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr size_t kNodeImagesMax = 50;
constexpr int kNamesMax = 5;
constexpr uint32_t kRemoveDeadlineMs = 120'000;

ContainerImage node_image(const cri::Image& image) {
  ContainerImage out;
  for (const auto* names : {&image.repo_digests(), &image.repo_tags()}) {
    for (const std::string& name : *names) {
      if (out.names_size() < kNamesMax) out.add_names(name);
    }
  }
  out.set_sizebytes(static_cast<int64_t>(image.size()));
  return out;
}

bool same_images(const NodeImages& a, const NodeImages& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ContainerImage& x, const ContainerImage& y) {
    return x.SerializeAsString() == y.SerializeAsString();
  });
}

}  // namespace

ImageGarbage::ImageGarbage(Host host, const RuntimeClient& runtime, EventRecorder& events, std::string node,
                           ImageGarbageSettings settings, LookAtDisk look_at_disk)
    : host_(host),
      runtime_(runtime),
      events_(events),
      node_(std::move(node)),
      settings_(settings),
      look_at_disk_(std::move(look_at_disk)) {}

Status ImageGarbage::collect() {
  const std::lock_guard lock(work_mutex_);
  const Status status = collect_by_disk();
  if (!status && std::exchange(failed_once_, true)) tell("ImageGCFailed", status.message());
  if (status) failed_once_ = true;
  return status;
}

Status ImageGarbage::collect_by_disk() {
  ORLOP_TRY(look_locked());
  ORLOP_ASSIGN(const std::string folder, image_folder());
  const DiskSpace disk = look_at_disk_(folder);
  const auto capacity = static_cast<int64_t>(disk.capacity_bytes);
  if (capacity == 0) {
    const std::string message = "invalid capacity 0 on image filesystem " + folder;
    tell("InvalidDiskCapacity", message);
    return {Code::kUnavailable, message};
  }
  const int64_t available = std::min(static_cast<int64_t>(disk.available_bytes), capacity);
  const int64_t used_percent = 100 - available * 100 / capacity;
  if (used_percent < settings_.high_percent) return Status::ok();
  const int64_t wanted = capacity * (100 - settings_.low_percent) / 100 - available;
  ORLOP_ASSIGN(const int64_t freed, free_locked(wanted));
  if (freed > 0) ORLOP_TRY(look_locked());
  if (freed >= wanted) return Status::ok();
  const std::string message = "Failed to garbage collect required amount of images. Attempted to free " +
                              std::to_string(wanted) + " bytes, but only found " + std::to_string(freed) +
                              " bytes eligible to free.";
  tell("FreeDiskSpaceFailed", message);
  return {Code::kUnavailable, message};
}

Result<int64_t> ImageGarbage::free_bytes(int64_t wanted) {
  const std::lock_guard lock(work_mutex_);
  ORLOP_TRY(look_locked());
  ORLOP_ASSIGN(const int64_t freed, free_locked(wanted));
  if (freed > 0) ORLOP_TRY(look_locked());
  return freed;
}

Result<bool> ImageGarbage::look() {
  const std::lock_guard lock(work_mutex_);
  ORLOP_TRY(look_locked());
  return std::exchange(changed_, false);
}

NodeImages ImageGarbage::node_images() const {
  const std::lock_guard lock(list_mutex_);
  return list_;
}

Status ImageGarbage::look_locked() {
  ORLOP_TRY(learn_pinned());
  ORLOP_ASSIGN(const auto images,
               runtime_.invoke<cri::ListImagesResponse>("ImageService/ListImages", cri::ListImagesRequest()));
  ORLOP_ASSIGN(const auto containers, runtime_.invoke<cri::ListContainersResponse>("RuntimeService/ListContainers",
                                                                                   cri::ListContainersRequest()));
  std::set<std::string> used;
  for (const cri::Container& container : containers.containers()) {
    used.insert(container.image_ref());
    used.insert(container.image().image());
  }
  const int64_t now = host_.monotonic_now_ns();
  std::map<std::string, Record> records;
  NodeImages list;
  for (const cri::Image& image : images.images()) {
    const auto known = records_.find(image.id());
    Record record = known != records_.end() ? known->second : Record{looked_ ? now : 0, 0, 0, false, false};
    const auto is_named_in = [&](const std::set<std::string>& names) {
      const auto has = [&](const std::string& name) { return names.contains(name); };
      return has(image.id()) || std::any_of(image.repo_tags().begin(), image.repo_tags().end(), has) ||
             std::any_of(image.repo_digests().begin(), image.repo_digests().end(), has);
    };
    record.in_use = is_named_in(used);
    record.pinned = image.pinned() || is_named_in(pinned_names_);
    record.size_bytes = static_cast<int64_t>(image.size());
    if (record.in_use) record.used_ns = now;
    records[image.id()] = record;
    list.push_back(node_image(image));
  }
  records_ = std::move(records);
  looked_ = true;
  std::sort(list.begin(), list.end(), [](const ContainerImage& a, const ContainerImage& b) {
    if (a.sizebytes() != b.sizebytes()) return a.sizebytes() > b.sizebytes();
    return a.SerializeAsString() < b.SerializeAsString();
  });
  if (list.size() > kNodeImagesMax) list.resize(kNodeImagesMax);
  const std::lock_guard lock(list_mutex_);
  changed_ = changed_ || !same_images(list, list_);
  list_ = std::move(list);
  return Status::ok();
}

Result<int64_t> ImageGarbage::free_locked(int64_t wanted) {
  const int64_t now = host_.monotonic_now_ns();
  std::vector<std::pair<std::string, Record>> candidates;
  for (const auto& [id, record] : records_) {
    const bool is_young = record.found_ns != 0 && now - record.found_ns < settings_.min_age_s * kSecondNs;
    if (!record.in_use && !record.pinned && !is_young) candidates.emplace_back(id, record);
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.used_ns, a.second.found_ns) < std::pair(b.second.used_ns, b.second.found_ns);
  });
  int64_t freed = 0;
  std::string failures;
  for (const auto& [id, record] : candidates) {
    if (freed >= wanted) break;
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(id);
    const auto removed =
        runtime_.invoke<cri::RemoveImageResponse>("ImageService/RemoveImage", request, kRemoveDeadlineMs);
    if (!removed) {
      failures += (failures.empty() ? "" : ", ") + removed.message();
      continue;
    }
    host_.log_info("image " + id + " is removed to free " + std::to_string(record.size_bytes) + " bytes");
    records_.erase(id);
    freed += record.size_bytes;
  }
  if (!failures.empty()) {
    return Status(Code::kUnavailable, "wanted to free " + std::to_string(wanted) + " bytes, but freed " +
                                          std::to_string(freed) +
                                          " bytes space with errors in image deletion: " + failures);
  }
  return freed;
}

Result<std::string> ImageGarbage::image_folder() {
  if (!folder_.empty()) return folder_;
  const auto info = runtime_.invoke<cri::ImageFsInfoResponse>("ImageService/ImageFsInfo", cri::ImageFsInfoRequest());
  if (!info) return info.status();
  if (info->image_filesystems_size() == 0)
    return Status(Code::kUnavailable, "the runtime does not tell where images are");
  folder_ = info->image_filesystems(0).fs_id().mountpoint();
  return folder_;
}

// What the runtime cannot do without: CRI's own mark is not set by every version of it.
Status ImageGarbage::learn_pinned() {
  if (std::exchange(knows_pinned_, true)) return Status::ok();
  auto about = call<v1::RuntimeInfoResponse>(host_, {"runtime", runtime_.provider(), 5000}, "orlop.v1.Runtime/Info",
                                             v1::RuntimeInfoRequest());
  knows_pinned_ = about.is_ok();
  if (!about) return about.status();
  pinned_names_.insert(about->pinned_images().begin(), about->pinned_images().end());
  return Status::ok();
}

void ImageGarbage::tell(std::string_view reason, const std::string& message) {
  EventRecorder::ObjectReference node;
  node.set_kind("Node");
  node.set_apiversion("v1");
  node.set_name(node_);
  node.set_uid(node_);
  events_.record(std::move(node), EventType::kWarning, reason, message);
}

}  // namespace orlop::agent
