// Reading Kubernetes objects held as JSON values, and writing JSON the way that Go's encoder does.
//
// Threads: any; nothing is shared. The references returned live as long as the value that they were taken from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace orlop::client {

namespace json = boost::json;

// The field at a path of member names with dots between ("status.podIP"); null when a step is missing, is no object, or
// the field is null.
const json::value* pick(const json::value& value, std::string_view dotted);

// The same, read as a type: absent or of another type gives the empty value.
std::string text_of(const json::value& value, std::string_view dotted);
int64_t number_of(const json::value& value, std::string_view dotted, int64_t absent = 0);
bool flag_of(const json::value& value, std::string_view dotted);
const json::array& list_of(const json::value& value, std::string_view dotted);
const json::object& map_of(const json::value& value, std::string_view dotted);

// A scalar as plain text (strings without quotes); objects and arrays as compact JSON; null as "".
std::string scalar_text(const json::value& value);

// Creates the objects on the way. A step that is there and no object is replaced.
json::object& make_map(json::value& value, std::string_view dotted);

// Compact, members sorted by name. `html_safe` writes <, > and & as \u003c, \u003e and \u0026.
std::string compact_json(const json::value& value, bool html_safe = false);

// Members sorted by name, four spaces a level, without a line end after the last brace.
std::string pretty_json(const json::value& value);

// The shortest decimal text that reads back as the same number, in Go's form: 1.5, 1e+21.
std::string number_text(double number);

// False when the text is not JSON.
bool parse_json(std::string_view text, json::value& out);

}  // namespace orlop::client
