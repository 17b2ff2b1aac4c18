#include "cli/commands/manifests.hpp"

#include "orlop/kube/yaml.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

namespace orlop::cli {

using client::list_of;
using client::pick;
using client::text_of;

namespace {

using Documents = std::vector<std::pair<json::value, std::string>>;

// Pieces between lines that are "---", as kubectl cuts a stream: a fault in one does not spoil those before it.
std::vector<std::string_view> pieces_of(std::string_view text) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  size_t line = 0;
  while (line < text.size()) {
    const auto end = std::min(text.find('\n', line), text.size());
    const auto content = text.substr(line, end - line);
    if (content.starts_with("---") && content.find_first_not_of(" \t\r", 3) == std::string_view::npos) {
      out.push_back(text.substr(begin, line - begin));
      begin = std::min(end + 1, text.size());
    }
    line = end + 1;
  }
  out.push_back(text.substr(begin));
  return out;
}

// A List's items, or the object itself.
void add_object(json::value object, const std::string& source, Documents& out) {
  const auto kind = text_of(object, "kind");
  const auto* items = pick(object, "items");
  if (kind.ends_with("List") && items != nullptr && items->is_array()) {
    for (const auto& item : items->get_array()) add_object(item, source, out);
    return;
  }
  out.emplace_back(std::move(object), source);
}

}  // namespace

void read_documents(std::string_view text, const std::string& source, Documents& out, std::vector<Status>& failures) {
  std::vector<std::string> bodies;
  if (kube::looks_like_json(text)) {
    bodies.emplace_back(text);
  } else {
    for (const auto piece : pieces_of(text)) {
      auto documents = kube::yaml_to_json(piece);
      if (!documents.is_ok()) {
        failures.push_back(user_error("error parsing " + source + ": " + documents.message()));
        break;
      }
      for (auto& document : *documents) bodies.push_back(std::move(document));
    }
  }
  for (const auto& body : bodies) {
    json::value object;
    if (!client::parse_json(body, object)) {
      failures.push_back(user_error("error parsing " + source + ": invalid JSON"));
      return;
    }
    if (object.is_null()) continue;
    if (!object.is_object()) {
      failures.push_back(user_error("error parsing " + source + ": a manifest must be a map, this is not one"));
      continue;
    }
    const bool kind = !text_of(object, "kind").empty();
    const bool version = !text_of(object, "apiVersion").empty();
    if (!kind || !version) {
      const std::string missing = kind      ? "apiVersion not set"
                                  : version ? "kind not set"
                                            : "[apiVersion not set, kind not set]";
      failures.push_back(
          user_error("error validating \"" + source + "\": error validating data: " + missing +
                     "; if you choose to ignore these errors, turn validation off with --validate=false"));
      continue;
    }
    add_object(std::move(object), source, out);
  }
}

std::string read_descriptor(int descriptor) {
  std::string out;
  char piece[16 * 1024];
  for (;;) {
    const auto size = ::read(descriptor, piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return out;
    out.append(piece, static_cast<size_t>(size));
  }
}

namespace {

void read_folder(const std::string& folder, bool recursive, Documents& out, std::vector<Status>& failures) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  const auto take = [&](const std::filesystem::directory_entry& entry) {
    const auto extension = entry.path().extension().string();
    if (entry.is_regular_file() && (extension == ".yaml" || extension == ".yml" || extension == ".json")) {
      files.push_back(entry.path());
    }
  };
  if (recursive) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) take(entry);
  } else {
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) take(entry);
  }
  if (error) {
    failures.push_back(user_error("error reading [" + folder + "]: " + error.message()));
    return;
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    failures.push_back(user_error("error reading [" + folder + "]: recognized file extensions are [.json .yaml .yml]"));
  }
  for (const auto& file : files) {
    const auto text = client::read_text_file(file.string());
    if (text.is_ok()) {
      read_documents(*text, file.string(), out, failures);
    } else {
      failures.push_back(user_error("open " + file.string() + ": " + text.message()));
    }
  }
}

void read_source(Session& session, const std::string& name, Documents& out, std::vector<Status>& failures) {
  if (name == "-") {
    read_documents(read_descriptor(session.io.input_fd), "STDIN", out, failures);
    return;
  }
  if (name.starts_with("http://") || name.starts_with("https://")) {
    const auto text = client::download(name);
    if (text.is_ok()) {
      read_documents(*text, name, out, failures);
    } else {
      failures.push_back(text.status());
    }
    return;
  }
  struct stat info {};
  if (::stat(name.c_str(), &info) != 0) {
    failures.push_back(user_error("the path \"" + name + "\" does not exist"));
    return;
  }
  if (S_ISDIR(info.st_mode)) {
    read_folder(name, session.args.on("recursive"), out, failures);
    return;
  }
  const auto text = client::read_text_file(name);
  if (text.is_ok()) {
    read_documents(*text, name, out, failures);
  } else {
    failures.push_back(user_error("open " + name + ": " + text.message()));
  }
}

Result<Manifest> locate(Session& session, const client::Discovery& kinds, json::value object, std::string source) {
  Manifest manifest{std::move(object), std::move(source), nullptr, {}};
  const auto api_version = text_of(manifest.object, "apiVersion");
  const auto kind = text_of(manifest.object, "kind");
  const auto own = text_of(manifest.object, "metadata.namespace");
  manifest.info = kinds.find_kind(api_version, kind);
  if (manifest.info == nullptr) {
    return user_error("resource mapping not found for name: \"" + manifest.name() + "\" namespace: \"" + own +
                      "\" from \"" + manifest.source + "\": no matches for kind \"" + kind + "\" in version \"" +
                      api_version + "\"\nensure CRDs are installed first");
  }
  if (!manifest.info->namespaced) return manifest;
  const auto wanted = session.args.text("namespace");
  if (!own.empty() && !wanted.empty() && own != wanted) {
    return user_error("the namespace from the provided object \"" + own + "\" does not match the namespace \"" +
                      wanted + "\". You must pass '--namespace=" + own + "' to perform this operation.");
  }
  manifest.name_space = own.empty() ? session.name_space() : own;
  client::make_map(manifest.object, "metadata")["namespace"] = manifest.name_space;
  return manifest;
}

}  // namespace

Manifests read_manifests(Session& session, const std::vector<std::string>& names) {
  Manifests out;
  Documents documents;
  for (const auto& name : names) read_source(session, name, documents, out.failures);
  if (documents.empty()) return out;
  const auto kinds = session.discovery();
  if (!kinds.is_ok()) {
    out.failures.push_back(kinds.status());
    return out;
  }
  for (auto& [object, source] : documents) {
    auto manifest = locate(session, **kinds, std::move(object), std::move(source));
    if (manifest.is_ok()) {
      out.objects.push_back(std::move(*manifest));
    } else {
      out.failures.push_back(manifest.status());
    }
  }
  return out;
}

}  // namespace orlop::cli
