#include "plugins/dns/upstream.hpp"

#include <array>
#include <charconv>
#include <memory>
#include <sstream>

#include <arpa/inet.h>
#include <ldns/ldns.h>

namespace orlop::dns {
namespace {

struct FreePacket {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};

std::string wire_of(const ldns_rdf* name) {
  return {reinterpret_cast<const char*>(ldns_rdf_data(name)), ldns_rdf_size(name)};
}

// Names in rdata are written out: a pointer would lead elsewhere in our packet.
bool read_section(const ldns_rr_list* list, const std::string& asked, std::vector<Record>& out) {
  for (size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
    const ldns_rr* rr = ldns_rr_list_rr(list, i);
    Record record;
    record.owner = wire_of(ldns_rr_owner(rr));
    if (lower(record.owner) == asked) record.owner.clear();
    record.type = static_cast<uint16_t>(ldns_rr_get_type(rr));
    record.klass = static_cast<uint16_t>(ldns_rr_get_class(rr));
    record.ttl = ldns_rr_ttl(rr) > 0x7fffffff ? 0 : ldns_rr_ttl(rr);
    const std::unique_ptr<ldns_buffer, decltype(&ldns_buffer_free)> buffer(ldns_buffer_new(LDNS_MIN_BUFLEN),
                                                                           &ldns_buffer_free);
    if (ldns_rr_rdata2buffer_wire(buffer.get(), rr) != LDNS_STATUS_OK) return false;
    record.rdata.assign(reinterpret_cast<const char*>(ldns_buffer_begin(buffer.get())),
                        ldns_buffer_position(buffer.get()));
    out.push_back(std::move(record));
  }
  return true;
}

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

}  // namespace

std::optional<Received> read_response(std::string_view bytes, uint16_t id, const Question& question) {
  ldns_pkt* raw = nullptr;
  if (ldns_wire2pkt(&raw, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) != LDNS_STATUS_OK) {
    return std::nullopt;
  }
  const std::unique_ptr<ldns_pkt, FreePacket> packet(raw);
  if (!ldns_pkt_qr(raw) || ldns_pkt_id(raw) != id) return std::nullopt;
  const ldns_rr_list* questions = ldns_pkt_question(raw);
  Received out;
  out.response.rcode = static_cast<Rcode>(ldns_pkt_get_rcode(raw));
  if (ldns_rr_list_rr_count(questions) == 0 && ldns_pkt_get_rcode(raw) == LDNS_RCODE_FORMERR) return out;
  if (ldns_rr_list_rr_count(questions) != 1) return std::nullopt;
  const ldns_rr* asked = ldns_rr_list_rr(questions, 0);
  if (lower(wire_of(ldns_rr_owner(asked))) != question.key ||
      static_cast<uint16_t>(ldns_rr_get_type(asked)) != question.type ||
      static_cast<uint16_t>(ldns_rr_get_class(asked)) != question.klass) {
    return std::nullopt;
  }
  out.truncated = ldns_pkt_tc(raw);
  if (!read_section(ldns_pkt_answer(raw), question.key, out.response.answer)) return std::nullopt;
  if (!read_section(ldns_pkt_authority(raw), question.key, out.response.authority)) return std::nullopt;
  return out;
}

std::optional<Server> server_of(std::string_view text) {
  Server out;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    port = text.substr(end + 1);
    out.address = text.substr(1, end - 1);
  } else if (text.find(':') != std::string_view::npos && text.find(':') == text.rfind(':')) {
    port = text.substr(text.find(':'));
    out.address = text.substr(0, text.find(':'));
  } else {
    out.address = text.substr(0, text.find('%'));
  }
  if (!port.empty()) {
    const char* end = port.data() + port.size();
    const auto [after, error] = std::from_chars(port.data() + 1, end, out.port);
    if (port.front() != ':' || error != std::errc() || after != end || out.port == 0) return std::nullopt;
  }
  if (!is_address(out.address)) return std::nullopt;
  return out;
}

std::vector<Server> servers_of(std::istream& resolv_conf) {
  std::vector<Server> out;
  std::string line;
  while (std::getline(resolv_conf, line)) {
    std::istringstream words(line);
    std::string word;
    std::string address;
    if (!(words >> word >> address) || word != "nameserver") continue;
    if (const auto server = server_of(address)) out.push_back(*server);
  }
  return out;
}

}  // namespace orlop::dns
