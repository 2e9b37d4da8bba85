// What a compile does with a model's weights, on a few rows of each.
#ifndef QUERN_TESTS_FUZZ_USEWEIGHTS_H
#define QUERN_TESTS_FUZZ_USEWEIGHTS_H

#include "frontends/LoadedModel.h"

namespace quern::fuzz {

/// `model` was loaded without a problem. Reads its weights' first rows and last.
void use_weights(const LoadedModel &model);

} // namespace quern::fuzz

#endif // QUERN_TESTS_FUZZ_USEWEIGHTS_H
