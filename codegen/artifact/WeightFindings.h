// What comes to light about weights while they are packed, each of them being read once anyway:
// elements that are not numbers, tensors of zeros, and what a format could not hold.
#ifndef QUERN_CODEGEN_ARTIFACT_WEIGHTFINDINGS_H
#define QUERN_CODEGEN_ARTIFACT_WEIGHTFINDINGS_H

#include "ir/formats/Format.h"

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace quern::artifact {

/// What was found in a tensor of the model's files, in the elements that were read of it.
struct TensorFinding {
  std::string name;
  std::vector<int64_t> shape;
  bool zero_is_normal = false; ///< a bias, or what has a one added to it
  bool zero = true;            ///< all elements read are
  int64_t not_finite = 0;      ///< elements
  int64_t first = INT64_MAX;   ///< the index of the first of them, in row-major order
  float first_value = 0;

  int64_t elements() const;
  void add(const TensorFinding &other);
  /// Looks at `elements` elements of a row in `format`: those from number `at` of the tensor on.
  void look(const formats::Format &format, const std::byte *row, int64_t elements, int64_t at);
};

/// What a conversion lost of a tensor.
struct ConversionFinding {
  std::string name; ///< the tensor's
  const formats::Format *format = nullptr;
  formats::ErrorStats error;
  float largest = 0;  ///< magnitude of an element
  int64_t groups = 0; ///< of elements that share a scale
  int64_t wiped = 0;  ///< groups whose elements became zeros, but for an eighth of them at most

  void add(const ConversionFinding &other);
  /// Compares a row with what its encoding is decoded to; `of_row` is how far the two lie apart.
  void compare(const float *row, const float *decoded, int64_t elements,
               const formats::ErrorStats &of_row);
};

/// What reading some rows of a weight found.
class Findings {
public:
  /// What all conversions lost together.
  formats::ErrorStats error;
  /// A format to measure beside, and what they would lose in it. Null: none.
  const formats::Format *beside = nullptr;
  formats::ErrorStats error_beside;

  /// Those of the tensor that `reader` reads, or the conversion that it makes; new ones are as
  /// given. A reader is told from others by its address.
  TensorFinding &tensor(const void *reader, const TensorFinding &fresh);
  ConversionFinding &conversion(const void *reader, const ConversionFinding &fresh);

  void add(const Findings &other);
  const std::vector<TensorFinding> &tensors() const { return tensors_.values; }
  const std::vector<ConversionFinding> &conversions() const { return conversions_.values; }

private:
  template <class T> struct ByReader {
    std::vector<const void *> readers;
    std::vector<T> values;
    T &of(const void *reader, const T &fresh);
  };
  ByReader<TensorFinding> tensors_;
  ByReader<ConversionFinding> conversions_;
};

/// An error where a format holds next to nothing of a tensor: by the tensor's name, with the flag
/// that would keep it.
absl::Status check_conversions(const Findings &findings);

/// What a user should know of all weights' findings, a sentence a tensor, without a full stop: not
/// a number, all zeros, hardly held by its format. Tensors that several weights are made of are
/// named once.
std::vector<std::string> weight_notes(const std::vector<Findings> &findings);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_WEIGHTFINDINGS_H
