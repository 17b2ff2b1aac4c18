#include "plugins/api-kubernetes/rest/request_info.hpp"

#include <algorithm>
#include <array>

namespace orlop::rest {
namespace {

constexpr size_t kSegmentsMax = 12;

struct Segments {
  std::array<std::string_view, kSegmentsMax> items;
  size_t count = 0;
  bool overflow = false;
};

Segments split(std::string_view path) {
  Segments segments;
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (!path.empty()) {
    size_t slash = path.find('/');
    if (segments.count == kSegmentsMax) {
      segments.overflow = true;
      break;
    }
    segments.items[segments.count++] = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return segments;
}

std::string_view verb_of(const http::Request& request, bool named) {
  if (request.method == "GET" || request.method == "HEAD") {
    if (named) return "get";
    return request.query.flag("watch") ? "watch" : "list";
  }
  if (request.method == "POST") return "create";
  if (request.method == "PUT") return "update";
  if (request.method == "PATCH") return "patch";
  if (request.method == "DELETE") return named ? "delete" : "deletecollection";
  return "";
}

}  // namespace

RequestInfo read_request_info(const http::Request& request) {
  RequestInfo info;
  info.path = request.path;
  info.lowered = request.method;
  std::transform(info.lowered.begin(), info.lowered.end(), info.lowered.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Segments segments = split(request.path);
  size_t at = 0;
  if (segments.count >= 3 && segments.items[0] == "api") {
    info.version = segments.items[1];
    at = 2;
  } else if (segments.count >= 4 && segments.items[0] == "apis") {
    info.group = segments.items[1];
    info.version = segments.items[2];
    at = 3;
  } else {
    info.verb = info.lowered;
    return info;
  }
  info.is_resource = true;
  auto left = [&] { return segments.count - at; };
  if (segments.items[at] == "namespaces" && left() >= 2) {
    info.name_space = segments.items[at + 1];
    bool of_namespace =
        left() == 2 || (left() == 3 && (segments.items[at + 2] == "status" || segments.items[at + 2] == "finalize"));
    if (!of_namespace || !info.group.empty()) at += 2;
  }
  if (at < segments.count) info.resource = segments.items[at++];
  if (at < segments.count) info.name = segments.items[at++];
  if (at < segments.count) info.subresource = segments.items[at++];
  if (at < segments.count) {
    info.too_long = info.subresource != "proxy";
    info.rest =
        std::string_view(segments.items[at].data(),
                         static_cast<size_t>(request.path.data() + request.path.size() - segments.items[at].data()));
  }
  info.too_long = info.too_long || segments.overflow;
  info.verb = verb_of(request, !info.name.empty());
  return info;
}

}  // namespace orlop::rest
