#include "plugins/api-kubernetes/selector/labels.hpp"

#include "plugins/api-kubernetes/selector/names.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace orlop::apikube {
namespace {

std::optional<int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

enum class Token {
  kError,
  kEnd,
  kClosedParenthesis,
  kComma,
  kNot,
  kDoubleEquals,
  kEquals,
  kGreaterThan,
  kIdentifier,
  kIn,
  kLessThan,
  kNotEquals,
  kNotIn,
  kOpenParenthesis,
};

struct Item {
  Token token;
  std::string text;
};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_special(char c) {
  return std::string_view("=!(),><").find(c) != std::string_view::npos;
}

std::optional<Token> special_token(std::string_view text) {
  if (text == ")") return Token::kClosedParenthesis;
  if (text == ",") return Token::kComma;
  if (text == "!") return Token::kNot;
  if (text == "==") return Token::kDoubleEquals;
  if (text == "=") return Token::kEquals;
  if (text == ">") return Token::kGreaterThan;
  if (text == "<") return Token::kLessThan;
  if (text == "!=") return Token::kNotEquals;
  if (text == "(") return Token::kOpenParenthesis;
  return std::nullopt;
}

// The longest run of special characters that is a token; one that begins none is an error that ends with the run.
Item scan_special(std::string_view text, size_t* position) {
  std::optional<Token> found;
  const size_t begin = *position;
  size_t end = begin;
  while (end < text.size() && is_special(text[end])) {
    auto token = special_token(text.substr(begin, end + 1 - begin));
    if (!token && found) break;
    if (token) found = token;
    ++end;
  }
  *position = end;
  const std::string literal(text.substr(begin, end - begin));
  if (!found) return {Token::kError, fmt::format("error expected: keyword found '{}'", literal)};
  return {*found, literal};
}

std::vector<Item> scan(std::string_view text) {
  std::vector<Item> items;
  size_t position = 0;
  while (true) {
    while (position < text.size() && is_space(text[position])) ++position;
    if (position >= text.size() || text[position] == '\0') break;
    if (is_special(text[position])) {
      items.push_back(scan_special(text, &position));
      continue;
    }
    const size_t begin = position;
    while (position < text.size() && !is_space(text[position]) && !is_special(text[position]) &&
           text[position] != '\0') {
      ++position;
    }
    std::string word(text.substr(begin, position - begin));
    const Token token = word == "in" ? Token::kIn : word == "notin" ? Token::kNotIn : Token::kIdentifier;
    items.push_back({token, std::move(word)});
  }
  items.push_back({Token::kEnd, ""});
  return items;
}

Status bad(std::string message) {
  return {Code::kBadRequest, std::move(message)};
}

Status check_key(std::string_view key) {
  auto faults = qualified_name_faults(key);
  if (faults.empty()) return Status::ok();
  return bad(fmt::format("<nil>: Invalid value: {}: {}", in_quotes(key), joined(faults, "; ")));
}

// What may follow from one requirement; the words are those of labels.NewRequirement.
Status check_requirement(const LabelRequirement& requirement) {
  std::vector<std::string> errors;
  if (auto status = check_key(requirement.key); !status.is_ok()) errors.push_back(status.message());
  const bool compares = requirement.op == LabelOperator::kGreaterThan || requirement.op == LabelOperator::kLessThan;
  for (size_t i = 0; i < requirement.values.size(); ++i) {
    const auto& value = requirement.values[i];
    if (compares && !parse_integer(value)) {
      errors.push_back(
          fmt::format("values[{}]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer", i,
                      in_quotes(value)));
    }
    auto faults = label_value_faults(value);
    if (!faults.empty()) {
      errors.push_back(fmt::format("values[{}][{}]: Invalid value: {}: {}", i, requirement.key, in_quotes(value),
                                   joined(faults, "; ")));
    }
  }
  if (errors.empty()) return Status::ok();
  if (errors.size() == 1) return bad(errors.front());
  return bad("[" + joined(errors, ", ") + "]");
}

class Parser {
 public:
  explicit Parser(std::string_view text) : items_(scan(text)) {}

  Result<std::vector<LabelRequirement>> parse() {
    std::vector<LabelRequirement> requirements;
    while (true) {
      const Item& next = peek();
      if (next.token == Token::kEnd) return requirements;
      if (as_value(next.token) != Token::kIdentifier && next.token != Token::kNot) {
        return bad(fmt::format("found '{}', expected: !, identifier, or 'end of string'", next.text));
      }
      auto requirement = parse_requirement();
      if (!requirement) return bad("unable to parse requirement: " + requirement.message());
      requirements.push_back(std::move(*requirement));
      const Item& separator = take();
      if (separator.token == Token::kEnd) return requirements;
      if (separator.token != Token::kComma) {
        return bad(fmt::format("found '{}', expected: ',' or 'end of string'", separator.text));
      }
      const Item& after = peek();
      if (as_value(after.token) != Token::kIdentifier && after.token != Token::kNot) {
        return bad(fmt::format("found '{}', expected: identifier after ','", after.text));
      }
    }
  }

 private:
  // `in` and `notin` are names too where a name is expected.
  static Token as_value(Token token) {
    return token == Token::kIn || token == Token::kNotIn ? Token::kIdentifier : token;
  }
  const Item& peek() const { return items_[std::min(position_, items_.size() - 1)]; }
  const Item& take() {
    const Item& item = peek();
    ++position_;
    return item;
  }

  Result<LabelRequirement> parse_requirement() {
    LabelRequirement requirement;
    bool negated = false;
    Item key = take();
    if (key.token == Token::kNot) {
      negated = true;
      key = take();
    }
    if (as_value(key.token) != Token::kIdentifier) {
      return bad(fmt::format("found '{}', expected: identifier", key.text));
    }
    ORLOP_TRY(check_key(key.text));
    requirement.key = key.text;
    if (negated) {
      requirement.op = LabelOperator::kDoesNotExist;
      return requirement;
    }
    if (peek().token == Token::kEnd || peek().token == Token::kComma) return requirement;
    ORLOP_TRY(parse_operator(&requirement.op));
    if (requirement.op == LabelOperator::kIn || requirement.op == LabelOperator::kNotIn) {
      ORLOP_TRY(parse_set(&requirement.values));
    } else {
      ORLOP_TRY(parse_exact(&requirement.values));
    }
    std::sort(requirement.values.begin(), requirement.values.end());
    requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()),
                             requirement.values.end());
    ORLOP_TRY(check_requirement(requirement));
    return requirement;
  }

  Status parse_operator(LabelOperator* op) {
    const Item& item = take();
    switch (item.token) {
      case Token::kIn:
        *op = LabelOperator::kIn;
        return Status::ok();
      case Token::kNotIn:
        *op = LabelOperator::kNotIn;
        return Status::ok();
      case Token::kEquals:
        *op = LabelOperator::kEquals;
        return Status::ok();
      case Token::kDoubleEquals:
        *op = LabelOperator::kDoubleEquals;
        return Status::ok();
      case Token::kNotEquals:
        *op = LabelOperator::kNotEquals;
        return Status::ok();
      case Token::kGreaterThan:
        *op = LabelOperator::kGreaterThan;
        return Status::ok();
      case Token::kLessThan:
        *op = LabelOperator::kLessThan;
        return Status::ok();
      default:
        return bad(fmt::format("found '{}', expected: in, notin, =, ==, !=, gt, lt", item.text));
    }
  }

  Status parse_exact(std::vector<std::string>* values) {
    if (peek().token == Token::kEnd || peek().token == Token::kComma) {
      values->emplace_back();
      return Status::ok();
    }
    const Item& item = take();
    if (as_value(item.token) != Token::kIdentifier) {
      return bad(fmt::format("found '{}', expected: identifier", item.text));
    }
    values->push_back(item.text);
    return Status::ok();
  }

  Status parse_set(std::vector<std::string>* values) {
    const Item& open = take();
    if (open.token != Token::kOpenParenthesis) return bad(fmt::format("found '{}' expected: '('", open.text));
    const Item& first = peek();
    if (first.token == Token::kClosedParenthesis) {
      take();
      values->emplace_back();
      return Status::ok();
    }
    if (as_value(first.token) != Token::kIdentifier && first.token != Token::kComma) {
      return bad(fmt::format("found '{}', expected: ',', ')' or identifier", first.text));
    }
    return parse_elements(values);
  }

  // Elements and commas up to the closing parenthesis, it included; nothing between two commas is the empty value.
  Status parse_elements(std::vector<std::string>* values) {
    while (true) {
      const Item& item = take();
      if (as_value(item.token) == Token::kIdentifier) {
        values->push_back(item.text);
        const Item& next = peek();
        if (next.token == Token::kClosedParenthesis) break;
        if (next.token != Token::kComma) return bad(fmt::format("found '{}', expected: ',' or ')'", next.text));
        continue;
      }
      if (item.token != Token::kComma) return bad(fmt::format("found '{}', expected: ',', or identifier", item.text));
      if (values->empty()) values->emplace_back();
      if (peek().token == Token::kClosedParenthesis) {
        values->emplace_back();
        break;
      }
      if (peek().token == Token::kComma) {
        take();
        values->emplace_back();
      }
    }
    take();
    return Status::ok();
  }

  std::vector<Item> items_;
  size_t position_ = 0;
};

}  // namespace

bool LabelRequirement::matches(const std::string* value) const {
  switch (op) {
    case LabelOperator::kEquals:
    case LabelOperator::kDoubleEquals:
    case LabelOperator::kIn:
      return value != nullptr && std::find(values.begin(), values.end(), *value) != values.end();
    case LabelOperator::kNotEquals:
    case LabelOperator::kNotIn:
      return value == nullptr || std::find(values.begin(), values.end(), *value) == values.end();
    case LabelOperator::kExists:
      return value != nullptr;
    case LabelOperator::kDoesNotExist:
      return value == nullptr;
    case LabelOperator::kGreaterThan:
    case LabelOperator::kLessThan: {
      if (value == nullptr || values.size() != 1) return false;
      const auto left = parse_integer(*value);
      const auto right = parse_integer(values.front());
      if (!left || !right) return false;
      return op == LabelOperator::kGreaterThan ? *left > *right : *left < *right;
    }
  }
  return false;
}

std::string LabelRequirement::text() const {
  switch (op) {
    case LabelOperator::kExists:
      return key;
    case LabelOperator::kDoesNotExist:
      return "!" + key;
    case LabelOperator::kEquals:
      return key + "=" + joined(values, ",");
    case LabelOperator::kDoubleEquals:
      return key + "==" + joined(values, ",");
    case LabelOperator::kNotEquals:
      return key + "!=" + joined(values, ",");
    case LabelOperator::kGreaterThan:
      return key + ">" + joined(values, ",");
    case LabelOperator::kLessThan:
      return key + "<" + joined(values, ",");
    case LabelOperator::kIn:
      return key + " in (" + joined(values, ",") + ")";
    case LabelOperator::kNotIn:
      return key + " notin (" + joined(values, ",") + ")";
  }
  return key;
}

LabelSelector::LabelSelector(std::vector<LabelRequirement> requirements) : requirements_(std::move(requirements)) {
  std::stable_sort(requirements_.begin(), requirements_.end(),
                   [](const auto& left, const auto& right) { return left.key < right.key; });
}

LabelSelector LabelSelector::nothing() {
  LabelSelector selector;
  selector.nothing_ = true;
  return selector;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  ORLOP_ASSIGN(auto requirements, Parser(text).parse());
  return LabelSelector(std::move(requirements));
}

std::string LabelSelector::text() const {
  std::string text;
  for (const auto& requirement : requirements_) {
    if (!text.empty()) text += ',';
    text += requirement.text();
  }
  return text;
}

std::optional<std::string> LabelSelector::index_term() const {
  for (const auto& requirement : requirements_) {
    const bool exact = requirement.op == LabelOperator::kEquals || requirement.op == LabelOperator::kDoubleEquals ||
                       requirement.op == LabelOperator::kIn;
    if (exact && requirement.values.size() == 1)
      return fmt::format("label/{}={}", requirement.key, requirement.values[0]);
  }
  return std::nullopt;
}

}  // namespace orlop::apikube
