// The forms that are compiled once a level of CPU (Level.h).
#ifndef QUERN_TESTS_PTX_FORMSLEVEL_H
#define QUERN_TESTS_PTX_FORMSLEVEL_H

#include "tests/ptx/FormTable.h"

namespace quern::ptx::plain {
void add_forms(FormTable &table);
}
namespace quern::ptx::avx2 {
void add_forms(FormTable &table);
}

#endif // QUERN_TESTS_PTX_FORMSLEVEL_H
