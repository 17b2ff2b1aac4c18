// Objects between the store, a message and the wire.
//
// Threads: pure functions; any thread.
#pragma once

#include "orlop/result.hpp"
#include "plugins/api-kubernetes/rest/negotiate.hpp"
#include "plugins/api-kubernetes/rest/registry.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Arena;
class Message;
}  // namespace google::protobuf

namespace orlop::rest {

using MessagePtr = std::unique_ptr<google::protobuf::Message>;
using WallTime = std::chrono::system_clock::time_point;

// What `kubectl get` asks a Table's rows to carry.
enum class IncludeObject { kNone, kMetadata, kObject };

// Reads a request's body into a message of the entry's type. An absent apiVersion or kind is taken as the entry's.
// `validation`: fieldValidation. `warnings` gets unknown and doubled fields when it is Warn.
// kBadRequest, kTooLarge, kUnsupportedMediaType.
Result<MessagePtr> decode_body(const KindEntry& entry, std::string_view content_type, std::string_view body,
                               std::string_view validation, std::vector<std::string>& warnings);
// The same for what is no kind of the registry: Scale, Binding, Eviction, TokenRequest, DeleteOptions.
Status decode_body_as(std::string_view api_version, std::string_view kind, std::string_view content_type,
                      std::string_view body, std::string_view validation, google::protobuf::Message& out,
                      std::vector<std::string>& warnings);
Status decode_json_as(std::string_view api_version, std::string_view kind, std::string_view json,
                      std::string_view validation, google::protobuf::Message& out, std::vector<std::string>& warnings);

// Stored bytes as a message of the entry's version, with metadata.resourceVersion. Null: they cannot be read.
// The message belongs to the arena when one is given, else to the caller.
google::protobuf::Message* read_stored(const KindEntry& entry, std::string_view stored, uint64_t revision,
                                       google::protobuf::Arena* arena);
MessagePtr read_stored(const KindEntry& entry, std::string_view stored, uint64_t revision);
// The message of the entry's version as the store keeps it: of the storage version, deterministic, without
// resourceVersion.
Result<std::string> write_stored(const KindEntry& entry, const google::protobuf::Message& message);
// The message as the storage version; itself when it already is. `holder` keeps a converted one alive.
const google::protobuf::Message& as_storage(const KindEntry& entry, const google::protobuf::Message& message,
                                            MessagePtr& holder);

// Appends one object as an answer of its own.
void append_object(std::string& out, const KindEntry& entry, const OutputFormat& format, IncludeObject include,
                   std::string_view stored, uint64_t revision, WallTime now);
// Appends any message as an answer of its own.
void append_message(std::string& out, std::string_view api_version, std::string_view kind, Encoding encoding,
                    const google::protobuf::Message& message);
// Puts a JSON answer into the client's encoding (YAML or as it is).
std::string as_encoding(std::string json, Encoding encoding);

// application/vnd.kubernetes.protobuf around a message's bytes.
void append_envelope(std::string& out, std::string_view api_version, std::string_view kind, std::string_view raw);
// The bytes of an object with metadata.resourceVersion, by protobuf's merging of repeated fields.
std::string with_revision(std::string_view stored, uint64_t revision);
void append_revision(std::string& object, uint64_t revision);

// Many objects as one answer. Encodes item by item; JSON can be taken away piece by piece.
class ListWriter {
 public:
  struct Meta {
    uint64_t revision = 0;
    std::string continue_token;
    uint64_t remaining = 0;
  };
  ListWriter(const KindEntry& entry, OutputFormat format, IncludeObject include, WallTime now);
  ~ListWriter();

  void add(std::string_view stored, uint64_t revision);
  // What add() has gathered so far, without head and end.
  [[nodiscard]] size_t gathered() const { return items_.size(); }
  [[nodiscard]] bool can_stream() const;
  // The head and what is gathered. Call once; then next() and end().
  std::string begin(const Meta& meta);
  std::string next() { return std::exchange(items_, {}); }
  std::string end() const;
  // Everything at once.
  std::string whole(const Meta& meta);

 private:
  std::string head(const Meta& meta) const;

  const KindEntry& entry_;
  OutputFormat format_;
  IncludeObject include_;
  WallTime now_;
  std::string items_;
  std::string buffer_;
  bool first_ = true;
  std::unique_ptr<google::protobuf::Arena> arena_;
};

}  // namespace orlop::rest
