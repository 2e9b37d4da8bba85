#include "tests/ptx/Decode.h"

#include "tests/ptx/FormsControl.h"
#include "tests/ptx/Lexer.h"
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

u64 align_to(u64 value, u64 to) { return (value + to - 1) / to * to; }

} // namespace

Decoder::Decoder(const ModuleSyntax &module, const FunctionSyntax &syntax,
                 const Placement &placement, Function &function)
    : module_(module), syntax_(syntax), placement_(placement), function_(function) {
  for (Type type : syntax.registers) {
    virtuals_.push_back({array_bytes(bytes_of(type)), true, bytes_of(type)});
    types_.push_back(type);
  }
}

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

// Names of the module and special registers give way to numbers and to registers.
Operand Decoder::resolved(const Operand &operand) {
  Operand made = operand;
  for (Operand &part : made.parts)
    part = resolved(part);
  if (operand.kind == Operand::Kind::Variable) {
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
    if (types_[statement.guard.index] != Type::Pred)
      refuse(concat("guard ", statement.guard.text, " is no predicate"));
    touch(kGuardSlot, statement.guard.index, true, false);
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

void Decoder::finish() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    Instr &instr = function_.code[i];
    for (u32 &target : steps_[i].targets)
      target = first_instr_[target];
    if (!steps_[i].targets.empty()) {
      instr.target = steps_[i].targets[0];
      if (steps_[i].targets.size() > 1)
        instr.aux = &function_.tables.emplace_back(steps_[i].targets);
      if (instr.guard != kAllOnes)
        steps_[i].next = true;
    } else if (instr.guard != kAllOnes) {
      steps_[i].next = true;
    }
  }
  const std::vector<u32> meets = post_dominators(steps_);
  for (size_t i = 0; i < steps_.size(); ++i)
    function_.code[i].reconvergence = meets[i];
  allocate();
}

// A linear scan over lives, first come first served; places of one size go back to a heap of that
// size.
void Decoder::allocate() {
  const std::vector<Interval> live = lives(steps_, touches_, static_cast<u32>(virtuals_.size()));
  std::vector<u32> order;
  for (u32 n = 0; n < virtuals_.size(); ++n)
    if (live[n].used())
      order.push_back(n);
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) {
    return std::pair(live[a].first, a) < std::pair(live[b].first, b);
  });
  std::map<int, std::vector<u32>> vacant; // by width
  std::set<std::pair<u32, u32>> active; // last, register
  std::vector<u32> place(virtuals_.size(), 0);
  u32 top = static_cast<u32>(function_.constants.size());
  u32 words = 0, most_words = 0;
  const auto words_of = [&](u32 reg) {
    return virtuals_[reg].bytes == 256 ? 2u : virtuals_[reg].bytes == 64 ? 0u : 1u;
  };
  for (u32 reg : order) {
    while (!active.empty() && active.begin()->first < live[reg].first) {
      const u32 gone = active.begin()->second;
      vacant[virtuals_[gone].width].push_back(place[gone]);
      words -= words_of(gone);
      active.erase(active.begin());
    }
    auto &places = vacant[virtuals_[reg].width];
    if (virtuals_[reg].shared && !places.empty()) {
      place[reg] = places.back();
      places.pop_back();
    } else {
      place[reg] = top;
      top += virtuals_[reg].bytes;
    }
    if (virtuals_[reg].shared) {
      active.insert({live[reg].last, reg});
      words += words_of(reg);
      most_words = std::max(most_words, words);
    }
  }
  for (const Touch &made : touches_) {
    Instr &instr = function_.code[made.instr];
    if (made.slot < std::size(instr.o))
      instr.o[made.slot] = place[made.reg];
    else if (made.slot == kGuardSlot)
      instr.guard = place[made.reg];
  }
  for (Call &made : function_.calls)
    for (auto *list : {&made.arguments, &made.results})
      for (Call::Passed &one : *list)
        one.offset = place[one.offset];
  if (!syntax_.entry) {
    const auto formals = [&](const std::vector<u32> &variables, std::vector<Formal> &into) {
      for (u32 variable : variables) {
        const auto at = areas_.find(variable);
        const u32 offset = at != areas_.end() ? place[at->second] : top;
        const u32 bytes = static_cast<u32>(syntax_.variables[variable].bytes);
        if (at == areas_.end() || !live[at->second].used()) {
          into.push_back({syntax_.variables[variable].name, top, bytes});
          top += static_cast<u32>(align_to(u64{bytes} * kLanes, 64));
        } else {
          into.push_back({syntax_.variables[variable].name, offset, bytes});
        }
      }
    };
    formals(syntax_.parameters, function_.parameters);
    formals(syntax_.returns, function_.results);
  }
  function_.frame_bytes = static_cast<u32>(align_to(top, 64));
  function_.registers = most_words;
}

namespace {

u64 layout(u64 &top, const Variable &variable) {
  top = align_to(top, variable.align);
  const u64 at = top;
  top += variable.bytes;
  return at;
}

// Where the variables of all spaces lie. Static shared memory of an entry begins behind what the
// module shares among all functions; memory that the launch adds begins at one place for all of
// them.
class Placer {
public:
  Placer(const ModuleSyntax &syntax, Memory &memory, Module &module)
      : syntax_(syntax), memory_(memory), module_(module) {}

  Placement place() {
    u64 shared = 0;
    for (const Variable &variable : syntax_.variables)
      if (variable.space != Space::Shared)
        global(variable);
      else if (!variable.is_extern || variable.bytes != 0)
        made_.module[variable.name] = {Space::Shared, layout(shared, variable)};
    u64 most = shared, local = 0;
    for (bool entries : {false, true})
      for (const FunctionSyntax &function : syntax_.functions)
        if (function.entry == entries)
          functions(function, entries ? shared : shared, most, local);
    if (most > u64{227} * 1024)
      throw Refusal{absl::InvalidArgumentError(concat("PTX: ", most, " bytes of shared memory"))};
    if (local > u64{512} * 1024)
      throw Refusal{
          absl::InvalidArgumentError(concat("PTX: ", local, " bytes of local memory a thread"))};
    most = align_to(most, 1024);
    for (const Variable &variable : syntax_.variables)
      if (variable.space == Space::Shared && variable.is_extern && variable.bytes == 0)
        made_.module[variable.name] = {Space::Shared, most};
    module_.shared_bytes = static_cast<u32>(most);
    module_.local_bytes = static_cast<u32>(align_to(local, 16));
    for (const Variable &variable : syntax_.variables)
      if (variable.space != Space::Shared)
        initialize(variable);
    return std::move(made_);
  }

private:
  void global(const Variable &variable) {
    if (variable.is_extern)
      throw Refusal{
          error_at(variable.line,
                   concat(variable.name, " is declared extern, and no other module is there"))};
    const u64 address = memory_.allocate(std::max<u64>(variable.bytes, 1), variable.name);
    if (address == 0)
      throw Refusal{absl::ResourceExhaustedError(concat("PTX: no memory for ", variable.name))};
    made_.module[variable.name] = {variable.space, address};
    module_.globals[variable.name] = {address, variable.bytes};
  }
  void functions(const FunctionSyntax &function, u64 begin, u64 &most, u64 &local) {
    auto &places = made_.functions[function.name];
    u64 shared = begin, parameters = 0;
    for (const Variable &variable : function.variables) {
      u64 at = 0;
      if (variable.space == Space::Shared) {
        at = layout(shared, variable);
      } else if (variable.space == Space::Local) {
        local = align_to(local, 16);
        at = layout(local, variable);
      } else if (variable.space == Space::Param && function.entry &&
                 places.size() < function.parameters.size()) {
        at = layout(parameters, variable);
      } else if (variable.space != Space::Param) {
        throw Refusal{error_at(variable.line,
                               concat(variable.name, ": this space in a function is not known"))};
      }
      places.push_back({variable.space, at});
    }
    most = std::max(most, shared);
    if (auto made = module_.functions.find(function.name);
        made != module_.functions.end() && function.entry) {
      made->second->parameter_bytes = static_cast<u32>(parameters);
      made->second->static_shared = static_cast<u32>(shared);
    }
  }
  void initialize(const Variable &variable) {
    const u64 address = made_.module[variable.name].address;
    std::vector<u8> bytes(std::max<u64>(variable.bytes, 1), 0);
    const size_t element = static_cast<size_t>(std::max(1, bytes_of(variable.type)));
    size_t at = 0;
    for (const Initial &initial : variable.initial) {
      u64 bits = initial.bits;
      if (!initial.symbol.empty()) {
        const auto other = made_.module.find(initial.symbol);
        if (other == made_.module.end())
          throw Refusal{error_at(
              variable.line, concat("the address of ", initial.symbol, ", which is no variable"))};
        bits += other->second.address;
      }
      std::memcpy(bytes.data() + at, &bits, std::min<size_t>(element, 8));
      at += element;
    }
    memory_.write(address, bytes.data(), bytes.size());
    if (variable.space == Space::Const)
      memory_.make_constant(address, bytes.size());
  }

  const ModuleSyntax &syntax_;
  Memory &memory_;
  Module &module_;
  Placement made_;
};

// Calls find their functions; arguments have to fit, and no function may come to call itself, as
// local memory and frames are laid out once.
void link(Module &module) {
  for (auto &[name, function] : module.functions)
    for (Call &call : function->calls) {
      const auto callee = module.functions.find(call.name);
      if (callee == module.functions.end())
        throw Refusal{absl::InvalidArgumentError(
            concat("PTX: ", name, " calls ", call.name, ", which is not defined"))};
      call.callee = callee->second.get();
      const auto fits = [](const std::vector<Call::Passed> &passed,
                           const std::vector<Formal> &formals) {
        bool same = passed.size() == formals.size();
        for (size_t n = 0; same && n < passed.size(); ++n)
          same = passed[n].bytes == formals[n].bytes;
        return same;
      };
      if (call.callee->entry || !fits(call.arguments, call.callee->parameters) ||
          !fits(call.results, call.callee->results))
        throw Refusal{absl::InvalidArgumentError(
            concat("PTX: ", name, " calls ", call.name, " with other parameters than it has"))};
    }
  std::map<const Function *, int> state; // 1: on the way, 2: done
  std::vector<std::pair<const Function *, size_t>> stack;
  for (auto &[name, function] : module.functions) {
    if (state[function.get()] != 0)
      continue;
    stack.push_back({function.get(), 0});
    state[function.get()] = 1;
    while (!stack.empty()) {
      auto &[at, next] = stack.back();
      if (next == at->calls.size()) {
        state[at] = 2;
        stack.pop_back();
        continue;
      }
      const Function *callee = at->calls[next++].callee;
      if (state[callee] == 1)
        throw Refusal{absl::UnimplementedError(concat("PTX: ", callee->name, " calls itself"))};
      if (state[callee] == 0) {
        state[callee] = 1;
        stack.push_back({callee, 0});
      }
    }
  }
}

} // namespace

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
      for (int d = 0; d < 3; ++d)
        made->required[d] = static_cast<u32>(function.required[d]);
      module->functions[function.name] = std::move(made);
    }
    const Placement placement = Placer(syntax, memory, *module).place();
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
