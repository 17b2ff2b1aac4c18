// Questions as text, answers by ldns: what we write is read by somebody else.
#pragma once

#include "plugins/dns/packet.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ldns/ldns.h>

namespace orlop::dns::testing {

inline Question question_of(const std::string& name, uint16_t type) {
  Question out;
  const std::string wire = *name_of(name);
  out.key = lower(wire);
  out.type = type;
  return out;
}

// The name's letters stay as they are given.
inline std::string packet_of(const std::string& name, uint16_t type, bool edns = false, uint16_t id = 4711) {
  std::string out = write_query(id, question_of(name, type), edns, false, false);
  const std::string wire = *name_of(name);
  out.replace(12, wire.size(), wire);
  return out;
}

struct Read {
  bool readable = false;
  int rcode = -1;
  bool truncated = false, authoritative = false;
  std::string question;
  std::vector<std::string> answer, authority, additional;  // "name ttl IN TYPE rdata"
};

inline std::vector<std::string> texts(const ldns_rr_list* list) {
  std::vector<std::string> out;
  for (size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
    char* text = ldns_rr2str(ldns_rr_list_rr(list, i));
    std::string line(text);
    free(text);
    while (!line.empty() && line.back() == '\n') line.pop_back();
    for (char& c : line) c = c == '\t' ? ' ' : c;
    out.push_back(line);
  }
  return out;
}

inline Read read(std::string_view packet) {
  Read out;
  ldns_pkt* raw = nullptr;
  if (ldns_wire2pkt(&raw, reinterpret_cast<const uint8_t*>(packet.data()), packet.size()) != LDNS_STATUS_OK) return out;
  const std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> held(raw, &ldns_pkt_free);
  out.readable = true;
  out.rcode = ldns_pkt_get_rcode(raw) | ldns_pkt_edns_extended_rcode(raw) << 4;
  out.truncated = ldns_pkt_tc(raw);
  out.authoritative = ldns_pkt_aa(raw);
  const auto questions = texts(ldns_pkt_question(raw));
  if (!questions.empty()) out.question = questions.front();
  out.answer = texts(ldns_pkt_answer(raw));
  out.authority = texts(ldns_pkt_authority(raw));
  out.additional = texts(ldns_pkt_additional(raw));
  return out;
}

}  // namespace orlop::dns::testing
