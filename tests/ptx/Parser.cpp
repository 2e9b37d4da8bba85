#include "tests/ptx/Parser.h"

#include "tests/ptx/Parsing.h"
#include "tests/ptx/Words.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <bit>
#include <set>
#include <string>
#include <utility>

namespace quern::ptx {
namespace {

// Limits that no generated module comes near, so that hostile text stays small in memory.
constexpr u64 kMostBytes = u64{1} << 24; // of all variables together
constexpr u64 kMostParameterBytes = 32764;

} // namespace

void Parser::version() {
  // 9.0 was read as a decimal number.
  const double number = token_.kind == Token::Kind::Double ? std::bit_cast<double>(token_.bits) : 0;
  if (!(number >= 6 && number < 10))
    refuse("a .version other than 6.0 to 9.9");
  module_.version = static_cast<int>(number * 10 + 0.5);
  advance();
}

void Parser::target() {
  do {
    const std::string name = word("a target");
    if (name.starts_with("sm_")) {
      std::string digits = name.substr(3);
      module_.arch_specific = digits.ends_with('a') || digits.ends_with('f');
      if (module_.arch_specific)
        digits.pop_back();
      if (!absl::SimpleAtoi(digits, &module_.target) || module_.target < 50 || module_.target > 200)
        refuse(concat("unknown target ", name));
    } else if (name != "debug" && name != "texmode_independent") {
      refuse(concat("unknown target ", name));
    }
  } while (take(","));
}

void Parser::skip_debug_section() {
  word("a section's name");
  expect("{");
  while (!take("}")) {
    if (token_.kind == Token::Kind::End)
      unexpected("}");
    advance();
  }
}

// Types and sizes of a variable behind its space: `.align 16 .b8 name[64] = {...}`.
Variable Parser::variable(Space space, bool is_extern) {
  Variable made;
  made.space = space;
  made.line = token_.line;
  made.is_extern = is_extern;
  u64 count = 1, element = 0, align = 0, vector = 1;
  while (token_.kind == Token::Kind::Word && token_.text.starts_with(".")) {
    const std::string text = word("a type");
    if (text == ".align") {
      align = integer("an alignment");
      if (!std::has_single_bit(align) || align > 4096)
        refuse(concat("an alignment of ", align));
    } else if (text == ".ptr" && space == Space::Param) {
      // A pointer's space and what it is aligned to are promises that the interpreter checks as
      // they are used.
      while (at(".global") || at(".shared") || at(".local") || at(".const"))
        advance();
      if (take(".align"))
        integer("an alignment");
      break;
    } else if (text == ".v2" || text == ".v4") {
      vector = static_cast<u64>(text[2] - '0');
    } else if (text == ".attribute") {
      expect("(");
      refuse(concat("unknown attribute ", token_.text));
    } else if (element == 0 && type_of(text.substr(1)) != Type::None) {
      made.type = type_of(text.substr(1));
      element = made.type == Type::Pred ? 1 : static_cast<u64>(bytes_of(made.type));
    } else {
      refuse(concat("unknown part of a declaration ", text));
    }
  }
  if (element == 0)
    unexpected("a type");
  made.name = word("a name");
  bool open = false;
  while (take("[")) {
    if (take("]")) {
      open = true;
      continue;
    }
    const u64 size = integer("a size");
    if (size > kMostBytes || count * size > kMostBytes)
      refuse("variables of more than 16 MiB");
    count *= size;
    expect("]");
  }
  made.align = align != 0 ? align : element * vector;
  made.bytes = open ? 0 : element * vector * count;
  if (space == Space::Param && made.bytes > kMostParameterBytes)
    refuse(concat("a parameter of ", made.bytes, " bytes"));
  bytes_ += made.bytes;
  if (bytes_ > kMostBytes)
    refuse("variables of more than 16 MiB");
  if (take("=")) {
    initializer(made, element);
    if (open)
      made.bytes = element * made.initial.size();
    if (made.initial.size() * element > made.bytes)
      refuse(concat("more values than ", made.name, " has room for"));
  }
  return made;
}

void Parser::initializer(Variable &variable, u64 element) {
  if (at("{")) {
    advance();
    list("}", [&] { initializer(variable, element); });
    return;
  }
  Initial value;
  if (token_.kind == Token::Kind::Single || token_.kind == Token::Kind::Double) {
    value.bits = token_.bits;
    if (token_.kind == Token::Kind::Double && variable.type == Type::F32)
      value.bits = std::bit_cast<u32>(static_cast<float>(std::bit_cast<double>(token_.bits)));
    advance();
  } else if (token_.kind == Token::Kind::Word) {
    value.symbol = word("a name");
    if (value.symbol == "generic" && take("(")) {
      value.generic = true;
      value.symbol = word("a name");
      value.bits = offset();
      expect(")");
    }
    value.bits += offset();
    if (element != 8)
      refuse(concat("an address in ", variable.name, ", whose elements have ", element, " bytes"));
  } else {
    value.bits = integer("a value");
  }
  variable.initial.push_back(std::move(value));
}

void Parser::declare(const std::string &name, Operand::Kind kind, u32 index) {
  if (!scopes_.back().names.emplace(name, std::pair(kind, index)).second)
    refuse(concat(name, " is declared twice"));
}

void Parser::formals(std::vector<u32> &into) {
  expect("(");
  list(")", [&] {
    if (!take(".param"))
      unexpected(".param");
    function_->variables.push_back(variable(Space::Param, false));
    into.push_back(static_cast<u32>(function_->variables.size() - 1));
    declare(function_->variables.back().name, Operand::Kind::Variable, into.back());
  });
}

void Parser::tuning() {
  while (token_.kind == Token::Kind::Word && token_.text.starts_with(".")) {
    const std::string text = word("a directive");
    if (text == ".maxntid" || text == ".reqntid") {
      i64 product = 1;
      int d = 0;
      do {
        const int size = small("a size");
        if (d < 3 && text == ".reqntid")
          function_->required[d] = size;
        product *= size;
        ++d;
      } while (take(",") && d < 3);
      for (; d < 3 && text == ".reqntid"; ++d)
        function_->required[d] = 1;
      function_->max_threads = static_cast<int>(std::min<i64>(product, 1 << 20));
    } else if (text == ".minnctapersm") {
      function_->min_blocks = small("a number");
    } else if (text == ".maxnreg" || text == ".maxnctapersm" || text == ".maxclusterrank") {
      small("a number");
    } else if (text == ".pragma") {
      if (token_.kind != Token::Kind::Text)
        unexpected("a string");
      advance();
      expect(";");
    } else if (text != ".noreturn") {
      refuse(concat("unknown directive of a function ", text));
    }
  }
}

void Parser::function(bool entry) {
  module_.functions.emplace_back();
  function_ = &module_.functions.back();
  function_->entry = entry;
  function_->line = token_.line;
  function_->scopes = {-1};
  scopes_.assign(1, {});
  if (!entry && at("("))
    formals(function_->returns);
  function_->name = word("a function's name");
  if (at("("))
    formals(function_->parameters);
  tuning();
  if (!take(";")) {
    function_->defined = true;
    body();
  }
  // A declaration and its definition are one function.
  for (auto &other : module_.functions) {
    if (&other == function_ || other.name != function_->name)
      continue;
    if (other.defined && function_->defined)
      refuse(concat(function_->name, " is defined twice"));
    if (function_->defined)
      std::swap(other, *function_);
    module_.functions.pop_back();
    break;
  }
  function_ = nullptr;
}

ModuleSyntax Parser::module() {
  if (!take(".version"))
    unexpected(".version");
  version();
  if (!take(".target"))
    unexpected(".target");
  target();
  while (token_.kind != Token::Kind::End) {
    std::string text = word("a directive");
    bool is_extern = false;
    while (text == ".visible" || text == ".weak" || text == ".extern" || text == ".common") {
      is_extern |= text == ".extern";
      text = word("a directive");
    }
    if (text == ".address_size") {
      if (integer("a size") != 64)
        refuse("addresses of other than 64 bits");
    } else if (text == ".entry" || text == ".func") {
      function(text == ".entry");
    } else if (text == ".global" || text == ".const" || text == ".shared") {
      const Space space = text == ".global"  ? Space::Global
                          : text == ".const" ? Space::Const
                                             : Space::Shared;
      do
        module_.variables.push_back(variable(space, is_extern));
      while (take(","));
      expect(";");
    } else if (text == ".file") {
      integer("a number");
      if (token_.kind != Token::Kind::Text)
        unexpected("a file's name");
      advance();
      while (take(","))
        integer("a number");
    } else if (text == ".section") {
      skip_debug_section();
    } else if (text == ".pragma") {
      if (token_.kind != Token::Kind::Text)
        unexpected("a string");
      advance();
      expect(";");
    } else {
      refuse(concat("unknown directive ", text));
    }
  }
  std::set<std::string> names;
  for (const Variable &variable : module_.variables)
    if (!names.insert(variable.name).second)
      throw Refusal{error_at(variable.line, concat(variable.name, " is declared twice"))};
  return std::move(module_);
}

absl::StatusOr<ModuleSyntax> parse(std::string_view text) {
  try {
    return Parser(text).module();
  } catch (const Refusal &refusal) {
    return refusal.status;
  }
}

} // namespace quern::ptx
