// The served kinds, made ready for requests: each row of the kinds table with the messages that it is made of.
//
// Threads: immutable after registry() has returned it; any thread.
#pragma once

#include "orlop/kube/kinds.hpp"

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace orlop::rest {

struct KindEntry {
  const kube::Kind* kind = nullptr;
  const KindEntry* storage = nullptr;  // itself but for a second version of a kind
  const google::protobuf::Message* prototype = nullptr;
  const google::protobuf::FieldDescriptor* metadata = nullptr;  // null: the message has none (reviews)
  std::string api_version;                                      // "apps/v1"
  std::string qualified;                                        // "deployments.apps"
  size_t index = 0;                                             // position in entries()

  [[nodiscard]] std::string_view id() const { return kind->id; }
  [[nodiscard]] bool is_storage() const { return storage == this; }
};

class Registry {
 public:
  Registry();
  [[nodiscard]] std::span<const KindEntry> entries() const { return entries_; }
  // Null: not served.
  [[nodiscard]] const KindEntry* find(std::string_view group, std::string_view version, std::string_view plural) const;
  // The entry that objects of this id are stored as.
  [[nodiscard]] const KindEntry* find_storage(std::string_view id) const;

 private:
  std::vector<KindEntry> entries_;
  std::unordered_map<std::string, const KindEntry*> by_path_;  // "GROUP/VERSION/PLURAL"
  std::unordered_map<std::string, const KindEntry*> by_id_;
};

const Registry& registry();

}  // namespace orlop::rest
