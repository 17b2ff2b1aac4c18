// What the kinds of `create` share: objects made of flags.
#pragma once

#include "cli/commands/registry.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orlop::cli {

// The one name that the command takes.
Result<std::string> name_of(const Session& session);
json::value skeleton(std::string_view api_version, std::string_view kind, const std::string& name);
// Sends the object, or shows it with --dry-run=client. A refusal begins with "failed to create WHAT: ", unless `what`
// is empty.
Outcome create_made(Session& session, json::value object, const std::string& what);
// The command's own flags and those of all of them.
std::vector<Flag> made_flags(std::vector<Flag> own);

// ConfigMaps and Secrets.
void add_create_config_commands(std::vector<Command>& out);

}  // namespace orlop::cli
