// PTX as it is written: what the parser makes of a module's text, names of registers resolved.
//
// PTX ISA, chapters 4 (syntax), 5 (state spaces, types, variables) and 11 (directives).
#ifndef QUERN_TESTS_PTX_SYNTAX_H
#define QUERN_TESTS_PTX_SYNTAX_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::ptx {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

/// Fundamental and packed types, as suffixes of opcodes and of declarations.
enum class Type : u8 {
  None,
  Pred,
  B8,
  U8,
  S8,
  B16,
  U16,
  S16,
  F16,
  BF16,
  B32,
  U32,
  S32,
  F32,
  TF32,
  F16x2,
  BF16x2,
  B64,
  U64,
  S64,
  F64,
  B128
};

/// The type that a suffix without its dot names; None if it names none.
Type type_of(std::string_view suffix);
/// Bytes of a value; 0 of a predicate and of None.
int bytes_of(Type type);
bool is_float(Type type);
bool is_signed(Type type);

enum class Space : u8 { Generic, Global, Shared, Local, Const, Param };

/// A part of an initializer: a number, or the address of a variable (`symbol` not empty).
struct Initial {
  u64 bits = 0;
  std::string symbol;
  bool generic = false;
};

/// A variable of any space, a formal parameter too.
struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::B8;
  u64 align = 1;
  u64 bytes = 0; ///< 0: an extern array, of the size that the launch gives
  bool is_extern = false;
  std::vector<Initial> initial;
  int line = 0;
};

struct Operand {
  enum class Kind : u8 {
    Register, ///< `index`, in Function::registers
    Variable, ///< `index`, in Function::variables, plus `bits`
    Word, ///< `text`: a label, a special register, a function or a variable of the module; `bits`
          ///< is added
    Integer, ///< `bits`
    Single,  ///< `bits` of a float32: 0f3F800000
    Double,  ///< `bits` of a float64: 0d..., or written as a decimal number
    Address, ///< parts[0] plus `bits`
    Vector,  ///< {a, b, ...}: `parts`
    Pair,    ///< a|b: `parts`
    List,    ///< (a, b, ...): `parts`, of a call
    Sink     ///< _
  };
  Kind kind = Kind::Sink;
  bool negated = false; ///< !%p
  u32 index = 0;
  u64 bits = 0;
  std::string text;
  std::vector<Operand> parts;
};

struct Statement {
  int line = 0;
  int scope = 0;
  bool guarded = false;
  Operand guard; ///< a register, perhaps negated
  std::string opcode;
  std::vector<Operand> operands;
};

struct Label {
  std::string name;
  int scope = 0;
  u32 statement = 0; ///< the one that follows
};

struct FunctionSyntax {
  std::string name;
  int line = 0;
  bool entry = false;
  bool defined = false;
  std::vector<u32> returns, parameters; ///< of `variables`
  std::vector<Type> registers;
  std::vector<Variable> variables; ///< of its own: parameters, local, shared
  std::vector<Statement> body;
  std::vector<Label> labels;
  std::vector<int> scopes; ///< a scope's parent; -1 of the first
  int max_threads = 0;     ///< .maxntid or .reqntid, as a product; 0: not given
  int required[3] = {0, 0, 0};
  int min_blocks = 0; ///< .minnctapersm; 0: not given
  std::vector<std::pair<std::string, std::vector<std::string>>> branch_targets;
};

struct ModuleSyntax {
  int version = 0; ///< 80 for 8.0
  int target = 0;  ///< 90 for sm_90a
  bool arch_specific = false;
  std::vector<Variable> variables;
  std::vector<FunctionSyntax> functions;
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_SYNTAX_H
