#include "plugins/api-kubernetes/kinds/rules.hpp"

#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/meta_v1.hpp"
#include "plugins/api-kubernetes/kinds/admission.hpp"
#include "plugins/api-kubernetes/kinds/handler.hpp"
#include "plugins/api-kubernetes/kinds/pods.hpp"
#include "plugins/api-kubernetes/kinds/prepare.hpp"
#include "plugins/api-kubernetes/kinds/schema_rules.hpp"
#include "plugins/api-kubernetes/kinds/services.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <google/protobuf/arena.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace orlop::apikube {

const KindHandler* find_handler(std::string_view kind_id) {
  static const auto table = [] {
    std::map<std::string_view, const KindHandler*> map;
    for (auto handlers : {core_handlers(), config_handlers(), workload_handlers(), batch_handlers(), storage_handlers(),
                          network_handlers(), cluster_handlers()}) {
      for (const auto& handler : handlers) map.emplace(handler.id, &handler);
    }
    return map;
  }();
  auto found = table.find(kind_id);
  return found == table.end() ? nullptr : found->second;
}

namespace {

constexpr size_t kNameBytesMax = 63;
constexpr size_t kSuffixBytes = 5;

const Message* prototype_of(const kube::Kind& kind) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(kind.message));
  return descriptor == nullptr ? nullptr
                               : google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor);
}

class Rules final : public KindRules {
 public:
  Rules(Options options, const ObjectReader& reader, std::unique_ptr<ServiceAllocator> services,
        std::function<uint64_t()> random)
      : options_(std::move(options)), reader_(reader), services_(std::move(services)), random_(std::move(random)) {
    for (const auto& kind : kube::kinds()) {
      if (kind.persistent) prototypes_.emplace(kind.message, prototype_of(kind));
    }
  }

  Result<Admitted> admit(AdmitRequest request) const override {
    auto found = prototypes_.find(request.kind->message);
    if (found == prototypes_.end() || found->second == nullptr) {
      return Status(Code::kInternal, fmt::format("no message for kind {}", request.kind->id));
    }
    google::protobuf::Arena arena;
    Message* object = found->second->New(&arena);
    Message* current = nullptr;
    if (!request.current.empty()) {
      current = found->second->New(&arena);
      if (!current->ParseFromString(request.current)) {
        return Status(Code::kInternal,
                      fmt::format("what is stored of {} {} cannot be read", request.kind->id, in_quotes(request.name)));
      }
    }
    if (request.operation != Operation::kDelete && !object->ParseFromString(request.value)) {
      return Status(Code::kBadRequest, fmt::format("the value is no {}", request.kind->message));
    }
    ORLOP_ASSIGN(auto admitted, admit_message(request, object, current));
    if (request.operation != Operation::kDelete && !object->SerializeToString(&admitted.value)) {
      return Status(Code::kInternal, "the object cannot be written");
    }
    return admitted;
  }

  Result<Admitted> admit_message(const AdmitRequest& request, Message* object, const Message* current) const override {
    if (request.operation == Operation::kDelete) return admit_delete(request, current);
    ORLOP_TRY(match_key(request, object));
    return request.operation == Operation::kCreate || current == nullptr ? admit_create(request, object)
                                                                         : admit_update(request, object, *current);
  }

  void set_defaults(const kube::Kind& kind, Message* object) const override {
    const auto* handler = find_handler(kind.id);
    if (handler != nullptr && handler->set_defaults != nullptr) handler->set_defaults(object);
  }

  void prepare_for_create(const kube::Kind& kind, Message* object) const override {
    strip_for_create(kind, object);
    const auto* handler = find_handler(kind.id);
    if (handler != nullptr && handler->prepare_create != nullptr) handler->prepare_create(object);
  }

  void prepare_for_update(const kube::Kind& kind, Message* object, const Message& current,
                          std::string_view subresource) const override {
    keep_for_update(kind, object, current, subresource);
    const auto* handler = find_handler(kind.id);
    if (handler != nullptr && handler->prepare_update != nullptr) handler->prepare_update(object, current, subresource);
  }

  Status validate_create(const kube::Kind& kind, const Message& object) const override {
    FieldErrors errors;
    check(kind, object, &errors);
    return errors.status(kind.group, kind.kind, meta_of(object).name());
  }

  Status validate_update(const kube::Kind& kind, const Message& object, const Message& current,
                         std::string_view subresource) const override {
    FieldErrors errors;
    check_update(kind, object, current, subresource, &errors);
    return errors.status(kind.group, kind.kind, meta_of(object).name());
  }

  std::vector<std::string> index_terms(const kube::Kind& kind, const Message& object) const override {
    std::vector<std::string> terms;
    if (kind.id != "pods" && kind.id != "replicasets.apps" && kind.id != "controllerrevisions.apps" &&
        kind.id != "endpointslices.discovery.k8s.io") {
      return terms;
    }
    for (const auto& [key, value] : meta_of(object).labels()) terms.push_back(fmt::format("label/{}={}", key, value));
    if (kind.id == "pods") {
      const auto& node = as<corev1::Pod>(object).spec().nodename();
      if (!node.empty()) terms.push_back("node/" + node);
    }
    std::sort(terms.begin(), terms.end());
    return terms;
  }

  std::optional<int64_t> grace_seconds(const kube::Kind& kind, const Message& object,
                                       std::optional<int64_t> asked) const override {
    if (kind.id != "pods") return std::nullopt;
    return pod_grace_seconds(as<corev1::Pod>(object), asked);
  }

 private:
  static void check(const kube::Kind& kind, const Message& object, FieldErrors* errors) {
    const auto* handler = find_handler(kind.id);
    validate_meta(meta_of(object), kind.namespaced, handler == nullptr ? NameRule::kSubdomain : handler->names, errors);
    if (handler == nullptr) {
      validate_by_schema(object, errors);
    } else if (handler->validate != nullptr) {
      handler->validate(object, errors);
    }
  }

  static void check_update(const kube::Kind& kind, const Message& object, const Message& current,
                           std::string_view subresource, FieldErrors* errors) {
    const auto* handler = find_handler(kind.id);
    validate_meta_update(meta_of(object), meta_of(current), errors);
    if (handler == nullptr) return;
    // A pod's update validates its spec itself: what is asked of a new pod is not asked of every change.
    const bool whole = subresource.empty() || subresource == "scale" || subresource == "finalize";
    if (whole && kind.id != "pods" && handler->validate != nullptr) handler->validate(object, errors);
    if (handler->validate_update != nullptr) handler->validate_update(object, current, subresource, errors);
  }

  // Name and namespace of the object and of the path must not contradict each other; what one leaves out the other
  // fills in.
  static Status match_key(const AdmitRequest& request, Message* object) {
    auto* meta = mutable_meta_of(object);
    if (meta == nullptr) return {Code::kInternal, "a kind without metadata cannot be stored"};
    if (!request.kind->namespaced) {
      meta->clear_namespace_();
    } else if (meta->namespace_().empty()) {
      meta->set_namespace_(request.name_space);
    } else if (meta->namespace_() != request.name_space) {
      return {Code::kBadRequest,
              "the namespace of the provided object does not match the namespace sent on the request"};
    }
    if (request.name.empty()) return Status::ok();
    if (meta->name().empty()) {
      meta->set_name(request.name);
    } else if (meta->name() != request.name) {
      return {Code::kBadRequest, fmt::format("the name of the object ({}) does not match the name on the URL ({})",
                                             meta->name(), request.name)};
    }
    return Status::ok();
  }

  std::string random_uid() const {
    const uint64_t high = random_();
    const uint64_t low = random_();
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xffff, high & 0xfff,
                       (low >> 48 & 0x3fff) | 0x8000, low & 0xffffffffffff);
  }

  void generate_name(metav1::ObjectMeta* meta) const {
    if (!meta->name().empty() || meta->generatename().empty()) return;
    meta->set_name(meta->generatename().substr(0, kNameBytesMax - kSuffixBytes) + random_suffix(random_));
  }

  Result<Admitted> admit_create(const AdmitRequest& request, Message* object) const {
    const auto& kind = *request.kind;
    auto* meta = mutable_meta_of(object);
    ORLOP_TRY(check_namespace(reader_, request.name_space, kind, meta->name(), Operation::kCreate));
    set_defaults(kind, object);
    if (kind.id == "pods") {
      ORLOP_TRY(
          admit_new_pod(&as<corev1::Pod>(object), request.name_space, reader_, options_.root_ca_configmap, random_));
    }
    ORLOP_TRY(admit_defaults(kind, reader_, object));
    const std::string uid = meta->uid();
    strip_for_create(kind, object);
    generate_name(meta);
    // A job's selector is made of its uid. The gate tells it with other plugins' writes; where it comes later, a mark
    // as unique does the same.
    if (kind.id == "jobs.batch") meta->set_uid(uid.empty() ? random_uid() : uid);
    const auto* handler = find_handler(kind.id);
    if (handler != nullptr && handler->prepare_create != nullptr) handler->prepare_create(object);
    if (kind.id == "namespaces") set_defaults(kind, object);  // its label is made of the name

    FieldErrors errors;
    check(kind, *object, &errors);
    Admitted admitted;
    if (kind.id == "services" && errors.empty()) {
      admitted.reservation = allocate_service(&as<corev1::Service>(object), nullptr, services_.get(), &errors);
    }
    ORLOP_TRY(errors.status(kind.group, kind.kind, meta->name()));
    admitted.name = meta->name();
    admitted.index_terms = index_terms(kind, *object);
    return admitted;
  }

  Result<Admitted> admit_update(const AdmitRequest& request, Message* object, const Message& current) const {
    const auto& kind = *request.kind;
    const std::string_view subresource = request.context.subresource;
    set_defaults(kind, object);
    prepare_for_update(kind, object, current, subresource);
    FieldErrors errors;
    check_update(kind, *object, current, subresource, &errors);
    Admitted admitted;
    if (kind.id == "services" && subresource.empty() && errors.empty()) {
      admitted.reservation =
          allocate_service(&as<corev1::Service>(object), &as<corev1::Service>(current), services_.get(), &errors);
    }
    ORLOP_TRY(errors.status(kind.group, kind.kind, meta_of(*object).name()));
    admitted.name = meta_of(*object).name();
    admitted.index_terms = index_terms(kind, *object);
    return admitted;
  }

  Result<Admitted> admit_delete(const AdmitRequest& request, const Message* current) const {
    ORLOP_TRY(check_delete(*request.kind, request.name));
    Admitted admitted;
    admitted.name = request.name;
    if (current != nullptr)
      admitted.grace_seconds = grace_seconds(*request.kind, *current, request.grace_period_seconds);
    return admitted;
  }

  const Options options_;
  const ObjectReader& reader_;
  const std::unique_ptr<ServiceAllocator> services_;
  const std::function<uint64_t()> random_;
  std::map<std::string_view, const Message*> prototypes_;  // by message name; filled once
};

}  // namespace

Result<std::unique_ptr<KindRules>> KindRules::make(Options options, const ObjectReader& reader,
                                                   std::function<std::chrono::steady_clock::time_point()> steady_now,
                                                   std::function<uint64_t()> random) {
  ORLOP_ASSIGN(auto services, make_service_allocator(options.services, reader, std::move(steady_now), random));
  return std::unique_ptr<KindRules>(
      std::make_unique<Rules>(std::move(options), reader, std::move(services), std::move(random)));
}

}  // namespace orlop::apikube
