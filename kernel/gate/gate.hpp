// The gate: every read and every write of every plugin passes here, and nothing reaches the store by another way.
//
// What it adds to the store, in the order in which a write meets it:
//   1. permissions: a plugin reads and writes the kinds that its manifest asks for, and no others;
//   2. kinds: what is known of each kind, told by the plugin that provides it. A kind without a provider can be read,
//      and not be written: its objects stay as they are until the provider is back;
//   3. preconditions of the writer: revision and uid, in Kubernetes' words when they do not hold;
//   4. admission: the kind's provider defaults, validates and indexes, unless it made the write itself and says so;
//   5. the rules of object metadata: uid, creation time, generation, finalizers, graceful deletion
//   (orlop/object_rules.hpp);
//   6. optimistic concurrency: the store takes the write only if the object is still the one that steps 3 to 5 saw.
//      If it is not, and the writer named no revision, all begins again from the new state, a bounded number of times.
//
// The gate knows no kind by name. Names of resources in messages are the kind's own ("deployments.apps").
//
// Threads: every method may be called from any thread. No lock is held while a visitor, a completion or a provider
// runs.
#pragma once

#include "kernel/store/store.hpp"
#include "orlop/result.hpp"
#include "orlop/v1/api.pb.h"
#include "orlop/v1/store.pb.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::gate {

// Who asks: a plugin, with what its manifest was granted. "*" in a list stands for every kind. Whether it provides a
// kind is not said here: register_kinds knows. Immutable once in use; share it for the plugin's life.
struct Actor {
  std::string plugin;
  std::vector<std::string> read_kinds;
  std::vector<std::string> write_kinds;
};

// Asks the plugins that provide kinds. The kernel implements it over the call router.
class KindProviders {
 public:
  virtual ~KindProviders() = default;

  using AdmitDone = std::function<void(Result<v1::AdmitResponse>)>;

  // Begins orlop.v1.Kinds/Admit of `provider`. `done` is called exactly once, from any thread (from within admit too),
  // at the latest when `deadline` has passed. Failures: kTimeout, the deadline; kUnavailable, the provider is gone.
  virtual void admit(const std::string& provider, const v1::AdmitRequest& request, std::chrono::milliseconds deadline,
                     AdmitDone done) = 0;
};

struct Options {
  // The wall clock, nanoseconds since 1970.
  std::function<int64_t()> wall_now_ns;
  // 16 random bytes, for uids. Called from several threads at once.
  std::function<std::array<uint8_t, 16>()> random_16;
  // What a provider may take for one batch of reviews.
  std::chrono::milliseconds admit_deadline{10'000};
  // How often a write without if_revision begins again when others change its object meanwhile.
  uint32_t attempts_max = 16;

  // The system's clock and random source.
  static Options system();
};

// Figures since the start; for metrics.
struct Counters {
  uint64_t reads = 0;
  uint64_t commits = 0;
  uint64_t refused = 0;    // for a permission
  uint64_t call_outs = 0;  // batches of reviews sent to a provider
  uint64_t retries = 0;    // attempts beyond the first
  uint64_t conflicts = 0;  // answered with kConflict
};

class GateState;

class Gate {
 public:
  using CommitDone = std::function<void(Result<v1::CommitResult>)>;

  // Both outlive the gate.
  Gate(store::Store& store, KindProviders& providers, Options options = Options::system());
  // As stop().
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // ------------------------------------------------------------------------------------------------ kinds

  // `provider` provides these kinds from now on; replaces what it registered before. A kind has one provider.
  // kAlreadyExists: another provider has one of them (its name is in the message; nothing is registered).
  // kInvalid: a kind without a name.
  Status register_kinds(const std::string& provider, std::vector<v1::KindInfo> kinds);

  // Its kinds can no longer be written, until they are registered again. Unknown providers: nothing happens.
  void unregister_provider(const std::string& provider);

  // What is known of a kind; kNotFound when nobody has registered it, kUnavailable when its provider is gone.
  [[nodiscard]] Result<v1::KindInfo> kind(std::string_view kind) const;
  // The provider's name, or empty.
  [[nodiscard]] std::string provider_of(std::string_view kind) const;
  [[nodiscard]] std::vector<v1::KindInfo> kinds() const;

  // ------------------------------------------------------------------------------------------------ reads

  // All three: on the caller's thread, without waiting but for the store's page faults. Views are valid inside the
  // visitor only; a visitor returns false to stop. Not from a commit's completion (a relaxed write there may not be
  // readable yet). kForbidden: the manifest does not ask for the kind; the message says which line to add. Else as
  // store::Reader.

  // Objects that are absent are left out; the others come in the order asked for.
  Result<v1::ReadResult> get(const Actor& actor, const v1::GetRequest& request, const store::RecordVisitor& visitor);
  Result<v1::ReadResult> list(const Actor& actor, const v1::ListRequest& request, const store::RecordVisitor& visitor);
  // Without kinds: all that the actor may read. max_changes and max_bytes of 0: the store's own limits.
  Result<v1::PullResult> pull(const Actor& actor, const v1::PullRequest& request, const store::ChangeVisitor& visitor);

  // kOk, or the sentence of the refusal. `verb`: "read" or "write".
  [[nodiscard]] static Status check_permission(const Actor& actor, std::string_view verb, std::string_view kind);

  // ------------------------------------------------------------------------------------------------ writes

  // Begins a transaction. `done` is called exactly once: on the caller's thread before this returns (refused at once),
  // on the store's committer, or on a thread of the providers. It must return soon; it may call commit.
  //
  // kForbidden: a permission. kNotFound: no such object, or no such kind. kUnavailable: the kind's provider is not
  // there; or as the store says. kAlreadyExists: CREATE of what exists. kConflict: if_revision, if_uid, a further
  // precondition, or a uid in the value that is another's; also when attempts_max was not enough. kInvalid,
  // kBadRequest: the value is no message with metadata, the key lacks a part, a finalizer is added to an object under
  // deletion, an unknown propagation policy. Any status of a provider's verdict. kTimeout: the provider. kCancelled:
  // the gate is stopping.
  void commit(std::shared_ptr<const Actor> actor, v1::CommitRequest request, CommitDone done);

  // The same, waiting. For tests and for the kernel's own start; never from a completion, visitor or listener.
  Result<v1::CommitResult> commit_and_wait(std::shared_ptr<const Actor> actor, v1::CommitRequest request);

  // Refuses new commits with kCancelled and waits until those under way are answered. Twice: nothing happens.
  void stop();

  [[nodiscard]] Counters counters() const;

 private:
  std::shared_ptr<GateState> state_;
};

}  // namespace orlop::gate
