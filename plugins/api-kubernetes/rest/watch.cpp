#include "orlop/kube/json.hpp"
#include "orlop/kube/meta_v1.hpp"
#include "orlop/wire.hpp"
#include "plugins/api-kubernetes/rest/handlers.hpp"
#include "plugins/api-kubernetes/rest/list_query.hpp"
#include "plugins/api-kubernetes/rest/selection.hpp"

#include <random>

#include <google/protobuf/message.h>

namespace orlop::rest {
namespace {

using Clock = http::Exchange::Clock;
namespace meta_v1 = k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr auto kBookmarkEvery = std::chrono::seconds(60);
constexpr size_t kChunkBytes = 64 * 1024;
constexpr size_t kInitialPieceBytes = 512 * 1024;

struct WatchQuery {
  uint64_t revision = 0;
  bool initial = false;       // existing objects come first
  bool initial_mark = false;  // … and their end is marked by a bookmark
  bool bookmarks = false;
  std::chrono::seconds timeout{0};
};

Result<WatchQuery> read_watch_query(const Call& call) {
  const http::Query& parameters = call.request().query;
  WatchQuery query;
  std::string_view version = parameters.get("resourceVersion");
  ORLOP_ASSIGN(query.revision, parse_revision(version));
  query.bookmarks = parameters.flag("allowWatchBookmarks");
  bool send_initial = parameters.flag("sendInitialEvents");
  if (parameters.has("sendInitialEvents") && parameters.get("resourceVersionMatch") != "NotOlderThan") {
    return Status(
        Code::kInvalid,
        "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (!parameters.has("sendInitialEvents") && parameters.has("resourceVersionMatch") &&
      !parameters.get("resourceVersionMatch").empty()) {
    return Status(
        Code::kInvalid,
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
        "provided");
  }
  uint64_t current = call.services.host.revision();
  if (query.revision > current) return too_large_revision(query.revision, current);
  query.initial = send_initial || (query.revision == 0 && !parameters.has("sendInitialEvents"));
  query.initial_mark = send_initial;
  if (query.revision == 0 && !query.initial) query.revision = current;
  ORLOP_ASSIGN(uint64_t seconds, parse_revision(parameters.get("timeoutSeconds")));
  // Spread, so that the watches of one moment do not all come back in one.
  thread_local std::mt19937 random(std::random_device{}());
  query.timeout = seconds > 0 ? std::chrono::seconds(seconds) : std::chrono::seconds(1800 + random() % 1800);
  return query;
}

// Turns changes into the frames of one client's watch.
class FrameWriter {
 public:
  FrameWriter(const Call& call, const Selection& selection)
      : call_(call), selection_(selection), include_(read_include(call)), now_(call.now()) {
    // The same bytes for every watcher who asks for the same.
    cache_key_ = static_cast<uint32_t>(call.entry->index) << 8 | static_cast<uint32_t>(call.format.encoding) << 4 |
                 static_cast<uint32_t>(call.format.shape) << 1 | (call.format.meta_version == "v1" ? 0U : 1U);
  }

  // Ages count from here. Never inside a visit of the store, which may not be asked anything then.
  void refresh_now() { now_ = call_.now(); }

  void add(const WatchEvent& event, std::string& out) {
    if (!call_.info.name_space.empty() && event.name_space != call_.info.name_space) return;
    if (!call_.info.name.empty() && event.name != call_.info.name) return;
    bool everything = selection_.is_everything();
    auto matches = [&](const std::string& value) {
      return everything || selection_.matches(event.name_space, event.name, value);
    };
    bool now = event.type != ChangeType::kDeleted && matches(event.value);
    bool before = event.type == ChangeType::kDeleted   ? matches(event.value)
                  : event.type == ChangeType::kUpdated ? matches(event.previous)
                                                       : false;
    if (now) {
      frame(out, before ? "MODIFIED" : "ADDED", *encoded(event));
    } else if (before && event.type == ChangeType::kDeleted) {
      frame(out, "DELETED", *encoded(event));
    } else if (before) {
      // It left the selection: what it was when it last belonged to it.
      frame(out, "DELETED", encode(event.previous, event.revision));
    }
  }

  void add_existing(std::string_view stored, uint64_t revision, std::string& out) {
    frame(out, "ADDED", encode(stored, revision));
  }

  void add_bookmark(uint64_t revision, bool initial_end, std::string& out) {
    std::unique_ptr<google::protobuf::Message> message(call_.entry->prototype->New());
    auto* metadata = dynamic_cast<meta_v1::ObjectMeta*>(
        message->GetReflection()->MutableMessage(message.get(), call_.entry->metadata));
    metadata->set_resourceversion(std::to_string(revision));
    if (initial_end) (*metadata->mutable_annotations())["k8s.io/initial-events-end"] = "true";
    std::string object;
    if (call_.format.encoding == Encoding::kProtobuf) {
      append_message(object, call_.entry->api_version, call_.entry->kind->kind, Encoding::kProtobuf, *message);
    } else if (call_.format.shape != Shape::kObject) {
      object =
          R"({"kind":"PartialObjectMetadata","apiVersion":")" + call_.format.meta_api_version() + "\",\"metadata\":";
      kube::to_json(*metadata, "", "", object);
      object += '}';
      if (call_.format.shape == Shape::kTable) {
        object = R"({"kind":"Table","apiVersion":")" + call_.format.meta_api_version() +
                 "\",\"metadata\":{\"resourceVersion\":\"" + std::to_string(revision) +
                 "\"},\"columnDefinitions\":null,\"rows\":[{\"cells\":[],\"object\":" + object + "}]}";
      }
    } else {
      kube::to_json(*message, call_.entry->api_version, call_.entry->kind->kind, object);
    }
    frame(out, "BOOKMARK", object);
  }

  void add_error(const Status& status, std::string& out) {
    std::string json = failure_json(status, {});
    if (call_.format.encoding != Encoding::kProtobuf) return frame(out, "ERROR", json);
    meta_v1::Status message;
    message.set_status("Failure");
    message.set_message(status.message());
    message.set_reason(std::string(reason_of(status.code())));
    message.set_code(http_code(status.code()));
    std::string object;
    append_message(object, "v1", "Status", Encoding::kProtobuf, message);
    frame(out, "ERROR", object);
  }

 private:
  std::shared_ptr<const std::string> encoded(const WatchEvent& event) {
    auto make = [&] { return encode(event.value, event.revision); };
    // A Table holds ages and, first time, columns: it belongs to one client.
    if (call_.format.shape == Shape::kTable) return std::make_shared<const std::string>(make());
    return event.encoded(cache_key_, make);
  }

  std::string encode(std::string_view stored, uint64_t revision) {
    std::string out;
    if (call_.format.shape == Shape::kTable) {
      ListWriter writer(*call_.entry, call_.format, include_, now_);
      writer.add(stored, revision);
      out = writer.whole({revision, {}, 0});
      if (!columns_sent_) {
        columns_sent_ = true;
      } else {
        strip_columns(out);
      }
    } else {
      append_object(out, *call_.entry, json_format(), include_, stored, revision, now_);
    }
    while (call_.format.encoding != Encoding::kProtobuf && !out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }

  // YAML has no frames: JSON is YAML too.
  [[nodiscard]] OutputFormat json_format() const {
    OutputFormat format = call_.format;
    if (format.encoding == Encoding::kYaml) format.encoding = Encoding::kJson;
    return format;
  }

  static void strip_columns(std::string& table) {
    constexpr std::string_view kKey = "\"columnDefinitions\":[";
    constexpr std::string_view kRows = "],\"rows\":[";
    size_t begin = table.find(kKey);
    size_t end = table.find(kRows, begin);
    if (begin == std::string::npos || end == std::string::npos) return;
    table.replace(begin, end + 1 - begin, "\"columnDefinitions\":null");
  }

  void frame(std::string& out, std::string_view type, std::string_view object) const {
    if (call_.format.encoding != Encoding::kProtobuf) {
      out += "{\"type\":\"";
      out += type;
      out += "\",\"object\":";
      while (!object.empty() && object.back() == '\n') object.remove_suffix(1);
      out += object;
      out += "}\n";
      return;
    }
    // WatchEvent: 1 type, 2 object (RawExtension: 1 raw), behind its size as four bytes, big end first.
    std::string raw;
    wire::append_bytes_field(raw, 1, object);
    std::string event;
    wire::append_bytes_field(event, 1, type);
    wire::append_bytes_field(event, 2, raw);
    auto size = static_cast<uint32_t>(event.size());
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 255);
    out += event;
  }

  const Call& call_;
  const Selection& selection_;
  IncludeObject include_;
  WallTime now_;
  uint32_t cache_key_ = 0;
  bool columns_sent_ = false;
};

Status too_old(uint64_t asked, uint64_t current) {
  return {Code::kGone, "too old resource version: " + std::to_string(asked) + " (" + std::to_string(current) + ")"};
}

// Sends what exists; the revision that it was read at, or nothing when the client is gone.
Task<Result<uint64_t>> send_existing(Call& call, const Selection& selection, FrameWriter& frames) {
  v1::ListRequest request;
  request.set_kind(std::string(call.entry->id()));
  request.set_namespace_(std::string(call.info.name_space));
  if (auto term = selection.index_term()) request.set_index_term(*term);
  uint64_t revision = 0;
  while (true) {
    std::string out;
    bool full = false;
    auto result = call.services.host.list(request, [&](const RecordView& record) {
      bool named = call.info.name.empty() || call.info.name == record.name;
      if (named && selection.matches(record.name_space, record.name, record.value)) {
        frames.add_existing(record.value, record.revision, out);
      }
      full = out.size() >= kInitialPieceBytes;
      if (full) {
        request.mutable_start_after()->set_namespace_(std::string(record.name_space));
        request.mutable_start_after()->set_name(std::string(record.name));
      }
      return !full;
    });
    if (!result) co_return result.status();
    if (revision == 0) revision = result->revision();
    request.set_at_revision(revision);
    if (!out.empty()) {
      bool sent = co_await call.exchange.write(out);
      if (!sent) co_return Status(Code::kCancelled, "the client is gone");
    }
    if (!full) co_return revision;
  }
}

Task<void> send_error(Call& call, FrameWriter& frames, Status status) {
  std::string out;
  frames.add_error(status, out);
  co_await call.exchange.write(out);
}

Task<void> follow(Call& call, FrameWriter& frames, WatchQuery query, uint64_t cursor) {
  WatchHubs& hubs = call.services.watches;
  Clock::time_point deadline = Clock::now() + query.timeout;
  Clock::time_point next_bookmark = Clock::now() + kBookmarkEvery;
  uint64_t sent_revision = cursor;
  while (!call.exchange.gone()) {
    auto batch = hubs.take(call.entry->id(), call.info.name_space, cursor);
    if (!batch) {
      Status status = batch.code() == Code::kGone ? too_old(cursor, call.services.host.revision()) : batch.status();
      co_await send_error(call, frames, status);
      co_return;
    }
    frames.refresh_now();
    std::string out;
    for (const WatchEventPtr& event : batch->events) {
      frames.add(*event, out);
      if (out.size() < kChunkBytes) continue;
      bool sent = co_await call.exchange.write(out);
      if (!sent) co_return;
    }
    cursor = batch->next_cursor;
    Clock::time_point now = Clock::now();
    bool over = now >= deadline && batch->at_end;
    if (query.bookmarks && batch->at_end && (now >= next_bookmark || over) && cursor > sent_revision) {
      frames.add_bookmark(cursor, false, out);
      next_bookmark = now + kBookmarkEvery;
      sent_revision = cursor;
    }
    if (!out.empty()) {
      bool sent = co_await call.exchange.write(out);
      if (!sent) co_return;
    }
    if (over) co_return;
    if (!batch->at_end) continue;
    Clock::time_point until = query.bookmarks ? std::min(deadline, std::max(next_bookmark, now)) : deadline;
    if (query.bookmarks && next_bookmark <= now) next_bookmark = now + kBookmarkEvery;
    co_await call.exchange.wait_until(until);
  }
}

}  // namespace

Task<void> watch_objects(Call& call) {
  auto selection = Selection::read(*call.entry, call.request().query);
  if (!selection) co_return fail(call, selection.status());
  auto query = read_watch_query(call);
  if (!query) co_return fail(call, query.status());
  std::string_view type = call.format.encoding == Encoding::kProtobuf
                              ? "application/vnd.kubernetes.protobuf;stream=watch"
                              : "application/json";
  call.services.metrics.watch_began(call.info.resource, 1);
  call.exchange.begin(200, type, true);
  FrameWriter frames(call, *selection);
  WatchHubs::Subscription subscription(call.services.watches, call.entry->id(), call.exchange);
  uint64_t cursor = query->revision;
  // The head goes out at once: clients wait for it.
  std::string nothing;
  bool open = co_await call.exchange.write(nothing);
  if (open && query->initial) {
    auto revision = co_await send_existing(call, *selection, frames);
    open = revision.is_ok();
    if (open) cursor = *revision;
    if (!open && revision.code() != Code::kCancelled) co_await send_error(call, frames, revision.status());
    if (open && query->initial_mark) {
      std::string out;
      frames.add_bookmark(cursor, true, out);
      open = co_await call.exchange.write(out);
    }
  }
  if (open) co_await follow(call, frames, *query, cursor);
  call.services.metrics.watch_began(call.info.resource, -1);
}

}  // namespace orlop::rest
