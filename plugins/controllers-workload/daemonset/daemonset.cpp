#include "plugins/controllers-workload/daemonset/daemonset.hpp"

#include "plugins/controllers-workload/config-restart/references.hpp"
#include "plugins/controllers-workload/ownership.hpp"

#include <algorithm>
#include <utility>

namespace orlop::workload {
namespace {

constexpr size_t kBurst = 250;  // pods created or deleted in one reconcile, as upstream's BurstReplicas
constexpr int64_t kSecondNs = 1'000'000'000;

RevisionOwner revision_owner(const Stored<DaemonSet>& stored) {
  const DaemonSet& set = stored.object;
  return {&set.metadata(),           &set.spec().selector(), &set.spec().template_(),
          controller_reference(set), unchanged(stored),      kPodRevisionLabel};
}

std::string hash_of(const kube::ObjectMeta& metadata) {
  const auto found = metadata.labels().find(kPodRevisionLabel);
  return found == metadata.labels().end() ? std::string() : found->second;
}

// A heartbeat decides nothing.
bool is_same_node(const ChangeView& change) {
  Node before, after;
  const auto read = [](Node& node, std::string_view bytes) {
    return !bytes.empty() && node.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  };
  return change.type == ChangeType::kUpdated && read(before, change.previous_value) &&
         read(after, change.record.value) && same_view(before, after);
}

int64_t sooner(int64_t a, int64_t b) {
  return a == 0 || b == 0 ? a + b : std::min(a, b);
}

}  // namespace

DaemonSetController::DaemonSetController(Host host, unsigned workers)
    : host_(host),
      workers_(workers),
      events_(host, "daemonset-controller"),
      sets_(host),
      pods_(host),
      nodes_(host),
      history_(host) {}

void DaemonSetController::enqueue_all(const std::string& name_space, KeyQueue& queue) {
  for (const std::string& name : names_[name_space]) queue.add({name_space, name});
}

void DaemonSetController::observe(const ChangeView& change, KeyQueue& queue) {
  const std::string name_space(change.record.name_space);
  const bool gone = change.type == ChangeType::kDeleted;
  if (change.record.kind == "daemonsets.apps") {
    const std::string name(change.record.name);
    if (gone) {
      names_[name_space].erase(name);
    } else {
      names_[name_space].insert(name);
    }
    queue.add({name_space, name});
    return;
  }
  if (change.record.kind == "nodes") {
    if (is_same_node(change)) return;
    for (const auto& [each, names] : names_) enqueue_all(each, queue);
    return;
  }
  const bool controlled = change.record.kind == "pods"
                              ? enqueue_controllers<kube::Pod>(change, "DaemonSet", queue)
                              : enqueue_controllers<ControllerRevision>(change, "DaemonSet", queue);
  // Nobody's: whichever set selects it may adopt it.
  if (!controlled && !gone) enqueue_all(name_space, queue);
}

Result<Outcome> DaemonSetController::reconcile(const ObjectKey& key) {
  auto set = sets_.get(key.name_space, key.name);
  if (!set) return set.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(set.status());
  if (set->object.metadata().has_deletiontimestamp()) return Outcome{};
  if (waits_for_config(set->object.metadata(), set->object.spec().template_())) return Outcome{};
  if (kube::is_empty(set->object.spec().selector())) {
    events_.about(set->object, EventType::kWarning, "SelectingAll",
                  "This daemon set is selecting all pods. A non-empty selector is required.");
    return Outcome{};
  }
  ORLOP_ASSIGN(const World world, gather(std::move(*set)));
  const Daemons daemons = daemons_of(world);
  Work work = carry_out(world, plan_placement(daemons));
  // An update looks at pods that are where they should be.
  if (work.status && !work.done) {
    const Work update = carry_out(world, plan_update(daemons));
    work.status = update.status;
    work.again_after_ns = sooner(work.again_after_ns, update.again_after_ns);
  }
  if (work.status) work.status = truncate(world);
  const Status written = write_status(world, daemons);
  if (!work.status) return work.status;
  if (!written) return written.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(written);
  const int64_t next_s = next_look_s(daemons);
  return Outcome{sooner(work.again_after_ns, next_s == 0 ? 0 : (next_s - daemons.now_s) * kSecondNs)};
}

Result<DaemonSetController::World> DaemonSetController::gather(StoredDaemonSet stored) {
  World world;
  world.set = std::move(stored);
  const DaemonSet& set = world.set.object;
  ORLOP_TRY(nodes_.each("", "", [&](const RecordView&, Node& node) {
    world.nodes.push_back(view_of(node));
    return true;
  }));
  const PodOwner owner{set.metadata().namespace_(), controller_reference(set), &set.spec().selector()};
  ORLOP_ASSIGN(world.pods, claim_pods(pods_, owner));
  ORLOP_TRY(settle_revisions(world));
  return world;
}

Status DaemonSetController::settle_revisions(World& world) {
  const RevisionOwner owner = revision_owner(world.set);
  world.collisions = world.set.object.status().collisioncount();
  ORLOP_ASSIGN(world.revisions, history_.claim(owner));
  ORLOP_ASSIGN(const ControllerRevision present, history_.ensure(owner, world.revisions, world.collisions));
  world.revision = present.metadata().name();
  world.hash = hash_of(present.metadata());
  return merge_equal(world);
}

Status DaemonSetController::merge_equal(World& world) {
  const std::string patch = template_patch(world.set.object.spec().template_());
  for (auto revision = world.revisions.begin(); revision != world.revisions.end();) {
    const auto& metadata = revision->object.metadata();
    if (metadata.name() == world.revision || revision->object.data().raw() != patch) {
      ++revision;
      continue;
    }
    const std::string hash = hash_of(metadata);
    for (StoredPod& pod : world.pods) {
      if (hash.empty() || hash_of(pod.object.metadata()) != hash) continue;
      (*pod.object.mutable_metadata()->mutable_labels())[kPodRevisionLabel] = world.hash;
      ORLOP_ASSIGN(pod, pods_.update(pod));
    }
    ORLOP_TRY(history_.remove(*revision));
    revision = world.revisions.erase(revision);
  }
  return Status::ok();
}

Status DaemonSetController::truncate(const World& world) {
  std::set<std::string> hashes;
  for (const StoredPod& pod : world.pods) hashes.insert(hash_of(pod.object.metadata()));
  std::set<std::string> live{world.revision};
  for (const StoredRevision& revision : world.revisions) {
    if (hashes.contains(hash_of(revision.object.metadata()))) live.insert(revision.object.metadata().name());
  }
  // Older revisions count towards the limit while pods run them, too.
  const auto& spec = world.set.object.spec();
  const int32_t limit = spec.has_revisionhistorylimit() ? spec.revisionhistorylimit() : 10;
  return history_.remove_surplus(world.revisions, live, std::max(0, limit - static_cast<int32_t>(live.size()) + 1));
}

Daemons DaemonSetController::daemons_of(const World& world) const {
  std::vector<const kube::Pod*> pods;
  for (const StoredPod& pod : world.pods) pods.push_back(&pod.object);
  return {world.set.object, world.nodes, std::move(pods), world.hash, host_.wall_now_ns() / kSecondNs};
}

DaemonSetController::Work DaemonSetController::carry_out(const World& world, const DaemonPlan& plan) {
  Work work;
  const DaemonSet& set = world.set.object;
  std::vector<const kube::Pod*> remove_all = plan.remove;
  for (const EndedDaemon& ended : plan.failed) {
    const std::string key =
        set.metadata().uid() + "/" + std::to_string(set.status().observedgeneration()) + "/" + ended.node;
    const int64_t wait_ns = failed_pods_.attempt(key, host_.monotonic_now_ns());
    work.again_after_ns = sooner(work.again_after_ns, wait_ns);
    if (wait_ns > 0) continue;
    const auto& metadata = ended.pod->metadata();
    events_.about(set, EventType::kWarning, "FailedDaemonPod",
                  "Found failed daemon pod " + metadata.namespace_() + "/" + metadata.name() + " on node " +
                      ended.node + ", will try to kill it");
    remove_all.push_back(ended.pod);
  }
  for (const EndedDaemon& ended : plan.succeeded) {
    const auto& metadata = ended.pod->metadata();
    events_.about(set, EventType::kNormal, "SucceededDaemonPod",
                  "Found succeeded daemon pod " + metadata.namespace_() + "/" + metadata.name() + " on node " +
                      ended.node + ", will try to delete it");
    remove_all.push_back(ended.pod);
  }
  work.done = !plan.create_on.empty() || !remove_all.empty();
  work.status = create(world, plan.create_on);
  const Status removed = remove(world, remove_all);
  if (work.status) work.status = removed;
  return work;
}

Status DaemonSetController::create(const World& world, const std::vector<std::string>& nodes) {
  const DaemonSet& set = world.set.object;
  std::vector<kube::Pod> pods;
  for (size_t i = 0; i < std::min(nodes.size(), kBurst); ++i) {
    pods.push_back(new_daemon(set, world.hash, nodes[i]));
    name_after(pods.back(), set.metadata().name());
  }
  Status created = create_pods(host_, pods, [&](const std::string& name) {
    events_.about(set, EventType::kNormal, "SuccessfulCreate", "Created pod: " + name);
  });
  if (!created && created.code() != Code::kConflict) {
    events_.about(set, EventType::kWarning, "FailedCreate", "Error creating: " + created.message());
  }
  return created;
}

Status DaemonSetController::remove(const World& world, const std::vector<const kube::Pod*>& pods) {
  const DaemonSet& set = world.set.object;
  Status failed;
  for (size_t i = 0; i < std::min(pods.size(), kBurst); ++i) {
    const auto& metadata = pods[i]->metadata();
    const Status removed = pods_.remove(metadata.namespace_(), metadata.name(), {}, metadata.uid());
    if (removed) {
      events_.about(set, EventType::kNormal, "SuccessfulDelete", "Deleted pod: " + metadata.name());
    } else if (removed.code() != Code::kNotFound) {
      events_.about(set, EventType::kWarning, "FailedDelete", "Error deleting: " + removed.message());
      failed = removed;
    }
  }
  return failed;
}

Status DaemonSetController::write_status(const World& world, const Daemons& daemons) {
  StoredDaemonSet set = world.set;
  *set.object.mutable_status() = status_of(daemons);
  if (world.collisions > 0) set.object.mutable_status()->set_collisioncount(world.collisions);
  return sets_.update_status(set).status();
}

}  // namespace orlop::workload
