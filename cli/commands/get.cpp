// get: tables made by the server, objects in other forms, and watching both.
#include "cli/commands/printing.hpp"
#include "cli/commands/registry.hpp"
#include "cli/output/jsonpath.hpp"
#include "cli/output/table.hpp"
#include "cli/output/yaml_writer.hpp"

#include <algorithm>
#include <functional>
#include <map>

namespace orlop::cli {
namespace {

using client::list_of;
using client::text_of;

constexpr char kAsTable[] =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

struct Request {
  const ResourceInfo* info;
  std::string name;
  std::string target;
};

bool wants_table(const std::string& format) {
  return format.empty() || format == "wide";
}

// Custom columns and sorting need whole objects inside the rows; labels are in the metadata that rows carry anyway.
std::string query_for(const Session& session, const std::string& name) {
  return query_of({{"labelSelector", session.args.text("selector")},
                   {"fieldSelector", name.empty() ? session.args.text("field-selector") : "metadata.name=" + name},
                   {"limit", name.empty() && !session.args.on("watch") ? session.args.text("chunk-size") : ""}});
}

Result<std::vector<Request>> requests_of(Session& session) {
  ORLOP_ASSIGN(const auto refs, session.refs_of(session.args.words));
  std::vector<Request> out;
  for (const auto& ref : refs) {
    if (!ref.name.empty() && session.all_namespaces() && ref.info->namespaced) {
      return user_error("a resource cannot be retrieved by name across all namespaces");
    }
    const auto scope = session.all_namespaces() ? std::string() : session.scope_of(*ref.info);
    const bool one = !ref.name.empty();
    out.push_back({ref.info, ref.name, ref.info->path(scope, ref.name) + (one ? "" : query_for(session, ""))});
  }
  return out;
}

TableOptions table_options(const Session& session, const ResourceInfo& info, bool with_kind) {
  TableOptions options;
  options.wide = session.args.text("output") == "wide";
  options.headers = !session.args.on("no-headers");
  // Among several kinds the column stands for those too that are in no namespace.
  options.with_namespace = session.all_namespaces() && (info.namespaced || with_kind);
  options.show_labels = session.args.on("show-labels");
  options.with_kind = with_kind || session.args.on("show-kind");
  options.kind_prefix = info.singular_name();
  options.label_columns = session.args.list("label-columns");
  return options;
}

// The whole list, page after page, as one answer.
Result<json::value> fetch_all(Session& session, const std::string& target, const char* accept) {
  json::value all;
  std::string next = target;
  for (;;) {
    ORLOP_ASSIGN(const auto response, session.call("GET", next, {{"Accept", accept}}));
    json::value page;
    if (!client::parse_json(response.body, page)) return user_error("the server's answer is no JSON");
    const auto more = text_of(page, "metadata.continue");
    const char* list = text_of(page, "kind") == "Table" ? "rows" : "items";
    if (all.is_null()) {
      all = std::move(page);
    } else if (auto* items = page.as_object().if_contains(list); items != nullptr && items->is_array()) {
      auto& target_items = all.as_object()[list];
      if (!target_items.is_array()) target_items.emplace_array();
      for (auto& item : items->get_array()) target_items.get_array().push_back(std::move(item));
    }
    if (more.empty()) break;
    next = target + (target.find('?') == std::string::npos ? "?" : "&") + "continue=" + encode_query(more);
  }
  return all;
}

int report_none(Session& session) {
  if (session.args.on("ignore-not-found")) return 0;
  if (session.all_namespaces()) {
    session.io.err << "No resources found\n";
  } else {
    session.io.err << "No resources found in " << session.name_space() << " namespace.\n";
  }
  return 0;
}

Outcome get_tables(Session& session, const std::vector<Request>& requests) {
  std::map<const ResourceInfo*, TablePrinter> printers;
  std::vector<const ResourceInfo*> order;
  std::vector<Status> failures;
  for (const auto& request : requests) {
    if (std::find(order.begin(), order.end(), request.info) == order.end()) order.push_back(request.info);
  }
  const bool many = order.size() > 1;
  bool cluster_only = true;
  for (const auto& request : requests) {
    cluster_only = cluster_only && !request.info->namespaced;
    auto answer = fetch_all(session, request.target, kAsTable);
    if (!answer.is_ok()) {
      if (answer.code() == Code::kUnavailable && printers.empty()) return answer.status();
      if (answer.code() == Code::kNotFound && session.args.on("ignore-not-found")) continue;
      failures.push_back(answer.status());
      continue;
    }
    if (!session.args.text("sort-by").empty()) ORLOP_TRY(sort_objects(*answer, session.args.text("sort-by")));
    auto& printer = printers.try_emplace(request.info, table_options(session, *request.info, many)).first->second;
    printer.add(*answer);
  }
  bool printed = false;
  for (const auto* info : order) {
    const auto found = printers.find(info);
    if (found == printers.end() || found->second.empty()) continue;
    if (printed) session.io.out << '\n';
    session.io.out << found->second.take();
    printed = true;
  }
  if (!failures.empty()) {
    session.io.out.flush();
    for (const auto& failure : failures) session.complain(failure);
    return 1;
  }
  if (!printed) {
    if (cluster_only && !session.all_namespaces()) {
      if (!session.args.on("ignore-not-found")) session.io.err << "No resources found\n";
      return 0;
    }
    return report_none(session);
  }
  return 0;
}

Outcome get_objects(Session& session, const std::vector<Request>& requests, const std::string& format) {
  json::array items;
  std::vector<Status> failures;
  const bool single = requests.size() == 1 && !requests.front().name.empty();
  for (const auto& request : requests) {
    auto answer = fetch_all(session, request.target, "application/json");
    if (!answer.is_ok()) {
      if (answer.code() == Code::kNotFound && session.args.on("ignore-not-found")) continue;
      failures.push_back(answer.status());
      continue;
    }
    if (!request.name.empty()) {
      items.push_back(std::move(*answer));
      continue;
    }
    // Items of a list do not say their kind themselves.
    for (const auto& item : list_of(*answer, "items")) {
      json::value object = item;
      object.as_object()["apiVersion"] = request.info->api_version();
      object.as_object()["kind"] = request.info->kind;
      items.push_back(std::move(object));
    }
  }
  if (!session.args.on("show-managed-fields")) {
    for (auto& item : items) {
      if (auto* meta = item.as_object().if_contains("metadata"); meta != nullptr && meta->is_object()) {
        meta->get_object().erase("managedFields");
      }
    }
  }
  json::value shown = json::object{{"apiVersion", "v1"}, {"kind", "List"}, {"metadata", {{"resourceVersion", ""}}}};
  if (single) {
    if (!items.empty()) shown = items.front();
  } else {
    shown.as_object()["items"] = std::move(items);
    if (!session.args.text("sort-by").empty()) ORLOP_TRY(sort_objects(shown, session.args.text("sort-by")));
  }
  if (!(single && !failures.empty())) ORLOP_TRY(print_objects(session, shown, format));
  session.io.out.flush();
  for (const auto& failure : failures) session.complain(failure);
  return failures.empty() ? 0 : 1;
}

// Lines of a watch are one JSON event each.
class EventLines {
 public:
  explicit EventLines(std::function<bool(const json::value&)> on_event) : on_event_(std::move(on_event)) {}
  bool take(std::string_view piece) {
    buffer_ += piece;
    size_t begin = 0;
    for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n', begin)) {
      json::value event;
      if (client::parse_json(std::string_view(buffer_).substr(begin, end - begin), event) && !on_event_(event))
        return false;
      begin = end + 1;
    }
    buffer_.erase(0, begin);
    return true;
  }

 private:
  std::function<bool(const json::value&)> on_event_;
  std::string buffer_;
};

Outcome watch(Session& session, const Request& request, const std::string& format) {
  const bool table = wants_table(format);
  const char* accept = table ? kAsTable : "application/json";
  TablePrinter printer(table_options(session, *request.info, false));
  const auto scope = session.all_namespaces() ? std::string() : session.scope_of(*request.info);
  const auto target = request.info->path(scope) + query_for(session, request.name);
  ORLOP_ASSIGN(const auto first, fetch_all(session, target, accept));
  auto revision = text_of(first, "metadata.resourceVersion");
  const auto show = [&](const json::value& object) -> Status {
    if (table) {
      printer.add(object);
      session.io.out << printer.take();
    } else {
      auto copy = object;
      if (auto* meta = copy.as_object().if_contains("metadata")) meta->as_object().erase("managedFields");
      ORLOP_TRY(print_objects(session, copy, format));
    }
    session.io.out.flush();
    return {};
  };
  if (!session.args.on("watch-only")) {
    if (table) {
      ORLOP_TRY(show(first));
    } else {
      for (const auto& item : list_of(first, "items")) {
        json::value object = item;
        object.as_object()["apiVersion"] = request.info->api_version();
        object.as_object()["kind"] = request.info->kind;
        ORLOP_TRY(show(object));
      }
    }
  }
  ORLOP_ASSIGN(auto* http, session.http());
  for (;;) {
    Status failure;
    EventLines lines([&](const json::value& event) {
      const auto* object = client::pick(event, "object");
      if (object == nullptr) return true;
      if (text_of(event, "type") == "ERROR") {
        failure = Status(Code::kGone, "Error from server: " + text_of(*object, "message"));
        return false;
      }
      const auto seen = text_of(*object, "metadata.resourceVersion");
      if (!seen.empty()) revision = seen;
      if (text_of(event, "type") == "BOOKMARK") return true;
      failure = show(*object);
      return failure.is_ok() && session.io.out.good();
    });
    const auto query = std::string(target.find('?') == std::string::npos ? "?" : "&") +
                       "watch=true&resourceVersion=" + encode_query(revision);
    ORLOP_ASSIGN(const auto response, http->stream("GET", target + query, {{"Accept", accept}},
                                                   [&](std::string_view piece) { return lines.take(piece); }));
    if (response.status >= 400) return client::refusal_of(response);
    if (!failure.is_ok()) return failure;
    if (!session.io.out.good()) return 0;
  }
}

Outcome get(Session& session) {
  auto format = session.args.text("output");
  if (session.args.words.empty() && session.args.list("filename").empty() && session.args.text("raw").empty()) {
    return user_error(
        "You must specify the type of resource to get. Use \"orlop api-resources\" for a complete list of supported "
        "resources.\n\nerror: Required resource not specified.\nUse \"orlop explain <resource>\" for a detailed "
        "description "
        "of that resource (e.g. orlop explain pods).\nSee 'orlop get -h' for help and examples");
  }
  if (!session.args.text("raw").empty()) {
    ORLOP_ASSIGN(const auto response,
                 session.call("GET", session.args.text("raw"), {{"Accept", "application/json, */*"}}));
    session.io.out << response.body;
    return 0;
  }
  ORLOP_TRY(check_format(format, true));
  std::vector<Request> requests;
  if (session.args.list("filename").empty()) {
    ORLOP_ASSIGN(requests, requests_of(session));
  } else {
    ORLOP_ASSIGN(const auto refs, refs_of_files(session));
    for (const auto& ref : refs) requests.push_back({ref.info, ref.name, ref.info->path(ref.name_space, ref.name)});
  }
  if (session.args.on("watch") || session.args.on("watch-only")) {
    if (requests.size() != 1)
      return user_error("watch is only supported on individual resources and resource collections");
    return watch(session, requests.front(), format);
  }
  return wants_table(format) ? get_tables(session, requests) : get_objects(session, requests, format);
}

}  // namespace

void add_get_commands(std::vector<Command>& out) {
  auto flags = selection_flags();
  for (auto& flag : file_flags()) flags.push_back(std::move(flag));
  flags.push_back({"output", 'o', FlagKind::kText, "",
                   "One of: wide, json, yaml, name, jsonpath=TEMPLATE, jsonpath-file=FILE, custom-columns=SPEC"});
  flags.push_back({"watch", 'w', FlagKind::kSwitch, "", "Go on and print what changes"});
  flags.push_back({"watch-only", 0, FlagKind::kSwitch, "", "Only print what changes from now on"});
  flags.push_back({"show-labels", 0, FlagKind::kSwitch, "", "A last column with the labels"});
  flags.push_back({"show-kind", 0, FlagKind::kSwitch, "", "Names with their kind"});
  flags.push_back({"label-columns", 'L', FlagKind::kList, "", "Labels that get a column each"});
  flags.push_back({"no-headers", 0, FlagKind::kSwitch, "", "No line with the columns' names"});
  flags.push_back({"ignore-not-found", 0, FlagKind::kSwitch, "", "Absent objects are no error"});
  flags.push_back({"show-managed-fields", 0, FlagKind::kSwitch, "", "Keep managedFields in json and yaml"});
  flags.push_back({"sort-by", 0, FlagKind::kText, "", "A JSONPath whose value orders the list"});
  flags.push_back({"chunk-size", 0, FlagKind::kNumber, "500", "Objects in one page of a long list"});
  flags.push_back({"raw", 0, FlagKind::kText, "", "A path of the API, printed as the server answers it"});
  out.push_back({"get", "(TYPE [NAME | -l label] | TYPE/NAME ...)", "Show objects", std::move(flags), get});
}

}  // namespace orlop::cli
