// Tells people what was done and why: Event objects (core/v1), as `kubectl describe` and `kubectl get events` show
// them.
//
// The same event about the same object is counted in the existing Event (count, lastTimestamp) and not written again
// within a second; no more than 25 distinct events about one object pass in a burst, one more each 5 minutes after
// that: the limits of Kubernetes' EventAggregator and spam filter (k8s.io/client-go/tools/record).
//
// Threads: any. Never blocks: the write is begun and forgotten; a failed one is dropped, as in Kubernetes.
#pragma once

#include "orlop/host.hpp"
#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"
#include "orlop/serialize.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace orlop {

enum class EventType { kNormal, kWarning };

class EventRecorder {
 public:
  using Event = k8s::io::api::core::v1::Event;
  using ObjectReference = k8s::io::api::core::v1::ObjectReference;

  // component: "kubelet", "deployment-controller", …; host_name: the node's name, or empty.
  EventRecorder(Host host, std::string component, std::string host_name = {})
      : host_(host), component_(std::move(component)), host_name_(std::move(host_name)) {}

  // About any built-in object.
  template <typename T>
  void about(const T& object, EventType type, std::string_view reason, std::string_view message) {
    ObjectReference reference;
    reference.set_kind(std::string(kube::KindOf<T>::kind));
    reference.set_apiversion(std::string(kube::KindOf<T>::api_version));
    reference.set_namespace_(object.metadata().namespace_());
    reference.set_name(object.metadata().name());
    reference.set_uid(object.metadata().uid());
    record(std::move(reference), type, reason, message);
  }

  void record(ObjectReference reference, EventType type, std::string_view reason, std::string_view message) {
    const int64_t now_ns = host_.wall_now_ns();
    const std::string text(message.substr(0, 1024));
    const std::string key = reference.uid() + '\n' + reference.fieldpath() + '\n' + std::string(reason) + '\n' + text;
    Event event;
    v1::Verb verb = v1::CREATE;
    {
      const std::lock_guard lock(mutex_);
      if (!admit(reference.uid(), now_ns)) return;
      Known& known = remember(key);
      ++known.count;
      if (known.name.empty()) {
        char suffix[32];
        std::snprintf(suffix, sizeof suffix, ".%llx", static_cast<unsigned long long>(now_ns + sequence_++));
        known.name = reference.name().substr(0, 220) + suffix;
        known.first_ns = now_ns;
      } else {
        if (now_ns - known.last_ns < kSecond) return;
        verb = v1::UPDATE;
      }
      known.last_ns = now_ns;
      fill(event, reference, known);
    }
    event.set_type(type == EventType::kNormal ? "Normal" : "Warning");
    event.set_reason(std::string(reason));
    event.set_message(text);
    send(verb, event);
  }

 private:
  struct Known {
    std::string name;
    int32_t count = 0;
    int64_t first_ns = 0;
    int64_t last_ns = 0;
  };
  struct Budget {
    double tokens = kBurst;
    int64_t at_ns = 0;
  };

  static constexpr int64_t kSecond = 1'000'000'000;
  static constexpr double kBurst = 25;
  static constexpr double kRefillPerSecond = 1.0 / 300;
  static constexpr size_t kKnownMax = 4096;

  bool admit(const std::string& uid, int64_t now_ns) {
    if (budgets_.size() > kKnownMax) budgets_.clear();
    Budget& budget = budgets_[uid];
    if (budget.at_ns != 0) {
      const double refilled = static_cast<double>(now_ns - budget.at_ns) / kSecond * kRefillPerSecond;
      budget.tokens = std::min(kBurst, budget.tokens + std::max(0.0, refilled));
    }
    budget.at_ns = now_ns;
    if (budget.tokens < 1) return false;
    budget.tokens -= 1;
    return true;
  }

  Known& remember(const std::string& key) {
    auto [entry, is_new] = known_.try_emplace(key);
    if (is_new) {
      order_.push_back(key);
      if (order_.size() > kKnownMax) {
        known_.erase(order_.front());
        order_.pop_front();
      }
    }
    return entry->second;
  }

  void fill(Event& event, ObjectReference& reference, const Known& known) const {
    event.mutable_metadata()->set_name(known.name);
    event.mutable_metadata()->set_namespace_(reference.namespace_().empty() ? "default" : reference.namespace_());
    event.mutable_source()->set_component(component_);
    event.mutable_source()->set_host(host_name_);
    event.set_reportingcomponent(component_);
    event.set_reportinginstance(host_name_);
    event.mutable_firsttimestamp()->set_seconds(known.first_ns / kSecond);
    event.mutable_lasttimestamp()->set_seconds(known.last_ns / kSecond);
    event.set_count(known.count);
    *event.mutable_involvedobject() = std::move(reference);
  }

  void send(v1::Verb verb, const Event& event) const {
    v1::CommitRequest request;
    auto write = make_write<Event>(verb, event.metadata().namespace_(), event.metadata().name());
    write.set_value(serialize(event));
    *request.add_writes() = std::move(write);
    host_.commit(request, [](const Result<v1::CommitResult>&) {});
  }

  Host host_;
  std::string component_;
  std::string host_name_;
  std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;  // guarded by mutex_, as is all below
  std::deque<std::string> order_;
  std::unordered_map<std::string, Budget> budgets_;  // by the object's uid
  int64_t sequence_ = 0;
};

}  // namespace orlop
