#include "plugins/api-kubernetes/api_server.hpp"

#include "orlop/v1/api.pb.h"
#include "plugins/api-kubernetes/auth/credentials.hpp"
#include "plugins/api-kubernetes/auth/encoding.hpp"
#include "plugins/api-kubernetes/auth/files.hpp"
#include "plugins/api-kubernetes/discovery/paths.hpp"
#include "plugins/api-kubernetes/first_objects.hpp"
#include "plugins/api-kubernetes/http/server.hpp"
#include "plugins/api-kubernetes/http/tls.hpp"
#include "plugins/api-kubernetes/kind_service.hpp"
#include "plugins/api-kubernetes/rest/subresources.hpp"

#include <cstring>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::apikube {
namespace {

constexpr auto kCertificateCheckEvery = std::chrono::seconds(60);
constexpr auto kFirstObjectsRetry = std::chrono::milliseconds(5);
constexpr auto kListenRetry = std::chrono::milliseconds(50);

uint64_t random_64() {
  std::string bytes = auth::random_bytes(sizeof(uint64_t));
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The address that others reach this machine by: the first that is neither loopback nor link-local.
std::string first_address(const auth::MachineNames& machine) {
  for (const std::string& address : machine.addresses) {
    bool ipv4 = address.find(':') == std::string::npos;
    if (ipv4 && !address.starts_with("127.") && !address.starts_with("169.254.")) return address;
  }
  return "127.0.0.1";
}

}  // namespace

struct ApiServer::Parts {
  Parts(Host host, auth::Credentials made)
      : credentials(std::move(made)), reader(host), authorizer(host), watches(host) {}

  auth::Credentials credentials;
  auth::MachineNames machine;
  HostReader reader;
  std::unique_ptr<KindRules> rules;
  std::unique_ptr<auth::TokenSigner> signer;
  std::unique_ptr<auth::Authenticator> authenticator;
  auth::Authorizer authorizer;
  rest::WatchHubs watches;
  rest::Metrics metrics;
  std::unique_ptr<OpenApi> openapi;
  std::unique_ptr<discovery::Paths> paths;
  std::unique_ptr<rest::Services> services;
  std::unique_ptr<rest::ApiHandler> handler;
  std::unique_ptr<http::Server> server;
};

ApiServer::ApiServer(Host host, Settings settings) : host_(host), settings_(std::move(settings)) {}
ApiServer::~ApiServer() {
  stop();
}

namespace {
auth::CredentialsOptions credentials_options(const Settings& settings) {
  auth::CredentialsOptions options;
  options.folder = settings.config_folder;
  options.kubeconfig = settings.kubeconfig;
  std::string host = settings.address == "0.0.0.0" || settings.address == "::" ? "127.0.0.1" : settings.address;
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  options.server = "https://" + host + ":" + std::to_string(settings.port);
  options.extra_names = settings.certificate_names;
  if (!settings.advertise_address.empty()) options.extra_names.push_back(settings.advertise_address);
  options.service_address = settings.service_address;
  options.cluster_domain = settings.cluster_domain;
  return options;
}
}  // namespace

Status ApiServer::start() {
  auth::MachineNames machine = auth::read_machine_names();
  ORLOP_ASSIGN(auth::Credentials credentials,
               auth::ensure_credentials(credentials_options(settings_), machine, std::chrono::system_clock::now()));
  parts_ = std::make_unique<Parts>(host_, std::move(credentials));
  Parts& parts = *parts_;
  parts.machine = std::move(machine);
  if (settings_.advertise_address.empty()) settings_.advertise_address = first_address(parts.machine);
  KindRules::Options options;
  options.services = {settings_.service_cidr, settings_.node_port_min, settings_.node_port_max};
  Host host = host_;
  auto steady_now = [host] {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(host.monotonic_now_ns()));
  };
  ORLOP_ASSIGN(parts.rules, KindRules::make(options, parts.reader, steady_now, &random_64));
  ORLOP_ASSIGN(parts.signer, auth::TokenSigner::make(parts.credentials.service_account_key));
  std::unordered_map<std::string, auth::User> tokens;
  if (!settings_.token_file.empty()) {
    ORLOP_ASSIGN(auto text, auth::read_file(settings_.token_file));
    if (!text) return {Code::kUnavailable, "token_file: " + settings_.token_file + " does not exist"};
    auto parsed = auth::parse_token_file(*text);
    if (!parsed) return {Code::kInvalid, settings_.token_file + ": " + parsed.message()};
    tokens = std::move(*parsed);
  }
  parts.authenticator = std::make_unique<auth::Authenticator>(host_, *parts.signer, std::move(tokens));
  parts.openapi = OpenApi::make(std::string(discovery::kVersion));
  std::string address = settings_.advertise_address + ":" + std::to_string(settings_.port);
  parts.paths = std::make_unique<discovery::Paths>(*parts.openapi, address);
  parts.services.reset(new rest::Services{host_, *parts.rules, *parts.authenticator, parts.authorizer, *parts.signer,
                                          parts.watches, parts.metrics, parts.credentials.authority.certificate});
  parts.handler = std::make_unique<rest::ApiHandler>(*parts.services, *parts.paths);
  http::ServerOptions server_options;
  server_options.address = settings_.address;
  server_options.port = settings_.port;
  server_options.threads = settings_.threads;
  server_options.compress_on_loopback = settings_.compress_on_loopback;
  parts.server = std::make_unique<http::Server>(server_options, *parts.handler);
  ORLOP_TRY(host_.subscribe({}));
  parts.watches.start();
  // A port in use is waited for: the one who has it may be a process that is ending, or a connection from this machine
  // that got the port's number for its own end.
  const Status listening = listen();
  if (!listening && listening.code() != Code::kConflict) return listening;
  housekeeper_ = std::thread([this, listening] { keep_house(listening); });
  return Status::ok();
}

Status ApiServer::listen() {
  Parts& parts = *parts_;
  ORLOP_ASSIGN(auto tls, http::TlsContext::make(parts.credentials.serving.certificate, parts.credentials.serving.key,
                                                parts.credentials.authority.certificate));
  ORLOP_TRY(parts.server->start(std::move(tls)));
  if (settings_.port != 0) return Status::ok();
  // Only now is it known where the kubeconfig leads to.
  settings_.port = parts.server->port();
  auto written =
      auth::ensure_credentials(credentials_options(settings_), parts.machine, std::chrono::system_clock::now());
  return written ? Status::ok() : written.status();
}

// Until the port is ours. kCancelled: the plugin is being stopped.
Status ApiServer::keep_listening(Status status) {
  if (!status) {
    const std::string sentence = status.message() +
                                 "; it is tried again until the port is free. `ss -tnap` tells who " +
                                 "has it; another one is set by `listen` in the settings of this plugin";
    host_.log_error(sentence);
    host_.set_ready(false, sentence);
  }
  while (!status) {
    std::unique_lock lock(mutex_);
    if (woken_.wait_for(lock, kListenRetry, [this] { return stopping_; })) return {Code::kCancelled, "stopping"};
    lock.unlock();
    status = listen();
    if (!status && status.code() != Code::kConflict) return status;
  }
  return status;
}

void ApiServer::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    woken_.notify_all();
  }
  if (housekeeper_.joinable()) housekeeper_.join();
  if (!parts_) return;
  if (parts_->server) parts_->server->stop();
  parts_->watches.stop();
}

void ApiServer::wake() {
  if (parts_) parts_->watches.wake();
}

uint16_t ApiServer::port() const {
  return parts_->server->port();
}

// Until the kernel has asked for the kinds and registered them, it takes no write of ours.
Status ApiServer::make_first_objects() {
  // A further front-end finds them made.
  if (!settings_.provides_kinds) return Status::ok();
  FirstObjects wanted{settings_.service_address, settings_.advertise_address, parts_->server->port()};
  while (true) {
    Status status = ensure_first_objects(host_, *parts_->rules, wanted);
    if (status) return status;
    if (status.code() != Code::kNotFound && status.code() != Code::kUnavailable) {
      return {status.code(), "the first objects cannot be made: " + status.message()};
    }
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, kFirstObjectsRetry, [this] { return stopping_; });
    if (stopping_) return {Code::kCancelled, "stopping"};
  }
}

void ApiServer::keep_house(Status listening) {
  Status first = keep_listening(std::move(listening));
  if (first) first = make_first_objects();
  if (first.code() == Code::kCancelled) return;
  if (!first) {
    host_.log_error(first.message());
    host_.set_ready(false, first.message());
  } else {
    parts_->paths->set_ready(true);
    host_.set_ready(true);
    host_.log_info("serving on " + settings_.address + ":" + std::to_string(parts_->server->port()));
  }
  std::unique_lock lock(mutex_);
  while (!woken_.wait_for(lock, kCertificateCheckEvery, [this] { return stopping_; })) {
    lock.unlock();
    refresh_certificate();
    lock.lock();
  }
}

void ApiServer::refresh_certificate() {
  Parts& parts = *parts_;
  auth::CredentialsOptions options = credentials_options(settings_);
  auth::MachineNames machine = auth::read_machine_names();
  auto now = std::chrono::system_clock::now();
  if (!auth::is_worn_out(parts.credentials.serving.certificate, parts.credentials.authority.certificate, options,
                         machine, now)) {
    return;
  }
  auto fresh = auth::ensure_credentials(options, machine, now);
  if (!fresh) return host_.log_warn("the serving certificate cannot be renewed: " + fresh.message());
  auto tls = http::TlsContext::make(fresh->serving.certificate, fresh->serving.key, fresh->authority.certificate);
  if (!tls) return host_.log_warn("the new serving certificate cannot be used: " + tls.message());
  parts.server->set_tls(std::move(*tls));
  parts.credentials.serving = fresh->serving;
  host_.log_info("the serving certificate has been renewed");
}

void ApiServer::handle_call(const Call& call) {
  Result<std::string> answer = [&]() -> Result<std::string> {
    if (call.method == "orlop.v1.Kinds/Describe") return describe_kinds();
    if (call.method == "orlop.v1.Kinds/Admit") return admit(call.payload);
    if (call.method == "orlop.v1.Tokens/Issue") return issue(call.payload);
    return Status(Code::kMethodNotAllowed, "no such method: " + call.method);
  }();
  if (answer) {
    host_.respond(call.id, *answer);
  } else {
    host_.respond(call.id, answer.status());
  }
}

Result<std::string> ApiServer::describe_kinds() const {
  return settings_.provides_kinds ? kind_infos().SerializeAsString() : std::string();
}

Result<std::string> ApiServer::admit(const std::string& payload) const {
  v1::AdmitRequest request;
  if (!request.ParseFromString(payload)) return Status(Code::kBadRequest, "not an AdmitRequest");
  return admit_reviews(*parts_->rules, request, host_.wall_now_ns()).SerializeAsString();
}

Result<std::string> ApiServer::issue(const std::string& payload) const {
  v1::IssueTokenRequest request;
  if (!request.ParseFromString(payload)) return Status(Code::kBadRequest, "not an IssueTokenRequest");
  rest::TokenWish wish;
  wish.name_space = request.namespace_();
  wish.account = request.service_account();
  wish.audiences.assign(request.audiences().begin(), request.audiences().end());
  if (request.expiration_seconds() > 0) wish.expiration_seconds = request.expiration_seconds();
  wish.pod = request.pod_name();
  wish.pod_uid = request.pod_uid();
  wish.node = request.node_name();
  ORLOP_ASSIGN(rest::IssuedToken issued, rest::issue_token(host_, *parts_->signer, wish));
  v1::IssueTokenResponse response;
  response.set_token(issued.token);
  response.set_expires_unix_s(issued.expires_s);
  return response.SerializeAsString();
}

}  // namespace orlop::apikube
