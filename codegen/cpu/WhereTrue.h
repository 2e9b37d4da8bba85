// Code of quern.where_true.
#ifndef QUERN_CODEGEN_CPU_WHERETRUE_H
#define QUERN_CODEGEN_CPU_WHERETRUE_H

#include "codegen/cpu/Elements.h"

namespace quern::cpu {

/// Writes the positions to `memory`, and their number to QuernStepArgs::dims where it is a counted
/// size. One worker does: each element's place hangs on those before it.
void writeWhereTrue(Kernel &kernel, Elements &elements, WhereTrueOp op, Value memory);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_WHERETRUE_H
