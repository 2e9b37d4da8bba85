// Everything that would stop a compile, found without reading weights: what importing refuses, what
// each phase refuses and what the targets' code generators refuse.
#ifndef QUERN_COMPILER_DRIVER_EXAMINE_H
#define QUERN_COMPILER_DRIVER_EXAMINE_H

#include "compiler/driver/Lowering.h"
#include "compiler/driver/Targets.h"
#include "frontends/Problem.h"

#include <string>
#include <vector>

namespace quern::driver {

struct Examination {
  std::vector<Problem> problems; ///< each once, each with a hint
  std::vector<std::string> notes;
};

/// A phase that fails hides nothing: what comes after it is looked at with other weights, which no
/// phase refuses. Nor does a model that cannot be imported: what could be made of it goes through
/// the phases all the same, with safe values in the place of wrong ones.
Examination examine(const std::string &model, const ModelFlags &flags, const TargetFlags &targets);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_EXAMINE_H
