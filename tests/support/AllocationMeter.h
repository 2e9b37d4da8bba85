// Counts what is allocated with operator new, so that a test can hold a parser to a bound. Link
// quern_allocation_meter into the test program.
#ifndef QUERN_TESTS_SUPPORT_ALLOCATIONMETER_H
#define QUERN_TESTS_SUPPORT_ALLOCATIONMETER_H

#include <cstddef>

namespace quern::testing_support {

/// Bytes asked of operator new by all threads since the program began.
size_t allocated_bytes();

} // namespace quern::testing_support

#endif // QUERN_TESTS_SUPPORT_ALLOCATIONMETER_H
