#include "plugins/controllers-cluster/endpoints/endpoints.hpp"

#include <algorithm>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

namespace orlop::cluster {
namespace {

template <typename Labels>
bool selects(const std::map<std::string, std::string>& selector, const Labels& labels) {
  return !selector.empty() && std::all_of(selector.begin(), selector.end(), [&](const auto& entry) {
    const auto found = labels.find(entry.first);
    return found != labels.end() && found->second == entry.second;
  });
}

bool same_content(const Endpoints& a, const Endpoints& b) {
  if (a.subsets_size() != b.subsets_size() || !same_labels(a.metadata(), b.metadata())) return false;
  for (int i = 0; i < a.subsets_size(); ++i) {
    if (!google::protobuf::util::MessageDifferencer::Equals(a.subsets(i), b.subsets(i))) return false;
  }
  return true;
}

}  // namespace

void EndpointsController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  const std::string name(change.record.name);
  if (change.record.kind == "services") {
    Service service;
    if (change.type == ChangeType::kDeleted) {
      selectors_[name_space].erase(name);
    } else if (service.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) {
      selectors_[name_space][name] = Selector(service.spec().selector().begin(), service.spec().selector().end());
    }
    queue.add({name_space, name});
    return;
  }
  if (change.record.kind == "endpoints") {
    // Only somebody else's hand is of interest: what is missing or was edited is mended. Endpoints without a Service
    // are nobody's business here.
    if (change.type != ChangeType::kCreated && selectors_[name_space].contains(name)) queue.add({name_space, name});
    return;
  }
  if (change.record.kind == "endpointslices.discovery.k8s.io") {
    EndpointSlice slice;
    if (change.type == ChangeType::kCreated ||
        !slice.ParseFromArray(change.record.value.data(), static_cast<int>(change.record.value.size()))) {
      return;
    }
    const auto service = slice.metadata().labels().find(kServiceNameLabel);
    if (service != slice.metadata().labels().end()) queue.add({name_space, service->second});
    return;
  }
  kube::Pod pod;
  for (const std::string_view bytes : {change.record.value, change.previous_value}) {
    if (bytes.empty() || !pod.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) continue;
    for (const auto& [service, selector] : selectors_[name_space]) {
      if (selects(selector, pod.metadata().labels())) queue.add({name_space, service});
    }
  }
}

Result<Outcome> EndpointsController::reconcile(const ObjectKey& key) {
  auto service = services_.get(key.name_space, key.name);
  if (!service && service.code() != Code::kNotFound) return service.status();
  if (!service || service->object.metadata().has_deletiontimestamp()) {
    ORLOP_TRY(remove_endpoints(key));
    return Outcome{};
  }
  // Without a selector the endpoints are somebody else's business.
  if (service->object.spec().selector().empty() || service->object.spec().type() == "ExternalName") return Outcome{};
  const std::map<std::string, std::string> wanted(service->object.spec().selector().begin(),
                                                  service->object.spec().selector().end());
  const auto first = wanted.begin();
  ORLOP_ASSIGN(auto pods, pods_.list(key.name_space, "label/" + first->first + "=" + first->second));
  std::erase_if(pods, [&](const Stored<kube::Pod>& pod) { return !selects(wanted, pod.object.metadata().labels()); });
  ORLOP_TRY(write_slices(service->object, pods));
  ORLOP_TRY(write_endpoints(service->object, pods));
  return Outcome{};
}

Status EndpointsController::write_endpoints(const Service& service, const std::vector<Stored<kube::Pod>>& pods) {
  Endpoints wanted = make_endpoints(service, pods);
  auto stored = endpoints_.get(service.metadata().namespace_(), service.metadata().name());
  if (!stored && stored.code() != Code::kNotFound) return stored.status();
  if (!stored) return endpoints_.create(wanted).status();
  if (same_content(stored->object, wanted)) return Status::ok();
  *stored->object.mutable_subsets() = std::move(*wanted.mutable_subsets());
  *stored->object.mutable_metadata()->mutable_labels() = wanted.metadata().labels();
  return endpoints_.update(*stored).status();
}

Status EndpointsController::write_slices(const Service& service, const std::vector<Stored<kube::Pod>>& pods) {
  const std::string& name_space = service.metadata().namespace_();
  ORLOP_ASSIGN(auto existing, slices_.list(name_space, "owner/" + service.metadata().uid()));
  SlicePlan plan = plan_slices(service, pods, std::move(existing));
  for (const EndpointSlice& slice : plan.create) ORLOP_TRY(slices_.create(slice).status());
  for (const Stored<EndpointSlice>& slice : plan.update) ORLOP_TRY(slices_.update(slice).status());
  for (const std::string& name : plan.remove) {
    const Status removed = slices_.remove(name_space, name);
    if (!removed && removed.code() != Code::kNotFound) return removed;
  }
  return Status::ok();
}

// The slices go with their owner; Endpoints have none.
Status EndpointsController::remove_endpoints(const ObjectKey& key) {
  auto stored = endpoints_.get(key.name_space, key.name);
  if (!stored) return stored.code() == Code::kNotFound ? Status::ok() : stored.status();
  const Status removed = endpoints_.remove(key.name_space, key.name);
  return removed.code() == Code::kNotFound ? Status::ok() : removed;
}

}  // namespace orlop::cluster
