// The objects of a FakeKernel: every version of each, so that older revisions can be read and changes pulled. For this
// folder alone.
//
// Threads: none; the kernel's lock is held.
#pragma once

#include "orlop/object_rules.hpp"
#include "orlop/result.hpp"
#include "orlop/v1/api.pb.h"
#include "orlop/v1/store.pb.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace orlop::testing {

class FakeStore {
 public:
  using ObjectKey = std::tuple<std::string, std::string, std::string>;  // kind, namespace, name

  struct Version {
    uint64_t revision = 0;
    uint64_t create_revision = 0;
    bool deleted = false;
    std::string value;
    std::vector<std::string> terms;
  };
  struct Change {
    ObjectKey key;
    uint64_t transaction_last = 0;
    int type = 0;  // ORLOP_CREATED, …
    uint64_t revision = 0;
    uint64_t create_revision = 0;
    std::string value;
    uint64_t previous_revision = 0;
    std::string previous_value;
  };
  using RecordVisitor = std::function<bool(const ObjectKey&, const Version&)>;
  using ChangeVisitor = std::function<bool(const Change&)>;

  // What a commit takes from its surroundings.
  struct Context {
    int64_t now_s = 0;
    std::function<std::string()> new_uid;
    std::function<v1::Verdict(const v1::Review&)> admit;                                  // may be empty
    std::function<std::vector<std::string>(const std::string&, std::string_view)> index;  // may be empty
  };

  void describe_kind(v1::KindInfo kind) { kinds_[kind.kind()] = std::move(kind); }

  Result<v1::ReadResult> get(const v1::GetRequest& request, const RecordVisitor& visit) const;
  Result<v1::ReadResult> list(const v1::ListRequest& request, const RecordVisitor& visit) const;
  Result<v1::PullResult> pull(const v1::PullRequest& request, const ChangeVisitor& visit) const;
  // `touched` gets the kinds that changed.
  Result<v1::CommitResult> commit(const v1::CommitRequest& request, const Context& context,
                                  std::vector<std::string>& touched);

  [[nodiscard]] uint64_t revision() const { return revision_; }
  [[nodiscard]] const Version* find(const ObjectKey& key, uint64_t at_revision = 0) const;
  // Drops the log and every older version.
  void compact();

 private:
  struct Planned {
    ObjectKey key;
    enum class Action { kPut, kRemove, kNothing } action = Action::kPut;
    std::string value;
    std::vector<std::string> terms;
    bool skip_if_unchanged = false;
  };

  [[nodiscard]] Status check_revision(uint64_t at_revision) const;
  [[nodiscard]] meta::KindRules rules(const std::string& kind) const;
  [[nodiscard]] Status check(const v1::Write& write, const Version* current) const;
  Result<Planned> plan(const v1::Write& write, const Context& context) const;
  Result<Planned> plan_delete(const v1::Write& write, const Version& current, const v1::Verdict& verdict,
                              int64_t now_s) const;
  v1::Written apply(Planned& planned, bool dry_run);

  uint64_t revision_ = 0;
  uint64_t compacted_ = 0;
  std::map<ObjectKey, std::vector<Version>> objects_;  // oldest version first
  std::vector<Change> log_;
  std::map<std::string, v1::KindInfo> kinds_;
};

}  // namespace orlop::testing
