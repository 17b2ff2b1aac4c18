// Every request's way: who, may they, what is it, who answers it.
#pragma once

#include "plugins/api-kubernetes/rest/context.hpp"

#include <functional>

namespace orlop::rest {

// Answers what is no resource: discovery, health, OpenAPI. Sees only requests whose sender may ask.
class PathHandler {
 public:
  virtual ~PathHandler() = default;
  // Paths that everybody may read, also before the first role exists.
  [[nodiscard]] virtual bool is_public(std::string_view path) const = 0;
  virtual Task<void> handle_path(Call& call) = 0;
  // A resource that is not in the kinds table. False: not served.
  [[nodiscard]] virtual bool serves_resource(const RequestInfo& info) const = 0;
};

// Threads: any; one for all connections.
class ApiHandler final : public http::Handler {
 public:
  // Both outlive it.
  ApiHandler(Services& services, PathHandler& paths) : services_(services), paths_(paths) {}

  Task<void> handle(http::Exchange& exchange) override;
  void refuse(http::Exchange& exchange, int status, std::string_view message) override;

 private:
  Task<void> answer(Call& call);
  Status authorize(Call& call);
  Status impersonate(Call& call);
  Task<void> answer_resource(Call& call);

  Services& services_;
  PathHandler& paths_;
};

}  // namespace orlop::rest
