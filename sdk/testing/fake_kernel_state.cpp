#include "sdk/testing/fake_kernel_state.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace orlop::testing {

namespace {

template <typename Message>
orlop_code answer(const Result<Message>& result, orlop_completion done, void* user) {
  if (!result) return complete(result.status(), done, user);
  const std::string bytes = result->SerializeAsString();
  done(user, ORLOP_OK, slice_of(bytes));
  return ORLOP_OK;
}

orlop_record record_of(const FakeStore::ObjectKey& key, uint64_t revision, uint64_t create_revision,
                       std::string_view value) {
  const auto& [kind, name_space, name] = key;
  return {slice_of(kind), slice_of(name_space), slice_of(name), revision, create_revision, slice_of(value)};
}

bool holds(const std::vector<std::string>& kinds, const std::string& kind) {
  return std::any_of(kinds.begin(), kinds.end(), [&](const auto& each) { return each == "*" || each == kind; });
}

}  // namespace

FakeKernel::State::State(FakeKernelOptions options)
    : options_(std::move(options)),
      wall_ns_(options_.wall_ns),
      monotonic_ns_(options_.monotonic_ns),
      random_(options_.seed) {
  table_.size = sizeof table_;
  table_.abi_minor = ORLOP_ABI_MINOR;
  table_.context = this;
  static constexpr auto of = [](void* context) -> State& { return *static_cast<State*>(context); };
  table_.get = [](void* c, orlop_slice r, orlop_record_visitor v, void* vu, orlop_completion d, void* u) {
    return of(c).get(r, v, vu, d, u);
  };
  table_.list = [](void* c, orlop_slice r, orlop_record_visitor v, void* vu, orlop_completion d, void* u) {
    return of(c).list(r, v, vu, d, u);
  };
  table_.pull = [](void* c, orlop_slice r, orlop_change_visitor v, void* vu, orlop_completion d, void* u) {
    return of(c).pull(r, v, vu, d, u);
  };
  table_.subscribe = [](void* c, orlop_slice r) { return of(c).subscribe(r); };
  table_.commit = [](void* c, orlop_slice r, orlop_completion d, void* u) { of(c).commit(r, d, u); };
  table_.call = [](void* c, orlop_slice t, orlop_slice p, orlop_completion d, void* u) { of(c).call(t, p, d, u); };
  table_.respond = [](void* c, uint64_t id, orlop_code code, orlop_slice p) { of(c).respond(id, code, p); };
  table_.wake_at = [](void* c, int64_t at_ns) { of(c).wake_at(at_ns); };
  table_.monotonic_now_ns = [](void* c) {
    const std::lock_guard lock(of(c).mutex_);
    return of(c).monotonic_ns_;
  };
  table_.wall_now_ns = [](void* c) {
    const std::lock_guard lock(of(c).mutex_);
    return of(c).wall_ns_;
  };
  table_.log = [](void* c, int32_t level, orlop_slice message) { of(c).log(level, message); };
  table_.revision = [](void* c) {
    const std::lock_guard lock(of(c).mutex_);
    return of(c).store_.revision();
  };
  table_.set_ready = [](void* c, int32_t ready, orlop_slice reason) {
    const std::lock_guard lock(of(c).mutex_);
    of(c).readiness_.emplace(ready != 0, std::string(view_of(reason)));
  };
  deliverer_ = std::thread([this] { deliver_loop(); });
}

FakeKernel::State::~State() {
  stop();
}

void FakeKernel::State::stop() {
  std::map<uint64_t, PendingCall> unanswered;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    unanswered.swap(pending_);
    changed_.notify_all();
  }
  if (deliverer_.joinable()) deliverer_.join();
  for (const auto& [id, call] : unanswered) {
    complete(Status(Code::kCancelled, call.what + ": the kernel is gone"), call.done, call.user);
  }
}

Status FakeKernel::State::permission(bool writes, const std::string& kind) const {
  if (holds(writes ? options_.writes : options_.reads, kind)) return Status::ok();
  const std::string verb = writes ? "write" : "read";
  return {Code::kForbidden, "plugin \"" + options_.plugin + "\" may not " + verb + " kind \"" + kind + "\": add \"" +
                                kind + "\" to permissions." + verb + " of its manifest"};
}

// ---------------------------------------------------------------------------------------------- reads

// Runs a read under the lock, and answers outside it.
template <typename Request, typename Read, typename Done>
orlop_code FakeKernel::State::read(orlop_slice bytes, const Read& run, orlop_completion done, void* user, Done*) {
  Request request;
  Result<Done> result(Status(Code::kBadRequest, "a request that cannot be read"));
  if (request.ParseFromArray(bytes.data, static_cast<int>(bytes.size))) {
    // A visitor that calls back holds the lock already; telling it so beats waiting for ourselves.
    if (visiting_.load() == std::this_thread::get_id()) {
      return complete(Status(Code::kInternal, "a visitor called the host"), done, user);
    }
    const std::lock_guard lock(mutex_);
    if (!read_failures_.empty()) {
      result = read_failures_.front();
      read_failures_.pop_front();
    } else {
      visiting_ = std::this_thread::get_id();
      result = run(request);
      visiting_ = std::thread::id();
    }
  }
  return answer(result, done, user);
}

orlop_code FakeKernel::State::get(orlop_slice request, orlop_record_visitor visit, void* visit_user,
                                  orlop_completion done, void* user) {
  const auto run = [&](const v1::GetRequest& get) -> Result<v1::ReadResult> {
    for (const auto& key : get.keys()) ORLOP_TRY(permission(false, key.kind()));
    return store_.get(get, [&](const auto& key, const auto& version) {
      const auto record = record_of(key, version.revision, version.create_revision, version.value);
      return visit(visit_user, &record) == ORLOP_OK;
    });
  };
  return read<v1::GetRequest>(request, run, done, user, static_cast<v1::ReadResult*>(nullptr));
}

orlop_code FakeKernel::State::list(orlop_slice request, orlop_record_visitor visit, void* visit_user,
                                   orlop_completion done, void* user) {
  const auto run = [&](const v1::ListRequest& list) -> Result<v1::ReadResult> {
    ORLOP_TRY(permission(false, list.kind()));
    return store_.list(list, [&](const auto& key, const auto& version) {
      const auto record = record_of(key, version.revision, version.create_revision, version.value);
      return visit(visit_user, &record) == ORLOP_OK;
    });
  };
  return read<v1::ListRequest>(request, run, done, user, static_cast<v1::ReadResult*>(nullptr));
}

orlop_code FakeKernel::State::pull(orlop_slice request, orlop_change_visitor visit, void* visit_user,
                                   orlop_completion done, void* user) {
  const auto run = [&](v1::PullRequest pull) -> Result<v1::PullResult> {
    for (const auto& kind : pull.kinds()) ORLOP_TRY(permission(false, kind));
    if (pull.kinds().empty() && !holds(options_.reads, "*")) {
      if (options_.reads.empty()) ORLOP_TRY(permission(false, "*"));
      for (const auto& kind : options_.reads) pull.add_kinds(kind);
    }
    return store_.pull(pull, [&](const FakeStore::Change& change) {
      orlop_change out{};
      out.type = change.type;
      out.record = record_of(change.key, change.revision, change.create_revision, change.value);
      out.previous_revision = change.previous_revision;
      if (pull.want_previous()) out.previous_value = slice_of(change.previous_value);
      return visit(visit_user, &out) == ORLOP_OK;
    });
  };
  return read<v1::PullRequest>(request, run, done, user, static_cast<v1::PullResult*>(nullptr));
}

orlop_code FakeKernel::State::subscribe(orlop_slice bytes) {
  v1::SubscribeRequest request;
  if (!request.ParseFromArray(bytes.data, static_cast<int>(bytes.size))) return ORLOP_BAD_REQUEST;
  const std::lock_guard lock(mutex_);
  for (const auto& kind : request.kinds()) {
    if (!permission(false, kind)) return ORLOP_FORBIDDEN;
  }
  subscription_.emplace(request.kinds().begin(), request.kinds().end());
  return ORLOP_OK;
}

// ---------------------------------------------------------------------------------------------- writes

Result<v1::CommitResult> FakeKernel::State::commit_locked(const v1::CommitRequest& request,
                                                          std::vector<std::string>& touched) {
  FakeStore::Context context;
  context.now_s = wall_ns_ / 1'000'000'000;
  context.admit = admit_;
  context.index = index_;
  context.new_uid = [this] {
    std::array<uint8_t, 16> bytes{};
    const uint64_t words[2] = {random_(), random_()};
    std::memcpy(bytes.data(), words, sizeof words);
    return meta::format_uid(bytes);
  };
  return store_.commit(request, context, touched);
}

void FakeKernel::State::commit(orlop_slice bytes, orlop_completion done, void* user) {
  v1::CommitRequest request;
  if (!request.ParseFromArray(bytes.data, static_cast<int>(bytes.size))) {
    complete(Status(Code::kBadRequest, "a request that cannot be read"), done, user);
    return;
  }
  std::vector<std::string> touched;
  std::function<void()> meanwhile;
  {
    const std::lock_guard lock(mutex_);
    meanwhile = before_commit_;
  }
  if (meanwhile) meanwhile();
  const auto run = [&]() -> Result<v1::CommitResult> {
    const std::lock_guard lock(mutex_);
    for (const auto& write : request.writes()) ORLOP_TRY(permission(true, write.key().kind()));
    if (conflicts_ > 0 && request.writes_size() > 0) {
      --conflicts_;
      return meta::modified(request.writes(0).key().kind(), request.writes(0).key().name());
    }
    if (!commit_failures_.empty()) {
      const Status failure = commit_failures_.front();
      commit_failures_.pop_front();
      return failure;
    }
    auto result = commit_locked(request, touched);
    if (result) ++plugin_commits_;
    if (result && !lost_answers_.empty()) {
      result = lost_answers_.front();
      lost_answers_.pop_front();
    }
    return result;
  };
  const auto result = run();
  answer(result, done, user);
  changed(touched);
}

Result<v1::CommitResult> FakeKernel::State::commit_as_client(const v1::CommitRequest& request) {
  std::vector<std::string> touched;
  std::unique_lock lock(mutex_);
  auto result = commit_locked(request, touched);
  lock.unlock();
  changed(touched);
  return result;
}

// ---------------------------------------------------------------------------------------------- wakes and time

void FakeKernel::State::changed(const std::vector<std::string>& kinds) {
  const std::lock_guard lock(mutex_);
  if (!subscription_) return;
  const bool wanted = std::any_of(kinds.begin(), kinds.end(), [&](const std::string& kind) {
    return subscription_->empty() || holds(*subscription_, kind);
  });
  if (!wanted) return;
  std::uniform_real_distribution<double> draw(0, 1);
  if (draw(random_) < faults_.lost) {
    lost_ |= ORLOP_WAKE_CHANGES;
  } else if (draw(random_) < faults_.delayed) {
    held_ |= ORLOP_WAKE_CHANGES;
  } else {
    push_wake_locked(ORLOP_WAKE_CHANGES);
    if (draw(random_) < faults_.repeated) push_wake_locked(ORLOP_WAKE_CHANGES);
  }
}

void FakeKernel::State::push_wake_locked(uint32_t reasons) {
  wakes_.push_back(reasons | std::exchange(lost_, 0));
  changed_.notify_all();
}

bool FakeKernel::State::release_held() {
  const std::lock_guard lock(mutex_);
  const uint32_t reasons = std::exchange(held_, 0) | lost_;
  if (reasons != 0) push_wake_locked(reasons);
  return reasons != 0 || !wakes_.empty();
}

void FakeKernel::State::wait_delivered() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || (wakes_.empty() && !delivering_); });
}

void FakeKernel::State::deliver_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !wakes_.empty(); });
    if (stopping_) return;
    const uint32_t reasons = wakes_.front();
    wakes_.pop_front();
    const auto wake = wake_;
    delivering_ = true;
    lock.unlock();
    if (wake) wake(reasons);
    lock.lock();
    delivering_ = false;
    changed_.notify_all();
  }
}

void FakeKernel::State::wake_at(int64_t at_ns) {
  const std::lock_guard lock(mutex_);
  if (at_ns <= monotonic_ns_) {
    wake_at_.reset();
    push_wake_locked(ORLOP_WAKE_TIMER);
  } else if (!wake_at_ || at_ns < *wake_at_) {
    wake_at_ = at_ns;
  }
}

void FakeKernel::State::advance(int64_t by_ns) {
  std::unique_lock lock(mutex_);
  const int64_t target = monotonic_ns_ + by_ns;
  const auto move_to = [this](int64_t moment) {
    wall_ns_ += moment - monotonic_ns_;
    monotonic_ns_ = moment;
  };
  while (true) {
    int64_t next = target;
    if (wake_at_) next = std::min(next, *wake_at_);
    for (const auto& [id, call] : pending_) next = std::min(next, call.deadline_ns);
    move_to(std::max(next, monotonic_ns_));
    bool fired = false;
    if (wake_at_ && *wake_at_ <= monotonic_ns_) {
      wake_at_.reset();
      push_wake_locked(ORLOP_WAKE_TIMER);
      fired = true;
    }
    std::vector<PendingCall> late;
    std::erase_if(pending_, [&](const auto& each) {
      if (each.second.deadline_ns > monotonic_ns_) return false;
      late.push_back(each.second);
      return true;
    });
    lock.unlock();
    for (const auto& call : late) {
      complete(Status(Code::kTimeout, call.what + " was not answered in time"), call.done, call.user);
    }
    if (fired) wait_delivered();
    lock.lock();
    if (!fired && late.empty() && monotonic_ns_ >= target) break;
  }
  lock.unlock();
  release_held();
  wait_delivered();
}

// ---------------------------------------------------------------------------------------------- calls, logs

void FakeKernel::State::call(orlop_slice target_bytes, orlop_slice payload_bytes, orlop_completion done, void* user) {
  v1::CallTarget target;
  if (!target.ParseFromArray(target_bytes.data, static_cast<int>(target_bytes.size))) {
    complete(Status(Code::kBadRequest, "a target that cannot be read"), done, user);
    return;
  }
  const std::string payload(view_of(payload_bytes));
  FakeKernel::Handler handler;
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back({target, payload});
    auto found = handlers_.find({target.capability(), target.provider()});
    if (found == handlers_.end()) found = handlers_.find({target.capability(), {}});
    if (found != handlers_.end()) {
      handler = found->second;
      id = next_id_++;
      const int64_t allowed_ms = target.deadline_ms() != 0 ? target.deadline_ms() : 10'000;
      pending_[id] = {monotonic_ns_ + allowed_ms * 1'000'000, done, user, target.method()};
    }
  }
  if (!handler) {
    complete(Status(Code::kUnavailable, "no plugin provides capability \"" + target.capability() + "\"" +
                                            (target.provider().empty() ? "" : " as \"" + target.provider() + "\"")),
             done, user);
    return;
  }
  handler(target, payload, [weak = weak_from_this(), id](Result<std::string> result) {
    if (const auto state = weak.lock()) state->answer_call(id, std::move(result));
  });
}

void FakeKernel::State::answer_call(uint64_t id, Result<std::string> result) {
  PendingCall call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;  // too late
    call = found->second;
    pending_.erase(found);
  }
  if (result) {
    call.done(call.user, ORLOP_OK, slice_of(*result));
  } else {
    complete(result.status(), call.done, call.user);
  }
}

void FakeKernel::State::respond(uint64_t id, orlop_code code, orlop_slice payload) {
  const std::lock_guard lock(mutex_);
  const auto found = invoked_.find(id);
  if (found == invoked_.end() || found->second) return;
  if (code == ORLOP_OK) {
    found->second.emplace(std::string(view_of(payload)));
  } else {
    found->second.emplace(status_from(code, payload));
  }
  changed_.notify_all();
}

void FakeKernel::State::log(int32_t level, orlop_slice message) {
  const std::lock_guard lock(mutex_);
  logs_.push_back({static_cast<LogLevel>(level), std::string(view_of(message))});
}

}  // namespace orlop::testing
