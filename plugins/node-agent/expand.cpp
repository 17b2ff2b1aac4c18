#include "plugins/node-agent/expand.hpp"

#include <algorithm>

namespace orlop::agent {

std::string expand(const std::string& text, const Environment& environment, std::vector<std::string>* missing) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const size_t end = text[i + 1] == '(' ? text.find(')', i) : std::string::npos;
    if (end == std::string::npos) {
      out += '$';
      continue;
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    const auto found =
        std::find_if(environment.rbegin(), environment.rend(), [&](const auto& e) { return e.first == name; });
    if (found == environment.rend() && missing != nullptr) missing->push_back(name);
    out += found != environment.rend() ? found->second : text.substr(i, end - i + 1);
    i = end;
  }
  return out;
}

}  // namespace orlop::agent
