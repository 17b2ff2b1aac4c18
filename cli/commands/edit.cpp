// edit: an object in the user's editor, and back.
#include "cli/commands/printing.hpp"
#include "cli/commands/record.hpp"
#include "cli/commands/registry.hpp"
#include "cli/commands/three_way.hpp"
#include "cli/output/yaml_writer.hpp"
#include "orlop/kube/yaml.hpp"

#include <cerrno>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

namespace orlop::cli {
namespace {

using client::text_of;

constexpr char kHead[] =
    "# Change the object below and leave the editor. Lines that begin with '#' are ignored,\n"
    "# an empty file cancels. What the server refuses is shown here when the file opens again.\n"
    "#\n";

// A file that only we may read, gone when this goes.
class TemporaryFile {
 public:
  static Result<TemporaryFile> make(const std::string& folder) {
    std::string path = (folder.empty() ? "/tmp" : folder) + "/orlop-edit-XXXXXX.yaml";
    const int descriptor = ::mkostemps(path.data(), 5, O_CLOEXEC);
    if (descriptor < 0) return user_error("cannot make a file in " + folder + ": " + std::strerror(errno));
    ::close(descriptor);
    return TemporaryFile(path);
  }
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(TemporaryFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

  [[nodiscard]] bool write(const std::string& text) const {
    const int descriptor = ::open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (descriptor < 0) return false;
    const auto written = ::write(descriptor, text.data(), text.size());
    ::close(descriptor);
    return written == static_cast<ssize_t>(text.size());
  }

 private:
  std::string path_;
};

std::vector<std::string> editor_of(const Session& session) {
  std::string text;
  for (const auto* name : {"KUBE_EDITOR", "EDITOR"}) {
    if (text.empty()) text = session.environment.variable(name);
  }
  if (text.empty()) text = "vi";
  std::istringstream words(text);
  std::vector<std::string> out;
  for (std::string word; words >> word;) out.push_back(word);
  return out;
}

std::string without_comments(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) out += line + "\n";
  }
  return out;
}

std::string as_comment(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) out += "# " + line + "\n";
  return out + "#\n";
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

Result<json::value> send_change(Session& session, const FileRef& ref, const json::value& before, json::value wanted) {
  const auto& info = *ref.info;
  if (text_of(wanted, "metadata.name") != ref.name)
    return user_error("at least one field that names the object was changed");
  const bool built_in = info.group.find('.') == std::string::npos || info.group.ends_with(".k8s.io");
  if (session.args.on("record")) add_change_cause(session, wanted);
  json::value patch = three_way_patch(built_in ? info.kind : "", before, wanted, before);
  const auto query = query_of({{"fieldManager", "kubectl-edit"}, {"fieldValidation", "Strict"}});
  return session.send("PATCH", info.path(ref.name_space, ref.name, session.args.text("subresource")) + query, patch, "",
                      built_in ? "application/strategic-merge-patch+json" : "application/merge-patch+json");
}

Outcome edit_one(Session& session, const FileRef& ref) {
  ORLOP_ASSIGN(auto before, session.get(ref.info->path(ref.name_space, ref.name, session.args.text("subresource"))));
  if (auto* meta = before.as_object().if_contains("metadata")) meta->as_object().erase("managedFields");
  ORLOP_ASSIGN(auto file, TemporaryFile::make(session.environment.variable("TMPDIR")));
  const auto original = to_yaml(before);
  std::string shown = original;
  std::string failure;
  for (;;) {
    if (!file.write(kHead + (failure.empty() ? std::string() : as_comment(failure)) + shown)) {
      return user_error("cannot write " + file.path());
    }
    auto command = editor_of(session);
    command.push_back(file.path());
    session.io.out.flush();
    const int code = run_program(command);
    if (code != 0) {
      return user_error("there was a problem with the editor \"" + command.front() + "\"");
    }
    auto text = client::read_text_file(file.path());
    if (!text.is_ok()) return user_error("cannot read " + file.path() + ": " + text.message());
    const auto edited = without_comments(*text);
    const bool same_again = !failure.empty() && edited == shown;
    if (edited == original || same_again) {
      if (failure.empty()) {
        session.io.err << "Edit cancelled, no changes made.\n";
        return 0;
      }
      session.io.err << failure << "\n";
      session.io.err << "A copy of your changes has been stored to \"" << file.path() << "\"\n";
      file.keep();
      return user_error("Edit cancelled, no valid changes were saved.");
    }
    if (is_blank(edited)) {
      session.io.err << "Edit cancelled, saved file was empty.\n";
      return 0;
    }
    shown = edited;
    const auto documents = kube::yaml_to_json(edited);
    json::value wanted;
    if (!documents.is_ok() || documents->empty() || !client::parse_json(documents->front(), wanted) ||
        !wanted.is_object()) {
      failure = documents.is_ok() ? "The edited file holds no object"
                                  : "The edited file had a syntax error: " + documents.message();
      continue;
    }
    const auto changed = send_change(session, ref, before, std::move(wanted));
    if (changed.is_ok()) return print_result(session, *ref.info, *changed, "edited");
    if (changed.code() == Code::kNotFound || changed.code() == Code::kUnavailable) return changed.status();
    failure = changed.message();
  }
}

Outcome edit(Session& session) {
  std::vector<FileRef> targets;
  if (!session.args.list("filename").empty()) {
    ORLOP_ASSIGN(targets, refs_of_files(session));
  } else {
    ORLOP_ASSIGN(const auto refs, session.refs_of(session.args.words));
    for (const auto& ref : refs) {
      if (ref.name.empty()) return user_error("resource(s) were provided, but no name was specified");
      targets.push_back({ref.info, session.scope_of(*ref.info), ref.name});
    }
  }
  if (targets.empty()) return user_error("must specify one or more resources to edit");
  warn_of_record(session);
  int code = 0;
  for (const auto& target : targets) {
    const auto outcome = edit_one(session, target);
    if (!outcome.is_ok()) code = session.complain(outcome.status());
  }
  return code;
}

}  // namespace

void add_edit_commands(std::vector<Command>& out) {
  auto flags = file_flags();
  flags.push_back(output_flag());
  flags.push_back({"record", 0, FlagKind::kSwitch, "", "Remember the command line as the change's cause"});
  flags.push_back({"subresource", 0, FlagKind::kText, "", "status or scale"});
  out.push_back({"edit", "(TYPE NAME | TYPE/NAME | -f FILENAME)",
                 "Change an object in an editor ($KUBE_EDITOR, $EDITOR)", std::move(flags), edit});
}

}  // namespace orlop::cli
