// From a packet to what is to be done with it: answered from the zone, or asked of another server.
//
// Threads: answer() from any thread, each with an own Asked.
#pragma once

#include "plugins/dns/packet.hpp"
#include "plugins/dns/zone.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::dns {

struct AnswerSettings {
  std::string domain = "cluster.local";
  uint32_t ttl = 5;  // seconds, of every record of the cluster
};

// A packet on its way. Used again for the next one it costs no memory.
struct Asked {
  Query query;
  // When it is to be forwarded: what to ask (the query's own question, or what an ExternalName leads to), and what
  // stands in the answer before that.
  Question onward;
  std::vector<Record> before;
};

enum class Fate { kDrop, kAnswered, kForward };

class Answers {
 public:
  Answers(const Zone& zone, const AnswerSettings& settings);
  // kAnswered: `out` is the packet to send.
  Fate answer(std::string_view packet, bool udp, Asked& asked, std::string& out);

 private:
  Fate fail(const Asked& asked, Rcode rcode, std::string& out) const;
  Fate from_zone(bool udp, bool ours, Asked& asked, std::string& out);
  [[nodiscard]] bool is_pod(const Zone::Look& look, const Question& question, std::string& rdata) const;
  void add_soa(const Zone::Look& look, AnswerWriter& writer) const;

  const Zone& zone_;
  const uint32_t ttl_;
  const std::string zone_key_, pod_key_, reverse4_, reverse6_;
  std::atomic<uint32_t> turn_{0};  // which of several addresses stands first
};

}  // namespace orlop::dns
