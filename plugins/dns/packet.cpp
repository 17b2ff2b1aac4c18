#include "plugins/dns/packet.hpp"

#include <algorithm>

namespace orlop::dns {
namespace {

constexpr size_t kHeaderBytes = 12, kNameBytesMost = 255, kOptBytes = 11;

uint16_t read16(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}
void write16(std::string& out, uint16_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value & 0xff));
}
void put16(std::string& out, size_t at, uint16_t value) {
  out[at] = static_cast<char>(value >> 8);
  out[at + 1] = static_cast<char>(value & 0xff);
}
void write32(std::string& out, uint32_t value) {
  write16(out, static_cast<uint16_t>(value >> 16));
  write16(out, static_cast<uint16_t>(value & 0xffff));
}
char lower_of(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// A name that stands by itself, no pointer in it. False: it is none.
bool read_plain_name(std::string_view packet, size_t& at) {
  const size_t begin = at;
  for (;;) {
    if (at >= packet.size()) return false;
    const auto length = static_cast<uint8_t>(packet[at]);
    if (length > 63 || at + 1 + length > packet.size()) return false;
    at += 1 + length;
    if (at - begin > kNameBytesMost) return false;
    if (length == 0) return true;
  }
}

// Past a name that may end in a pointer.
bool skip_name(std::string_view packet, size_t& at) {
  for (;;) {
    if (at >= packet.size()) return false;
    const auto length = static_cast<uint8_t>(packet[at]);
    if ((length & 0xc0) == 0xc0) {
      at += 2;
      return at <= packet.size();
    }
    if (length > 63) return false;
    at += 1 + length;
    if (length == 0) return at <= packet.size();
  }
}

// The records behind the question: all whole, and one OPT at the most.
Verdict read_records(std::string_view packet, size_t at, unsigned before, unsigned additional, Query& out) {
  unsigned version = 0;
  for (unsigned i = 0; i < before + additional; ++i) {
    const bool root = at < packet.size() && packet[at] == 0;
    if (!skip_name(packet, at) || at + 10 > packet.size()) return Verdict::kFormErr;
    const uint16_t type = read16(packet, at);
    const size_t length = read16(packet, at + 8);
    if (at + 10 + length > packet.size()) return Verdict::kFormErr;
    if (type == type::kOpt) {
      if (i < before || out.edns || !root) return Verdict::kFormErr;
      out.edns = true;
      out.udp_bytes = std::max<uint16_t>(kPlainUdpBytes, read16(packet, at + 2));
      version = static_cast<uint8_t>(packet[at + 5]);
      out.dnssec_ok = (static_cast<uint8_t>(packet[at + 6]) & 0x80) != 0;
    }
    at += 10 + length;
  }
  return version == 0 ? Verdict::kGood : Verdict::kBadVersion;
}

}  // namespace

Verdict read_query(std::string_view packet, Query& out) {
  out.edns = out.dnssec_ok = out.has_question = out.recursion = out.checking_disabled = false;
  out.udp_bytes = kPlainUdpBytes;
  out.question.wire.clear();
  out.question.key.clear();
  if (packet.size() < kHeaderBytes) return Verdict::kDrop;
  out.id = read16(packet, 0);
  const uint16_t flags = read16(packet, 2);
  if ((flags & 0x8000) != 0) return Verdict::kDrop;
  out.opcode = static_cast<uint8_t>((flags >> 11) & 0xf);
  out.recursion = (flags & 0x0100) != 0;
  out.checking_disabled = (flags & 0x0010) != 0;
  if (out.opcode != 0) return Verdict::kNotImp;
  if (read16(packet, 4) != 1) return Verdict::kFormErr;
  size_t at = kHeaderBytes;
  if (!read_plain_name(packet, at) || at + 4 > packet.size()) return Verdict::kFormErr;
  out.question.key.assign(packet, kHeaderBytes, at - kHeaderBytes);
  for (char& c : out.question.key) c = lower_of(c);  // a length is at most 63 and so no letter
  out.question.type = read16(packet, at);
  out.question.klass = read16(packet, at + 2);
  out.question.wire.assign(packet, kHeaderBytes, at + 4 - kHeaderBytes);
  out.has_question = true;
  return read_records(packet, at + 4, read16(packet, 6) + read16(packet, 8), read16(packet, 10), out);
}

AnswerWriter::AnswerWriter(const Query& query, size_t bytes_most, std::string& out)
    : query_(query), bytes_most_(bytes_most - (query.edns ? kOptBytes : 0)), out_(out) {
  out_.assign(kHeaderBytes, '\0');
  out_ += query.question.wire;
}

void AnswerWriter::add(Section section, std::string_view owner, uint16_t type, uint16_t klass, uint32_t ttl,
                       std::string_view rdata) {
  const size_t bytes = (owner.empty() ? 2 : owner.size()) + 10 + rdata.size();
  if (truncated_ || out_.size() + bytes > bytes_most_ || rdata.size() > 0xffff) {
    if (section != Section::kAdditional) truncated_ = true;
    return;
  }
  if (owner.empty()) {
    write16(out_, 0xc000 | kHeaderBytes);
  } else {
    out_ += owner;
  }
  write16(out_, type);
  write16(out_, klass);
  write32(out_, ttl);
  write16(out_, static_cast<uint16_t>(rdata.size()));
  out_ += rdata;
  ++counts_[static_cast<size_t>(section)];
}

void AnswerWriter::finish(Rcode rcode, bool authoritative) {
  const auto code = static_cast<uint16_t>(rcode);
  put16(out_, 0, query_.id);
  put16(out_, 2,
        static_cast<uint16_t>(0x8000 | query_.opcode << 11 | (authoritative ? 0x0400 : 0) | (truncated_ ? 0x0200 : 0) |
                              (query_.recursion ? 0x0100 : 0) | 0x0080 | (query_.checking_disabled ? 0x0010 : 0) |
                              (code & 0xf)));
  put16(out_, 4, query_.has_question ? 1 : 0);
  put16(out_, 6, counts_[0]);
  put16(out_, 8, counts_[1]);
  put16(out_, 10, static_cast<uint16_t>(counts_[2] + (query_.edns ? 1 : 0)));
  if (!query_.edns) return;
  out_.push_back('\0');
  write16(out_, type::kOpt);
  write16(out_, kEdnsBytesMost);
  out_.push_back(static_cast<char>(code >> 4));
  out_.push_back('\0');
  write16(out_, query_.dnssec_ok ? 0x8000 : 0);
  write16(out_, 0);
}

void write_response(const Query& query, const Response& response, size_t bytes_most, std::string& out) {
  using Section = AnswerWriter::Section;
  AnswerWriter writer(query, bytes_most, out);
  const auto add = [&writer](Section section, const std::vector<Record>& records) {
    for (const Record& r : records) writer.add(section, r.owner, r.type, r.klass, r.ttl, r.rdata);
  };
  add(Section::kAnswer, response.answer);
  add(Section::kAuthority, response.authority);
  add(Section::kAdditional, response.additional);
  writer.finish(response.rcode, response.authoritative);
}

size_t bytes_most(const Query& query, bool udp) {
  if (!udp) return kTcpBytesMost;
  return std::min<size_t>(query.edns ? query.udp_bytes : kPlainUdpBytes, kEdnsBytesMost);
}

std::string write_query(uint16_t id, const Question& question, bool edns, bool dnssec_ok, bool checking_disabled) {
  std::string out;
  write16(out, id);
  write16(out, static_cast<uint16_t>(0x0100 | (checking_disabled ? 0x0010 : 0)));
  write16(out, 1);
  write32(out, 0);
  write16(out, edns ? 1 : 0);
  out += question.key;
  write16(out, question.type);
  write16(out, question.klass);
  if (!edns) return out;
  out.push_back('\0');
  write16(out, type::kOpt);
  write16(out, kEdnsBytesMost);
  write16(out, 0);
  write16(out, dnssec_ok ? 0x8000 : 0);
  write16(out, 0);
  return out;
}

std::optional<std::string> name_of(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string out;
  while (!text.empty()) {
    const size_t dot = std::min(text.find('.'), text.size());
    if (dot == 0 || dot > 63) return std::nullopt;
    out.push_back(static_cast<char>(dot));
    out += text.substr(0, dot);
    if (dot + 1 == text.size()) return std::nullopt;  // two dots at the end
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  out.push_back('\0');
  if (out.size() > kNameBytesMost) return std::nullopt;
  return out;
}

std::string lower(std::string_view wire) {
  std::string out(wire);
  std::transform(out.begin(), out.end(), out.begin(), lower_of);
  return out;
}

bool is_within(std::string_view name, std::string_view zone) {
  while (name.size() > zone.size()) name.remove_prefix(1 + static_cast<uint8_t>(name.front()));
  return name == zone;
}

std::vector<std::string_view> labels_of(std::string_view name) {
  std::vector<std::string_view> out;
  while (!name.empty() && name.front() != '\0') {
    const auto length = static_cast<uint8_t>(name.front());
    if (length + 1u > name.size()) break;
    out.push_back(name.substr(1, length));
    name.remove_prefix(1u + length);
  }
  return out;
}

}  // namespace orlop::dns
