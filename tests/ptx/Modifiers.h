// What stands between the opcode and the type of an access to memory.
#ifndef QUERN_TESTS_PTX_MODIFIERS_H
#define QUERN_TESTS_PTX_MODIFIERS_H

#include "tests/ptx/FormTable.h"

#include <string>

namespace quern::ptx {

struct Modifiers {
  Space space = Space::Generic;
  Order order = Order::Weak;
  Scope scope = Scope::None;
  Type type = Type::None;
  int count = 1;
  bool read_only = false;
  bool cache_hint = false;
  std::string operation;  ///< of atom and red
  bool flush_off = false; ///< .noftz
};

/// Reads the parts of ld, st, atom or red; refuses what it does not know.
Modifiers modifiers_of(Decoder &decoder, const Statement &statement, const Parts &parts,
                       std::string_view opcode);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_MODIFIERS_H
