// Objects in the forms that -o names, shared by the commands that show objects.
#pragma once

#include "cli/commands/session.hpp"

#include <string>
#include <vector>

namespace orlop::cli {

// kBadRequest with kubectl's list of forms when the form is unknown.
Status check_format(const std::string& format, bool tables);

// One object or a List in a form other than a table.
Status print_objects(Session& session, const json::value& object, const std::string& format);

// Orders a List's items or a Table's rows by what a path finds in each object.
Status sort_objects(json::value& list, const std::string& path);

struct FileRef {
  const ResourceInfo* info = nullptr;
  std::string name_space, name;
};

// The objects that the files of -f name. The first failure ends it.
Result<std::vector<FileRef>> refs_of_files(Session& session);

}  // namespace orlop::cli
