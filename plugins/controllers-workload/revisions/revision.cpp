#include "plugins/controllers-workload/revisions/revision.hpp"

#include "orlop/kube/json.hpp"
#include "orlop/names.hpp"

#include <algorithm>
#include <tuple>

namespace orlop::workload {

std::string template_patch(const PodTemplateSpec& pod_template) {
  std::string json;
  kube::to_json(pod_template, "", "", json);
  auto sorted = kube::canonical_json(json);
  // '$' comes before every letter; a template always has the members metadata and spec behind it.
  const std::string members = sorted ? sorted->substr(1) : "}";
  return R"({"spec":{"template":{"$patch":"replace",)" + members + "}}";
}

Result<PodTemplateSpec> template_of(const ControllerRevision& revision) {
  k8s::io::api::apps::v1::StatefulSet set;  // a DaemonSet has its template at the same place
  auto decoded = kube::from_json(revision.data().raw(), set);
  if (!decoded) return decoded.status();
  if (!set.spec().has_template_()) {
    return Status(Code::kBadRequest,
                  "controllerrevisions.apps \"" + revision.metadata().name() + "\" holds no pod template");
  }
  return set.spec().template_();
}

std::string revision_hash(std::string_view patch, int32_t collisions) {
  uint32_t hash = 2166136261u;
  const auto mix = [&hash](std::string_view bytes) {
    for (const char byte : bytes) hash = hash * 16777619u ^ static_cast<unsigned char>(byte);
  };
  mix(patch);
  mix(std::to_string(collisions));
  std::string out;
  for (const char digit : std::to_string(hash)) out += kNameAlphabet[static_cast<size_t>(digit) % kNameAlphabet.size()];
  return out;
}

std::string revision_name(const std::string& owner_name, const std::string& hash) {
  return owner_name.substr(0, 223) + "-" + hash;
}

void sort_revisions(std::vector<StoredRevision>& revisions) {
  const auto rank = [](const StoredRevision& stored) {
    const auto& metadata = stored.object.metadata();
    return std::make_tuple(stored.object.revision(), metadata.creationtimestamp().seconds(), metadata.name());
  };
  std::sort(revisions.begin(), revisions.end(),
            [&](const StoredRevision& a, const StoredRevision& b) { return rank(a) < rank(b); });
}

RevisionChoice choose_revision(const std::vector<StoredRevision>& sorted, const std::string& patch) {
  RevisionChoice choice;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const ControllerRevision& revision = sorted[i].object;
    if (revision.data().raw() != patch) {
      choice.number = std::max(choice.number, revision.revision() + 1);
      continue;
    }
    if (choice.index >= 0) choice.equal_older.push_back(choice.index);
    choice.index = static_cast<int>(i);
  }
  // One that is the newest already keeps its number.
  if (choice.index >= 0) {
    choice.number = std::max(choice.number, sorted[static_cast<size_t>(choice.index)].object.revision());
  }
  return choice;
}

std::vector<const StoredRevision*> surplus_revisions(const std::vector<StoredRevision>& sorted,
                                                     const std::set<std::string>& live, int32_t limit) {
  std::vector<const StoredRevision*> idle;
  for (const StoredRevision& revision : sorted) {
    if (!live.contains(revision.object.metadata().name())) idle.push_back(&revision);
  }
  const auto keep = static_cast<size_t>(std::max(0, limit));
  if (limit < 0 || idle.size() <= keep) return {};
  idle.resize(idle.size() - keep);
  return idle;
}

}  // namespace orlop::workload
