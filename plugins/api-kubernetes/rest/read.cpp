#include "plugins/api-kubernetes/rest/handlers.hpp"
#include "plugins/api-kubernetes/rest/list_query.hpp"
#include "plugins/api-kubernetes/rest/selection.hpp"

#include <stdexcept>

namespace orlop::rest {
namespace {

// So much is encoded before it is sent: the store is read in short pieces, and a slow client holds no more than one.
constexpr size_t kPieceBytes = 1024 * 1024;

Status too_old_continue() {
  return {Code::kGone,
          "The provided continue parameter is too old to display a consistent list result. You can start a new list "
          "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
          "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
          "modified, or deleted between the time the first chunk was returned and now may show up in the list."};
}

void fail_expired(Call& call, const ListQuery& query) {
  if (!query.continued) {
    return fail(call, Status(Code::kGone, "The resourceVersion for the provided list is too old."));
  }
  std::string json = failure_json(too_old_continue(), {});
  // The token that goes on from here with what there is now.
  std::string token = make_continue_token(-1, query.after_namespace, query.after_name);
  std::string_view empty = "\"metadata\":{}";
  json.replace(json.find(empty), empty.size(), "\"metadata\":{\"continue\":\"" + token + "\"}");
  answer_json(call, 410, std::move(json));
}

struct Progress {
  std::string name_space;
  std::string name;
  uint64_t matched = 0;
  uint64_t revision = 0;
  uint64_t remaining = 0;
  bool more = false;  // the limit was reached, and there is more
  bool piece_full = false;
};

// Reads the store from where the progress stands until its end, the limit or a full piece.
Status read_piece(Call& call, const Selection& selection, const ListQuery& query, v1::ListRequest& request,
                  ListWriter& writer, size_t piece_bytes, Progress& progress) {
  progress.piece_full = false;
  bool by_store = query.limit > 0 && selection.is_everything();
  if (by_store) request.set_limit(static_cast<uint32_t>(query.limit));
  auto result = call.services.host.list(request, [&](const RecordView& record) {
    if (!by_store && query.limit > 0 && progress.matched == query.limit) {
      progress.more = true;
      return false;
    }
    progress.name_space = record.name_space;
    progress.name = record.name;
    if (!selection.matches(record.name_space, record.name, record.value)) return true;
    writer.add(record.value, record.revision);
    ++progress.matched;
    progress.piece_full = writer.gathered() >= piece_bytes;
    return !progress.piece_full;
  });
  if (!result) return result.status();
  if (progress.revision == 0) progress.revision = result->revision();
  if (by_store && result->more()) {
    progress.more = true;
    progress.remaining = result->remaining();
  }
  request.set_at_revision(progress.revision);
  request.mutable_start_after()->set_namespace_(progress.name_space);
  request.mutable_start_after()->set_name(progress.name);
  return Status::ok();
}

v1::ListRequest list_request(const Call& call, const Selection& selection, const ListQuery& query) {
  v1::ListRequest request;
  request.set_kind(std::string(call.entry->id()));
  request.set_namespace_(std::string(call.info.name_space));
  if (request.namespace_().empty() && selection.required_namespace()) {
    request.set_namespace_(std::string(*selection.required_namespace()));
  }
  if (auto term = selection.index_term()) request.set_index_term(*term);
  request.set_at_revision(query.at_revision);
  if (query.continued) {
    request.mutable_start_after()->set_namespace_(query.after_namespace);
    request.mutable_start_after()->set_name(query.after_name);
  }
  return request;
}

// A list of one object by its name, as waiting for one does: one look instead of a walk.
void list_one(Call& call, const Selection& selection, const ListQuery& query, const v1::ListRequest& asked,
              std::string_view name) {
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind(asked.kind());
  key->set_namespace_(asked.namespace_());
  key->set_name(std::string(name));
  request.set_at_revision(query.at_revision);
  ListWriter writer(*call.entry, call.format, read_include(call), call.now());
  auto result = call.services.host.get(request, [&](const RecordView& record) {
    if (selection.matches(record.name_space, record.name, record.value)) writer.add(record.value, record.revision);
    return true;
  });
  if (!result) return fail(call, result.status());
  ListWriter::Meta meta;
  meta.revision = result->revision();
  call.exchange.respond(200, call.format.content_type(), writer.whole(meta));
}

}  // namespace

void get_object(Call& call) {
  auto wanted = parse_revision(call.request().query.get("resourceVersion"));
  if (!wanted) return fail(call, wanted.status());
  if (*wanted > 0) {
    uint64_t current = call.services.host.revision();
    if (*wanted > current) return fail(call, too_large_revision(*wanted, current));
  }
  v1::GetRequest request;
  v1::Key* key = request.add_keys();
  key->set_kind(std::string(call.entry->id()));
  key->set_namespace_(std::string(call.info.name_space));
  key->set_name(std::string(call.info.name));
  std::string body;
  bool found = false;
  WallTime now = call.now();
  // Encoded straight from the store's page.
  auto result = call.services.host.get(request, [&](const RecordView& record) {
    found = true;
    append_object(body, *call.entry, call.format, read_include(call), record.value, record.revision, now);
    return true;
  });
  if (!result) return fail(call, result.status());
  if (!found) {
    return fail(call,
                Status(Code::kNotFound, call.entry->qualified + " \"" + std::string(call.info.name) + "\" not found"));
  }
  if (body.empty()) return fail(call, Status(Code::kInternal, "the stored object cannot be read"));
  call.exchange.respond(200, call.format.content_type(), std::move(body));
}

Task<void> list_objects(Call& call) {
  auto selection = Selection::read(*call.entry, call.request().query);
  if (!selection) co_return fail(call, selection.status());
  auto query = read_list_query(call);
  if (!query) co_return fail(call, query.status());
  v1::ListRequest request = list_request(call, *selection, *query);
  auto name = selection->required_name();
  bool one = name && !query->continued && (!call.entry->kind->namespaced || !request.namespace_().empty());
  if (one) co_return list_one(call, *selection, *query, request, *name);
  ListWriter writer(*call.entry, call.format, read_include(call), call.now());
  bool streams = writer.can_stream() && query->limit == 0;
  size_t piece_bytes = streams ? kPieceBytes : static_cast<size_t>(-1);
  Progress progress;
  bool begun = false;
  while (true) {
    Status status = read_piece(call, *selection, *query, request, writer, piece_bytes, progress);
    if (!status) {
      if (begun) throw std::runtime_error(status.message());
      if (status.code() == Code::kGone) co_return fail_expired(call, *query);
      co_return fail(call, status);
    }
    if (!progress.piece_full) break;
    ListWriter::Meta meta;
    meta.revision = progress.revision;
    std::string piece = begun ? writer.next() : writer.begin(meta);
    if (!begun) call.exchange.begin(200, call.format.content_type(), false);
    begun = true;
    bool sent = co_await call.exchange.write(piece);
    if (!sent) co_return;
  }
  if (begun) {
    std::string tail = writer.next() + writer.end();
    co_await call.exchange.write(tail);
    co_return;
  }
  ListWriter::Meta meta;
  meta.revision = progress.revision;
  meta.remaining = progress.remaining;
  if (progress.more) {
    int64_t revision = query->inconsistent ? -1 : static_cast<int64_t>(progress.revision);
    meta.continue_token = make_continue_token(revision, progress.name_space, progress.name);
  }
  call.exchange.respond(200, call.format.content_type(), writer.whole(meta));
}

}  // namespace orlop::rest
