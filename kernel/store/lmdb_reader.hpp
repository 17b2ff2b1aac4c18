// Reader over an environment: what a reading process has, and the half of the store that reads. Private to this folder.
#pragma once

#include "kernel/store/environment.hpp"
#include "kernel/store/read_view.hpp"
#include "kernel/store/seal.hpp"
#include "kernel/store/store.hpp"

#include <memory>

namespace orlop::store {

// `Interface` is Reader or Store.
template <typename Interface>
class LmdbReading : public Interface {
 public:
  LmdbReading(std::unique_ptr<Environment> environment, std::vector<SealingKey> keys)
      : environment_(std::move(environment)), sealer_(std::move(keys)) {}

  using Reader::get;

  Result<Revision> get(std::span<const Key> keys, Revision at_revision, const GetVisitor& visitor) override {
    for (const Key& key : keys) ORLOP_TRY(validate(key));
    wait_until_visible();
    ORLOP_ASSIGN(const ReadTransaction txn, environment_->begin_read());
    ReadView view(*environment_, sealer_, txn.get());
    ORLOP_TRY(view.load());
    ORLOP_ASSIGN(const Revision revision, view.resolve(at_revision));
    PlainBuffer plain;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::string encoded = encode_key(keys[i]);
      bool found = false;
      Version version;
      RecordView record;
      ORLOP_TRY(view.version_at(encoded, revision, found, version));
      if (found) ORLOP_TRY(view.to_record(encoded, version, plain, record));
      if (!visitor(i, found ? &record : nullptr)) break;
    }
    return revision;
  }

  Result<ListResult> list(const ListRequest& request, const RecordVisitor& visitor) override {
    return with_view<ListResult>([&](ReadView& view) { return view.list(request, visitor); });
  }

  Result<uint64_t> count(const ListRequest& request) override {
    return with_view<uint64_t>([&](ReadView& view) { return view.count(request); });
  }

  Result<PullResult> pull(const PullRequest& request, const ChangeVisitor& visitor) override {
    return with_view<PullResult>([&](ReadView& view) { return view.pull(request, visitor); });
  }

  Revision current_revision() override { return read_state().revision; }
  Revision compacted_revision() override { return read_state().compacted; }

  Stats stats() override {
    Stats stats;
    auto txn = environment_->begin_read();
    if (!txn) return stats;
    ReadView view(*environment_, sealer_, txn->get());
    if (!view.load()) return stats;
    stats.current_revision = view.state().revision;
    stats.compacted_revision = view.state().compacted;
    stats.log_bytes = view.state().log_bytes;
    environment_->measure(txn->get(), stats);
    return stats;
  }

 protected:
  // Returns once everything that was acknowledged is in a committed transaction.
  virtual void wait_until_visible() {}

  State read_state() {
    auto txn = environment_->begin_read();
    if (!txn) return {};
    ReadView view(*environment_, sealer_, txn->get());
    return view.load() ? view.state() : State{};
  }

  template <typename T, typename Function>
  Result<T> with_view(Function&& function) {
    wait_until_visible();
    ORLOP_ASSIGN(const ReadTransaction txn, environment_->begin_read());
    ReadView view(*environment_, sealer_, txn.get());
    ORLOP_TRY(view.load());
    return function(view);
  }

  std::unique_ptr<Environment> environment_;
  Sealer sealer_;
};

}  // namespace orlop::store
