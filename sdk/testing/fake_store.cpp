#include "sdk/testing/fake_store.hpp"

#include "orlop/abi/host.h"

#include <algorithm>
#include <set>
#include <utility>

namespace orlop::testing {

namespace {

FakeStore::ObjectKey key_of(const v1::Key& key) {
  return {key.kind(), key.namespace_(), key.name()};
}

meta::Subject subject_of(const v1::Key& key) {
  return {key.kind(), key.namespace_(), key.name()};
}

Status status_of(const v1::Status& message) {
  std::vector<Cause> causes;
  for (const auto& cause : message.causes()) causes.push_back({cause.reason(), cause.message(), cause.field()});
  return {static_cast<Code>(message.code()), message.message(), std::move(causes)};
}

void append_label_terms(const meta::MetaView& view, std::vector<std::string>& terms) {
  v1::ObjectMeta metadata;
  if (!metadata.ParseFromArray(view.metadata.data(), static_cast<int>(view.metadata.size()))) return;
  std::set<std::string> sorted;
  for (const auto& [label, value] : metadata.labels()) sorted.insert("label/" + label + "=" + value);
  terms.insert(terms.end(), sorted.begin(), sorted.end());
}

}  // namespace

const FakeStore::Version* FakeStore::find(const ObjectKey& key, uint64_t at_revision) const {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return nullptr;
  const Version* last = nullptr;
  for (const auto& version : found->second) {
    if (at_revision != 0 && version.revision > at_revision) break;
    last = &version;
  }
  return last == nullptr || last->deleted ? nullptr : last;
}

Status FakeStore::check_revision(uint64_t at_revision) const {
  if (at_revision == 0) return Status::ok();
  if (at_revision < compacted_) return {Code::kGone, "revision " + std::to_string(at_revision) + " has been compacted"};
  if (at_revision > revision_) {
    return {Code::kBadRequest, "revision " + std::to_string(at_revision) + " lies in the future"};
  }
  return Status::ok();
}

Result<v1::ReadResult> FakeStore::get(const v1::GetRequest& request, const RecordVisitor& visit) const {
  ORLOP_TRY(check_revision(request.at_revision()));
  for (const auto& key : request.keys()) {
    const auto of = key_of(key);
    const auto* version = find(of, request.at_revision());
    if (version != nullptr && !visit(of, *version)) break;
  }
  v1::ReadResult result;
  result.set_revision(request.at_revision() != 0 ? request.at_revision() : revision_);
  return result;
}

Result<v1::ReadResult> FakeStore::list(const v1::ListRequest& request, const RecordVisitor& visit) const {
  ORLOP_TRY(check_revision(request.at_revision()));
  v1::ReadResult result;
  result.set_revision(request.at_revision() != 0 ? request.at_revision() : revision_);
  ObjectKey after{request.kind(), {}, {}};
  if (request.has_start_after()) {
    after = {request.kind(), request.start_after().namespace_(), request.start_after().name()};
  }
  uint64_t count = 0;
  bool visiting = true;
  for (auto each = objects_.upper_bound(after); each != objects_.end(); ++each) {
    const auto& [kind, name_space, name] = each->first;
    if (kind != request.kind()) break;
    if (!request.namespace_().empty() && name_space != request.namespace_()) continue;
    const auto* version = find(each->first, request.at_revision());
    if (version == nullptr) continue;
    const auto& terms = version->terms;
    if (!request.index_term().empty() && std::find(terms.begin(), terms.end(), request.index_term()) == terms.end()) {
      continue;
    }
    if (!visiting || (request.limit() != 0 && count == request.limit())) {
      result.set_more(true);
      result.set_remaining(result.remaining() + 1);
      continue;
    }
    ++count;
    visiting = visit(each->first, *version);
  }
  return result;
}

Result<v1::PullResult> FakeStore::pull(const v1::PullRequest& request, const ChangeVisitor& visit) const {
  if (request.cursor() < compacted_) {
    return Status(Code::kGone, "the cursor " + std::to_string(request.cursor()) + " has been compacted: list again");
  }
  if (request.cursor() > revision_) {
    return Status(Code::kBadRequest, "the cursor " + std::to_string(request.cursor()) + " lies in the future");
  }
  v1::PullResult result;
  uint64_t shown = 0;
  uint64_t bytes = 0;
  uint64_t stop_after = 0;  // the end of the transaction that is the batch's last
  bool visiting = true;
  const auto first = std::upper_bound(log_.begin(), log_.end(), request.cursor(),
                                      [](uint64_t cursor, const Change& each) { return cursor < each.revision; });
  for (auto each = first; each != log_.end(); ++each) {
    const Change& change = *each;
    if (stop_after != 0 && change.revision > stop_after) {
      result.set_next_cursor(stop_after);
      return result;
    }
    const auto& [kind, name_space, name] = change.key;
    const auto& kinds = request.kinds();
    if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) continue;
    if (!request.namespace_().empty() && name_space != request.namespace_()) continue;
    if (visiting) visiting = visit(change);
    bytes += change.value.size();
    ++shown;
    const bool full = (request.max_changes() != 0 && shown >= request.max_changes()) ||
                      (request.max_bytes() != 0 && bytes >= request.max_bytes());
    if (full || !visiting) stop_after = change.transaction_last;
  }
  result.set_next_cursor(revision_);
  result.set_at_end(true);
  return result;
}

void FakeStore::compact() {
  compacted_ = revision_;
  log_.clear();
  std::erase_if(objects_, [](const auto& each) { return each.second.back().deleted; });
  for (auto& [key, versions] : objects_) versions.erase(versions.begin(), std::prev(versions.end()));
}

// ---------------------------------------------------------------------------------------------- writes

meta::KindRules FakeStore::rules(const std::string& kind) const {
  const auto found = kinds_.find(kind);
  if (found == kinds_.end()) return {true, 3};
  return {found->second.tracks_generation(), found->second.status_field()};
}

Status FakeStore::check(const v1::Write& write, const Version* current) const {
  const auto& kind = write.key().kind();
  const auto& name = write.key().name();
  if (kind.empty() || name.empty()) return {Code::kBadRequest, "a key needs a kind and a name"};
  const auto described = kinds_.find(kind);
  if (described != kinds_.end() && described->second.namespaced() == write.key().namespace_().empty()) {
    return {Code::kBadRequest, "the key of \"" + name + "\" and kind \"" + kind + "\" differ about namespaces"};
  }
  if (write.verb() == v1::CREATE) return current != nullptr ? meta::already_exists(kind, name) : Status::ok();
  if (write.verb() != v1::UPDATE && write.verb() != v1::DELETE) return {Code::kBadRequest, "a write needs a verb"};
  if (current == nullptr) return meta::not_found(kind, name);
  const bool deletes = write.verb() == v1::DELETE;
  if (!write.if_uid().empty()) {
    ORLOP_ASSIGN(const auto view, meta::parse(current->value));
    if (view.uid != write.if_uid()) {
      return deletes ? meta::delete_uid_differs(kind, name, write.if_uid(), view.uid)
                     : meta::uid_differs(kind, name, write.if_uid(), view.uid);
    }
  }
  if (write.if_revision() != 0 && write.if_revision() != current->revision) {
    return deletes ? meta::delete_revision_differs(kind, name, write.if_revision(), current->revision)
                   : meta::modified(kind, name);
  }
  return Status::ok();
}

Result<FakeStore::Planned> FakeStore::plan(const v1::Write& write, const Context& context) const {
  const auto* current = find(key_of(write.key()));
  ORLOP_TRY(check(write, current));
  const auto subject = subject_of(write.key());
  const auto kind_rules = rules(write.key().kind());
  const std::string uid = write.verb() == v1::CREATE ? context.new_uid() : std::string();
  v1::Verdict verdict;
  if (context.admit) {
    v1::Review review;
    *review.mutable_write() = write;
    if (write.verb() == v1::CREATE) {
      ORLOP_ASSIGN(*review.mutable_write()->mutable_value(),
                   meta::prepare_create(subject, write.value(), kind_rules, uid, context.now_s));
    } else {
      review.set_current(current->value);
      review.set_current_revision(current->revision);
    }
    verdict = context.admit(review);
    if (verdict.status().code() != 0) return status_of(verdict.status());
  } else {
    *verdict.mutable_index_terms() = write.index_terms();
    if (write.has_grace_seconds()) verdict.set_grace_seconds(write.grace_seconds());
    verdict.set_hold(write.hold());
  }
  if (verdict.value().empty()) verdict.set_value(write.value());
  if (write.verb() == v1::DELETE) return plan_delete(write, *current, verdict, context.now_s);

  Planned planned;
  planned.key = key_of(write.key());
  planned.skip_if_unchanged = write.skip_if_unchanged();
  if (write.verb() == v1::CREATE) {
    ORLOP_ASSIGN(planned.value, meta::prepare_create(subject, verdict.value(), kind_rules, uid, context.now_s));
  } else {
    ORLOP_ASSIGN(auto update,
                 meta::prepare_update(subject, current->value, verdict.value(), kind_rules, write.subresource()));
    planned.value = std::move(update.value);
    if (update.remove && !verdict.hold()) planned.action = Planned::Action::kRemove;
  }
  planned.terms.assign(verdict.index_terms().begin(), verdict.index_terms().end());
  ORLOP_ASSIGN(const auto view, meta::parse(planned.value));
  meta::append_owner_terms(view, planned.terms);
  append_label_terms(view, planned.terms);
  if (context.index) {
    for (auto& term : context.index(write.key().kind(), planned.value)) planned.terms.push_back(std::move(term));
  }
  return planned;
}

Result<FakeStore::Planned> FakeStore::plan_delete(const v1::Write& write, const Version& current,
                                                  const v1::Verdict& verdict, int64_t now_s) const {
  meta::DeleteRequest request;
  const auto& options = write.delete_options();
  if (options.has_grace_period_seconds()) request.grace_period_s = options.grace_period_seconds();
  request.propagation_policy = options.propagation_policy();
  if (verdict.has_grace_seconds()) request.granted_grace_s = verdict.grace_seconds();
  request.hold = verdict.hold();
  ORLOP_ASSIGN(auto outcome,
               meta::prepare_delete(subject_of(write.key()), current.value, request, now_s, verdict.value()));
  Planned planned;
  planned.key = key_of(write.key());
  planned.value = std::move(outcome.value);
  planned.terms = current.terms;
  if (outcome.action == meta::DeleteOutcome::Action::kRemove) planned.action = Planned::Action::kRemove;
  if (outcome.action == meta::DeleteOutcome::Action::kNothing) planned.action = Planned::Action::kNothing;
  return planned;
}

v1::Written FakeStore::apply(Planned& planned, bool dry_run) {
  const auto* current = find(planned.key);
  v1::Written written;
  written.set_value(planned.value);
  written.set_deleted(planned.action == Planned::Action::kRemove);
  const bool same = planned.skip_if_unchanged && current != nullptr && current->value == planned.value &&
                    current->terms == planned.terms && planned.action == Planned::Action::kPut;
  written.set_unchanged(same || planned.action == Planned::Action::kNothing);
  if (current != nullptr) {
    written.set_revision(current->revision);
    written.set_create_revision(current->create_revision);
  }
  if (dry_run || written.unchanged()) return written;

  Change change;
  change.key = planned.key;
  change.revision = ++revision_;
  change.type = written.deleted() ? ORLOP_DELETED : current != nullptr ? ORLOP_UPDATED : ORLOP_CREATED;
  change.create_revision = current != nullptr ? current->create_revision : revision_;
  if (current != nullptr) {
    change.previous_revision = current->revision;
    change.previous_value = current->value;
  }
  change.value = written.deleted() ? change.previous_value : planned.value;
  objects_[planned.key].push_back(
      {revision_, change.create_revision, written.deleted(), change.value, std::move(planned.terms)});
  written.set_revision(revision_);
  written.set_create_revision(change.create_revision);
  log_.push_back(std::move(change));
  return written;
}

Result<v1::CommitResult> FakeStore::commit(const v1::CommitRequest& request, const Context& context,
                                           std::vector<std::string>& touched) {
  std::set<ObjectKey> keys;
  std::vector<Planned> all;
  for (const auto& write : request.writes()) {
    if (!keys.insert(key_of(write.key())).second) {
      return Status(Code::kBadRequest, "a transaction writes \"" + write.key().name() + "\" twice");
    }
    ORLOP_ASSIGN(auto planned, plan(write, context));
    all.push_back(std::move(planned));
  }
  for (const auto& precondition : request.preconditions()) {
    const auto* current = find(key_of(precondition.key()));
    if ((current != nullptr ? current->revision : 0) == precondition.revision()) continue;
    const auto& key = precondition.key();
    return precondition.revision() == 0 ? meta::conflict(key.kind(), key.name(), "the object exists")
                                        : meta::modified(key.kind(), key.name());
  }
  v1::CommitResult result;
  const auto first = log_.size();
  for (auto& planned : all) *result.add_written() = apply(planned, request.dry_run());
  for (auto i = first; i < log_.size(); ++i) {
    log_[i].transaction_last = revision_;
    touched.push_back(std::get<0>(log_[i].key));
  }
  result.set_revision(revision_);
  return result;
}

}  // namespace orlop::testing
