// An artifact, described: for scripts and for people.
#ifndef QUERN_COMPILER_DRIVER_INSPECTION_H
#define QUERN_COMPILER_DRIVER_INSPECTION_H

#include "compiler/driver/Sizes.h"
#include "runtime/artifact/Artifact.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace quern::driver {

/// The weights of one format, together.
struct FormatSummary {
  std::string format;
  uint64_t tensors = 0;
  uint64_t bytes = 0;
  uint64_t elements = 0;
  float max_error = 0; ///< the largest relative error of its weights

  double bits_per_weight() const {
    return elements ? 8.0 * static_cast<double>(bytes) / static_cast<double>(elements) : 0;
  }
};

/// By name.
std::vector<FormatSummary> formats_of(const artifact::Manifest &manifest);

/// What one slot of the artifact's context takes, on each of its targets, with that much for
/// checkpoints. The code is the largest variant's.
std::vector<Sizes> sizes_of(const artifact::Artifact &artifact, uint64_t checkpoints);

/// Everything; the keys are INTERFACE's.
nlohmann::ordered_json inspection_json(const artifact::Artifact &artifact, uint64_t checkpoints);

struct InspectionParts {
  bool kernels = false;
  bool plan = false;
  uint64_t checkpoints = 0; ///< bytes for them
};

/// An overview on stdout, and what `parts` asks for below it.
void print_inspection(const artifact::Artifact &artifact, const InspectionParts &parts);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_INSPECTION_H
