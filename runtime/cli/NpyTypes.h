// Element types as NumPy has them. What it lacks (bfloat16, floats of 8 bits and fewer, integers of
// 4 and 2 bits) it saves, where a package such as ml_dtypes brings the type, as bytes without a
// meaning: what is read then has to be known beforehand, and is written as a type that it has.
#ifndef QUERN_RUNTIME_CLI_NPYTYPES_H
#define QUERN_RUNTIME_CLI_NPYTYPES_H

#include "runtime/artifact/Artifact.h"

#include <absl/status/status.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace quern::cli {

/// The descr of .npy files that `type` is written with: its own, or that of written_as(type).
std::string_view npy_descr(artifact::ElementType type);

/// What elements are written as: int8 or uint8 for integers of fewer bits, float32 for floats that
/// NumPy lacks, which holds them exactly; else `type` itself.
artifact::ElementType written_as(artifact::ElementType type);

/// The elements as written_as(type) has them.
std::vector<uint8_t> as_written(artifact::ElementType type, std::vector<uint8_t> bytes);

/// A descr as a file has it.
struct NpyDescr {
  artifact::ElementType type = artifact::ElementType::f32;
  bool swapped = false; ///< its bytes are those of a big-endian machine
};
/// What the elements are, if a tensor may have them. `wanted`, if there is one, is what an entry
/// takes: bytes without a meaning of its size are that.
std::optional<NpyDescr> parse_descr(std::string_view descr,
                                    std::optional<artifact::ElementType> wanted);

/// Makes elements of `wanted`, which NumPy lacks, of those read: the bytes of such, or what
/// as_written makes of them. Leaves others alone. InvalidArgument: one is no number of that type.
absl::Status to_wanted(artifact::ElementType wanted, artifact::ElementType *type,
                       std::vector<uint8_t> *bytes);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_NPYTYPES_H
