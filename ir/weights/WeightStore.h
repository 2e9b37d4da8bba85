// Weights by reference: what the IR carries of a weight, and where its bytes are read from.
//
// The IR never holds a weight's bytes. It holds a WeightRef, and the WeightStore turns rows of it
// into encoded bytes or floats when they are wanted, a few at a time. Reading is thread-safe once
// the files are added.
#ifndef QUERN_IR_WEIGHTS_WEIGHTSTORE_H
#define QUERN_IR_WEIGHTS_WEIGHTSTORE_H

#include "ir/formats/Format.h"
#include "ir/weights/CodedWeight.h"
#include "ir/weights/MappedFile.h"
#include "ir/weights/SyntheticWeights.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::weights {

/// A weight: a tensor in a file, in row-major order; or several tensors that make one; or a
/// synthetic one.
struct WeightRef {
  /// Stands in `file` for a synthetic weight.
  static constexpr int kSynthetic = -1;

  int file = kSynthetic; ///< as WeightStore::add returned it
  uint64_t offset = 0;   ///< of the first byte in the file
  std::string format;    ///< a name in ir/formats/Format.h
  std::vector<int64_t> shape;
  Synthetic synthetic; ///< used if file is kSynthetic; the values are rounded to `format`
  /// Several tensors: rows are made of them in `format`. `file` and `offset` are then the codes'.
  std::shared_ptr<const Coded> coded{};

  /// Several tensors of equal shape, one behind the other in the first dimension; `file` and
  /// `offset` are then the first's. Empty: there is one.
  struct Place {
    int file = kSynthetic;
    uint64_t offset = 0;
    bool operator==(const Place &) const = default;
  };
  std::vector<Place> places{};

  /// A row is what the last dimension spans; a scalar is one row of one element.
  int64_t row_elements() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const {
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i)
      rows *= shape[i];
    return rows;
  }
};

class WeightStore {
public:
  /// Maps `path` (once: the same path gives the same number) and returns its number.
  absl::StatusOr<int> add(const std::string &path);
  /// Adds a file that is mapped already.
  int add(std::shared_ptr<const MappedFile> file);

  int files() const { return static_cast<int>(files_.size()); }
  const MappedFile &file(int number) const { return *files_[static_cast<size_t>(number)]; }

  /// Checks that the reference makes sense: format known, shape non-negative and of a size that
  /// fits in memory, data (every part's) inside its file, synthetic weights in a format Quern can
  /// encode, weights of codes in one that holds them. The other calls check it too.
  absl::Status check(const WeightRef &ref) const;

  /// Bytes of the whole weight as encoded.
  absl::StatusOr<int64_t> bytes(const WeightRef &ref) const;

  /// The encoded rows first .. first+count-1, format->row_bytes apart. For a weight in a file they
  /// lie in the mapping (alive as long as the store) and `scratch` is not touched; a synthetic
  /// weight, or one of codes, is made in `scratch`. Fails if the rows are out of range or the file
  /// has changed since it was opened.
  absl::StatusOr<std::span<const std::byte>> encoded_rows(const WeightRef &ref, int64_t first,
                                                          int64_t count,
                                                          std::vector<std::byte> &scratch) const;

  /// Decodes the rows first .. first+count-1 to count * row_elements() floats. Errors as
  /// encoded_rows.
  absl::Status read_rows(const WeightRef &ref, int64_t first, int64_t count, float *out) const;

  /// The bytes of a weight's parts, in the order of parts_of, each checked to lie inside its file.
  absl::StatusOr<PartBytes> part_bytes(const Coded &coded, std::span<const int64_t> shape) const;

private:
  struct Checked {
    const formats::Format *format;
    int64_t row_bytes;
    int64_t bytes;
  };
  absl::StatusOr<Checked> checked(const WeightRef &ref) const;

  std::vector<std::shared_ptr<const MappedFile>> files_;
};

/// `name` and shape as in `blk.0.attn_q.weight [576, 576] q4_1`, for messages.
std::string describe(const WeightRef &ref);

} // namespace quern::weights

#endif // QUERN_IR_WEIGHTS_WEIGHTSTORE_H
