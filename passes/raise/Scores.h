// What becomes of a product before the softmax of an attention.
#ifndef QUERN_PASSES_RAISE_SCORES_H
#define QUERN_PASSES_RAISE_SCORES_H

#include "passes/raise/Product.h"

#include <string>

namespace quern::raise {

/// A mask is written in some twenty nodes.
constexpr size_t kMostMaskOps = 64;

/// What is added to scores before the softmax: scores = cap(factor * product) + bias.
struct Scores {
  Product product;
  double factor = 1;
  double softcap = 0; ///< c in c * tanh(score / c); 0: scores are not capped
  mlir::Value bias{}; ///< null: nothing is added
};

/// The scores of a softmax, found by running what is between it and a product: none, with the
/// reason in `why`, where they are something else. What is written for the bias is written at
/// `builder`.
std::optional<Scores> readScores(mlir::OpBuilder &builder, mlir::Value scores, std::string &why);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_SCORES_H
