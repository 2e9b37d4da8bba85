#include "tests/ptx/Placement.h"

#include "tests/ptx/Lexer.h"
#include "tests/ptx/Words.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace quern::ptx {
namespace {

constexpr u64 kMostLocalBytes = 128 << 10;

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
          functions(function, shared, most, local);
    if (most > u64{227} * 1024)
      throw Refusal{absl::InvalidArgumentError(concat("PTX: ", most, " bytes of shared memory"))};
    if (local > kMostLocalBytes)
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
  // What a function that may be called shares lies before what any entry does.
  void functions(const FunctionSyntax &function, u64 &common, u64 &most, u64 &local) {
    auto &places = made_.functions[function.name];
    u64 shared = common, parameters = 0;
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
    if (!function.entry)
      common = shared;
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

} // namespace

Placement place(const ModuleSyntax &syntax, Memory &memory, Module &module) {
  return Placer(syntax, memory, module).place();
}

} // namespace quern::ptx
