#include "plugins/api-kubernetes/rest/codec.hpp"

#include "orlop/kube/envelope.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/meta_v1.hpp"
#include "orlop/kube/yaml.hpp"
#include "orlop/object_meta.hpp"
#include "orlop/wire.hpp"
#include "plugins/api-kubernetes/print/table.hpp"
#include "plugins/api-kubernetes/rest/convert.hpp"
#include "plugins/api-kubernetes/rest/yaml_writer.hpp"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

using google::protobuf::Arena;
using google::protobuf::Message;
namespace meta_v1 = k8s::io::apimachinery::pkg::apis::meta::v1;

Status check_type(std::string_view api_version, std::string_view kind, std::string_view got_version,
                  std::string_view got_kind) {
  if (!got_kind.empty() && got_kind != kind) {
    return {Code::kBadRequest, std::string(got_kind) + " in version \"" + std::string(got_version) +
                                   "\" cannot be handled as a " + std::string(kind) + ": the request's path takes " +
                                   std::string(api_version) + " " + std::string(kind)};
  }
  // No version asked for: options are the same in all of them.
  if (!api_version.empty() && !got_version.empty() && got_version != api_version) {
    return {Code::kBadRequest, "the API version in the data (" + std::string(got_version) +
                                   ") does not match the expected API version (" + std::string(api_version) + ")"};
  }
  return Status::ok();
}

meta_v1::ObjectMeta* metadata_of(const KindEntry& entry, Message* message) {
  if (entry.metadata == nullptr) return nullptr;
  return dynamic_cast<meta_v1::ObjectMeta*>(message->GetReflection()->MutableMessage(message, entry.metadata));
}

std::string serialize(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializePartialToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

void append_partial(std::string& out, const OutputFormat& format, const Message& metadata) {
  out += R"({"kind":"PartialObjectMetadata","apiVersion":")";
  out += format.meta_api_version();
  out += "\",\"metadata\":";
  kube::to_json(metadata, "", "", out);
  out += '}';
}

std::string row_object(const KindEntry& entry, const OutputFormat& format, IncludeObject include, Message* message) {
  std::string json;
  if (include == IncludeObject::kMetadata) append_partial(json, format, *metadata_of(entry, message));
  if (include == IncludeObject::kObject) kube::to_json(*message, entry.api_version, entry.kind->kind, json);
  return json;
}

// Metadata alone, with its revision, as PartialObjectMetadata's bytes.
std::string partial_bytes(std::string_view stored, uint64_t revision) {
  std::string out;
  auto view = meta::parse(stored);
  if (view) wire::append_bytes_field(out, meta::kMetadata, view->metadata);
  return with_revision(out, revision);
}

}  // namespace

Status decode_json_as(std::string_view api_version, std::string_view kind, std::string_view json,
                      std::string_view validation, Message& out, std::vector<std::string>& warnings) {
  kube::DecodeOptions options;
  options.strict = validation == "Strict";
  ORLOP_ASSIGN(kube::JsonDocument document, kube::JsonDocument::parse(json, options));
  ORLOP_ASSIGN(kube::TypeMeta type, document.type());
  ORLOP_TRY(check_type(api_version, kind, type.api_version, type.kind));
  auto decoded = document.decode(out, options);
  if (!decoded) {
    if (decoded.code() != Code::kBadRequest) return decoded.status();
    std::string_view strict = "strict decoding error";
    if (decoded.message().starts_with(strict)) return decoded.status();
    return {Code::kBadRequest, std::string(kind) + " in version \"" + std::string(api_version) +
                                   "\" cannot be handled as a " + std::string(kind) + ": " + decoded.message()};
  }
  if (validation != "Ignore") {
    warnings.insert(warnings.end(), decoded->warnings.begin(), decoded->warnings.end());
  }
  return Status::ok();
}

Status decode_body_as(std::string_view api_version, std::string_view kind, std::string_view content_type,
                      std::string_view body, std::string_view validation, Message& out,
                      std::vector<std::string>& warnings) {
  ORLOP_ASSIGN(Encoding encoding, negotiate_input(content_type));
  if (encoding == Encoding::kProtobuf) {
    ORLOP_ASSIGN(kube::Envelope envelope, kube::decode_envelope(body));
    ORLOP_TRY(check_type(api_version, kind, envelope.api_version, envelope.kind));
    if (!out.ParseFromArray(envelope.raw.data(), static_cast<int>(envelope.raw.size()))) {
      return {Code::kBadRequest, "the body is not a protobuf message of " + std::string(kind)};
    }
    return Status::ok();
  }
  if (encoding == Encoding::kYaml) {
    ORLOP_ASSIGN(std::vector<std::string> documents, kube::yaml_to_json(body));
    if (documents.size() != 1) return {Code::kBadRequest, "the body must hold one YAML document"};
    return decode_json_as(api_version, kind, documents.front(), validation, out, warnings);
  }
  return decode_json_as(api_version, kind, body, validation, out, warnings);
}

Result<MessagePtr> decode_body(const KindEntry& entry, std::string_view content_type, std::string_view body,
                               std::string_view validation, std::vector<std::string>& warnings) {
  MessagePtr message(entry.prototype->New());
  ORLOP_TRY(decode_body_as(entry.api_version, entry.kind->kind, content_type, body, validation, *message, warnings));
  return message;
}

Message* read_stored(const KindEntry& entry, std::string_view stored, uint64_t revision, Arena* arena) {
  Message* message = entry.storage->prototype->New(arena);
  if (!message->ParsePartialFromArray(stored.data(), static_cast<int>(stored.size()))) {
    if (arena == nullptr) delete message;
    return nullptr;
  }
  if (!entry.is_storage()) {
    Message* converted = entry.prototype->New(arena);
    convert(*message, *converted);
    if (arena == nullptr) delete message;
    message = converted;
  }
  if (auto* metadata = metadata_of(entry, message); metadata != nullptr && revision != 0) {
    metadata->set_resourceversion(std::to_string(revision));
  }
  return message;
}

MessagePtr read_stored(const KindEntry& entry, std::string_view stored, uint64_t revision) {
  return MessagePtr(read_stored(entry, stored, revision, nullptr));
}

const Message& as_storage(const KindEntry& entry, const Message& message, MessagePtr& holder) {
  if (entry.is_storage()) return message;
  holder.reset(entry.storage->prototype->New());
  convert(message, *holder);
  return *holder;
}

Result<std::string> write_stored(const KindEntry& entry, const Message& message) {
  MessagePtr holder;
  const Message& storage = as_storage(entry, message, holder);
  std::string bytes = serialize(storage);
  auto view = meta::parse(bytes);
  if (!view) return view.status();
  return meta::edit(bytes, {});
}

void append_revision(std::string& object, uint64_t revision) {
  std::string metadata;
  wire::append_bytes_field(metadata, meta::kResourceVersion, std::to_string(revision));
  wire::append_bytes_field(object, meta::kMetadata, metadata);
}

std::string with_revision(std::string_view stored, uint64_t revision) {
  std::string out;
  out.reserve(stored.size() + 32);
  out = stored;
  append_revision(out, revision);
  return out;
}

void append_envelope(std::string& out, std::string_view api_version, std::string_view kind, std::string_view raw) {
  kube::encode_envelope(api_version, kind, raw, out);
}

std::string as_encoding(std::string json, Encoding encoding) {
  if (encoding != Encoding::kYaml) return json;
  auto yaml = json_to_yaml(json);
  return yaml ? std::move(*yaml) : json;
}

void append_message(std::string& out, std::string_view api_version, std::string_view kind, Encoding encoding,
                    const Message& message) {
  if (encoding == Encoding::kProtobuf) {
    append_envelope(out, api_version, kind, serialize(message));
    return;
  }
  std::string json;
  kube::to_json(message, api_version, kind, json);
  json += '\n';
  out += as_encoding(std::move(json), encoding);
}

void append_object(std::string& out, const KindEntry& entry, const OutputFormat& format, IncludeObject include,
                   std::string_view stored, uint64_t revision, WallTime now) {
  if (format.encoding == Encoding::kProtobuf) {
    if (format.shape == Shape::kPartial) {
      append_envelope(out, format.meta_api_version(), "PartialObjectMetadata", partial_bytes(stored, revision));
    } else if (entry.is_storage()) {
      append_envelope(out, entry.api_version, entry.kind->kind, with_revision(stored, revision));
    } else if (MessagePtr message = read_stored(entry, stored, revision)) {
      append_envelope(out, entry.api_version, entry.kind->kind, serialize(*message));
    }
    return;
  }
  if (format.shape == Shape::kTable) {
    ListWriter writer(entry, format, include, now);
    writer.add(stored, revision);
    out += writer.whole({revision, {}, 0});
    return;
  }
  if (format.encoding == Encoding::kJson && format.shape == Shape::kObject && entry.is_storage()) {
    Status written = kube::wire_to_json(*entry.prototype->GetDescriptor(), with_revision(stored, revision),
                                        entry.api_version, entry.kind->kind, out);
    if (written) out += '\n';
    return;
  }
  Arena arena;
  Message* message = read_stored(entry, stored, revision, &arena);
  if (message == nullptr) return;
  if (format.encoding == Encoding::kJson) {
    if (format.shape == Shape::kPartial) {
      append_partial(out, format, *metadata_of(entry, message));
    } else {
      kube::to_json(*message, entry.api_version, entry.kind->kind, out);
    }
    out += '\n';
    return;
  }
  std::string json;
  if (format.shape == Shape::kPartial) {
    append_partial(json, format, *metadata_of(entry, message));
  } else {
    kube::to_json(*message, entry.api_version, entry.kind->kind, json);
  }
  out += as_encoding(std::move(json), format.encoding);
}

ListWriter::ListWriter(const KindEntry& entry, OutputFormat format, IncludeObject include, WallTime now)
    : entry_(entry), format_(format), include_(include), now_(now), arena_(std::make_unique<Arena>()) {}
ListWriter::~ListWriter() = default;

bool ListWriter::can_stream() const {
  return format_.encoding == Encoding::kJson && format_.shape != Shape::kTable;
}

void ListWriter::add(std::string_view stored, uint64_t revision) {
  if (format_.encoding == Encoding::kProtobuf) {
    std::string bytes;
    if (format_.shape == Shape::kPartial) {
      bytes = partial_bytes(stored, revision);
    } else if (entry_.is_storage()) {
      bytes = with_revision(stored, revision);
    } else if (MessagePtr message = read_stored(entry_, stored, revision)) {
      bytes = serialize(*message);
    }
    wire::append_bytes_field(items_, 2, bytes);
    return;
  }
  if (format_.shape == Shape::kObject && entry_.is_storage()) {
    if (!first_) items_ += ',';
    first_ = false;
    buffer_.assign(stored);
    append_revision(buffer_, revision);
    (void)kube::wire_to_json(*entry_.prototype->GetDescriptor(), buffer_, "", "", items_);
    return;
  }
  const KindEntry& entry = format_.shape == Shape::kTable ? *entry_.storage : entry_;
  Message* message = read_stored(entry, stored, revision, arena_.get());
  if (message != nullptr) {
    if (!first_) items_ += ',';
    first_ = false;
    if (format_.shape == Shape::kTable) {
      items_ += "{\"cells\":";
      apikube::append_table_cells(entry_.id(), *message, now_, &items_);
      std::string object = row_object(entry, format_, include_, message);
      items_ += ",\"object\":" + (object.empty() ? std::string("null") : object) + "}";
    } else if (format_.shape == Shape::kPartial) {
      append_partial(items_, format_, *metadata_of(entry_, message));
    } else {
      kube::to_json(*message, "", "", items_);
    }
  }
  arena_->Reset();
}

std::string ListWriter::head(const Meta& meta) const {
  std::string out = "{\"kind\":\"";
  std::string api_version = entry_.api_version;
  if (format_.shape == Shape::kTable) {
    out += "Table";
    api_version = format_.meta_api_version();
  } else if (format_.shape == Shape::kPartial) {
    out += "PartialObjectMetadataList";
    api_version = format_.meta_api_version();
  } else {
    out += entry_.kind->list_kind;
  }
  out += "\",\"apiVersion\":\"" + api_version + "\",\"metadata\":{\"resourceVersion\":\"" +
         std::to_string(meta.revision) + "\"";
  if (!meta.continue_token.empty()) out += ",\"continue\":\"" + meta.continue_token + "\"";
  if (meta.remaining > 0) out += ",\"remainingItemCount\":" + std::to_string(meta.remaining);
  out += '}';
  if (format_.shape != Shape::kTable) return out + ",\"items\":[";
  out += ",\"columnDefinitions\":[";
  bool first = true;
  for (const apikube::TableColumn& column : apikube::table_columns(entry_.id())) {
    out += first ? "{\"name\":" : ",{\"name\":";
    first = false;
    kube::append_json_string(column.name, out);
    out += ",\"type\":\"" + std::string(column.type) + "\",\"format\":\"" + std::string(column.format) +
           "\",\"description\":";
    kube::append_json_string(column.description, out);
    out += ",\"priority\":" + std::to_string(column.priority) + "}";
  }
  return out + "],\"rows\":[";
}

std::string ListWriter::begin(const Meta& meta) {
  std::string out = head(meta);
  out += items_;
  items_.clear();
  return out;
}

std::string ListWriter::end() const {
  return "]}\n";
}

std::string ListWriter::whole(const Meta& meta) {
  if (format_.encoding != Encoding::kProtobuf) {
    std::string out = head(meta);
    out.reserve(out.size() + items_.size() + 4);
    out += items_;
    out += "]}\n";
    return as_encoding(std::move(out), format_.encoding);
  }
  // ListMeta: 2 resourceVersion, 3 continue, 4 remainingItemCount. Every list: 1 metadata, 2 items.
  std::string list_meta;
  wire::append_bytes_field(list_meta, 2, std::to_string(meta.revision));
  if (!meta.continue_token.empty()) wire::append_bytes_field(list_meta, 3, meta.continue_token);
  if (meta.remaining > 0) wire::append_varint_field(list_meta, 4, meta.remaining);
  std::string raw;
  raw.reserve(items_.size() + list_meta.size() + 16);
  wire::append_bytes_field(raw, 1, list_meta);
  raw += items_;
  std::string out;
  bool partial = format_.shape == Shape::kPartial;
  append_envelope(out, partial ? format_.meta_api_version() : entry_.api_version,
                  partial ? std::string_view("PartialObjectMetadataList") : entry_.kind->list_kind, raw);
  return out;
}

}  // namespace orlop::rest
