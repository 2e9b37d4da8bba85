// NumPy's .npy files (format versions 1 to 3), the plain-tensor currency of the command line.
// Source: numpy.lib.format, "NPY Format".
#ifndef QUERN_RUNTIME_CLI_NPY_H
#define QUERN_RUNTIME_CLI_NPY_H

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/AtomicFile.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// A dense row-major array; `bytes` holds its elements, little-endian, as tensors have them.
struct NpyArray {
  artifact::ElementType type = artifact::ElementType::f32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

/// In Fortran order or big-endian it is turned round. `wanted` is the type that an entry takes:
/// where NumPy lacks it, NpyTypes.h says what is read as that.
/// Errors: the file system's; InvalidArgument for what is not .npy or of a type that tensors do not
/// have; DataLoss where shape and size disagree.
absl::StatusOr<NpyArray> read_npy(const std::string &path,
                                  std::optional<artifact::ElementType> wanted = std::nullopt);

/// Writes an array piece by piece, under a temporary name until it is complete.
class NpyWriter {
public:
  static absl::StatusOr<std::unique_ptr<NpyWriter>>
  create(const std::string &path, artifact::ElementType type, std::span<const int64_t> shape);
  /// The next elements, in row-major order.
  absl::Status append(const void *data, uint64_t bytes) { return file_->write(data, bytes); }
  absl::Status commit() { return file_->commit(); }

private:
  std::unique_ptr<artifact::AtomicFile> file_;
};

/// The whole at once, as written_as(array.type) of NpyTypes.h.
absl::Status write_npy(const std::string &path, NpyArray array);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_NPY_H
