// Forms of control flow, barriers and special registers.
#ifndef QUERN_TESTS_PTX_FORMSCONTROL_H
#define QUERN_TESTS_PTX_FORMSCONTROL_H

#include "tests/ptx/FormTable.h"

#include <string_view>

namespace quern::ptx {

/// An instruction that reads a special register into o[0], and the register's type; None if PTX or
/// the interpreter has no such register.
Type special_register(std::string_view name, Instr &instr);
/// o[0] = !o[1].
Instr negated_predicate();

void add_control_forms(FormTable &table);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_FORMSCONTROL_H
