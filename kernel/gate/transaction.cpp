#include "kernel/gate/transaction.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace orlop::gate {

namespace {

thread_local bool t_on_committer = false;

class CommitterScope {
 public:
  CommitterScope() : before_(std::exchange(t_on_committer, true)) {}
  ~CommitterScope() { t_on_committer = before_; }
  CommitterScope(const CommitterScope&) = delete;
  CommitterScope& operator=(const CommitterScope&) = delete;

 private:
  bool before_;
};

store::Key to_store(const v1::Key& key) {
  return {key.kind(), key.namespace_(), key.name()};
}

Status from_message(const v1::Status& status) {
  std::vector<Cause> causes;
  causes.reserve(static_cast<std::size_t>(status.causes_size()));
  for (const auto& cause : status.causes()) causes.push_back({cause.reason(), cause.message(), cause.field()});
  const auto code =
      status.code() > 0 && status.code() <= ORLOP_CANCELLED ? static_cast<Code>(status.code()) : Code::kInternal;
  Status out(code, status.message(), std::move(causes));
  out.with_retry_after_s(status.retry_after_seconds());
  return out;
}

// "writes[12]" → 12.
std::optional<std::size_t> index_in(std::string_view field, std::string_view list) {
  if (!field.starts_with(list) || field.size() < list.size() + 3 || field[list.size()] != '[') return std::nullopt;
  std::size_t index = 0;
  const char* begin = field.data() + list.size() + 1;
  const auto parsed = std::from_chars(begin, field.data() + field.size(), index);
  if (parsed.ec != std::errc()) return std::nullopt;
  return index;
}

constexpr std::string_view kModified =
    "the object has been modified; please apply your changes to the latest version and try again";

}  // namespace

bool on_committer() {
  return t_on_committer;
}

Transaction::Transaction(std::shared_ptr<GateState> gate, std::shared_ptr<const Actor> actor, v1::CommitRequest request,
                         Gate::CommitDone done)
    : gate_(std::move(gate)), actor_(std::move(actor)), request_(std::move(request)), done_(std::move(done)) {}

void Transaction::start() {
  if (Status status = check_request(); !status) {
    finish(std::move(status));
    return;
  }
  bool reads = request_.dry_run();
  for (const auto& write : request_.writes()) reads = reads || write.verb() != v1::CREATE;
  // Who brings no revision stands behind those that lost a race for the same object; not so a provider's own write,
  // which the admission of the one ahead may be waiting for.
  for (std::size_t i = 0; !request_.dry_run() && i < items_.size(); ++i) {
    const auto& write = request_.writes(static_cast<int>(i));
    if (write.verb() == v1::CREATE || write.if_revision() != 0 || !items_[i].call_out) continue;
    turn_ = items_[i].key;
    if (!gate_->take_turn(items_[i].key, shared_from_this(), true)) return;
    turn_.reset();
    break;
  }
  if (reads && on_committer()) {
    gate_->worker_.post([self = shared_from_this()] { self->attempt(); });
  } else {
    attempt();
  }
}

// ---------------------------------------------------------------------------------------------- the request alone

Status Transaction::check_request() {
  items_.resize(static_cast<std::size_t>(request_.writes_size()));
  for (int i = 0; i < request_.writes_size(); ++i) {
    const auto& write = request_.writes(i);
    auto& item = items_[static_cast<std::size_t>(i)];
    ORLOP_TRY(Gate::check_permission(*actor_, "write", write.key().kind()));
    ORLOP_ASSIGN(item.kind, gate_->kinds_.find(write.key().kind()));
    ORLOP_TRY(check_key(write, *item.kind));
    item.key = to_store(write.key());
    item.call_out = !(write.admitted() && item.kind->provider == actor_->plugin);
    if (!item.call_out) {
      *item.verdict.mutable_index_terms() = write.index_terms();
      if (write.has_grace_seconds()) item.verdict.set_grace_seconds(write.grace_seconds());
      item.verdict.set_hold(write.hold());
    }
    if (write.verb() == v1::CREATE) item.uid = meta::format_uid(gate_->options_.random_16());
  }
  for (const auto& precondition : request_.preconditions()) {
    ORLOP_TRY(Gate::check_permission(*actor_, "read", precondition.key().kind()));
  }
  // On behalf of a user: only who serves users, that is, provides kinds, is believed.
  if (!request_.has_actor() || !gate_->kinds_.is_provider(actor_->plugin)) {
    request_.mutable_actor()->Clear();
    request_.mutable_actor()->set_user("system:plugin:" + actor_->plugin);
  }
  return Status::ok();
}

Status Transaction::check_key(const v1::Write& write, const KindEntry& kind) const {
  const auto& key = write.key();
  if (write.verb() != v1::CREATE && write.verb() != v1::UPDATE && write.verb() != v1::DELETE) {
    return {Code::kBadRequest, "a write of kind \"" + key.kind() + "\" has no verb: CREATE, UPDATE or DELETE"};
  }
  if (key.name().empty()) {
    return {Code::kBadRequest, "a write of kind \"" + key.kind() + "\" names no object: its key has no name"};
  }
  if (kind.info.namespaced() && key.namespace_().empty()) {
    return {Code::kBadRequest,
            "kind \"" + key.kind() + "\" lives in namespaces: the key of \"" + key.name() + "\" has no namespace"};
  }
  if (!kind.info.namespaced() && !key.namespace_().empty()) {
    return {Code::kBadRequest,
            "kind \"" + key.kind() + "\" does not live in namespaces: the key of \"" + key.name() + "\" has one"};
  }
  return Status::ok();
}

// ---------------------------------------------------------------------------------------------- reading, admission

void Transaction::attempt() {
  if (attempts_++ > 0) gate_->retries_.fetch_add(1, std::memory_order_relaxed);
  now_s_ = gate_->options_.wall_now_ns() / 1'000'000'000;
  Status status = read_current();
  for (std::size_t i = 0; status && i < items_.size(); ++i) status = check_current(i);
  if (!status) {
    finish(std::move(status));
    return;
  }
  std::vector<std::pair<std::string, std::vector<std::size_t>>> groups;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (!items_[i].call_out) continue;
    const auto& provider = items_[i].kind->provider;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& each) { return each.first == provider; });
    if (group == groups.end()) group = groups.insert(groups.end(), {provider, {}});
    group->second.push_back(i);
  }
  if (groups.empty()) {
    apply_and_commit();
    return;
  }
  if (status = ask_providers(groups); !status) finish(std::move(status));
}

Status Transaction::read_current() {
  std::vector<store::Key> keys;
  std::vector<std::size_t> of_item;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    auto& item = items_[i];
    item.found = false;
    // A CREATE leaves it to the store to find that the name is taken; a dry run writes nothing, so it must look.
    if (request_.writes(static_cast<int>(i)).verb() == v1::CREATE && !request_.dry_run()) continue;
    keys.push_back(item.key);
    of_item.push_back(i);
  }
  if (keys.empty()) return Status::ok();
  auto read = gate_->store_.get(keys, 0, [&](std::size_t index, const store::RecordView* record) {
    auto& item = items_[of_item[index]];
    item.found = record != nullptr;
    if (record == nullptr) return true;
    item.revision = record->revision;
    item.create_revision = record->create_revision;
    item.current.assign(record->value);
    if (request_.writes(static_cast<int>(of_item[index])).verb() == v1::DELETE) {
      item.current_terms = record->index_terms.to_vector();
    }
    return true;
  });
  if (!read) return read.status();
  read_revision_ = *read;
  return Status::ok();
}

Status Transaction::check_current(std::size_t index) const {
  const auto& item = items_[index];
  const auto& write = request_.writes(static_cast<int>(index));
  const auto& resource = item.key.kind;
  const auto& name = item.key.name;
  if (write.verb() == v1::CREATE) {
    return item.found ? meta::already_exists(resource, name) : Status::ok();
  }
  if (!item.found) return meta::not_found(resource, name);
  const bool deletes = write.verb() == v1::DELETE;
  if (!write.if_uid().empty()) {
    ORLOP_ASSIGN(const auto view, meta::parse(item.current));
    if (view.uid != write.if_uid()) {
      return deletes ? meta::delete_uid_differs(resource, name, write.if_uid(), view.uid)
                     : meta::uid_differs(resource, name, write.if_uid(), view.uid);
    }
  }
  if (write.if_revision() != 0 && write.if_revision() != item.revision) {
    return deletes ? meta::delete_revision_differs(resource, name, write.if_revision(), item.revision)
                   : meta::modified(resource, name);
  }
  return Status::ok();
}

Status Transaction::ask_providers(std::vector<std::pair<std::string, std::vector<std::size_t>>>& groups) {
  admission_failure_ = Status::ok();
  std::vector<v1::AdmitRequest> requests;
  requests.reserve(groups.size());
  for (const auto& group : groups) {
    Status failure;
    requests.push_back(admit_request(group.second, failure));
    ORLOP_TRY(failure);
  }
  awaiting_.store(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    gate_->call_outs_.fetch_add(1, std::memory_order_relaxed);
    auto answered = std::make_shared<std::atomic<bool>>(false);
    gate_->providers_.admit(groups[i].first, requests[i], gate_->options_.admit_deadline,
                            [self = shared_from_this(), provider = groups[i].first, items = groups[i].second,
                             answered](Result<v1::AdmitResponse> answer) {
                              if (answered->exchange(true)) return;
                              self->admitted(provider, items, std::move(answer));
                            });
  }
  return Status::ok();
}

v1::AdmitRequest Transaction::admit_request(const std::vector<std::size_t>& items, Status& failure) {
  v1::AdmitRequest out;
  *out.mutable_actor() = request_.actor();
  for (const auto index : items) {
    const auto& item = items_[index];
    auto* review = out.add_reviews();
    auto* write = review->mutable_write();
    *write = request_.writes(static_cast<int>(index));
    write->clear_admitted();
    write->clear_index_terms();
    write->clear_grace_seconds();
    write->clear_hold();
    if (write->verb() == v1::CREATE) {
      auto value = meta::prepare_create(subject(item), write->value(), rules(item), item.uid, now_s_);
      failure = value.status();
      if (value) write->set_value(std::move(*value));
    } else {
      review->set_current(item.current);
      review->set_current_revision(item.revision);
    }
    if (write->verb() == v1::UPDATE) {
      auto update =
          meta::prepare_update(subject(item), item.current, write->value(), rules(item), write->subresource());
      failure = update.status();
      if (update) write->set_value(std::move(update->value));
    }
    if (!failure) break;
  }
  return out;
}

void Transaction::fail_admission(std::size_t index, Status status) {
  const std::lock_guard lock(admission_mutex_);
  if (!admission_failure_.is_ok() && admission_failure_index_ <= index) return;
  admission_failure_ = std::move(status);
  admission_failure_index_ = index;
}

void Transaction::admitted(const std::string& provider, const std::vector<std::size_t>& items,
                           Result<v1::AdmitResponse> answer) {
  if (!answer) {
    fail_admission(items.front(), answer.status());
  } else if (static_cast<std::size_t>(answer->verdicts_size()) != items.size()) {
    fail_admission(items.front(),
                   {Code::kInternal, "plugin \"" + provider + "\" answered " + std::to_string(answer->verdicts_size()) +
                                         " verdicts to " + std::to_string(items.size()) + " reviews"});
  } else {
    for (std::size_t i = 0; i < items.size(); ++i) {
      auto& verdict = *answer->mutable_verdicts(static_cast<int>(i));
      if (verdict.status().code() != 0) fail_admission(items[i], from_message(verdict.status()));
      items_[items[i]].verdict = std::move(verdict);
    }
  }
  if (awaiting_.fetch_sub(1) != 1) return;
  if (!admission_failure_.is_ok()) {
    finish(admission_failure_);
    return;
  }
  apply_and_commit();
}

// ---------------------------------------------------------------------------------------------- rules and the store

void Transaction::apply_and_commit() {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (Status status = plan(items_[i], request_.writes(static_cast<int>(i))); !status) {
      finish(std::move(status));
      return;
    }
  }
  if (request_.dry_run()) {
    answer_dry_run();
  } else {
    commit_to_store();
  }
}

Status Transaction::plan(Item& item, const v1::Write& write) {
  if (write.verb() == v1::DELETE) return plan_delete(item, write);
  const std::string& value = item.call_out ? item.verdict.value() : write.value();
  if (write.verb() == v1::CREATE) {
    ORLOP_ASSIGN(item.value, meta::prepare_create(subject(item), value, rules(item), item.uid, now_s_));
    item.plan = Item::Plan::kPut;
  } else {
    ORLOP_ASSIGN(auto update,
                 meta::prepare_update(subject(item), item.current, value, rules(item), write.subresource()));
    item.value = std::move(update.value);
    item.plan = update.remove && !item.verdict.hold() ? Item::Plan::kRemove : Item::Plan::kPut;
  }
  item.terms.assign(item.verdict.index_terms().begin(), item.verdict.index_terms().end());
  ORLOP_ASSIGN(const auto view, meta::parse(item.value));
  meta::append_owner_terms(view, item.terms);
  return Status::ok();
}

Status Transaction::plan_delete(Item& item, const v1::Write& write) {
  meta::DeleteRequest request;
  const auto& options = write.delete_options();
  if (options.has_grace_period_seconds()) request.grace_period_s = options.grace_period_seconds();
  request.propagation_policy = options.propagation_policy();
  if (item.verdict.has_grace_seconds()) request.granted_grace_s = item.verdict.grace_seconds();
  request.hold = item.verdict.hold();
  const std::string& left_behind = item.call_out ? item.verdict.value() : write.value();
  ORLOP_ASSIGN(auto outcome, meta::prepare_delete(subject(item), item.current, request, now_s_, left_behind));
  item.value = std::move(outcome.value);
  item.terms = item.current_terms;
  switch (outcome.action) {
    case meta::DeleteOutcome::Action::kRemove:
      item.plan = Item::Plan::kRemove;
      break;
    case meta::DeleteOutcome::Action::kStore:
      item.plan = Item::Plan::kPut;
      break;
    case meta::DeleteOutcome::Action::kNothing:
      item.plan = Item::Plan::kNothing;
      break;
  }
  return Status::ok();
}

void Transaction::commit_to_store() {
  store::Transaction transaction;
  store_writes_.clear();
  store_checks_.clear();
  for (const auto& precondition : request_.preconditions()) {
    transaction.checks.push_back({to_store(precondition.key()),
                                  precondition.revision() == 0 ? store::Precondition::absent()
                                                               : store::Precondition::at(precondition.revision())});
  }
  bool relaxed = true;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const auto& item = items_[i];
    const auto& write = request_.writes(static_cast<int>(i));
    const auto precondition =
        write.verb() == v1::CREATE ? store::Precondition::absent() : store::Precondition::at(item.revision);
    if (item.plan == Item::Plan::kNothing) {
      transaction.checks.push_back({item.key, precondition});
      store_checks_.push_back(i);
      continue;
    }
    auto& out = transaction.writes.emplace_back();
    out.key = item.key;
    out.precondition = precondition;
    if (item.plan == Item::Plan::kRemove) {
      out.operation = store::Operation::kDelete;
    } else {
      out.value = item.value;
      out.index_terms = item.terms;
      out.sealed = item.kind->info.sealed();
      out.skip_if_unchanged = write.skip_if_unchanged();
    }
    relaxed = relaxed && item.kind->info.relaxed();
    store_writes_.push_back(i);
  }
  if (relaxed && !transaction.writes.empty()) transaction.durability = store::Durability::kRelaxed;
  gate_->store_.commit(std::move(transaction), [self = shared_from_this()](Result<store::CommitResult> result) {
    const CommitterScope scope;
    self->committed(std::move(result));
  });
}

void Transaction::committed(Result<store::CommitResult> result) {
  if (result) {
    finish(result_of(*result));
    return;
  }
  std::size_t contended = 0;
  if (auto explained = explain(result.status(), contended)) {
    finish(std::move(*explained));
  } else {
    begin_again(contended);
  }
}

void Transaction::begin_again(std::size_t contended) {
  if (!turn_) {
    turn_ = items_[contended].key;
    if (!gate_->take_turn(*turn_, shared_from_this(), false)) return;
  }
  gate_->worker_.post([self = shared_from_this()] { self->attempt(); });
}

void Transaction::turn_came() {
  attempt();
}

std::optional<Status> Transaction::explain(const Status& failure, std::size_t& contended) const {
  const auto code = failure.code();
  if (code != Code::kConflict && code != Code::kNotFound && code != Code::kAlreadyExists) return failure;
  if (failure.causes().empty()) return failure;
  const auto& field = failure.causes().front().field;
  std::optional<std::size_t> item_index;
  if (const auto write = index_in(field, "writes"); write && *write < store_writes_.size()) {
    item_index = store_writes_[*write];
  } else if (const auto check = index_in(field, "checks")) {
    const auto own = static_cast<std::size_t>(request_.preconditions_size());
    if (*check < own) {
      const auto& key = request_.preconditions(static_cast<int>(*check)).key();
      return code == Code::kAlreadyExists ? meta::conflict(key.kind(), key.name(), "the object exists")
                                          : meta::modified(key.kind(), key.name());
    }
    if (*check - own < store_checks_.size()) item_index = store_checks_[*check - own];
  }
  if (!item_index) return failure;
  const auto& key = items_[*item_index].key;
  const auto& write = request_.writes(static_cast<int>(*item_index));
  if (code == Code::kAlreadyExists) return meta::already_exists(key.kind, key.name);
  if (write.if_revision() != 0) {
    return code == Code::kNotFound ? meta::not_found(key.kind, key.name)
                                   : meta::conflict(key.kind, key.name, kModified);
  }
  if (attempts_ >= gate_->options_.attempts_max) return meta::modified(key.kind, key.name);
  contended = *item_index;
  return std::nullopt;
}

// ---------------------------------------------------------------------------------------------- answers

void Transaction::answer_dry_run() {
  for (const auto& precondition : request_.preconditions()) {
    auto record = gate_->store_.Reader::get(to_store(precondition.key()));
    if (!record && record.code() != Code::kNotFound) {
      finish(record.status());
      return;
    }
    const uint64_t revision = record ? record->revision : 0;
    if (revision != precondition.revision()) {
      finish(meta::modified(precondition.key().kind(), precondition.key().name()));
      return;
    }
  }
  v1::CommitResult result;
  result.set_revision(read_revision_ != 0 ? read_revision_ : gate_->store_.current_revision());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    auto& item = items_[i];
    auto* written = result.add_written();
    written->set_revision(item.revision);
    written->set_create_revision(item.create_revision);
    written->set_deleted(item.plan == Item::Plan::kRemove);
    written->set_unchanged(item.plan == Item::Plan::kNothing ||
                           (request_.writes(static_cast<int>(i)).skip_if_unchanged() && item.value == item.current));
    written->set_value(std::move(item.value));
  }
  finish(std::move(result));
}

v1::CommitResult Transaction::result_of(const store::CommitResult& stored) {
  v1::CommitResult result;
  result.set_revision(stored.last != 0 ? stored.last : stored.revision);
  std::size_t next = 0;
  for (auto& item : items_) {
    auto* written = result.add_written();
    written->set_value(std::move(item.value));
    if (item.plan == Item::Plan::kNothing) {
      written->set_revision(item.revision);
      written->set_create_revision(item.create_revision);
      written->set_unchanged(true);
      continue;
    }
    const auto& outcome = stored.writes[next++];
    written->set_revision(outcome.revision);
    written->set_create_revision(outcome.create_revision);
    written->set_deleted(item.plan == Item::Plan::kRemove);
    written->set_unchanged(!outcome.changed && item.plan == Item::Plan::kPut);
  }
  return result;
}

void Transaction::finish(Result<v1::CommitResult> result) {
  if (result.code() == Code::kConflict) gate_->conflicts_.fetch_add(1, std::memory_order_relaxed);
  if (result.code() == Code::kForbidden) gate_->refused_.fetch_add(1, std::memory_order_relaxed);
  if (turn_) gate_->give_turn(*turn_);
  done_(std::move(result));
  done_ = nullptr;
  gate_->leave();
}

}  // namespace orlop::gate
