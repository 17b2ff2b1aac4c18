// What a request's path and method ask for, as k8s.io/apiserver's RequestInfo reads them.
//
// Pure; any thread. Views point into the path that was given.
#pragma once

#include "plugins/api-kubernetes/http/exchange.hpp"

#include <string>
#include <string_view>

namespace orlop::rest {

struct RequestInfo {
  bool is_resource = false;
  std::string_view
      verb;  // get, list, watch, create, update, patch, delete, deletecollection; else the method in lower case
  std::string_view group;
  std::string_view version;
  std::string_view name_space;
  std::string_view resource;
  std::string_view subresource;
  std::string_view name;
  std::string_view path;
  std::string_view rest;  // of the path behind the subresource
  bool too_long = false;  // more segments than any resource has
  std::string lowered;    // holds `verb` of paths that are no resource
};

RequestInfo read_request_info(const http::Request& request);

}  // namespace orlop::rest
