// Calls between plugins: from a capability's name to whoever provides it, and the answer back, within a deadline.
//
// What it promises, before any method:
//   - each call is answered exactly once: by its provider, with kTimeout at its deadline, with kUnavailable when nobody
//     provides the capability or its provider went away meanwhile, or with kCancelled when the router stops;
//   - an answer that comes after one of these is dropped; so is an answer to a call that was given to somebody else;
//   - calls to one provider reach it in the order in which call() was entered by one thread; answers come in any order;
//   - after detach(plugin) returns, no call of that plugin is pending.
// It knows capabilities, plugins and bytes; never what a method means.
//
// Threads: every method from any thread. An answer function runs on the thread that answered (a plugin's, the timer's,
// the caller's own before call() returns) with no lock held; it must return soon.
#pragma once

#include "kernel/bus/clock.hpp"
#include "kernel/bus/timer.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orlop::bus {

// `payload` is the method's response message when `code` is kOk, else an orlop.v1.Status; valid during the call only.
using AnswerFunction = std::function<void(Code code, std::string_view payload)>;

// Where the calls of one plugin are delivered: a jump into the process, a frame on a link, a part of the kernel.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // Hands the call over; the views are valid during the call only. Returns at once. False: it cannot be delivered any
  // more, and it will not be answered.
  virtual bool deliver(uint64_t call_id, std::string_view method, std::string_view payload, int64_t deadline_ns) = 0;
};

struct Target {
  std::string capability;
  std::string
      provider;  // a plugin's name or an instance that it provides; empty: the first in the order of declaration
  std::string method;
  uint32_t deadline_ms = 0;  // 0: kDefaultDeadlineMs
};

inline constexpr uint32_t kDefaultDeadlineMs = 10'000;

class CallRouter {
 public:
  CallRouter(const Clock& clock, Timer& timer);
  ~CallRouter();  // stop()
  CallRouter(const CallRouter&) = delete;
  CallRouter& operator=(const CallRouter&) = delete;

  // Makes known that `plugin` provides `capability` as `instance` (may be empty). The one with the lowest `order` is
  // the capability's default; a default that is away is not replaced by the next one: its calls answer kUnavailable.
  void declare(const std::string& capability, const std::string& instance, const std::string& plugin, uint32_t order);
  // Forgets all that `plugin` declared; detaches it.
  void withdraw(const std::string& plugin);

  // From now on the plugin's calls go to `endpoint`.
  void attach(const std::string& plugin, std::shared_ptr<Endpoint> endpoint);
  // The plugin takes no calls; those that it has are answered kUnavailable with `reason`, and so are later ones.
  void detach(const std::string& plugin, const std::string& reason);

  // Who would be asked. kUnavailable: nobody.
  [[nodiscard]] Result<std::string> provider_of(const std::string& capability, const std::string& provider) const;
  // Plugins that declared the capability, in order.
  [[nodiscard]] std::vector<std::string> providers_of(const std::string& capability) const;

  // `payload` is copied or handed over before return.
  void call(const Target& target, std::string_view payload, AnswerFunction answer);
  // The same, for one plugin whatever it declared; the kernel's own calls.
  void call_plugin(const std::string& plugin, std::string_view method, std::string_view payload, uint32_t deadline_ms,
                   AnswerFunction answer);
  // The answer of `plugin`. False: there is no such call of that plugin (any more).
  bool respond(const std::string& plugin, uint64_t call_id, Code code, std::string_view payload);

  // Answers all with kCancelled; later calls too.
  void stop();

  [[nodiscard]] std::size_t pending() const;

 private:
  struct Declaration {
    std::string capability;
    std::string instance;
    std::string plugin;
    uint32_t order = 0;
  };
  struct Plugin {
    std::shared_ptr<Endpoint> endpoint;
    std::string absence = "it has not been started yet";
  };
  struct Pending {
    std::string plugin;
    std::string method;
    AnswerFunction answer;
    Timer::Id timer = 0;
    uint32_t deadline_ms = 0;
  };

  [[nodiscard]] const Declaration* choose(const std::string& capability, const std::string& provider) const;
  void begin(const std::string& plugin, const std::string& what, std::string_view method, std::string_view payload,
             uint32_t deadline_ms, AnswerFunction answer);
  void finish(uint64_t call_id, const std::string* plugin, Code code, std::string_view payload, bool& found);
  void expire(uint64_t call_id);

  const Clock& clock_;
  Timer& timer_;
  mutable std::mutex mutex_;
  std::vector<Declaration> declarations_;            // guarded by mutex_; sorted by order
  std::unordered_map<std::string, Plugin> plugins_;  // guarded by mutex_
  std::unordered_map<uint64_t, Pending> pending_;    // guarded by mutex_
  uint64_t next_id_ = 1;                             // guarded by mutex_
  bool stopped_ = false;                             // guarded by mutex_
};

// The bytes of an orlop.v1.Status that says the same.
std::string encode_status(const Status& status);
// The other way; bytes that are none give a Status of that code with a sentence saying so. `code` wins over the bytes'.
Status decode_status(Code code, std::string_view payload);

}  // namespace orlop::bus
