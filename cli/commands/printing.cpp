#include "cli/commands/printing.hpp"

#include "cli/commands/manifests.hpp"
#include "cli/output/jsonpath.hpp"
#include "cli/output/table.hpp"
#include "cli/output/yaml_writer.hpp"

#include <algorithm>

namespace orlop::cli {

using client::list_of;
using client::text_of;

Status check_format(const std::string& format, bool tables) {
  static const std::vector<std::string> kPlain = {"json", "name", "yaml"};
  if (format.empty() || (tables && format == "wide")) return {};
  if (std::find(kPlain.begin(), kPlain.end(), format) != kPlain.end()) return {};
  for (const auto* prefix : {"jsonpath=", "jsonpath-file=", "custom-columns="}) {
    if (format.starts_with(prefix)) return {};
  }
  return user_error("unable to match a printer suitable for the output format \"" + format +
                    "\", allowed formats are: custom-columns,json,jsonpath,jsonpath-file,name,wide,yaml");
}

namespace {

Status print_columns(Session& session, const json::value& shown, std::string spec) {
  std::string text;
  std::vector<std::string> paths;
  for (size_t at = 0; at < spec.size();) {
    const auto comma = std::min(spec.find(',', at), spec.size());
    const auto column = spec.substr(at, comma - at);
    at = comma + 1;
    const auto colon = column.find(':');
    if (colon == std::string::npos) {
      return user_error("unexpected custom-columns spec: " + column + ", expected <header>:<json-path-expr>");
    }
    text += (paths.empty() ? "" : "\t") + column.substr(0, colon);
    paths.push_back(column.substr(colon + 1));
  }
  text = session.args.on("no-headers") ? "" : text + "\n";
  const auto add = [&](const json::value& object) -> Status {
    for (size_t i = 0; i < paths.size(); ++i) {
      ORLOP_ASSIGN(const auto values, find_path(object, paths[i]));
      std::string cell;
      for (const auto& found : values) cell += (cell.empty() ? "" : ",") + client::scalar_text(found);
      text += (i == 0 ? "" : "\t") + (values.empty() ? "<none>" : cell);
    }
    text += '\n';
    return {};
  };
  if (text_of(shown, "kind") == "List") {
    for (const auto& item : list_of(shown, "items")) ORLOP_TRY(add(item));
  } else {
    ORLOP_TRY(add(shown));
  }
  session.io.out << align(text, {6, 3});
  return {};
}

Status print_names(Session& session, const json::value& shown) {
  if (text_of(shown, "kind") == "List") {
    for (const auto& item : list_of(shown, "items")) ORLOP_TRY(print_names(session, item));
    return {};
  }
  ORLOP_ASSIGN(const auto* kinds, session.discovery());
  const auto* info = kinds->find_kind(text_of(shown, "apiVersion"), text_of(shown, "kind"));
  const auto name = text_of(shown, "metadata.name");
  session.io.out << (info == nullptr ? text_of(shown, "kind") + "/" + name : display_name(*info, name)) << '\n';
  return {};
}

}  // namespace

Status print_objects(Session& session, const json::value& shown, const std::string& format) {
  auto& out = session.io.out;
  if (format == "yaml") {
    out << to_yaml(shown);
  } else if (format == "json") {
    out << client::pretty_json(shown) << '\n';
  } else if (format == "name") {
    return print_names(session, shown);
  } else if (format.starts_with("jsonpath=")) {
    ORLOP_ASSIGN(const auto text, expand_jsonpath(shown, format.substr(9)));
    out << text;
  } else if (format.starts_with("jsonpath-file=")) {
    const auto file = client::read_text_file(format.substr(14));
    if (!file.is_ok()) return user_error("error reading template " + format.substr(14) + ", " + file.message());
    ORLOP_ASSIGN(const auto text, expand_jsonpath(shown, *file));
    out << text;
  } else if (format.starts_with("custom-columns=")) {
    return print_columns(session, shown, format.substr(15));
  }
  return {};
}

Status sort_objects(json::value& list, const std::string& path) {
  const bool table = text_of(list, "kind") == "Table";
  auto* items = list.as_object().if_contains(table ? "rows" : "items");
  if (items == nullptr || !items->is_array()) return {};
  std::vector<std::pair<json::value, json::value>> keyed;
  for (auto& item : items->get_array()) {
    const auto* object = table ? client::pick(item, "object") : &item;
    ORLOP_ASSIGN(auto found, find_path(object == nullptr ? item : *object, path));
    keyed.emplace_back(found.empty() ? json::value() : found.front(), std::move(item));
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) {
    if (a.first.is_number() && b.first.is_number()) {
      return a.first.template to_number<double>() < b.first.template to_number<double>();
    }
    return client::scalar_text(a.first) < client::scalar_text(b.first);
  });
  items->get_array().clear();
  for (auto& [key, item] : keyed) items->get_array().push_back(std::move(item));
  return {};
}

Result<std::vector<FileRef>> refs_of_files(Session& session) {
  const auto manifests = read_manifests(session, session.args.list("filename"));
  if (!manifests.failures.empty()) return manifests.failures.front();
  std::vector<FileRef> refs;
  for (const auto& manifest : manifests.objects) refs.push_back({manifest.info, manifest.name_space, manifest.name()});
  return refs;
}

}  // namespace orlop::cli
