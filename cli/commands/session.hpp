// What a command works with: its arguments, the server, and where its output goes.
//
// Threads: one Session belongs to one thread. The streams and the environment are the caller's and outlive it.
#pragma once

#include "cli/client/discovery.hpp"
#include "cli/client/http_client.hpp"
#include "cli/client/kubeconfig.hpp"
#include "cli/commands/arguments.hpp"

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace orlop::cli {

namespace json = boost::json;
using client::ResourceInfo;

// The exit code, or a Status whose message is printed as it is (exit code 1).
using Outcome = Result<int>;

struct Streams {
  std::ostream& out;
  std::ostream& err;
  int input_fd = 0;
  bool terminal = false;  // input and output are a terminal
};

// A kind and the name of one object of it.
struct ObjectRef {
  const ResourceInfo* info = nullptr;
  std::string name;
};

class Session {
 public:
  Session(Arguments arguments, Streams streams, client::Environment environment);

  Arguments args;
  Streams io;
  client::Environment environment;
  std::string command_line;  // as typed: "orlop set image deployment/web web=nginx:2"

  // The connection, made at the first use. Failures as client::Connector, client::resolve_access and the server say.
  Result<client::HttpClient*> http();
  Result<std::shared_ptr<const client::Connector>> connector();
  Result<const client::Discovery*> discovery();
  Result<const client::Kubeconfig*> kubeconfig();
  client::AccessFlags access_flags() const;

  std::string name_space();
  bool all_namespaces() const { return args.on("all-namespaces"); }

  // An answer below 400; else the refusal as Status. Warnings of the server go to the error stream.
  Result<client::Response> call(std::string_view method, const std::string& target,
                                const std::vector<client::Header>& headers = {}, std::string body = {},
                                std::string_view refusal_prefix = {});
  // The same for answers that are JSON.
  Result<json::value> get(const std::string& target, std::string_view refusal_prefix = {});
  Result<json::value> send(std::string_view method, const std::string& target, const json::value& body,
                           std::string_view refusal_prefix = {}, std::string_view content_type = "application/json");

  // One kind by a word; kNotFound: error: the server doesn't have a resource type "x".
  Result<const ResourceInfo*> find_kind(std::string_view word);
  // The namespace part for a kind: empty for cluster-scoped ones.
  std::string scope_of(const ResourceInfo& info);

  // "TYPE NAME…", "TYPE/NAME…", "TYPE1,TYPE2". Without a name the ref stands for the kind's all objects.
  Result<std::vector<ObjectRef>> refs_of(const std::vector<std::string>& words);

  // Prints a failure's line and gives the exit code 1.
  int complain(const Status& status);

 private:
  std::optional<client::Kubeconfig> kubeconfig_;
  std::shared_ptr<const client::Connector> connector_;
  std::unique_ptr<client::HttpClient> http_;
  std::optional<client::Discovery> discovery_;
};

// "error: " before it.
Status user_error(std::string message);

std::string encode_query(std::string_view text);
// "?a=b&c=d" of the pairs whose value is not empty.
std::string query_of(const std::vector<std::pair<std::string, std::string>>& pairs);

// "deployment.apps/web"
std::string display_name(const ResourceInfo& info, const std::string& name);

// Prints one object after a change as -o says: "name", "yaml", "json", "jsonpath=…", or "kind/name verb".
Outcome print_result(Session& session, const ResourceInfo& info, const json::value& object, std::string_view verb);

// Runs a program in the foreground with the terminal; its exit code, -1 when it cannot be started.
int run_program(const std::vector<std::string>& arguments);

}  // namespace orlop::cli
