#include "plugins/controllers-workload/deployment/plan.hpp"

#include "orlop/names.hpp"
#include "orlop/serialize.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include <google/protobuf/message.h>

namespace orlop::workload {
namespace {

using PodTemplateSpec = k8s::io::api::core::v1::PodTemplateSpec;

// Drops sub-messages that say nothing: `resources: {}` and no resources at all are one template, as upstream's semantic
// comparison has it. Returns whether nothing is left of the message itself.
bool drop_empty(google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  bool empty = true;
  for (const auto* field : fields) {
    bool keep = true;
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
      if (field->is_repeated()) {
        for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
          drop_empty(*reflection->MutableRepeatedMessage(&message, field, i));
        }
      } else {
        keep = !drop_empty(*reflection->MutableMessage(&message, field));
        if (!keep) reflection->ClearField(&message, field);
      }
    }
    empty = empty && !keep;
  }
  return empty;
}

std::string canonical_bytes(PodTemplateSpec pod_template) {
  pod_template.mutable_metadata()->mutable_labels()->erase(kHashLabel);
  drop_empty(pod_template);
  return serialize(pod_template);
}

int32_t total_of(const SetSize* newest, const std::vector<SetSize>& old) {
  int32_t total = newest != nullptr ? newest->replicas : 0;
  for (const SetSize& set : old) total += set.replicas;
  return total;
}

int32_t most_of(const SetSize* newest, const std::vector<SetSize>& old) {
  int32_t most = newest != nullptr ? newest->most() : 0;
  for (const SetSize& set : old) most += set.most();
  return most;
}

// How much of the change this set takes, by its share of what all had when they were last scaled.
int32_t proportion(const SetSize& set, const Limits& limits, int32_t total, int32_t to_add, int32_t added) {
  if (set.replicas == 0 || to_add == 0 || to_add == added) return 0;
  if (limits.replicas == 0) return -set.replicas;
  const int32_t reference = set.max_replicas_annotation > 0 ? set.max_replicas_annotation : total;
  const double wanted = static_cast<double>(set.replicas) * (limits.replicas + limits.max_surge) / reference;
  const auto share = static_cast<int32_t>(std::lround(wanted)) - set.replicas;
  const int32_t allowed = to_add - added;
  return to_add > 0 ? std::min(share, allowed) : std::max(share, allowed);
}

}  // namespace

int32_t resolve(const IntOrString& value, int32_t total, bool round_up, int32_t fallback) {
  if (value.type() == 0) return value.intval();
  const std::string& text = value.strval();
  int32_t percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || end + 1 != text.data() + text.size() || *end != '%') return fallback;
  const double exact = static_cast<double>(percent) * total / 100;
  return static_cast<int32_t>(round_up ? std::ceil(exact) : std::floor(exact));
}

Limits limits_of(const Deployment& deployment) {
  Limits limits;
  limits.replicas = deployment.spec().replicas();
  limits.recreate = deployment.spec().strategy().type() == "Recreate";
  if (limits.recreate) return limits;
  const auto& rolling = deployment.spec().strategy().rollingupdate();
  limits.max_surge = resolve(rolling.maxsurge(), limits.replicas, true, 0);
  limits.max_unavailable = resolve(rolling.maxunavailable(), limits.replicas, false, 0);
  if (limits.max_surge == 0 && limits.max_unavailable == 0) limits.max_unavailable = 1;
  limits.max_unavailable = std::min(limits.max_unavailable, limits.replicas);
  return limits;
}

namespace {

void share(const Limits& limits, SetSize* newest, std::vector<SetSize>& old) {
  std::vector<SetSize*> active;
  for (SetSize& set : old) {
    if (set.replicas > 0) active.push_back(&set);
  }
  if (newest != nullptr && (newest->replicas > 0 || active.empty())) active.push_back(newest);
  if (active.empty()) {
    // A paused Deployment that stood at nothing: its youngest version comes back.
    const auto youngest = std::max_element(
        old.begin(), old.end(), [](const SetSize& a, const SetSize& b) { return a.created_s < b.created_s; });
    if (youngest != old.end()) youngest->replicas = limits.replicas;
    return;
  }
  if (active.size() == 1) {
    active.front()->replicas = limits.replicas;
    return;
  }
  // The newest is complete: whatever the old ones hold is on its way out.
  if (newest != nullptr && newest->replicas == limits.replicas && newest->available == limits.replicas) {
    for (SetSize& set : old) set.replicas = 0;
    return;
  }
  if (limits.recreate) return;
  const int32_t total = total_of(newest, old);
  const int32_t allowed = limits.replicas > 0 ? limits.replicas + limits.max_surge : 0;
  const int32_t to_add = allowed - total;
  std::sort(active.begin(), active.end(), [&](const SetSize* a, const SetSize* b) {
    if (a->replicas != b->replicas) return a->replicas > b->replicas;
    return to_add > 0 ? a->created_s > b->created_s : a->created_s < b->created_s;
  });
  int32_t added = 0;
  for (SetSize* set : active) {
    const int32_t share = proportion(*set, limits, total, to_add, added);
    set->replicas += share;
    added += share;
  }
  // What rounding left over goes to the largest, or comes from the largest that have it.
  int32_t left = to_add - added;
  for (SetSize* set : active) {
    const int32_t part = std::max(left, -set->replicas);
    set->replicas += part;
    left -= part;
  }
}

}  // namespace

void share_out(const Limits& limits, SetSize* newest, std::vector<SetSize>& old) {
  const int32_t allowed = limits.replicas > 0 ? limits.replicas + limits.max_surge : 0;
  std::vector<SetSize*> all;
  if (newest != nullptr) all.push_back(newest);
  for (SetSize& set : old) all.push_back(&set);
  std::vector<SetSize> before;
  for (const SetSize* set : all) before.push_back(*set);
  share(limits, newest, old);
  // Those that shrink still have their pods; those that grow get what is left.
  int32_t room = allowed;
  for (const SetSize& set : before) room -= set.most();
  for (size_t i = 0; i < all.size(); ++i) {
    const int32_t grown = all[i]->most() - before[i].most();
    if (grown <= 0) continue;
    const int32_t given = std::clamp(room, 0, grown);
    all[i]->replicas -= grown - given;
    room -= given;
  }
}

bool step_rolling(const Limits& limits, SetSize& newest, std::vector<SetSize>& old, int32_t newest_unavailable) {
  const int32_t total = total_of(&newest, old);
  if (newest.replicas > limits.replicas) {
    newest.replicas = limits.replicas;
    return true;
  }
  if (newest.replicas < limits.replicas) {
    const int32_t room = limits.replicas + limits.max_surge - most_of(&newest, old);
    const int32_t grow = std::min(room, limits.replicas - newest.replicas);
    if (grow > 0) {
      newest.replicas += grow;
      return true;
    }
  }
  int32_t old_total = total - newest.replicas;
  if (old_total == 0) return false;
  const int32_t min_available = limits.replicas - limits.max_unavailable;
  int32_t spare = total - min_available - newest_unavailable;
  if (spare <= 0) return false;
  std::sort(old.begin(), old.end(), [](const SetSize& a, const SetSize& b) { return a.created_s < b.created_s; });
  bool changed = false;
  // Pods that are not available serve nobody: they go first.
  int32_t available = newest.sure();
  for (const SetSize& set : old) available += set.sure();
  for (SetSize& set : old) {
    const int32_t broken = std::min(spare, set.replicas - set.available);
    if (broken <= 0) continue;
    set.replicas -= broken;
    spare -= broken;
    changed = true;
  }
  int32_t removable = std::min(spare, available - min_available);
  for (SetSize& set : old) {
    const int32_t shrink = std::min(removable, set.replicas);
    if (shrink <= 0) continue;
    set.replicas -= shrink;
    removable -= shrink;
    changed = true;
  }
  return changed;
}

std::string template_hash(const PodTemplateSpec& pod_template, int32_t collisions) {
  uint32_t hash = 2166136261u;
  const auto mix = [&hash](unsigned char byte) { hash = (hash ^ byte) * 16777619u; };
  for (const char byte : canonical_bytes(pod_template)) mix(static_cast<unsigned char>(byte));
  for (int i = 0; i < 4; ++i) mix(static_cast<unsigned char>(collisions >> (8 * i)));
  std::string out;
  for (const char digit : std::to_string(hash)) out += kNameAlphabet[static_cast<size_t>(digit) % kNameAlphabet.size()];
  return out;
}

bool same_template(const PodTemplateSpec& a, const PodTemplateSpec& b) {
  return canonical_bytes(a) == canonical_bytes(b);
}

}  // namespace orlop::workload
