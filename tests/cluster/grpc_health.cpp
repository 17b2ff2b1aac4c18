// A gRPC server with grpc's own health service, for probes: grpc_health PORT. It is well, its service "sick" is not.
#include <string>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

int main(int count, char** words) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::CallbackGenericService others;  // without a service of its own none is started; it refuses what comes
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&others);
  builder.AddListeningPort("0.0.0.0:" + std::string(count > 1 ? words[1] : "5000"), grpc::InsecureServerCredentials());
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->GetHealthCheckService()->SetServingStatus("sick", false);
  server->Wait();
  return 0;
}
