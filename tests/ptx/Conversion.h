// What a cvt asks for, by its suffixes: PTX ISA, section 9.7.9.21.
#ifndef QUERN_TESTS_PTX_CONVERSION_H
#define QUERN_TESTS_PTX_CONVERSION_H

#include "tests/ptx/FormTable.h"
#include "tests/ptx/Words.h"

#include <optional>

namespace quern::ptx {

enum class Whole : u8 { None, Nearest, Zero, Down, Up };

struct Conversion {
  Type to, from;
  Whole whole = Whole::None; ///< .rni and the like
  Round round = Round::Nearest;
  bool flush = false, saturate = false, relu = false, finite = false, away = false;
  bool pair = false; ///< two float32 to a pair of `to`
};

/// Nothing for suffixes that do not go together, as the assembler has it, or whose meaning PTX
/// leaves open. `cvt.pack` is not among them.
std::optional<Conversion> conversion_of(const Parts &parts);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_CONVERSION_H
