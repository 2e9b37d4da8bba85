// Where the variables of a module lie, in all spaces.
#ifndef QUERN_TESTS_PTX_PLACEMENT_H
#define QUERN_TESTS_PTX_PLACEMENT_H

#include "tests/ptx/Memory.h"
#include "tests/ptx/Program.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace quern::ptx {

/// Where the variables of a module lie.
struct Placement {
  struct Place {
    Space space;
    u64 address;
  };
  std::map<std::string, Place, std::less<>> module;
  std::map<std::string, std::vector<Place>, std::less<>>
      functions; ///< as FunctionSyntax::variables
};

/// A number that is a multiple of `to`, at least `value`.
inline u64 align_to(u64 value, u64 to) { return (value + to - 1) / to * to; }

/// Places them: those of global and constant memory in `memory`, with what they begin as; writes
/// sizes into the module and its functions. Refuses by throwing, as Decoder does.
Placement place(const ModuleSyntax &syntax, Memory &memory, Module &module);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_PLACEMENT_H
