// exec and attach, and the terminal that they need.
#include "cli/commands/pods_of.hpp"
#include "cli/commands/registry.hpp"
#include "cli/commands/streaming.hpp"

#include <cstdlib>
#include <optional>

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace orlop::cli {
namespace {

using client::list_of;
using client::number_of;
using client::text_of;

using client::Channel;

// The terminal passes every key on while this lives, and is as before afterwards.
class RawTerminal {
 public:
  explicit RawTerminal(int descriptor) : descriptor_(descriptor) {
    termios now{};
    if (::tcgetattr(descriptor_, &now) != 0) return;
    before_ = now;
    ::cfmakeraw(&now);
    ::tcsetattr(descriptor_, TCSADRAIN, &now);
  }
  ~RawTerminal() {
    if (before_) ::tcsetattr(descriptor_, TCSADRAIN, &*before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  int descriptor_;
  std::optional<termios> before_;
};

std::string window_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return "{\"Width\":" + std::to_string(size.ws_col) + ",\"Height\":" + std::to_string(size.ws_row) + "}\n";
}

// What the Status of the error channel means for our exit code.
Outcome end_of(Session& session, const std::string& text) {
  json::value status;
  if (text.empty()) return 0;
  if (!client::parse_json(text, status)) return user_error(text);
  if (text_of(status, "status") == "Success") return 0;
  for (const auto& cause : list_of(status, "details.causes")) {
    if (text_of(cause, "reason") != "ExitCode") continue;
    const int code = std::atoi(text_of(cause, "message").c_str());
    session.io.err << "command terminated with exit code " << code << '\n';
    return code;
  }
  const auto reason = text_of(status, "reason");
  if (reason.empty()) return user_error(text_of(status, "message"));
  return user_error(reason + ": " + text_of(status, "message"));
}

std::string exec_query(const std::string& container, const std::vector<std::string>& command, bool input,
                       bool terminal) {
  std::string out = "?container=" + encode_query(container);
  for (const auto& word : command) out += "&command=" + encode_query(word);
  if (input) out += "&stdin=true";
  out += "&stdout=true";
  out += terminal ? "&tty=true" : "&stderr=true";
  return out;
}

Outcome exec(Session& session) {
  auto& args = session.args;
  auto words = args.words;
  std::string target;
  if (args.dash_index == 0U || words.empty()) return user_error("pod, type/name or --filename must be specified");
  target = words.front();
  const std::vector<std::string> command(words.begin() + 1, words.end());
  if (command.empty()) return user_error("you must specify at least one command for the container");
  if (args.dash_index && *args.dash_index > 1) {
    return user_error(
        "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'orlop exec -h' "
        "for help and examples");
  }
  if (!args.dash_index) {
    return user_error(
        "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'orlop exec -h' "
        "for help and examples");
  }
  bool owner = false;
  ORLOP_ASSIGN(const auto pod, one_pod(session, target, owner));
  const auto phase = text_of(pod, "status.phase");
  if (phase == "Succeeded" || phase == "Failed") {
    return user_error("cannot exec into a container in a completed pod; current phase is " + phase);
  }
  ORLOP_ASSIGN(const auto container, container_of(session, pod, !args.on("quiet")));
  ORLOP_ASSIGN(const auto* pods, session.find_kind("pods"));
  const bool input = args.on("stdin");
  bool terminal = args.on("tty");
  if (terminal && !input) {
    session.io.err << "error: pass -i together with -t\n";
    terminal = false;
  }
  if (terminal && !session.io.terminal) {
    session.io.err << "Unable to use a TTY - input is not a terminal or the right kind of file\n";
    terminal = false;
  }
  return run_stream(session, {pods->path(text_of(pod, "metadata.namespace"), text_of(pod, "metadata.name"), "exec") +
                                  exec_query(container, command, input, terminal),
                              input, terminal});
}

Outcome attach(Session& session) {
  auto& args = session.args;
  if (args.words.empty()) return user_error("at least 1 argument is required for attach");
  bool owner = false;
  ORLOP_ASSIGN(const auto pod, one_pod(session, args.words.front(), owner));
  ORLOP_ASSIGN(const auto container, container_of(session, pod, !args.on("quiet")));
  ORLOP_ASSIGN(const auto* pods, session.find_kind("pods"));
  const bool input = args.on("stdin");
  const bool terminal = args.on("tty") && session.io.terminal;
  if (!args.on("quiet")) session.io.err << "If you don't see a command prompt, try pressing enter.\n";
  return run_stream(session, {pods->path(text_of(pod, "metadata.namespace"), text_of(pod, "metadata.name"), "attach") +
                                  exec_query(container, {}, input, terminal),
                              input, terminal});
}

}  // namespace

Outcome run_stream(Session& session, const ContainerStream& stream) {
  ORLOP_ASSIGN(const auto connector, session.connector());
  std::optional<RawTerminal> raw;
  std::string status;
  client::StreamSession streams;
  streams.target = stream.target;
  streams.channels = {Channel::kStatus, Channel::kOutput};
  if (stream.input) streams.channels.push_back(Channel::kInput);
  streams.channels.push_back(stream.terminal ? Channel::kWindow : Channel::kErrors);
  streams.input_fd = stream.input ? session.io.input_fd : -1;
  streams.on_open = [&] {
    if (stream.terminal) raw.emplace(session.io.input_fd);
  };
  if (stream.terminal) streams.on_window = window_size;
  streams.on_data = [&](Channel channel, std::string_view bytes) {
    if (channel == Channel::kStatus) {
      status += bytes;
      return;
    }
    std::ostream& out = channel == Channel::kErrors ? session.io.err : session.io.out;
    out << bytes;
    out.flush();
  };
  auto response = client::run_streams(*connector, streams);
  raw.reset();
  if (!response.is_ok()) {
    if (status.empty()) return response.status();
    return end_of(session, status);
  }
  if (response->status != 101) return client::refusal_of(*response);
  return end_of(session, status);
}

void add_exec_commands(std::vector<Command>& out) {
  std::vector<Flag> flags = {{"stdin", 'i', FlagKind::kSwitch, "", "Pass our input on"},
                             {"tty", 't', FlagKind::kSwitch, "", "The container's streams are a terminal"},
                             {"container", 'c', FlagKind::kText, "", "The container"},
                             {"quiet", 'q', FlagKind::kSwitch, "", "Only the command's own output"}};
  out.push_back({"exec", "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
                 "Run a command in a container", flags, exec});
  out.push_back({"attach", "(POD | TYPE/NAME) -c CONTAINER", "Join a running container's streams", flags, attach});
}

}  // namespace orlop::cli
