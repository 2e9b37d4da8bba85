// A kernel of one linear recurrence of any form, fed with rows that its case alone decides, and the
// plain loops that say what it has to give.
#ifndef QUERN_TESTS_CODEGEN_CUDA_RECURRENCERUN_H
#define QUERN_TESTS_CODEGEN_CUDA_RECURRENCERUN_H

#include "tests/codegen/cuda/Feed.h"

namespace quern::test {

struct RecurrenceCase {
  const char *name;
  const char *decay;
  int heads, groups, keyDim, valueDim;
  bool corrected = false;
  bool rate = false, delta = false, bonus = false;
  int products = 1, reads = 1;
  int decayHeads = 0;  ///< 0: as many as the state
  bool strong = false; ///< decays are down to 1e-30

  int decayCols() const { return (decayHeads ? decayHeads : heads) * perHead(); }
  int perHead() const {
    const std::string kind = decay;
    return kind == "head"    ? 1
           : kind == "key"   ? keyDim
           : kind == "value" ? valueDim
                             : keyDim * valueDim;
  }
  /// Columns of k for one product, of v for one product.
  int keys() const { return groups * keyDim; }
  int cols() const { return heads * valueDim; }
};

/// Of each sequence its results, and the state that it ends with.
struct Recurred {
  std::vector<std::vector<float>> results, states;
  bool operator==(const Recurred &) const = default;
};

/// Runs the kernel; nothing if that fails. `integers`: in a model with integer weights, whose
/// logits are the same bits in any steps.
Recurred run(const RecurrenceCase &c, const Steps &steps, uint32_t workers, bool integers);

/// The same in doubles, a token after the other.
Recurred loops(const RecurrenceCase &c, const std::vector<int> &lengths);

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CUDA_RECURRENCERUN_H
