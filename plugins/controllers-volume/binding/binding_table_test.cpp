// Which volume a claim gets, by a table: each row a pool, a claim, and what must come of them.
#include "plugins/controllers-volume/binding/testing.hpp"

namespace orlop::volumes {
namespace {

template <typename T>
T with(T object, const std::function<void(T&)>& change) {
  change(object);
  return object;
}

void reserve(PersistentVolume& volume, const std::string& name, const std::string& uid = "") {
  volume.mutable_spec()->mutable_claimref()->set_namespace_("default");
  volume.mutable_spec()->mutable_claimref()->set_name(name);
  volume.mutable_spec()->mutable_claimref()->set_uid(uid);
}
PersistentVolume reserved(PersistentVolume volume, const std::string& name, const std::string& uid = "") {
  reserve(volume, name, uid);
  return volume;
}
PersistentVolume labelled(PersistentVolume volume, const std::string& key, const std::string& value) {
  (*volume.mutable_metadata()->mutable_labels())[key] = value;
  return volume;
}
PersistentVolume block(PersistentVolume volume) {
  volume.mutable_spec()->set_volumemode("Block");
  return volume;
}
PersistentVolume on_node(PersistentVolume volume, const std::string& node) {
  auto& requirement = *volume.mutable_spec()
                           ->mutable_nodeaffinity()
                           ->mutable_required()
                           ->add_nodeselectorterms()
                           ->add_matchexpressions();
  requirement.set_key("kubernetes.io/hostname");
  requirement.set_operator_("In");
  requirement.add_values(node);
  return volume;
}
Claim naming(Claim claim, const std::string& volume) {
  claim.mutable_spec()->set_volumename(volume);
  return claim;
}
Claim selecting(Claim claim, const std::string& key, const std::string& value) {
  (*claim.mutable_spec()->mutable_selector()->mutable_matchlabels())[key] = value;
  return claim;
}
Claim block(Claim claim) {
  claim.mutable_spec()->set_volumemode("Block");
  return claim;
}
Claim bound_before(Claim claim, const std::string& volume) {
  storage::annotate(claim, storage::kBindCompleted, "yes");
  claim.mutable_spec()->set_volumename(volume);
  claim.mutable_status()->set_phase("Bound");
  return claim;
}
Claim placed(Claim claim, const std::string& node) {
  storage::annotate(claim, storage::kSelectedNode, node);
  return claim;
}

struct Row {
  std::string name;
  std::vector<PersistentVolume> pool;
  Claim claim;
  std::vector<StorageClass> classes;
  std::string gets;             // the volume; empty: none. "new": one of its own
  std::string phase = "Bound";  // of the claim
  std::string event;            // "Reason: message" of the claim's; empty: whatever
};

std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << row.name;
}

class BindingTable : public VolumesTest, public ::testing::WithParamInterface<Row> {};

TEST_P(BindingTable, Holds) {
  const Row& row = GetParam();
  add_node("n1");
  add_node("n2");
  for (const StorageClass& storage_class : row.classes) add(storage_class);
  for (const PersistentVolume& one : row.pool) add(one);
  settle();
  const Claim made = add(row.claim);
  settle();
  const Claim now = claim("c");
  const std::string wanted = row.gets == "new" ? "pvc-" + made.metadata().uid() : row.gets;
  EXPECT_EQ(now.status().phase(), row.phase);
  if (row.phase == "Bound") {
    EXPECT_EQ(now.spec().volumename(), wanted);
    EXPECT_TRUE(storage::is_bound(now));
    const PersistentVolume bound = volume(wanted);
    EXPECT_EQ(bound.status().phase(), "Bound");
    EXPECT_EQ(bound.spec().claimref().uid(), made.metadata().uid());
    EXPECT_EQ(now.status().capacity().at("storage").string(), bound.spec().capacity().at("storage").string());
    EXPECT_EQ(now.status().accessmodes_size(), bound.spec().accessmodes_size());
  } else {
    for (const PersistentVolume& one : row.pool) {
      EXPECT_NE(volume(one.metadata().name()).spec().claimref().uid(), made.metadata().uid());
    }
  }
  // What the claim did not get is as it was.
  for (const PersistentVolume& one : row.pool) {
    if (one.metadata().name() == wanted || one.spec().has_claimref()) continue;
    EXPECT_EQ(volume(one.metadata().name()).status().phase(), "Available") << one.metadata().name();
    EXPECT_FALSE(volume(one.metadata().name()).spec().has_claimref()) << one.metadata().name();
  }
  if (row.event.empty()) return;
  const size_t colon = row.event.find(": ");
  EXPECT_THAT(events(row.event.substr(0, colon)), ::testing::Contains(row.event.substr(colon + 2)));
}

const char kNothing[] = "FailedBinding: no persistent volumes available for this claim and no storage class is set";
const char kWaits[] = "WaitForFirstConsumer: waiting for first consumer to be created before binding";

std::vector<Row> rows() {
  const auto pv = [](const std::string& name, const std::string& size, const std::string& class_name = "",
                     const std::string& modes = "RWO") { return make_volume(name, size, class_name, modes); };
  const auto pvc = [](const std::string& name, const std::string& size, const std::string& class_name = "",
                      const std::string& modes = "RWO") { return make_claim(name, size, class_name, modes); };
  const std::vector<StorageClass> none;
  const std::vector<StorageClass> fast{make_class("fast")};
  const std::vector<StorageClass> late{make_class("late", "test.io/driver", true)};
  const std::vector<StorageClass> by_hand{make_class("hand", "kubernetes.io/no-provisioner", true)};
  return {
      // Size.
      {"TheSmallestThatFits",
       {pv("p10m", "10M", "", "RWX"), pv("p1g", "1Gi", "", "RWX"), pv("p3g", "3Gi", "", "RWX")},
       pvc("c", "200Mi", "", "RWX"),
       none,
       "p1g"},
      {"ExactlyAsLarge", {pv("a", "2Gi"), pv("b", "1Gi")}, pvc("c", "1Gi"), none, "b"},
      {"OneByteTooSmall", {pv("a", "1073741823")}, pvc("c", "1Gi"), none, "", "Pending", kNothing},
      {"UnitsAreWeighed", {pv("a", "1G"), pv("b", "1Gi")}, pvc("c", "1Gi"), none, "b"},
      {"OfEquallyLargeTheFirstByName", {pv("b", "1Gi"), pv("a", "1Gi")}, pvc("c", "1Gi"), none, "a"},
      {"MuchLargerIsTakenWhereNothingElseIs", {pv("a", "10Ti")}, pvc("c", "1Mi"), none, "a"},
      {"AnEmptyPool", {}, pvc("c", "1Gi"), none, "", "Pending", kNothing},
      // Modes.
      {"AccessModeMissing", {pv("a", "1Gi")}, pvc("c", "1Gi", "", "RWX"), none, "", "Pending", kNothing},
      {"OneOfSeveralModes", {pv("a", "1Gi", "", "RWO,RWX")}, pvc("c", "1Gi", "", "RWX"), none, "a"},
      {"AllAskedModesAreNeeded",
       {pv("a", "1Gi"), pv("b", "2Gi", "", "RWO,ROX")},
       pvc("c", "1Gi", "", "RWO,ROX"),
       none,
       "b"},
      {"OncePodIsAModeOfItsOwn", {pv("a", "1Gi"), pv("b", "2Gi", "", "RWOP")}, pvc("c", "1Gi", "", "RWOP"), none, "b"},
      {"ALargerOneWithTheMode", {pv("a", "1Gi"), pv("b", "5Gi", "", "RWX")}, pvc("c", "1Gi", "", "RWX"), none, "b"},
      {"ABlockVolumeIsNoFileSystem", {block(pv("a", "1Gi"))}, pvc("c", "1Gi"), none, "", "Pending", kNothing},
      {"AFileSystemIsNoBlockVolume", {pv("a", "1Gi")}, block(pvc("c", "1Gi")), none, "", "Pending", kNothing},
      {"BlockForBlock", {pv("a", "1Gi"), block(pv("b", "2Gi"))}, block(pvc("c", "1Gi")), none, "b"},
      // Class.
      {"OfItsClass", {pv("a", "1Gi", "x"), pv("b", "2Gi", "nfs")}, pvc("c", "1Gi", "nfs"), none, "b"},
      {"NoClassTakesNoneOfAClass", {pv("a", "1Gi", "nfs")}, pvc("c", "1Gi"), none, "", "Pending", kNothing},
      {"AClassTakesNoneWithout",
       {pv("a", "1Gi")},
       pvc("c", "1Gi", "nfs"),
       none,
       "",
       "Pending",
       "ProvisioningFailed: storageclass.storage.k8s.io \"nfs\" not found"},
      {"TheClassNeedNotExist", {pv("a", "1Gi", "nfs")}, pvc("c", "1Gi", "nfs"), none, "a"},
      {"TheOldAnnotationIsAClass",
       {pv("a", "1Gi", "x"), pv("b", "1Gi", "old")},
       with<Claim>(pvc("c", "1Gi", "x"), [](Claim& c) { storage::annotate(c, storage::kClassBeta, "old"); }),
       none,
       "b"},
      {"TheDefaultClass",
       {pv("a", "1Gi"), pv("b", "2Gi", "fast")},
       pvc("c", "1Gi", "-"),
       {with<StorageClass>(make_class("fast"),
                           [](StorageClass& s) { storage::annotate(s, storage::kDefaultClass, "true"); })},
       "b"},
      {"WithoutADefaultClassItHasNone", {pv("a", "1Gi")}, pvc("c", "1Gi", "-"), fast, "a"},
      {"AnEmptyClassAsksForNone",
       {pv("a", "1Gi"), pv("b", "1Gi", "fast")},
       pvc("c", "1Gi", ""),
       {with<StorageClass>(make_class("fast"),
                           [](StorageClass& s) { storage::annotate(s, storage::kDefaultClass, "true"); })},
       "a"},
      // Labels.
      {"BySelector",
       {labelled(pv("a", "1Gi"), "tier", "slow"), labelled(pv("b", "3Gi"), "tier", "fast")},
       selecting(pvc("c", "1Gi"), "tier", "fast"),
       none,
       "b"},
      {"NoneIsSelected",
       {labelled(pv("a", "1Gi"), "tier", "slow")},
       selecting(pvc("c", "1Gi"), "tier", "fast"),
       none,
       "",
       "Pending",
       kNothing},
      {"WithoutASelectorLabelsDoNotMatter", {labelled(pv("a", "1Gi"), "tier", "slow")}, pvc("c", "1Gi"), none, "a"},
      // By name, from either end.
      {"TheOneThatItNames", {pv("a", "1Gi"), pv("b", "5Gi")}, naming(pvc("c", "1Gi"), "b"), none, "b"},
      {"NamedButMissing", {pv("a", "1Gi")}, naming(pvc("c", "1Gi"), "b"), none, "", "Pending"},
      {"NamedButTooSmall",
       {pv("a", "1Gi")},
       naming(pvc("c", "2Gi"), "a"),
       none,
       "",
       "Pending",
       "VolumeMismatch: Cannot bind to requested volume \"a\": requested PV is too small"},
      {"NamedButOfAnotherClass",
       {pv("a", "1Gi", "x")},
       naming(pvc("c", "1Gi", "y"), "a"),
       none,
       "",
       "Pending",
       "VolumeMismatch: Cannot bind to requested volume \"a\": storageClassName does not match"},
      {"NamedButBlock",
       {block(pv("a", "1Gi"))},
       naming(pvc("c", "1Gi"), "a"),
       none,
       "",
       "Pending",
       "VolumeMismatch: Cannot bind to requested volume \"a\": incompatible volumeMode"},
      {"NamedButWithoutTheMode",
       {pv("a", "1Gi")},
       naming(pvc("c", "1Gi", "", "RWX"), "a"),
       none,
       "",
       "Pending",
       "VolumeMismatch: Cannot bind to requested volume \"a\": incompatible accessMode"},
      {"NamedButReservedForAnother",
       {reserved(pv("a", "1Gi"), "other")},
       naming(pvc("c", "1Gi"), "a"),
       none,
       "",
       "Pending",
       "FailedBinding: volume \"a\" already bound to a different claim."},
      {"ReservedForItThoughOthersFitBetter",
       {pv("a", "1Gi"), reserved(pv("b", "9Gi"), "c")},
       pvc("c", "1Gi"),
       none,
       "b"},
      {"ReservedForAnother", {reserved(pv("a", "1Gi"), "other"), pv("b", "9Gi")}, pvc("c", "1Gi"), none, "b"},
      {"ReservedForAnEarlierOneOfItsName",
       {reserved(pv("a", "1Gi"), "c", "gone")},
       pvc("c", "1Gi"),
       none,
       "",
       "Pending",
       kNothing},
      {"ReservedForItThoughOfAnotherClass", {reserved(pv("a", "1Gi", "x"), "c")}, pvc("c", "1Gi"), none, "a"},
      {"ReservedForItButTooSmall", {reserved(pv("a", "1Mi"), "c"), pv("b", "1Gi")}, pvc("c", "1Gi"), none, "b"},
      {"BothNameEachOther", {reserved(pv("a", "1Gi"), "c")}, naming(pvc("c", "1Gi"), "a"), none, "a"},
      // Bound before.
      {"LostItsVolume",
       {pv("a", "1Gi")},
       bound_before(pvc("c", "1Gi"), "b"),
       none,
       "",
       "Lost",
       "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!"},
      {"LostItsReference",
       {pv("a", "1Gi")},
       bound_before(pvc("c", "1Gi"), ""),
       none,
       "",
       "Lost",
       "ClaimLost: Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"},
      {"BoundToAnothers",
       {reserved(pv("a", "1Gi"), "other", "u")},
       bound_before(pvc("c", "1Gi"), "a"),
       none,
       "",
       "Lost",
       "ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly"},
      {"BoundToOneThatForgot", {pv("a", "1Gi")}, bound_before(pvc("c", "1Gi"), "a"), none, "a"},
      // New ones, at once or late.
      {"OneOfItsOwn", {pv("a", "1Mi", "fast")}, pvc("c", "1Gi", "fast"), fast, "new", "Bound"},
      {"AFittingOneRatherThanANewOne", {pv("a", "2Gi", "fast")}, pvc("c", "1Gi", "fast"), fast, "a"},
      {"WaitsForItsPod", {pv("a", "1Gi", "late")}, pvc("c", "1Gi", "late"), late, "", "Pending", kWaits},
      {"ReservedOnesAreNotWaitedFor", {reserved(pv("a", "1Gi", "late"), "c")}, pvc("c", "1Gi", "late"), late, "a"},
      {"NamedOnesAreNotWaitedFor", {pv("a", "1Gi", "late")}, naming(pvc("c", "1Gi", "late"), "a"), late, "a"},
      {"WhereItsPodIs",
       {on_node(pv("a", "1Gi", "late"), "n1"), on_node(pv("b", "2Gi", "late"), "n2")},
       placed(pvc("c", "1Gi", "late"), "n2"),
       late,
       "b"},
      {"ANewOneWhereItsPodIs",
       {on_node(pv("a", "1Gi", "late"), "n1")},
       placed(pvc("c", "1Gi", "late"), "n2"),
       late,
       "new"},
      {"ByHandAlone",
       {on_node(pv("a", "1Gi", "hand"), "n1")},
       placed(pvc("c", "1Gi", "hand"), "n2"),
       by_hand,
       "",
       "Pending",
       "ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, BindingTable, ::testing::ValuesIn(rows()),
                         [](const ::testing::TestParamInfo<Row>& row) { return row.param.name; });

}  // namespace
}  // namespace orlop::volumes
