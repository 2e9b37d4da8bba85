#include "tests/ptx/FormsLevel.h"

#include "tests/ptx/LevelForms.h"

QUERN_PTX_BEGIN

void add_forms(FormTable &table) {
  add_integer_forms(table);
  add_bit_forms(table);
  add_float_forms(table);
  add_half_forms(table);
  add_compare_forms(table);
  add_convert_forms(table);
  add_move_forms(table);
  add_memory_forms(table);
  add_atomic_forms(table);
  add_async_forms(table);
  add_warp_forms(table);
  add_mma_forms(table);
}

QUERN_PTX_END
