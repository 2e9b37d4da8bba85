// What the files of a level give to its table.
#ifndef QUERN_TESTS_PTX_LEVELFORMS_H
#define QUERN_TESTS_PTX_LEVELFORMS_H

#include "tests/ptx/FormTable.h"
#include "tests/ptx/Level.h"

QUERN_PTX_BEGIN

void add_integer_forms(FormTable &table);
void add_bit_forms(FormTable &table);
void add_float_forms(FormTable &table);
void add_half_forms(FormTable &table);
void add_compare_forms(FormTable &table);
void add_convert_forms(FormTable &table);
void add_move_forms(FormTable &table);
void add_memory_forms(FormTable &table);
void add_atomic_forms(FormTable &table);
void add_async_forms(FormTable &table);
void add_warp_forms(FormTable &table);
void add_mma_forms(FormTable &table);

QUERN_PTX_END

#endif // QUERN_TESTS_PTX_LEVELFORMS_H
