#include "cli/commands/watching.hpp"

#include <algorithm>

namespace orlop::cli {

using client::pick;
using client::text_of;

Deadline deadline_after(double seconds) {
  if (seconds <= 0) return std::nullopt;
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

Result<Watched> watch_object(Session& session, const ResourceInfo& info, const std::string& name_space,
                             const std::string& name, Deadline deadline,
                             const std::function<bool(const json::value&)>& met) {
  for (;;) {
    const auto now = session.get(info.path(name_space, name));
    if (!now.is_ok()) {
      if (now.code() == Code::kNotFound) return Watched::kGone;
      return now.status();
    }
    if (met(*now)) return Watched::kMet;
    int64_t seconds = 300;
    if (deadline) {
      const auto left = *deadline - std::chrono::steady_clock::now();
      if (left <= std::chrono::seconds::zero()) return Watched::kTimedOut;
      // The server ends the watch; whole seconds, so the last one may be begun late.
      seconds = std::min<int64_t>(seconds, std::chrono::ceil<std::chrono::seconds>(left).count());
    }
    const auto query = query_of({{"watch", "true"},
                                 {"fieldSelector", "metadata.name=" + name},
                                 {"resourceVersion", text_of(*now, "metadata.resourceVersion")},
                                 {"timeoutSeconds", std::to_string(seconds)}});
    bool done = false;
    bool gone = false;
    std::string buffer;
    ORLOP_ASSIGN(auto* http, session.http());
    ORLOP_ASSIGN(const auto response,
                 http->stream("GET", info.path(name_space) + query, {}, [&](std::string_view piece) {
                   buffer += piece;
                   for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
                     json::value event;
                     const bool good = client::parse_json(std::string_view(buffer).substr(0, end), event);
                     buffer.erase(0, end + 1);
                     const auto* object = good ? pick(event, "object") : nullptr;
                     if (object == nullptr) continue;
                     const auto type = text_of(event, "type");
                     if (type == "ERROR") return false;  // the revision is too old: look again
                     gone = type == "DELETED";
                     done = !gone && type != "BOOKMARK" && met(*object);
                     if (gone || done) return false;
                   }
                   return true;
                 }));
    if (response.status >= 400) return client::refusal_of(response);
    if (done) return Watched::kMet;
    if (gone) return Watched::kGone;
  }
}

Result<bool> wait_until_gone(Session& session, const ResourceInfo& info, const std::string& name_space,
                             const std::string& name, const std::string& uid, Deadline deadline) {
  // Another object of the name means that ours is gone as well.
  ORLOP_ASSIGN(const auto end, watch_object(session, info, name_space, name, deadline, [&](const json::value& object) {
                 return !uid.empty() && text_of(object, "metadata.uid") != uid;
               }));
  return end != Watched::kTimedOut;
}

}  // namespace orlop::cli
