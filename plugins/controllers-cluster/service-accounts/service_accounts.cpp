#include "plugins/controllers-cluster/service-accounts/service_accounts.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/objects.hpp"

#include <fstream>
#include <iterator>

namespace orlop::cluster {
namespace {

using Namespace = k8s::io::api::core::v1::Namespace;
using ServiceAccount = k8s::io::api::core::v1::ServiceAccount;
using ConfigMap = k8s::io::api::core::v1::ConfigMap;

constexpr char kRootCa[] = "kube-root-ca.crt";
constexpr int64_t kFileRetryNs = 500'000'000;

}  // namespace

void ServiceAccountController::observe(const ChangeView& change, KeyQueue& queue) {
  if (change.record.kind == "namespaces") {
    if (change.type != ChangeType::kDeleted) queue.add({"", std::string(change.record.name)});
    return;
  }
  const bool ours = change.record.name == "default" || change.record.name == kRootCa;
  if (ours && change.type != ChangeType::kCreated) queue.add({"", std::string(change.record.name_space)});
}

Result<Outcome> ServiceAccountController::reconcile(const ObjectKey& key) {
  auto name_space = Objects<Namespace>(host_).get("", key.name);
  if (!name_space)
    return name_space.code() == Code::kNotFound ? Result<Outcome>(Outcome{}) : Result<Outcome>(name_space.status());
  if (name_space->object.metadata().has_deletiontimestamp()) return Outcome{};

  const Objects<ServiceAccount> accounts(host_);
  if (accounts.get(key.name, "default").code() == Code::kNotFound) {
    ServiceAccount account;
    account.mutable_metadata()->set_name("default");
    account.mutable_metadata()->set_namespace_(key.name);
    const Status created = accounts.create(account).status();
    if (!created && created.code() != Code::kAlreadyExists) return created;
  }

  std::ifstream file(ca_file_);
  const std::string ca{std::istreambuf_iterator<char>(file), {}};
  if (ca.empty()) return Outcome{kFileRetryNs};
  const Objects<ConfigMap> maps(host_);
  auto map = maps.get(key.name, kRootCa);
  if (map) {
    auto& slot = (*map->object.mutable_data())["ca.crt"];
    if (slot == ca) return Outcome{};
    slot = ca;
    ORLOP_TRY(maps.update(*map).status());
    return Outcome{};
  }
  if (map.code() != Code::kNotFound) return map.status();
  ConfigMap fresh;
  fresh.mutable_metadata()->set_name(kRootCa);
  fresh.mutable_metadata()->set_namespace_(key.name);
  (*fresh.mutable_metadata()->mutable_annotations())["kubernetes.io/description"] =
      "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
      "internal service "
      "IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
  (*fresh.mutable_data())["ca.crt"] = ca;
  const Status created = maps.create(fresh).status();
  if (!created && created.code() != Code::kAlreadyExists) return created;
  return Outcome{};
}

}  // namespace orlop::cluster
