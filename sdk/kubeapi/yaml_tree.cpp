#include "sdk/kubeapi/yaml_tree.hpp"

#include <yaml-cpp/mark.h>

namespace orlop::kube {

void YamlTree::OnDocumentStart(const YAML::Mark&) {
  nodes_.clear();
  open_.clear();
  anchors_.clear();
  root_ = nullptr;
}

void YamlTree::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  YamlNode* node = add(mark, anchor, YamlNode::Type::kScalar);
  node->plain = true;
  node->complete = true;
  attach(node);
}

void YamlTree::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end()) throw YamlError{mark.line + 1, "unknown anchor referenced"};
  if (!found->second->complete) throw YamlError{mark.line + 1, "anchor value contains itself"};
  attach(found->second);
}

void YamlTree::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                        const std::string& value) {
  YamlNode* node = add(mark, anchor, YamlNode::Type::kScalar);
  // The parser tells plain scalars by the tag "?", quoted ones by "!".
  node->plain = tag == "?" || tag.empty();
  if (tag != "?" && tag != "!") node->tag = tag;
  node->text = value;
  node->complete = true;
  attach(node);
}

void YamlTree::OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                               YAML::EmitterStyle::value) {
  open(mark, tag, anchor, YamlNode::Type::kSequence);
}

void YamlTree::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                          YAML::EmitterStyle::value) {
  open(mark, tag, anchor, YamlNode::Type::kMap);
}

YamlNode* YamlTree::add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Type type) {
  YamlNode& node = nodes_.emplace_back();
  node.type = type;
  node.line = mark.line + 1;
  if (anchor != 0) anchors_[anchor] = &node;
  return &node;
}

void YamlTree::open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Type type) {
  if (static_cast<int>(open_.size()) >= depth_max_) throw YamlError{mark.line + 1, "exceeded max depth"};
  YamlNode* node = add(mark, anchor, type);
  node->tag = tag;
  attach(node);
  open_.push_back(node);
}

void YamlTree::attach(const YamlNode* node) {
  if (open_.empty()) {
    root_ = node;
  } else {
    open_.back()->children.push_back(node);
  }
}

void YamlTree::close() {
  open_.back()->complete = true;
  open_.pop_back();
}

}  // namespace orlop::kube
