#include "kernel/gate/gate.hpp"

#include "kernel/gate/gate_state.hpp"
#include "kernel/gate/transaction.hpp"

#include <algorithm>
#include <cstring>
#include <future>
#include <random>
#include <utility>

#include <sys/random.h>

namespace orlop::gate {

namespace {

// The system's random bytes, fetched by the page: a call into the kernel for each uid costs more than the rest of a
// create's rules together.
std::array<uint8_t, 16> system_random_16() {
  thread_local std::array<uint8_t, 256> pool;  // getrandom never interrupts or cuts short what fits 256 bytes
  thread_local std::size_t used = pool.size();
  if (used == pool.size()) {
    if (getrandom(pool.data(), pool.size(), 0) != static_cast<ssize_t>(pool.size())) {
      std::random_device device;
      for (auto& byte : pool) byte = static_cast<uint8_t>(device());
    }
    used = 0;
  }
  std::array<uint8_t, 16> out;
  std::memcpy(out.data(), pool.data() + used, out.size());
  used += out.size();
  return out;
}

bool holds(const std::vector<std::string>& kinds, std::string_view kind) {
  return std::any_of(kinds.begin(), kinds.end(), [&](const auto& each) { return each == "*" || each == kind; });
}

store::Key to_store(const v1::Key& key) {
  return {key.kind(), key.namespace_(), key.name()};
}

}  // namespace

Options Options::system() {
  Options options;
  options.wall_now_ns = [] {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  options.random_16 = system_random_16;
  return options;
}

Gate::Gate(store::Store& store, KindProviders& providers, Options options)
    : state_(std::make_shared<GateState>(store, providers, std::move(options))) {}

Gate::~Gate() {
  stop();
}

void Gate::stop() {
  state_->stop();
}

// ---------------------------------------------------------------------------------------------- kinds

Status Gate::register_kinds(const std::string& provider, std::vector<v1::KindInfo> kinds) {
  return state_->kinds_.add(provider, std::move(kinds));
}

void Gate::unregister_provider(const std::string& provider) {
  state_->kinds_.remove_provider(provider);
}

Result<v1::KindInfo> Gate::kind(std::string_view kind) const {
  ORLOP_ASSIGN(const auto entry, state_->kinds_.find(kind));
  return entry->info;
}

std::string Gate::provider_of(std::string_view kind) const {
  const auto entry = state_->kinds_.find(kind);
  return entry ? (*entry)->provider : std::string();
}

std::vector<v1::KindInfo> Gate::kinds() const {
  return state_->kinds_.all();
}

// ---------------------------------------------------------------------------------------------- reads

Status Gate::check_permission(const Actor& actor, std::string_view verb, std::string_view kind) {
  const bool reads = verb == "read";
  if (holds(reads ? actor.read_kinds : actor.write_kinds, kind)) return Status::ok();
  const std::string name(kind);
  return {Code::kForbidden, "plugin \"" + actor.plugin + "\" may not " + std::string(verb) + " kind \"" + name +
                                "\": add \"" + name + "\" to permissions." + std::string(verb) + " of its manifest"};
}

Result<v1::ReadResult> Gate::get(const Actor& actor, const v1::GetRequest& request,
                                 const store::RecordVisitor& visitor) {
  state_->reads_.fetch_add(1, std::memory_order_relaxed);
  std::vector<store::Key> keys;
  keys.reserve(static_cast<std::size_t>(request.keys_size()));
  for (const auto& key : request.keys()) {
    if (Status status = check_permission(actor, "read", key.kind()); !status) {
      state_->refused_.fetch_add(1, std::memory_order_relaxed);
      return status;
    }
    keys.push_back(to_store(key));
  }
  ORLOP_ASSIGN(const auto revision,
               state_->store_.get(keys, request.at_revision(), [&](std::size_t, const store::RecordView* record) {
                 return record == nullptr || visitor(*record);
               }));
  v1::ReadResult result;
  result.set_revision(revision);
  return result;
}

Result<v1::ReadResult> Gate::list(const Actor& actor, const v1::ListRequest& request,
                                  const store::RecordVisitor& visitor) {
  state_->reads_.fetch_add(1, std::memory_order_relaxed);
  if (Status status = check_permission(actor, "read", request.kind()); !status) {
    state_->refused_.fetch_add(1, std::memory_order_relaxed);
    return status;
  }
  store::ListRequest list;
  list.kind = request.kind();
  if (!request.namespace_().empty()) list.name_space = request.namespace_();
  if (!request.index_term().empty()) list.index_term = request.index_term();
  if (request.has_start_after()) {
    list.start_after = to_store(request.start_after());
    list.start_after->kind = request.kind();
  }
  list.limit = request.limit();
  list.at_revision = request.at_revision();
  ORLOP_ASSIGN(const auto listed, state_->store_.list(list, visitor));
  v1::ReadResult result;
  result.set_revision(listed.revision);
  result.set_more(listed.more);
  result.set_remaining(listed.remaining.value_or(0));
  return result;
}

Result<v1::PullResult> Gate::pull(const Actor& actor, const v1::PullRequest& request,
                                  const store::ChangeVisitor& visitor) {
  state_->reads_.fetch_add(1, std::memory_order_relaxed);
  store::PullRequest pull;
  pull.kinds.assign(request.kinds().begin(), request.kinds().end());
  for (const auto& kind : pull.kinds) {
    if (Status status = check_permission(actor, "read", kind); !status) {
      state_->refused_.fetch_add(1, std::memory_order_relaxed);
      return status;
    }
  }
  if (pull.kinds.empty() && !holds(actor.read_kinds, "*")) {
    if (actor.read_kinds.empty()) {
      state_->refused_.fetch_add(1, std::memory_order_relaxed);
      return Status(Code::kForbidden, "plugin \"" + actor.plugin +
                                          "\" may not read any kind: add those that it watches to permissions.read of "
                                          "its manifest");
    }
    pull.kinds = actor.read_kinds;
  }
  pull.cursor = request.cursor();
  if (!request.namespace_().empty()) pull.name_space = request.namespace_();
  if (request.max_changes() != 0) pull.max_changes = request.max_changes();
  if (request.max_bytes() != 0) pull.max_bytes = request.max_bytes();
  pull.want_previous = request.want_previous();
  ORLOP_ASSIGN(const auto pulled, state_->store_.pull(pull, visitor));
  v1::PullResult result;
  result.set_next_cursor(pulled.next_cursor);
  result.set_at_end(pulled.reached_end);
  return result;
}

// ---------------------------------------------------------------------------------------------- writes

void Gate::commit(std::shared_ptr<const Actor> actor, v1::CommitRequest request, CommitDone done) {
  const auto state = state_;
  state->commits_.fetch_add(1, std::memory_order_relaxed);
  if (!state->enter()) {
    done(Status(Code::kCancelled, "the kernel is stopping"));
    return;
  }
  std::make_shared<Transaction>(state, std::move(actor), std::move(request), std::move(done))->start();
}

Result<v1::CommitResult> Gate::commit_and_wait(std::shared_ptr<const Actor> actor, v1::CommitRequest request) {
  auto promise = std::make_shared<std::promise<Result<v1::CommitResult>>>();
  auto answer = promise->get_future();
  commit(std::move(actor), std::move(request),
         [promise](Result<v1::CommitResult> result) { promise->set_value(std::move(result)); });
  return answer.get();
}

Counters Gate::counters() const {
  return {state_->reads_.load(),     state_->commits_.load(), state_->refused_.load(),
          state_->call_outs_.load(), state_->retries_.load(), state_->conflicts_.load()};
}

}  // namespace orlop::gate
