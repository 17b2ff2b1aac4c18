// What the handlers of requests work with, and one request on its way through them.
#pragma once

#include "orlop/host.hpp"
#include "plugins/api-kubernetes/auth/authenticator.hpp"
#include "plugins/api-kubernetes/auth/pki.hpp"
#include "plugins/api-kubernetes/auth/rbac.hpp"
#include "plugins/api-kubernetes/auth/token.hpp"
#include "plugins/api-kubernetes/http/exchange.hpp"
#include "plugins/api-kubernetes/kinds/rules.hpp"
#include "plugins/api-kubernetes/rest/codec.hpp"
#include "plugins/api-kubernetes/rest/metrics.hpp"
#include "plugins/api-kubernetes/rest/registry.hpp"
#include "plugins/api-kubernetes/rest/request_info.hpp"
#include "plugins/api-kubernetes/rest/status.hpp"
#include "plugins/api-kubernetes/rest/watch_hub.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::rest {

// Made once by the plugin; outlives every request.
struct Services {
  Host host;
  const apikube::KindRules& rules;
  const auth::Authenticator& authenticator;
  auth::Authorizer& authorizer;
  const auth::TokenSigner& tokens;
  WatchHubs& watches;
  Metrics& metrics;
  std::string authority;  // the CA's certificate, PEM
};

struct Call {
  Services& services;
  http::Exchange& exchange;
  RequestInfo info;
  auth::User user;
  OutputFormat format;
  const KindEntry* entry = nullptr;
  const kube::Subresource* subresource = nullptr;
  std::string object_name;  // of a creation, whose path has none

  [[nodiscard]] const http::Request& request() const { return exchange.request(); }
  [[nodiscard]] WallTime now() const {
    return WallTime(
        std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(services.host.wall_now_ns())));
  }
};

using http::Task;

// --- answers ---
void fail(Call& call, const Status& status);
void answer_json(Call& call, int code, std::string json);
void answer_object(Call& call, int code, std::string_view stored, uint64_t revision);
void answer_message(Call& call, int code, std::string_view api_version, std::string_view kind,
                    const google::protobuf::Message& message);
void add_warnings(Call& call, const std::vector<std::string>& warnings);

// --- what several handlers need ---
struct Current {
  std::string value;
  uint64_t revision = 0;
};
// kNotFound in Kubernetes' words.
Result<Current> read_current(const Call& call, const KindEntry& entry, std::string_view name_space,
                             std::string_view name);
apikube::RequestContext rule_context(const Call& call, std::string_view verb);
v1::Actor actor_of(const Call& call);
// dryRun is absent or "All"; else kInvalid.
Result<bool> read_dry_run(const Call& call);
IncludeObject read_include(const Call& call);
// Runs a commit without holding a thread.
Task<Result<v1::CommitResult>> commit(Call& call, v1::CommitRequest request);

}  // namespace orlop::rest
