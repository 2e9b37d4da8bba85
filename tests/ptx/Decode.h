// Syntax to code: forms are looked up, operands become offsets in frames, constants are folded.
#ifndef QUERN_TESTS_PTX_DECODE_H
#define QUERN_TESTS_PTX_DECODE_H

#include "tests/ptx/Flow.h"
#include "tests/ptx/FormTable.h"
#include "tests/ptx/Memory.h"
#include "tests/ptx/Placement.h"
#include "tests/ptx/Program.h"

#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace quern::ptx {

/// Decodes a module; its variables are placed in `memory`. Every form that is not known is an error
/// that names it and its line.
absl::StatusOr<std::unique_ptr<Module>> decode(const ModuleSyntax &syntax, Memory &memory);

/// Of one function, as families see it. What it is asked for and cannot do it refuses by throwing,
/// which decode() makes a status of.
class Decoder {
public:
  Decoder(const ModuleSyntax &module, const FunctionSyntax &syntax, const Placement &placement,
          Function &function);
  void run();

  [[noreturn]] void refuse(std::string_view what) const;

  /// A source of exactly this type's width, or a number, into instr.o[slot].
  void source(Instr &instr, u32 slot, const Operand &operand, Type type);
  void result(Instr &instr, u32 slot, const Operand &operand, Type type);
  /// Also written where only some lanes are, and read before.
  void update(Instr &instr, u32 slot, const Operand &operand, Type type);
  /// Bytes of the register that an operand names; those of `type` for a number or `_`. At least
  /// `type`'s.
  int width(const Operand &operand, Type type) const;
  /// An address: a register and a number, or a number, as 64-bit lanes plus instr.imm. Sets
  /// instr.space from `space` and, for parameters, where they lie.
  void address(Instr &instr, u32 slot, const Operand &operand, Space space);
  /// What a cache policy is given in: it has to be one, and is not read.
  void policy(const Operand &operand);
  /// An operand that has to be a number.
  u64 constant(const Operand &operand) const;
  void operands(const Statement &statement, size_t least, size_t most) const;
  /// Results and sources as the form says.
  void plain(Instr &instr, const Form &form, const Statement &statement);
  void step(Step step) { pending_step_ = std::move(step); }
  /// Where a label stands, as an instruction; known after run() only, so it is filled in then.
  void jump(const Operand &label, std::vector<u32> &targets);
  const std::vector<std::string> &branch_table(const std::string &label) const;
  Call &call() { return function_.calls.emplace_back(); }
  /// A variable of the function in its parameters' space, for a call.
  Call::Passed passed(const Operand &operand, Call &call, bool result);
  Function &function() { return function_; }
  /// A copy that lives as long as the code.
  template <class T> const void *keep(const T &value) {
    function_.kept.push_back(std::make_shared<T>(value));
    return function_.kept.back().get();
  }
  const FunctionSyntax &syntax() const { return syntax_; }
  const ModuleSyntax &module() const { return module_; }
  int scope() const { return statement_->scope; }
  /// Another instruction before the one that is being decoded.
  void emit(Instr instr);
  Operand temporary(Type type);

private:
  void statement(const Statement &statement);
  Operand resolved(const Operand &operand);
  u32 constant_at(u64 bits, int bytes);
  void touch(u32 slot, u32 reg, bool read, bool write);
  u32 area(u32 variable);
  u32 number(u32 declared);
  std::optional<u32> label_at(const std::string &name, int scope) const;
  void finish();
  void allocate();

  struct Virtual {
    u32 bytes;   ///< of the whole array
    bool shared; ///< may share its place, with those of its width
    /// Bytes of a lane, 0 of predicates. Places of another width lie across other lanes, which may
    /// be elsewhere in the code, where what lies there lives.
    int width = 0;
  };
  const ModuleSyntax &module_;
  const FunctionSyntax &syntax_;
  const Placement &placement_;
  Function &function_;
  const Statement *statement_ = nullptr;
  std::vector<Virtual> virtuals_;
  std::vector<Type> types_;
  std::vector<Touch> touches_, pending_;
  std::vector<Step> steps_;
  Step pending_step_;
  std::vector<u32> first_instr_; ///< of each statement
  std::map<std::pair<u64, int>, u32> constants_;
  std::map<u32, u32> areas_;
  std::unordered_map<u32, u32> numbers_; ///< of registers that are used
};

constexpr u32 kGuardSlot = 100;

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_DECODE_H
