#include "tests/ptx/Decode.h"

#include "tests/ptx/FormsControl.h"
#include "tests/ptx/Lexer.h"
#include "tests/ptx/Link.h"
#include "tests/ptx/Placement.h"
#include "tests/ptx/Words.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string>

namespace quern::ptx {
namespace {

// Bytes of an array of 32 lanes.
u32 array_bytes(int bytes) { return bytes == 0 ? 64 : static_cast<u32>(bytes) * kLanes; }

} // namespace

Decoder::Decoder(const ModuleSyntax &module, const FunctionSyntax &syntax,
                 const Placement &placement, Function &function)
    : module_(module), syntax_(syntax), placement_(placement), function_(function) {}

void Decoder::refuse(std::string_view what) const {
  throw Refusal{error_at(statement_ != nullptr ? statement_->line : syntax_.line, what)};
}

void Decoder::touch(u32 slot, u32 reg, bool read, bool write) {
  pending_.push_back({0, slot, reg, read, write});
}

u32 Decoder::constant_at(u64 bits, int bytes) {
  if (bytes < 8 && bytes > 0)
    bits &= (u64{1} << (8 * bytes)) - 1;
  auto [at, fresh] = constants_.try_emplace({bits, bytes}, 0);
  if (fresh) {
    at->second = static_cast<u32>(function_.constants.size());
    function_.constants.resize(at->second + array_bytes(bytes));
    u8 *to = function_.constants.data() + at->second;
    if (bytes == 0)
      std::memset(to, bits != 0 ? 0xff : 0, 4);
    for (int l = 0; bytes != 0 && l < kLanes; ++l)
      std::memcpy(to + l * bytes, &bits, static_cast<size_t>(bytes));
  }
  return at->second;
}

int Decoder::width(const Operand &operand, Type type) const {
  if (operand.kind == Operand::Kind::Register) {
    const int bytes = bytes_of(types_[operand.index]);
    if (bytes < bytes_of(type))
      refuse(concat("register ", operand.text, " of ", statement_->opcode, " is too narrow"));
    return bytes;
  }
  return std::max(2, bytes_of(type));
}

void Decoder::source(Instr &instr, u32 slot, const Operand &operand, Type type) {
  const int bytes = bytes_of(type);
  switch (operand.kind) {
  case Operand::Kind::Register: {
    if (bytes_of(types_[operand.index]) != bytes)
      refuse(concat("register ", operand.text, " of ", statement_->opcode, " has ",
                    8 * bytes_of(types_[operand.index]), " bits, not ", 8 * bytes));
    if (operand.negated) {
      const Operand made = temporary(Type::Pred);
      Instr negation = negated_predicate();
      const std::vector<Touch> kept = std::move(pending_);
      pending_.clear();
      touch(1, operand.index, true, false);
      touch(0, made.index, false, true);
      emit(negation);
      pending_ = kept;
      touch(slot, made.index, true, false);
      return;
    }
    touch(slot, operand.index, true, false);
    return;
  }
  case Operand::Kind::Integer:
    if (type == Type::F32 || type == Type::F64)
      refuse(concat("an integer where ", statement_->opcode, " takes a float"));
    instr.o[slot] = constant_at(operand.bits, bytes);
    return;
  case Operand::Kind::Single:
    if (bytes != 4)
      refuse(concat("a 32-bit float where ", statement_->opcode, " takes ", 8 * bytes, " bits"));
    instr.o[slot] = constant_at(operand.bits, bytes);
    return;
  case Operand::Kind::Double:
    if (type == Type::F32)
      instr.o[slot] = constant_at(
          std::bit_cast<u32>(static_cast<float>(std::bit_cast<double>(operand.bits))), 4);
    else if (bytes == 8)
      instr.o[slot] = constant_at(operand.bits, bytes);
    else
      refuse(concat("a 64-bit float where ", statement_->opcode, " takes ", 8 * bytes, " bits"));
    return;
  case Operand::Kind::Word:
    refuse(concat(statement_->opcode, ": unknown name ", operand.text));
  default:
    refuse(concat(statement_->opcode, ": an operand of a kind that it does not take"));
  }
}

void Decoder::result(Instr &instr, u32 slot, const Operand &operand, Type type) {
  if (operand.kind == Operand::Kind::Sink) {
    instr.o[slot] = kSink;
    return;
  }
  if (operand.kind != Operand::Kind::Register || operand.negated)
    refuse(concat(statement_->opcode, ": a result that is no register",
                  operand.kind == Operand::Kind::Word ? concat(": ", operand.text) : ""));
  if (bytes_of(types_[operand.index]) != bytes_of(type))
    refuse(concat("register ", operand.text, " of ", statement_->opcode, " has ",
                  8 * bytes_of(types_[operand.index]), " bits, not ", 8 * bytes_of(type)));
  touch(slot, operand.index, false, true);
}

void Decoder::update(Instr &instr, u32 slot, const Operand &operand, Type type) {
  result(instr, slot, operand, type);
  if (operand.kind == Operand::Kind::Register)
    pending_.back().read = true;
}

void Decoder::policy(const Operand &operand) {
  Instr unread;
  const size_t before = pending_.size();
  source(unread, 0, operand, Type::B64);
  pending_.resize(before);
}

u64 Decoder::constant(const Operand &operand) const {
  if (operand.kind != Operand::Kind::Integer)
    refuse(concat(statement_->opcode, ": an operand that has to be a number"));
  return operand.bits;
}

void Decoder::operands(const Statement &statement, size_t least, size_t most) const {
  if (statement.operands.size() < least || statement.operands.size() > most)
    refuse(concat(statement.opcode, " with ", statement.operands.size(), " operands"));
}

u32 Decoder::area(u32 variable) {
  auto [at, fresh] = areas_.try_emplace(variable, 0);
  if (fresh) {
    at->second = static_cast<u32>(virtuals_.size());
    virtuals_.push_back(
        {static_cast<u32>(align_to(syntax_.variables[variable].bytes * kLanes, 64)), false});
    types_.push_back(Type::None);
  }
  return at->second;
}

void Decoder::address(Instr &instr, u32 slot, const Operand &operand, Space space) {
  if (operand.kind != Operand::Kind::Address)
    refuse(concat(statement_->opcode, ": an operand that has to be an address"));
  const Operand &base = operand.parts[0];
  instr.space = space;
  instr.imm = static_cast<i64>(operand.bits);
  if (base.kind == Operand::Kind::Register && !base.negated) {
    const int bytes = bytes_of(types_[base.index]);
    if (bytes != 8 && (bytes != 4 || space == Space::Generic || space == Space::Global))
      refuse(concat("address register ", base.text, " of ", statement_->opcode, " has ", 8 * bytes,
                    " bits"));
    instr.narrow = bytes == 4;
    touch(slot, base.index, true, false);
  } else if (base.kind == Operand::Kind::Integer) {
    // The name of an entry's parameter is a place in its own space, and in no other.
    if (space != Space::Param && !base.text.empty())
      for (const u32 formal : syntax_.parameters)
        if (syntax_.variables[formal].name == base.text)
          refuse(concat("parameter ", base.text, " in ", statement_->opcode));
    instr.o[slot] = constant_at(base.bits, 8);
  } else if (base.kind == Operand::Kind::Variable) {
    if (space != Space::Param)
      refuse(concat("parameter ", base.text, " in ", statement_->opcode));
    const Variable &variable = syntax_.variables[base.index];
    instr.area_bytes = static_cast<u32>(variable.bytes);
    touch(slot, area(base.index), true, false);
  } else {
    refuse(concat(statement_->opcode, ": unknown name ", base.text, " in an address"));
  }
}

void Decoder::plain(Instr &instr, const Form &form, const Statement &statement) {
  operands(statement, form.operands.size(), form.operands.size());
  instr.fn = form.handler;
  instr.sub = form.sub;
  for (u32 n = 1; n < form.operands.size(); ++n)
    source(instr, n, statement.operands[n], form.operands[n]);
  result(instr, 0, statement.operands[0], form.operands[0]);
}

Operand Decoder::temporary(Type type) {
  Operand made;
  made.kind = Operand::Kind::Register;
  made.index = static_cast<u32>(virtuals_.size());
  virtuals_.push_back({array_bytes(bytes_of(type)), true, bytes_of(type)});
  types_.push_back(type);
  return made;
}

void Decoder::emit(Instr instr) {
  instr.line = statement_->line;
  const u32 at = static_cast<u32>(function_.code.size());
  for (Touch &made : pending_) {
    made.instr = at;
    // Where the guard does not hold, the old value stays.
    if (made.write && instr.guard != kAllOnes)
      made.read = true;
    touches_.push_back(made);
  }
  pending_.clear();
  function_.code.push_back(instr);
  steps_.push_back(std::move(pending_step_));
  pending_step_ = {};
}

// Only registers that are used get a number here: text may declare any many.
u32 Decoder::number(u32 declared) {
  auto [at, fresh] = numbers_.try_emplace(declared, 0);
  if (fresh) {
    const Type type = syntax_.registers[declared];
    at->second = static_cast<u32>(virtuals_.size());
    virtuals_.push_back({array_bytes(bytes_of(type)), true, bytes_of(type)});
    types_.push_back(type);
  }
  return at->second;
}

// Names of the module and special registers give way to numbers and to registers.
Operand Decoder::resolved(const Operand &operand) {
  Operand made = operand;
  for (Operand &part : made.parts)
    part = resolved(part);
  if (operand.kind == Operand::Kind::Register) {
    made.index = number(operand.index);
  } else if (operand.kind == Operand::Kind::Variable) {
    const Variable &variable = syntax_.variables[operand.index];
    // An entry's own parameters lie in the launch's; those of calls, and of functions, in the
    // frame.
    const auto &formals = syntax_.parameters;
    if (variable.space == Space::Param &&
        (!syntax_.entry ||
         std::find(formals.begin(), formals.end(), operand.index) == formals.end()))
      return made;
    made.kind = Operand::Kind::Integer;
    made.bits += placement_.functions.find(syntax_.name)->second[operand.index].address;
  } else if (operand.kind == Operand::Kind::Word) {
    if (auto at = placement_.module.find(operand.text); at != placement_.module.end()) {
      made.kind = Operand::Kind::Integer;
      made.bits += at->second.address;
    } else if (operand.text.starts_with("%")) {
      Instr instr;
      const Type type = special_register(operand.text, instr);
      if (type == Type::None)
        refuse(concat("unknown register ", operand.text));
      made = temporary(type);
      made.text = operand.text;
      touch(0, made.index, false, true);
      emit(instr);
    }
  }
  return made;
}

void Decoder::jump(const Operand &label, std::vector<u32> &targets) {
  if (label.kind != Operand::Kind::Word)
    refuse(concat(statement_->opcode, ": a label is missing"));
  const auto at = label_at(label.text, statement_->scope);
  if (!at)
    refuse(concat("there is no label ", label.text));
  targets.push_back(*at);
}

std::optional<u32> Decoder::label_at(const std::string &name, int scope) const {
  for (; scope >= 0; scope = syntax_.scopes[static_cast<size_t>(scope)])
    for (const Label &label : syntax_.labels)
      if (label.scope == scope && label.name == name)
        return label.statement;
  return std::nullopt;
}

const std::vector<std::string> &Decoder::branch_table(const std::string &label) const {
  for (const auto &[name, targets] : syntax_.branch_targets)
    if (name == label)
      return targets;
  refuse(concat("there is no .branchtargets ", label));
}

Call::Passed Decoder::passed(const Operand &operand, Call &call, bool result) {
  if (operand.kind != Operand::Kind::Variable ||
      syntax_.variables[operand.index].space != Space::Param)
    refuse("an argument that is no .param variable");
  const u32 reg = area(operand.index);
  touch(kGuardSlot + 1, reg, !result, result);
  auto &list = result ? call.results : call.arguments;
  list.push_back({reg, static_cast<u32>(syntax_.variables[operand.index].bytes)});
  return list.back();
}

void Decoder::statement(const Statement &statement) {
  statement_ = &statement;
  first_instr_.push_back(static_cast<u32>(function_.code.size()));
  Statement made;
  made.line = statement.line;
  made.scope = statement.scope;
  made.opcode = statement.opcode;
  for (const Operand &operand : statement.operands)
    made.operands.push_back(resolved(operand));
  Instr instr;
  instr.name = function_.names.emplace_back(statement.opcode).c_str();
  if (statement.guarded) {
    const u32 guard = number(statement.guard.index);
    if (types_[guard] != Type::Pred)
      refuse(concat("guard ", statement.guard.text, " is no predicate"));
    touch(kGuardSlot, guard, true, false);
    instr.guard = kAllOnes + 1; // filled in by allocate()
    instr.flip = statement.guard.negated ? ~0u : 0;
  }
  const Form *form = form_table().form(statement.opcode);
  const Parts parts = split(statement.opcode, '.');
  const Family family = form_table().family(parts[0]);
  bool fits = form != nullptr && form->operands.size() == made.operands.size();
  if (fits && family != nullptr)
    // A family takes what its plain form does not: registers wider than the type, vectors.
    for (size_t n = 0; n < made.operands.size(); ++n) {
      const Operand &operand = made.operands[n];
      fits &= operand.kind != Operand::Kind::Register ||
              bytes_of(types_[operand.index]) == bytes_of(form->operands[n]);
      fits &= operand.kind != Operand::Kind::Vector && operand.kind != Operand::Kind::Pair;
    }
  if (form != nullptr && (fits || family == nullptr))
    plain(instr, *form, made);
  else if (family != nullptr)
    family(*this, made, parts, instr);
  else
    refuse(concat("unknown opcode ", statement.opcode));
  emit(instr);
}

void Decoder::run() {
  function_.constants.assign(kFirstConstant, 0);
  std::memset(function_.constants.data() + kAllOnes, 0xff, 4);
  for (const Statement &made : syntax_.body)
    statement(made);
  first_instr_.push_back(static_cast<u32>(function_.code.size()));
  Statement end;
  end.line = syntax_.body.empty() ? syntax_.line : syntax_.body.back().line;
  end.opcode = "ret";
  statement_ = &end;
  Instr instr;
  instr.name = "ret";
  form_table().family("ret")(*this, end, {"ret"}, instr);
  emit(instr);
  finish();
}

absl::StatusOr<std::unique_ptr<Module>> decode(const ModuleSyntax &syntax, Memory &memory) {
  auto module = std::make_unique<Module>();
  module->target = syntax.target;
  module->arch_specific = syntax.arch_specific;
  module->version = syntax.version;
  try {
    for (const FunctionSyntax &function : syntax.functions) {
      if (!function.defined)
        continue;
      auto made = std::make_unique<Function>();
      made->name = function.name;
      made->entry = function.entry;
      made->max_threads = function.max_threads != 0 ? static_cast<u32>(function.max_threads) : 1024;
      made->min_blocks = static_cast<u32>(function.min_blocks);
      for (int d = 0; d < 3; ++d)
        made->required[d] = static_cast<u32>(function.required[d]);
      module->functions[function.name] = std::move(made);
    }
    const Placement placement = place(syntax, memory, *module);
    for (const FunctionSyntax &function : syntax.functions) {
      if (!function.defined)
        continue;
      Function &into = *module->functions.find(function.name)->second;
      Decoder(syntax, function, placement, into).run();
      if (function.entry)
        for (u32 variable : function.parameters)
          into.parameters.push_back(
              {function.variables[variable].name,
               static_cast<u32>(placement.functions.at(function.name)[variable].address),
               static_cast<u32>(function.variables[variable].bytes)});
    }
    link(*module);
  } catch (const Refusal &refusal) {
    for (const auto &[name, placed] : module->globals)
      memory.free(placed.address);
    return refusal.status;
  }
  return module;
}

} // namespace quern::ptx
