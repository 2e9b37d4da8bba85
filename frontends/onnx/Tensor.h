// A tensor that a file holds: small ones with their elements, large ones as a reference to them.
#ifndef QUERN_FRONTENDS_ONNX_TENSOR_H
#define QUERN_FRONTENDS_ONNX_TENSOR_H

#include "frontends/onnx/ElementType.h"
#include "ir/weights/MappedFile.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::onnx {

using Files = std::vector<std::shared_ptr<const weights::MappedFile>>;

/// How a tensor's elements are kept. Raw ones are as ONNX's raw_data: row-major, little-endian,
/// those of under 8 bits packed, first in the lowest bits.
enum class Storage : uint8_t {
  Raw,     ///< in `bytes`
  File,    ///< raw, in a file
  Varints, ///< in a file, an integer of the wire format each (or, for packed types, each byte)
  Strings, ///< in `strings`
  Sparse,  ///< in `values` and `indices`; zeros elsewhere
  None,    ///< there are none: a problem was said of it
};

struct Tensor {
  std::string name;
  ElementType type = ElementType::Undefined;
  std::vector<int64_t> shape; ///< sizes of at least 0, whose product fits
  Storage storage = Storage::None;

  std::string bytes;
  int file = 0; ///< an index into Model::files
  uint64_t offset = 0, size = 0;
  std::vector<std::string> strings;
  std::shared_ptr<const Tensor> values, indices; ///< of Sparse, as SparseTensorProto has them

  int64_t elements() const;
  /// What Raw and File take, in bytes.
  uint64_t raw_bytes() const;
};

/// The product of the sizes, or nothing where it (or a tensor of that shape) is too large to be.
std::optional<int64_t> count_elements(std::span<const int64_t> shape);

/// The elements of an integer or bool tensor of at most `most` of them. Errors: another type, too
/// many, or data that are not what the tensor says.
absl::StatusOr<std::vector<int64_t>> read_integers(const Tensor &tensor, const Files &files,
                                                   int64_t most);

/// The elements of a float32, float64, float16, bfloat16, integer or bool tensor, likewise.
absl::StatusOr<std::vector<double>> read_numbers(const Tensor &tensor, const Files &files,
                                                 int64_t most);

/// The elements of at most `most` as raw bytes, those of under 8 bits packed.
absl::StatusOr<std::string> read_raw(const Tensor &tensor, const Files &files, int64_t most);

/// "float32 [2, 3]", for messages.
std::string describe(const Tensor &tensor);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_TENSOR_H
