// What stands between a function's braces: registers, labels, instructions and their operands.
#include "tests/ptx/Parsing.h"
#include "tests/ptx/Words.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <string>
#include <utility>

namespace quern::ptx {
namespace {

// Limits that no generated module comes near, so that hostile text stays small in memory.
constexpr u64 kMostRegisters = 1 << 20;
constexpr int kMostNesting = 64;

} // namespace

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
      refuse(concat(function_->body.back().opcode,
                    ": an address that is not a register or a name and a number"));
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

} // namespace quern::ptx
