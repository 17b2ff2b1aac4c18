#include "plugins/dns/answers.hpp"

#include "plugins/dns/records.hpp"

namespace orlop::dns {
namespace {

constexpr int kChainMost = 8;  // of names that lead to names

const Zone::Item* alias_in(const Zone::Items& items) {
  for (const Zone::Item& item : items) {
    if (item.type == type::kCname) return &item;
  }
  return nullptr;
}

}  // namespace

Answers::Answers(const Zone& zone, const AnswerSettings& settings)
    : zone_(zone),
      ttl_(settings.ttl),
      zone_key_(lower(name_of(settings.domain).value_or(std::string(1, '\0')))),
      pod_key_(std::string("\3pod") + zone_key_),
      reverse4_(*name_of("in-addr.arpa")),
      reverse6_(*name_of("ip6.arpa")) {}

Fate Answers::fail(const Asked& asked, Rcode rcode, std::string& out) const {
  AnswerWriter writer(asked.query, kPlainUdpBytes, out);
  writer.finish(rcode, false);
  return Fate::kAnswered;
}

Fate Answers::answer(std::string_view packet, bool udp, Asked& asked, std::string& out) {
  switch (read_query(packet, asked.query)) {
    case Verdict::kDrop:
      return Fate::kDrop;
    case Verdict::kFormErr:
      return fail(asked, Rcode::kFormErr, out);
    case Verdict::kNotImp:
      return fail(asked, Rcode::kNotImp, out);
    case Verdict::kBadVersion:
      return fail(asked, Rcode::kBadVersion, out);
    case Verdict::kGood:
      break;
  }
  const Question& question = asked.query.question;
  if (question.klass != kClassIn && question.klass != kClassAny) return fail(asked, Rcode::kRefused, out);
  if (question.type == type::kAxfr || question.type == type::kIxfr) return fail(asked, Rcode::kRefused, out);
  if (question.type == type::kOpt) return fail(asked, Rcode::kFormErr, out);
  const bool ours = is_within(question.key, zone_key_);
  if (ours || is_within(question.key, reverse4_) || is_within(question.key, reverse6_)) {
    return from_zone(udp, ours, asked, out);
  }
  asked.onward = question;
  asked.before.clear();
  return Fate::kForward;
}

// a-b-c-d.NAMESPACE.pod.DOMAIN, of a namespace that exists: the address that the name itself tells.
bool Answers::is_pod(const Zone::Look& look, const Question& question, std::string& rdata) const {
  if (!is_within(question.key, pod_key_)) return false;
  const auto length = static_cast<uint8_t>(question.key.front());
  const std::string name_space = question.key.substr(1u + length);
  if (name_space.size() <= pod_key_.size() || look.find(name_space) == nullptr) return false;
  rdata = address_of_label(std::string_view(question.key).substr(1, length));
  return !rdata.empty();
}

void Answers::add_soa(const Zone::Look& look, AnswerWriter& writer) const {
  const Zone::Items* apex = look.find(zone_key_);
  if (apex == nullptr) return;
  for (const Zone::Item& item : *apex) {
    if (item.type != type::kSoa) continue;
    writer.add(AnswerWriter::Section::kAuthority, zone_key_, item.type, kClassIn, ttl_, item.rdata);
  }
}

Fate Answers::from_zone(bool udp, bool ours, Asked& asked, std::string& out) {
  using Section = AnswerWriter::Section;
  const Question& question = asked.query.question;
  const Zone::Look look(zone_);
  const Zone::Items* items = look.find(question.key);
  if (items == nullptr && !ours) {  // an address of somebody else
    asked.onward = question;
    asked.before.clear();
    return Fate::kForward;
  }
  AnswerWriter writer(asked.query, bytes_most(asked.query, udp), out);
  if (items == nullptr) {
    std::string rdata;
    const bool pod = is_pod(look, question, rdata);
    const uint16_t has = rdata.size() == 4 ? type::kA : type::kAaaa;
    if (pod && (question.type == has || question.type == type::kAny)) {
      writer.add(Section::kAnswer, {}, has, kClassIn, ttl_, rdata);
    } else {
      add_soa(look, writer);
    }
    writer.finish(pod ? Rcode::kNoError : Rcode::kNxDomain, true);
    return Fate::kAnswered;
  }

  const std::string* owner = nullptr;  // of the last name in a chain; null: the question's own
  for (int i = 0; i < kChainMost && items != nullptr && question.type != type::kCname; ++i) {
    const Zone::Item* alias = alias_in(*items);
    if (alias == nullptr) break;
    if (!is_within(alias->target, zone_key_)) {
      asked.before.clear();
      const Zone::Items* at = look.find(question.key);
      const std::string* name = nullptr;
      while (at != nullptr) {
        const Zone::Item* step = alias_in(*at);
        asked.before.push_back({name == nullptr ? "" : *name, type::kCname, kClassIn, ttl_, step->rdata});
        if (step == alias) break;
        name = &step->target;
        at = look.find(step->target);
      }
      asked.onward = {alias->target, question.type, question.klass, {}};
      return Fate::kForward;
    }
    writer.add(Section::kAnswer, owner == nullptr ? std::string_view() : std::string_view(*owner), type::kCname,
               kClassIn, ttl_, alias->rdata);
    owner = &alias->target;
    items = look.find(alias->target);
  }
  const std::string_view name = owner == nullptr ? std::string_view() : std::string_view(*owner);
  size_t found = 0;
  std::vector<const std::string*> targets;
  if (items != nullptr) {
    const size_t first = turn_.fetch_add(1, std::memory_order_relaxed) % items->size();
    for (size_t i = 0; i < items->size(); ++i) {
      const Zone::Item& item = (*items)[(first + i) % items->size()];
      if (item.type == 0 || (question.type != type::kAny && item.type != question.type)) continue;
      writer.add(Section::kAnswer, name, item.type, kClassIn, ttl_, item.rdata);
      ++found;
      if (item.type != type::kCname && !item.target.empty()) targets.push_back(&item.target);
    }
  }
  if (found == 0) add_soa(look, writer);
  const std::string* told = nullptr;
  for (const std::string* target : targets) {
    if (told != nullptr && *told == *target) continue;
    told = target;
    const Zone::Items* addresses = look.find(*target);
    if (addresses == nullptr) continue;
    for (const Zone::Item& item : *addresses) {
      if (item.type != type::kA && item.type != type::kAaaa) continue;
      writer.add(Section::kAdditional, *target, item.type, kClassIn, ttl_, item.rdata);
    }
  }
  writer.finish(items == nullptr ? Rcode::kNxDomain : Rcode::kNoError, true);
  return Fate::kAnswered;
}

}  // namespace orlop::dns
