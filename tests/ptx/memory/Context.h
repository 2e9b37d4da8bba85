// One instruction of a warp, as Races sees it.
#ifndef QUERN_TESTS_PTX_MEMORY_CONTEXT_H
#define QUERN_TESTS_PTX_MEMORY_CONTEXT_H

#include "tests/ptx/memory/Races.h"

namespace quern::ptx::memory {

struct Races::Context {
  BlockTime &block;
  WarpTime &warp;
  int index; ///< of the warp
  bool shared;
  Access access;
  uint32_t pc;
  bool copy;      ///< by cp.async
  uint64_t floor; ///< stamps below are past
  Readers &readers;
  uint64_t stamp; ///< without lane and bytes
  Watched *memory;
};

} // namespace quern::ptx::memory

#endif // QUERN_TESTS_PTX_MEMORY_CONTEXT_H
