#include "plugins/node-agent/probes/agent_checks.hpp"

#include <algorithm>
#include <utility>

namespace orlop::agent {
namespace {

constexpr int64_t kSlackMs = 5'000;
constexpr size_t kOutputMax = 10 * 1024;

std::vector<std::string> command_of(const Check& check) {
  if (const auto* exec = std::get_if<ExecCheck>(&check.what)) return exec->command;
  if (const auto* http = std::get_if<HttpCheck>(&check.what)) return {"http", http->path};
  return {std::holds_alternative<TcpCheck>(check.what) ? "tcp" : "grpc"};
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

}  // namespace

void AgentChecks::run(const Check& check, CheckDone done) {
  if (network_ != nullptr && !std::holds_alternative<ExecCheck>(check.what))
    return network_->run(check, std::move(done));
  std::vector<std::string> command = command_of(check);
  cri::ExecSyncRequest request;
  request.set_container_id(check.container_id);
  for (const std::string& word : command) request.add_cmd(word);
  // Seconds, rounded up: 0 would be for ever.
  const int64_t timeout_s = std::max<int64_t>(1, (check.timeout_ms + 999) / 1000);
  request.set_timeout(timeout_s);
  runtime_.invoke_async<cri::ExecSyncResponse>(
      "RuntimeService/ExecSync", request, static_cast<uint32_t>(check.timeout_ms + kSlackMs),
      [done = std::move(done), command = std::move(command), timeout_s](const Result<cri::ExecSyncResponse>& answer) {
        if (!answer && answer.code() == Code::kTimeout) {
          return done({CheckOutcome::kFailure, "command timed out: \"" + joined(command) + "\" timed out after " +
                                                   std::to_string(timeout_s) + "s"});
        }
        if (!answer) return done({CheckOutcome::kUnknown, answer.message()});
        std::string output = answer->stdout() + answer->stderr();
        output.resize(std::min(output.size(), kOutputMax));
        done({answer->exit_code() == 0 ? CheckOutcome::kSuccess : CheckOutcome::kFailure, std::move(output)});
      });
}

}  // namespace orlop::agent
