// Sums of products over strided arrays (internal to ir/reference): what most of a model's
// arithmetic is.
#ifndef QUERN_IR_REFERENCE_CONTRACTION_H
#define QUERN_IR_REFERENCE_CONTRACTION_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace quern::reference {

/// An array and where its elements lie: at base + the sum of loops times strides.
template <class T> struct Strided {
  T *data;
  int64_t base;
  std::vector<int64_t> strides;
};

/// y += a * b for all points of the loops; y does not move with those that are reductions, and no
/// two points of the others have one y. The numbers do not depend on the number of threads.
template <class T>
void contract(llvm::ArrayRef<int64_t> extents, const std::vector<bool> &reductions,
              const Strided<const T> &a, const Strided<const T> &b, const Strided<T> &y,
              int threads);

extern template void contract<double>(llvm::ArrayRef<int64_t>, const std::vector<bool> &,
                                      const Strided<const double> &, const Strided<const double> &,
                                      const Strided<double> &, int);
extern template void contract<uint64_t>(llvm::ArrayRef<int64_t>, const std::vector<bool> &,
                                        const Strided<const uint64_t> &,
                                        const Strided<const uint64_t> &, const Strided<uint64_t> &,
                                        int);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_CONTRACTION_H
