#include "tests/ptx/Parser.h"

#include "tests/ptx/Lexer.h"
#include "tests/ptx/Words.h"

#include <absl/strings/numbers.h>

#include <bit>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace quern::ptx {
namespace {

// Limits that no generated module comes near, so that hostile text stays small in memory.
constexpr u64 kMostRegisters = 1 << 20;
constexpr u64 kMostBytes = u64{1} << 24; // of all variables together
constexpr u64 kMostParameterBytes = 32764;
constexpr int kMostNesting = 64;

class Parser {
public:
  explicit Parser(std::string_view text) : lexer_(text) { advance(); }

  ModuleSyntax module();

private:
  [[noreturn]] void refuse(std::string_view what) { throw Refusal{error_at(token_.line, what)}; }
  [[noreturn]] void unexpected(std::string_view wanted) {
    refuse(concat("expected ", wanted, ", found ",
                  token_.kind == Token::Kind::End ? "the end" : token_.text));
  }
  void advance() {
    if (absl::Status status = lexer_.next(token_); !status.ok())
      throw Refusal{status};
  }
  bool at(std::string_view mark) const { return token_.is(mark); }
  bool take(std::string_view mark) {
    if (!at(mark))
      return false;
    advance();
    return true;
  }
  void expect(std::string_view mark) {
    if (!take(mark))
      unexpected(mark);
  }
  std::string word(std::string_view what) {
    if (token_.kind != Token::Kind::Word)
      unexpected(what);
    std::string text(token_.text);
    advance();
    return text;
  }
  u64 integer(std::string_view what) {
    const bool minus = take("-");
    if (token_.kind != Token::Kind::Integer)
      unexpected(what);
    const u64 bits = token_.bits;
    advance();
    return minus ? 0 - bits : bits;
  }
  int small(std::string_view what) {
    const u64 value = integer(what);
    if (value > 1 << 20)
      refuse(concat(what, " of ", value));
    return static_cast<int>(value);
  }

  void version();
  void target();
  void skip_debug_section();
  void skip_to_semicolon();
  Variable variable(Space space, bool is_extern);
  void initializer(Variable &variable, u64 element);
  void function(bool entry);
  void formals(std::vector<u32> &into);
  void tuning();
  void body();
  void block();
  void registers();
  void statement(std::string opcode);
  void declare(const std::string &name, Operand::Kind kind, u32 index);
  Operand operand();
  Operand plain();
  Operand named(std::string text);
  u64 offset();
  template <class Each> void list(std::string_view end, Each each) {
    while (!take(end)) {
      each();
      if (!at(end))
        expect(",");
    }
  }

  /// `%r<10>`: registers by number.
  struct Range {
    u32 first, count; ///< in FunctionSyntax::registers
  };
  struct Scope {
    std::map<std::string, std::pair<Operand::Kind, u32>, std::less<>> names;
    std::map<std::string, Range, std::less<>> ranges;
    int number = 0;
  };
  Lexer lexer_;
  Token token_;
  ModuleSyntax module_;
  FunctionSyntax *function_ = nullptr;
  std::vector<Scope> scopes_;
  bool guarded_ = false;
  Operand guard_;
  u64 bytes_ = 0;     ///< of variables so far
  u64 registers_ = 0; ///< of all functions so far
};

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
    } else if (text == ".minnctapersm" || text == ".maxnreg" || text == ".maxnctapersm" ||
               text == ".maxclusterrank") {
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

void Parser::body() {
  expect("{");
  block();
}

// Statements up to a closing brace. Registers, variables and labels are known in their block alone.
void Parser::block() {
  if (scopes_.size() > kMostNesting)
    refuse("blocks nested more than 64 deep");
  while (!take("}")) {
    if (token_.kind == Token::Kind::End)
      unexpected("}");
    if (take(";"))
      continue;
    if (take("{")) {
      const int parent = scopes_.back().number;
      scopes_.emplace_back();
      scopes_.back().number = static_cast<int>(function_->scopes.size());
      function_->scopes.push_back(parent);
      block();
      scopes_.pop_back();
      continue;
    }
    if (take("@")) {
      guarded_ = true;
      guard_ = {};
      const bool negated = take("!");
      guard_ = named(word("a predicate"));
      guard_.negated = negated;
      if (guard_.kind != Operand::Kind::Register)
        refuse("a guard that is no register");
    }
    const int line = token_.line;
    std::string text = word("a statement");
    if (!guarded_ && text[0] != '.' && take(":")) {
      for (const Label &label : function_->labels)
        if (label.name == text && label.scope == scopes_.back().number)
          refuse(concat("label ", text, " is there twice"));
      function_->labels.push_back(
          {text, scopes_.back().number, static_cast<u32>(function_->body.size())});
      if (at(".branchtargets")) {
        advance();
        std::vector<std::string> targets;
        do
          targets.push_back(word("a label"));
        while (take(","));
        expect(";");
        function_->branch_targets.emplace_back(text, std::move(targets));
      }
      continue;
    }
    if (text[0] != '.') {
      function_->body.emplace_back();
      function_->body.back().line = line;
      statement(std::move(text));
    } else if (text == ".reg") {
      registers();
    } else if (text == ".shared" || text == ".local" || text == ".param" || text == ".const" ||
               text == ".global") {
      const Space space = text == ".shared"  ? Space::Shared
                          : text == ".local" ? Space::Local
                          : text == ".param" ? Space::Param
                          : text == ".const" ? Space::Const
                                             : Space::Global;
      do {
        function_->variables.push_back(variable(space, false));
        declare(function_->variables.back().name, Operand::Kind::Variable,
                static_cast<u32>(function_->variables.size() - 1));
      } while (take(","));
      expect(";");
    } else if (text == ".loc") {
      // .loc FILE LINE COLUMN [, function_name LABEL [+ n], inlined_at FILE LINE COLUMN]
      while (token_.kind == Token::Kind::Integer || at(",") || at("function_name") ||
             at("inlined_at") || at("+") ||
             (token_.kind == Token::Kind::Word && token_.text.starts_with("$L__info_string")))
        advance();
    } else if (text == ".pragma") {
      if (token_.kind != Token::Kind::Text)
        unexpected("a string");
      advance();
      expect(";");
    } else {
      refuse(concat("unknown directive ", text));
    }
  }
}

// `.reg .b32 %r<10>;` declares %r0 to %r9.
void Parser::registers() {
  const std::string text = word("a type");
  const Type type = text.starts_with(".") ? type_of(std::string_view(text).substr(1)) : Type::None;
  if (type == Type::None || type == Type::B8 || type == Type::U8 || type == Type::S8)
    refuse(concat("registers of unknown type ", text));
  do {
    const std::string name = word("a register's name");
    u64 count = 1;
    const bool numbered = take("<");
    if (numbered) {
      count = integer("a number of registers");
      expect(">");
    }
    registers_ += std::min(count, kMostRegisters + 1);
    if (registers_ > kMostRegisters)
      refuse("more than a million registers");
    const u32 first = static_cast<u32>(function_->registers.size());
    if (!numbered)
      declare(name, Operand::Kind::Register, first);
    else if (!scopes_.back().ranges.emplace(name, Range{first, static_cast<u32>(count)}).second)
      refuse(concat(name, "<", count, "> is declared twice"));
    function_->registers.resize(first + count, type);
  } while (take(","));
  expect(";");
}

void Parser::statement(std::string opcode) {
  Statement &made = function_->body.back();
  made.scope = scopes_.back().number;
  made.opcode = std::move(opcode);
  made.guarded = guarded_;
  made.guard = guard_;
  guarded_ = false;
  while (!take(";")) {
    Operand parsed = operand();
    made.operands.push_back(std::move(parsed));
    if (made.operands.size() > 32)
      refuse("more than 32 operands");
    if (!at(";"))
      expect(",");
  }
}

// `+4` and `-4` behind a name, as bits of a sum.
u64 Parser::offset() {
  u64 sum = 0;
  while (at("+") || at("-")) {
    const bool minus = at("-");
    advance();
    const u64 value = integer("an offset");
    sum += minus ? 0 - value : value;
  }
  return sum;
}

Operand Parser::named(std::string text) {
  Operand made;
  if (text == "_")
    return made;
  // %r12 as a name and a number, in case it is one of many.
  const size_t digits = text.find_last_not_of("0123456789") + 1;
  u32 number = 0;
  const bool numbered = digits < text.size() &&
                        (text[digits] != '0' || digits + 1 == text.size()) &&
                        absl::SimpleAtoi(text.substr(digits), &number);
  for (size_t s = scopes_.size(); s-- > 0;) {
    if (auto range = scopes_[s].ranges.find(std::string_view(text).substr(0, digits));
        numbered && range != scopes_[s].ranges.end() && number < range->second.count) {
      made.kind = Operand::Kind::Register;
      made.index = range->second.first + number;
      made.text = std::move(text);
      return made;
    }
    if (auto known = scopes_[s].names.find(text); known != scopes_[s].names.end()) {
      made.kind = known->second.first;
      made.index = known->second.second;
      made.text = std::move(text);
      return made;
    }
  }
  if (text == "WARP_SZ") {
    made.kind = Operand::Kind::Integer;
    made.bits = 32;
    return made;
  }
  made.kind = Operand::Kind::Word;
  made.text = std::move(text);
  return made;
}

// A register, a name or a number.
Operand Parser::plain() {
  Operand made;
  if (token_.kind == Token::Kind::Word)
    return named(word("a name"));
  const bool minus = take("-");
  if (token_.kind == Token::Kind::Integer)
    made.kind = Operand::Kind::Integer;
  else if (token_.kind == Token::Kind::Single)
    made.kind = Operand::Kind::Single;
  else if (token_.kind == Token::Kind::Double)
    made.kind = Operand::Kind::Double;
  else
    unexpected("an operand");
  made.bits = token_.bits;
  if (minus)
    made.bits = made.kind == Operand::Kind::Integer  ? 0 - made.bits
                : made.kind == Operand::Kind::Single ? made.bits ^ 0x80000000u
                                                     : made.bits ^ (u64{1} << 63);
  advance();
  return made;
}

Operand Parser::operand() {
  Operand made;
  if (take("!")) {
    made = named(word("a predicate"));
    made.negated = true;
    return made;
  }
  if (take("[")) {
    made.kind = Operand::Kind::Address;
    made.parts.push_back(plain());
    made.bits = offset();
    if (!take("]"))
      refuse("an address that is not a register or a name and a number");
    return made;
  }
  if (at("{") || at("(")) {
    made.kind = at("{") ? Operand::Kind::Vector : Operand::Kind::List;
    const std::string_view end = at("{") ? "}" : ")";
    advance();
    list(end, [&] {
      made.parts.push_back(plain());
      if (made.parts.size() > 256)
        refuse("more than 256 parts");
    });
    return made;
  }
  made = plain();
  if (made.kind == Operand::Kind::Variable || made.kind == Operand::Kind::Word)
    made.bits = offset();
  if (take("|")) {
    Operand pair;
    pair.kind = Operand::Kind::Pair;
    pair.parts.push_back(std::move(made));
    pair.parts.push_back(plain());
    return pair;
  }
  return made;
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

} // namespace

absl::StatusOr<ModuleSyntax> parse(std::string_view text) {
  try {
    return Parser(text).module();
  } catch (const Refusal &refusal) {
    return refusal.status;
  }
}

} // namespace quern::ptx
