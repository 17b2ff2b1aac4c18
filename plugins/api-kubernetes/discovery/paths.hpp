// What the server answers beside resources: discovery, version, health, OpenAPI, metrics, the keys of service account
// tokens, and the plugins of Orlop (orlop.dev/v1), which live in the kernel and not in the store.
#pragma once

#include "plugins/api-kubernetes/discovery/documents.hpp"
#include "plugins/api-kubernetes/openapi/openapi.hpp"
#include "plugins/api-kubernetes/rest/api_handler.hpp"

#include <atomic>
#include <functional>
#include <string>

namespace orlop::discovery {

inline constexpr std::string_view kVersion = "v1.32.3+orlop";

// Threads: any.
class Paths final : public rest::PathHandler {
 public:
  // `openapi` outlives it. `server_address`: host and port, as /api tells them.
  Paths(const apikube::OpenApi& openapi, std::string server_address)
      : openapi_(openapi), server_address_(std::move(server_address)) {}

  // Once the first objects exist.
  void set_ready(bool ready) { ready_ = ready; }

  [[nodiscard]] bool is_public(std::string_view path) const override;
  rest::Task<void> handle_path(rest::Call& call) override;
  [[nodiscard]] bool serves_resource(const rest::RequestInfo& info) const override;

 private:
  bool answer_discovery(rest::Call& call, std::string_view path);
  bool answer_openapi(rest::Call& call, std::string_view path);
  void answer_health(rest::Call& call, std::string_view path);
  rest::Task<void> answer_plugins(rest::Call& call);

  Documents documents_;
  const apikube::OpenApi& openapi_;
  std::string server_address_;
  std::atomic<bool> ready_ = false;
};

}  // namespace orlop::discovery
