// Kubernetes' JSON: messages from it and to it, with the apiserver's own words for what is wrong. The same bytes as
// Go's encoding gives: field order, null for an absent list that has no omitempty, map keys sorted, <, > and & escaped.
//
// apiVersion and kind are in no message: the caller knows them (peek_type) and hands them back (to_json).
//
// Threads: any; nothing is shared but tables that are built once. Memory: messages may live in the caller's arena.
#pragma once

#include "orlop/result.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Descriptor;
class Message;
}  // namespace google::protobuf

namespace orlop::kube {

struct DecodeOptions {
  // Unknown and doubled fields fail the decoding (fieldValidation=Strict). Otherwise they are told in
  // Decoded::warnings.
  bool strict = false;
  // The body's limit, bytes: kTooLarge above it.
  size_t bytes_max = 3 * 1024 * 1024;
};

struct Decoded {
  // `unknown field "spec.foo"`, `duplicate field "spec.replicas"`: at most 100, in the order of the text.
  std::vector<std::string> warnings;
};

struct TypeMeta {
  std::string api_version;
  std::string kind;
};

// A parsed body. Parse once, look at its type, then decode into the message of that type.
class JsonDocument {
 public:
  // kBadRequest: not JSON (Go's words, with what was met), not UTF-8, or nested deeper than 512; kTooLarge.
  static Result<JsonDocument> parse(std::string_view json, const DecodeOptions& options = {});

  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  // apiVersion and kind, empty where absent. kBadRequest when the body is no object or one of them is no string.
  [[nodiscard]] Result<TypeMeta> type() const;

  // Adds the document's fields to `message`, which should be empty. kBadRequest in the apiserver's words:
  //   json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32
  //   quantities must match the regular expression …
  //   strict decoding error: unknown field "spec.foo"
  // The message's content is undefined after a failure.
  Result<Decoded> decode(google::protobuf::Message& message, const DecodeOptions& options = {}) const;

 private:
  struct State;
  explicit JsonDocument(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// parse and decode in one.
Result<Decoded> from_json(std::string_view json, google::protobuf::Message& message, const DecodeOptions& options = {});

// Appends the object. With both names empty neither is written (WatchEvent, items of a list).
void to_json(const google::protobuf::Message& message, std::string_view api_version, std::string_view kind,
             std::string& out);

// What parsing `wire` and to_json would append, several times faster: no message is made. For what the store holds,
// which is most of what an API answers. kInternal, and nothing appended, when the bytes are no message.
Status wire_to_json(const google::protobuf::Descriptor& descriptor, std::string_view wire, std::string_view api_version,
                    std::string_view kind, std::string& out);

// The same document without white space and with the members of each object in the order of their names: what Go's
// encoding/json makes of a map. kBadRequest and kInternal as JsonDocument::parse().
Result<std::string> canonical_json(std::string_view json);

// Appends `text` as a JSON string, escaped as Go does. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string_view text, std::string& out);

}  // namespace orlop::kube
