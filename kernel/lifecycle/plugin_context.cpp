#include "kernel/lifecycle/plugin_context.hpp"

#include "orlop/v1/store.pb.h"

#include <utility>

#include <fmt/format.h>

namespace orlop::lifecycle {
namespace {

template <typename Message>
bool parse(Message& message, std::string_view bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

Status unreadable(const char* type) {
  return {Code::kBadRequest, fmt::format("the request cannot be read as orlop.v1.{}", type)};
}

template <typename Message>
Reply reply_of(const Result<Message>& result) {
  if (!result) return Reply::of(result.status());
  return {Code::kOk, result->SerializeAsString()};
}

}  // namespace

PluginContext::PluginContext(const KernelParts& kernel, std::string plugin, std::shared_ptr<const gate::Actor> actor,
                             ReadyFunction on_ready)
    : kernel_(kernel), plugin_(std::move(plugin)), actor_(std::move(actor)), on_ready_(std::move(on_ready)) {}

Reply PluginContext::get(std::string_view request, const store::RecordVisitor& visit) {
  v1::GetRequest message;
  if (!parse(message, request)) return Reply::of(unreadable("GetRequest"));
  return reply_of(kernel_.gate.get(*actor_, message, visit));
}

Reply PluginContext::list(std::string_view request, const store::RecordVisitor& visit) {
  v1::ListRequest message;
  if (!parse(message, request)) return Reply::of(unreadable("ListRequest"));
  return reply_of(kernel_.gate.list(*actor_, message, visit));
}

Reply PluginContext::pull(std::string_view request, const store::ChangeVisitor& visit) {
  v1::PullRequest message;
  if (!parse(message, request)) return Reply::of(unreadable("PullRequest"));
  return reply_of(kernel_.gate.pull(*actor_, message, visit));
}

Status PluginContext::subscribe(std::string_view request, WakeHub::Token token) {
  v1::SubscribeRequest message;
  if (!parse(message, request)) return unreadable("SubscribeRequest");
  for (const auto& kind : message.kinds()) ORLOP_TRY(gate::Gate::check_permission(*actor_, "read", kind));
  kernel_.wakes.subscribe(token, {message.kinds().begin(), message.kinds().end()});
  return {};
}

void PluginContext::commit(std::string_view request, bus::AnswerFunction done) {
  v1::CommitRequest message;
  if (!parse(message, request)) {
    auto reply = Reply::of(unreadable("CommitRequest"));
    return done(reply.code, reply.payload);
  }
  kernel_.gate.commit(actor_, std::move(message), [done = std::move(done)](Result<v1::CommitResult> result) {
    auto reply = reply_of(result);
    done(reply.code, reply.payload);
  });
}

void PluginContext::call(std::string_view target, std::string_view payload, bus::AnswerFunction done) {
  v1::CallTarget message;
  if (!parse(message, target)) {
    auto reply = Reply::of(unreadable("CallTarget"));
    return done(reply.code, reply.payload);
  }
  kernel_.router.call({message.capability(), message.provider(), message.method(), message.deadline_ms()}, payload,
                      std::move(done));
}

void PluginContext::respond(uint64_t call_id, Code code, std::string_view payload) {
  kernel_.router.respond(plugin_, call_id, code, payload);
}

void PluginContext::log(int64_t level, std::string_view message) {
  const bool known = level >= 0 && level <= static_cast<int64_t>(LogLevel::kError);
  kernel_.logs.write(plugin_, known ? static_cast<LogLevel>(level) : LogLevel::kInfo, message);
}

uint64_t PluginContext::revision() {
  return kernel_.store.current_revision();
}

void PluginContext::set_ready(bool ready, std::string_view reason) {
  on_ready_(ready, std::string(reason));
}

}  // namespace orlop::lifecycle
