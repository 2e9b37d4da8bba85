// Synthetic weights left out of the artifact: how what opens it makes them
// (runtime/artifact/MadeWeights.h says what is made of that).
#ifndef QUERN_CODEGEN_ARTIFACT_OMITTEDWEIGHTS_H
#define QUERN_CODEGEN_ARTIFACT_OMITTEDWEIGHTS_H

#include "ir/formats/PackingLayout.h"
#include "ir/quern/QuernDialect.h"
#include "ir/weights/WeightStore.h"
#include "runtime/artifact/manifest_generated.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace quern::artifact {

struct OmittedWeights {
  uint64_t bytes = 0; ///< of all weights, as planned
  std::vector<MadeWeight> made;
  std::vector<KeptWeight> kept;
  std::string section; ///< the bytes of those that are kept: small ones, and what has no panels
};

/// Of a module whose weights are all synthetic. Made ones have codes of all values and scales, or
/// floats, of about the mean and the spread that the model's weights have. Errors: InvalidArgument
/// (a weight of a file); those of packing.
absl::StatusOr<OmittedWeights>
omit_weights(mlir::ModuleOp planned, const weights::WeightStore &store, uint64_t weights_bytes);

/// How panels of `inputs` inputs are made, `bytes` bytes from `offset` on; apart for its test.
MadeWeight made_panels(const formats::Packing &packing, int64_t inputs, uint64_t offset,
                       uint64_t bytes, uint64_t key, float mean, float spread);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_OMITTEDWEIGHTS_H
