// The doorbell: says that there is something new in the store's change log, never what it is.
//
// Why losing a ring is harmless: the change log is the truth. A ring says "the store is now at revision N, these kinds
// were touched"; a subscriber that hears it pulls everything after its own cursor, so one ring that arrives makes up
// for any number that did not. What could be missed for good is only the last ring before a silence, and that is met
// from both ends: nng drops a ring only when a subscriber's buffer is full of others that it has yet to hear, and every
// (re)connection is met with a ring of its own, with revision 0 and no kinds, which means "look, whatever happened";
// the publisher sends it, once its rings reach the newcomer, so that none falls between.
//
// Ordering: rings of one publisher arrive in order. Delivery: at most once; folded by the subscriber at will.
#pragma once

#include "orlop/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace orlop::bus {

// Threads: ring from any thread, never waits for a subscriber.
class Doorbell {
 public:
  // Publishes at each of `urls` ("inproc://name", "ipc:///path"). An ipc socket gets mode 0600 and is removed at the
  // end. kUnavailable: one of them cannot be listened at.
  static Result<std::unique_ptr<Doorbell>> open(const std::vector<std::string>& urls);
  virtual ~Doorbell() = default;
  virtual void ring(uint64_t revision, std::span<const std::string> kinds) = 0;
};

// `revision` 0: somebody has just connected, anything may have happened. The callback runs on a thread of nng and must
// do nothing but wake.
using RingFunction = std::function<void(uint64_t revision, const std::vector<std::string>& kinds)>;

class DoorbellSubscriber {
 public:
  // Listens to a doorbell that need not be there yet, and connects again whenever it comes back. Rings of other kinds
  // than `kinds` are left out; empty: all. After the destructor no callback runs. kUnavailable: no such transport.
  static Result<std::unique_ptr<DoorbellSubscriber>> open(const std::string& url, std::vector<std::string> kinds,
                                                          RingFunction on_ring);
  virtual ~DoorbellSubscriber() = default;
};

}  // namespace orlop::bus
