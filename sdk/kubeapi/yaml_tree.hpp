// A YAML document as events of the parser build it: plain nodes with their lines, aliases kept as pointers.
//
// Threads: one at a time.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include <yaml-cpp/eventhandler.h>

namespace orlop::kube {

struct YamlNode {
  enum class Type : uint8_t { kScalar, kSequence, kMap };
  Type type = Type::kScalar;
  bool plain = false;     // a scalar without quotes
  bool complete = false;  // its end was seen; an alias to one that is not would be a cycle
  int line = 1;           // from 1
  std::string tag;
  std::string text;                       // of a scalar
  std::vector<const YamlNode*> children;  // of a map: key, value, key, value, …
};

// What is wrong with the document; thrown through the parser and caught in yaml.cpp.
struct YamlError {
  int line;
  std::string message;
};

class YamlTree : public YAML::EventHandler {
 public:
  explicit YamlTree(int depth_max) : depth_max_(depth_max) {}

  // nullptr: the document is empty.
  [[nodiscard]] const YamlNode* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

 private:
  YamlNode* add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Type type);
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Type type);
  void attach(const YamlNode* node);
  void close();

  int depth_max_;
  std::deque<YamlNode> nodes_;  // addresses stay
  std::vector<YamlNode*> open_;
  std::unordered_map<YAML::anchor_t, YamlNode*> anchors_;
  const YamlNode* root_ = nullptr;
};

}  // namespace orlop::kube
