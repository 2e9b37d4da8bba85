// Weight expressions, carried out: rows of what `quern.weight_ref`, `weight_concat`,
// `weight_convert`, `weight_map`, `weight_reshape`, `weight_transpose` and `weight_rows` say,
// computed when they are asked for and never held.
#ifndef QUERN_CODEGEN_ARTIFACT_WEIGHTROWS_H
#define QUERN_CODEGEN_ARTIFACT_WEIGHTROWS_H

#include "codegen/artifact/WeightFindings.h"
#include "ir/formats/Format.h"
#include "ir/quern/QuernDialect.h"
#include "ir/weights/WeightStore.h"

#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace quern::artifact {

class WeightRows {
public:
  virtual ~WeightRows() = default;
  WeightRows(const WeightRows &) = delete;
  WeightRows &operator=(const WeightRows &) = delete;

  /// How the rows are encoded.
  const formats::Format &format() const { return *format_; }
  /// A row is what the last dimension spans; a vector is one row.
  int64_t rows() const { return rows_; }
  int64_t row_elements() const { return row_elements_; }
  /// Rows that are one matrix: all, or those of one of the first of three dimensions. Panels are of
  /// one matrix.
  int64_t matrix_rows() const { return matrix_rows_; }
  int64_t row_bytes() const { return format_->row_bytes(row_elements_); }

  /// Rows that come from one of the model's tensors.
  struct Source {
    std::string name;
    int64_t rows;
  };
  /// Where all rows come from, in order.
  virtual std::vector<Source> sources() const = 0;

  /// Writes the rows first .. first+count-1, row_bytes() apart, to `dst`, and adds to `findings`
  /// what was found in them. From any thread. Errors name the weight.
  virtual absl::Status read(int64_t first, int64_t count, std::byte *dst,
                            Findings &findings) const = 0;

  /// Writes the elements [col, col + cols) of the rows first .. first+count-1, one row after the
  /// other, to `dst`. Only where the format has one number an element.
  virtual absl::Status read_columns(int64_t first, int64_t count, int64_t col, int64_t cols,
                                    std::byte *dst, Findings &findings) const;

  /// The same as read, decoded.
  absl::Status read_floats(int64_t first, int64_t count, float *dst, Findings &findings) const;

protected:
  explicit WeightRows(WeightType type);

  /// Rows of `width` elements that are worked on at a time, where all would be too many.
  static int64_t batch_rows(int64_t width);
  /// All rows, from the source that `input` has if it is one alone, and else from them together.
  std::vector<Source> source_of(const WeightRows &input) const;
  /// Of `count` of these encoded rows, the elements [col, col + cols), one row after the other.
  void copy_columns(const std::byte *rows, int64_t count, int64_t col, int64_t cols,
                    std::byte *dst) const;

private:
  const formats::Format *format_;
  int64_t rows_;
  int64_t row_elements_;
  int64_t matrix_rows_;
};

/// The rows of `expression`, a value in the body of a `quern.packed`. `store` must outlive them.
/// Errors name what cannot be computed.
absl::StatusOr<std::unique_ptr<WeightRows>> weight_rows(mlir::Value expression,
                                                        const weights::WeightStore &store);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_WEIGHTROWS_H
