// Calls of a module and the functions that they name.
#ifndef QUERN_TESTS_PTX_LINK_H
#define QUERN_TESTS_PTX_LINK_H

#include "tests/ptx/Program.h"

namespace quern::ptx {

/// Calls find their functions; arguments have to fit, and no function may come to call itself, as
/// local memory and frames are laid out once. Refuses by throwing, as Decoder does.
void link(Module &module);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_LINK_H
