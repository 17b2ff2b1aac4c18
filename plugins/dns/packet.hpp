// DNS on the wire (RFC 1035, 6891): questions taken apart, answers put together.
//
// A name is kept in its wire form (labels with their lengths, and the root's zero), a key is a name in lower case: so a
// label may hold any byte and nothing needs escaping.
//
// Threads: values and pure functions. Nothing here fails on any bytes; a packet that is none gets a verdict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orlop::dns {

namespace type {
constexpr uint16_t kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kHinfo = 13, kTxt = 16, kAaaa = 28, kSrv = 33,
                   kOpt = 41, kIxfr = 251, kAxfr = 252, kAny = 255;
}
constexpr uint16_t kClassIn = 1, kClassAny = 255;

enum class Rcode : uint16_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVersion = 16
};

constexpr size_t kPlainUdpBytes = 512;    // without EDNS
constexpr size_t kEdnsBytesMost = 1232;   // passes every link unfragmented
constexpr size_t kTcpBytesMost = 65'535;  // of one message

// What was asked. `wire` is name, type and class as they came, for the answer repeats them letter by letter.
struct Question {
  std::string key;
  uint16_t type = 0;
  uint16_t klass = kClassIn;
  std::string wire;
};

struct Query {
  uint16_t id = 0;
  bool recursion = false;          // RD
  bool checking_disabled = false;  // CD
  uint8_t opcode = 0;
  bool edns = false;
  bool dnssec_ok = false;
  uint16_t udp_bytes = kPlainUdpBytes;  // what the asker takes in one datagram, at least 512
  bool has_question = false;
  Question question;
};

// kDrop: not to be answered at all (an answer, or too short to have an id). Else the code that it fails with, if any.
enum class Verdict { kGood, kDrop, kFormErr, kNotImp, kBadVersion };
// Fills `out` as far as the packet could be read; its strings are used again.
Verdict read_query(std::string_view packet, Query& out);

struct Record {
  std::string owner;  // empty: the name that was asked for
  uint16_t type = 0;
  uint16_t klass = kClassIn;
  uint32_t ttl = 0;
  std::string rdata;  // no compressed name in it
  bool operator==(const Record&) const = default;
};

// An answer without its question.
struct Response {
  Rcode rcode = Rcode::kNoError;
  bool authoritative = false;
  std::vector<Record> answer, authority, additional;
};

// Writes an answer to `query` that is no longer than the limit: records that do not fit are left out whole, and TC is
// set when one of the answer or the authority was.
class AnswerWriter {
 public:
  AnswerWriter(const Query& query, size_t bytes_most, std::string& out);
  enum class Section { kAnswer, kAuthority, kAdditional };
  // Sections in their order. `owner` empty: the name that was asked for.
  void add(Section section, std::string_view owner, uint16_t type, uint16_t klass, uint32_t ttl,
           std::string_view rdata);
  void finish(Rcode rcode, bool authoritative);

 private:
  const Query& query_;
  const size_t bytes_most_;
  std::string& out_;
  uint16_t counts_[3] = {0, 0, 0};
  bool truncated_ = false;
};

void write_response(const Query& query, const Response& response, size_t bytes_most, std::string& out);
// How long an answer may be: over UDP what the asker takes, but not more than 1,232 bytes.
size_t bytes_most(const Query& query, bool udp);

// A question for another server. `edns`: with an OPT record.
std::string write_query(uint16_t id, const Question& question, bool edns, bool dnssec_ok, bool checking_disabled);

// "a.b.c" or "a.b.c." into wire form, lower case kept as it is; nothing when it is no name.
std::optional<std::string> name_of(std::string_view text);
std::string lower(std::string_view wire);
// Whether `name` is `zone` or below it; both keys.
bool is_within(std::string_view name, std::string_view zone);
// Labels of a wire name, the root left out.
std::vector<std::string_view> labels_of(std::string_view name);

}  // namespace orlop::dns
