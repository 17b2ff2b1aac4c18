#include "orlop/testing/fake_kernel.hpp"

#include "orlop/rpc.hpp"
#include "sdk/testing/fake_kernel_state.hpp"

#include <algorithm>

namespace orlop::testing {

namespace {

// One call of a service's method; deletes itself when the method is done.
struct ServiceCall final : google::protobuf::Closure {
  explicit ServiceCall(FakeKernel::Reply answer) : reply(std::move(answer)) {}
  void Run() override {
    const std::unique_ptr<ServiceCall> self(this);
    if (controller.Failed()) {
      reply(controller.status());
    } else {
      reply(response->SerializeAsString());
    }
  }
  FakeKernel::Reply reply;
  CallController controller{0};
  std::unique_ptr<google::protobuf::Message> request;
  std::unique_ptr<google::protobuf::Message> response;
};

void call_service(google::protobuf::Service& service, const std::string& method_name, const std::string& payload,
                  FakeKernel::Reply reply) {
  const auto* descriptor = service.GetDescriptor();
  const auto slash = method_name.find('/');
  const auto* method = slash == std::string::npos || method_name.substr(0, slash) != descriptor->full_name()
                           ? nullptr
                           : descriptor->FindMethodByName(method_name.substr(slash + 1));
  if (method == nullptr) {
    reply(Status(Code::kMethodNotAllowed, "no such method: " + method_name));
    return;
  }
  auto call = std::make_unique<ServiceCall>(std::move(reply));
  call->request.reset(service.GetRequestPrototype(method).New());
  call->response.reset(service.GetResponsePrototype(method).New());
  if (!call->request->ParseFromString(payload)) {
    call->reply(Status(Code::kBadRequest, "a request that cannot be read as " + call->request->GetTypeName()));
    return;
  }
  auto* raw = call.release();  // owned by Run, which the method calls once
  service.CallMethod(method, &raw->controller, raw->request.get(), raw->response.get(), raw);
}

}  // namespace

FakeKernel::FakeKernel(FakeKernelOptions options) : state_(std::make_shared<State>(std::move(options))) {}

FakeKernel::~FakeKernel() {
  state_->stop();
}

const orlop_host* FakeKernel::table() const {
  return &state_->table_;
}

// ---------------------------------------------------------------------------------------------- the plugin under test

void FakeKernel::attach(Plugin& plugin) {
  on_wake([&plugin](uint32_t reasons) { plugin.wake(reasons); });
  const std::lock_guard lock(state_->mutex_);
  state_->handle_call_ = [&plugin](Call call) { plugin.handle_call(std::move(call)); };
}

void FakeKernel::attach(const orlop_plugin& plugin) {
  on_wake([plugin](uint32_t reasons) { plugin.wake(plugin.self, reasons); });
  const std::lock_guard lock(state_->mutex_);
  state_->handle_call_ = [plugin](const Call& call) {
    plugin.handle_call(plugin.self, call.id, slice_of(call.method), slice_of(call.payload), call.deadline_ns);
  };
}

void FakeKernel::on_wake(std::function<void(uint32_t)> wake) {
  const std::lock_guard lock(state_->mutex_);
  state_->wake_ = std::move(wake);
}

void FakeKernel::detach() {
  {
    const std::lock_guard lock(state_->mutex_);
    state_->wake_ = nullptr;
    state_->handle_call_ = nullptr;
  }
  state_->wait_delivered();
}

Result<std::string> FakeKernel::invoke(const std::string& method, const std::string& payload) {
  std::unique_lock lock(state_->mutex_);
  const auto handle = state_->handle_call_;
  if (!handle) return Status(Code::kUnavailable, "no plugin is attached");
  const uint64_t id = state_->next_id_++;
  state_->invoked_[id];
  const int64_t deadline_ns = state_->monotonic_ns_ + 10'000'000'000;
  lock.unlock();
  handle({id, method, payload, deadline_ns});
  lock.lock();
  auto& answer = state_->invoked_[id];
  state_->changed_.wait_for(lock, std::chrono::seconds(30), [&] { return answer.has_value(); });
  Result<std::string> result =
      answer ? std::move(*answer) : Status(Code::kTimeout, method + " was not answered in 30 s of real time");
  state_->invoked_.erase(id);
  return result;
}

bool FakeKernel::run_until_idle(const std::function<std::size_t()>& step, std::size_t rounds_max) {
  for (std::size_t round = 0; round < rounds_max; ++round) {
    const bool woken = state_->release_held();
    state_->wait_delivered();
    const std::size_t worked = step ? step() : 0;
    if (!woken && worked == 0) return true;
  }
  return false;
}

// ---------------------------------------------------------------------------------------------- time

void FakeKernel::advance(std::chrono::nanoseconds by) {
  state_->advance(by.count());
}

int64_t FakeKernel::monotonic_now_ns() const {
  return host().monotonic_now_ns();
}

int64_t FakeKernel::wall_now_ns() const {
  return host().wall_now_ns();
}

std::optional<int64_t> FakeKernel::wake_asked_ns() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->wake_at_;
}

// ---------------------------------------------------------------------------------------------- objects

void FakeKernel::describe_kind(v1::KindInfo kind) {
  const std::lock_guard lock(state_->mutex_);
  state_->store_.describe_kind(std::move(kind));
}

void FakeKernel::on_admit(Admit admit) {
  const std::lock_guard lock(state_->mutex_);
  state_->admit_ = std::move(admit);
}

void FakeKernel::index_with(std::function<std::vector<std::string>(const std::string&, std::string_view)> terms) {
  const std::lock_guard lock(state_->mutex_);
  state_->index_ = std::move(terms);
}

Result<v1::CommitResult> FakeKernel::commit(const v1::CommitRequest& request) {
  return state_->commit_as_client(request);
}

Result<v1::Written> FakeKernel::write(const v1::Write& write) {
  v1::CommitRequest request;
  *request.add_writes() = write;
  ORLOP_ASSIGN(const auto result, commit(request));
  return result.written(0);
}

Status FakeKernel::remove(const std::string& kind, const std::string& name_space, const std::string& name,
                          const v1::DeleteOptions& options) {
  v1::Write change;
  change.set_verb(v1::DELETE);
  change.mutable_key()->set_kind(kind);
  change.mutable_key()->set_namespace_(name_space);
  change.mutable_key()->set_name(name);
  *change.mutable_delete_options() = options;
  return write(change).status();
}

Result<std::string> FakeKernel::get_value(const std::string& kind, const std::string& name_space,
                                          const std::string& name) const {
  const std::lock_guard lock(state_->mutex_);
  const auto* version = state_->store_.find({kind, name_space, name});
  if (version == nullptr) return meta::not_found(kind, name);
  return version->value;
}

std::vector<std::string> FakeKernel::list_values(const std::string& kind, const std::string& name_space,
                                                 const std::string& index_term) const {
  v1::ListRequest request;
  request.set_kind(kind);
  request.set_namespace_(name_space);
  request.set_index_term(index_term);
  std::vector<std::string> values;
  const std::lock_guard lock(state_->mutex_);
  (void)state_->store_.list(request, [&](const auto&, const auto& version) {
    values.push_back(version.value);
    return true;
  });
  return values;
}

uint64_t FakeKernel::revision() const {
  return host().revision();
}

std::size_t FakeKernel::plugin_commits() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->plugin_commits_;
}

// ---------------------------------------------------------------------------------------------- capabilities

void FakeKernel::provide(const std::string& capability, Handler handler, const std::string& provider) {
  const std::lock_guard lock(state_->mutex_);
  state_->handlers_[{capability, provider}] = std::move(handler);
}

void FakeKernel::provide(const std::string& capability, google::protobuf::Service& service,
                         const std::string& provider) {
  provide(
      capability,
      [&service](const v1::CallTarget& target, const std::string& payload, Reply reply) {
        call_service(service, target.method(), payload, std::move(reply));
      },
      provider);
}

void FakeKernel::withdraw(const std::string& capability, const std::string& provider) {
  const std::lock_guard lock(state_->mutex_);
  state_->handlers_.erase({capability, provider});
}

std::vector<CallRecord> FakeKernel::calls() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->calls_;
}

// ---------------------------------------------------------------------------------------------- what the plugin said

std::vector<LogLine> FakeKernel::logs() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->logs_;
}

bool FakeKernel::logged(std::string_view part) const {
  const std::lock_guard lock(state_->mutex_);
  return std::any_of(state_->logs_.begin(), state_->logs_.end(),
                     [&](const LogLine& line) { return line.text.find(part) != std::string::npos; });
}

std::optional<std::pair<bool, std::string>> FakeKernel::readiness() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->readiness_;
}

std::optional<std::vector<std::string>> FakeKernel::subscription() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->subscription_;
}

// ---------------------------------------------------------------------------------------------- faults

void FakeKernel::fail_commits(Status failure, std::size_t count) {
  const std::lock_guard lock(state_->mutex_);
  state_->commit_failures_.insert(state_->commit_failures_.end(), count, failure);
}

void FakeKernel::lose_answers(Status failure, std::size_t count) {
  const std::lock_guard lock(state_->mutex_);
  state_->lost_answers_.insert(state_->lost_answers_.end(), count, failure);
}

void FakeKernel::conflict_commits(std::size_t count) {
  const std::lock_guard lock(state_->mutex_);
  state_->conflicts_ += count;
}

void FakeKernel::fail_reads(Status failure, std::size_t count) {
  const std::lock_guard lock(state_->mutex_);
  state_->read_failures_.insert(state_->read_failures_.end(), count, failure);
}

void FakeKernel::set_wake_faults(WakeFaults faults) {
  const std::lock_guard lock(state_->mutex_);
  state_->faults_ = faults;
}

void FakeKernel::clear_faults() {
  const std::lock_guard lock(state_->mutex_);
  state_->commit_failures_.clear();
  state_->read_failures_.clear();
  state_->lost_answers_.clear();
  state_->conflicts_ = 0;
  state_->faults_ = {};
}

void FakeKernel::before_commit(std::function<void()> meanwhile) {
  const std::lock_guard lock(state_->mutex_);
  state_->before_commit_ = std::move(meanwhile);
}

void FakeKernel::wake(uint32_t reasons) {
  const std::lock_guard lock(state_->mutex_);
  state_->push_wake_locked(reasons);
}

void FakeKernel::compact() {
  const std::lock_guard lock(state_->mutex_);
  state_->store_.compact();
}

}  // namespace orlop::testing
