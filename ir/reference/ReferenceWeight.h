// Weights as the interpreter sees them: rows of floats, made when they are asked for.
#ifndef QUERN_IR_REFERENCE_REFERENCEWEIGHT_H
#define QUERN_IR_REFERENCE_REFERENCEWEIGHT_H

#include "ir/weights/WeightStore.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace quern::reference {

/// A weight, or what the weight ops make of some. Never more than the rows asked for are decoded.
class Weight {
public:
  Weight(std::vector<int64_t> shape, std::string format)
      : shape_(std::move(shape)), format_(std::move(format)) {}
  virtual ~Weight() = default;

  const std::vector<int64_t> &shape() const { return shape_; }
  const std::string &format() const { return format_; }
  /// A row is what the last dimension spans.
  int64_t cols() const { return shape_.back(); }
  int64_t rows() const;

  /// Decodes rows first .. first+count-1 to count * cols() floats. Thread-safe.
  virtual absl::Status read(int64_t first, int64_t count, float *out) const = 0;

private:
  std::vector<int64_t> shape_;
  std::string format_;
};
using WeightPtr = std::shared_ptr<const Weight>;

/// Reads rows of a packed weight (by symbol) from elsewhere than the weights it is computed from.
using PackedRows = std::function<absl::Status(const std::string &symbol, int64_t first,
                                              int64_t count, float *out)>;

/// A weight of a file, or a synthetic one.
WeightPtr stored_weight(std::shared_ptr<const weights::WeightStore> store, weights::WeightRef ref);
/// A weight whose rows `rows` reads.
WeightPtr external_weight(std::string symbol, std::vector<int64_t> shape, std::string format,
                          PackedRows rows);
/// Where the rows of `quern.weight_rows` lie: r is row offset + r / block * stride + r % block.
struct RowBlocks {
  int64_t offset, block, stride;
};
/// `quern.weight_concat`, `weight_convert`, `weight_map`, `weight_reshape`, `weight_transpose`,
/// `weight_rows`, as the ops describe them; their verifiers' constraints hold.
WeightPtr concat_weight(std::vector<WeightPtr> inputs, std::vector<int64_t> shape, int axis);
WeightPtr convert_weight(WeightPtr input, std::string format);
WeightPtr map_weight(WeightPtr input, std::string fn, double factor = 1);
WeightPtr reshape_weight(WeightPtr input, std::vector<int64_t> shape);
WeightPtr transpose_weight(WeightPtr input);
WeightPtr rows_of_weight(WeightPtr input, std::vector<int64_t> shape, RowBlocks blocks);

/// Decoded blocks of rows, the least recently used thrown out past a size. Thread-safe.
class WeightCache {
public:
  explicit WeightCache(size_t bytes) : capacity_(bytes) {}

  /// Rows of a block of `weight`: about a quarter of a megabyte, so that it stays in a core's cache
  /// while a linear runs all tokens over it.
  static int64_t block_rows(const Weight &weight);

  using Block = std::shared_ptr<const std::vector<float>>;
  /// The decoded rows block * block_rows ... (fewer in the last block). Threads that miss the same
  /// block at once each decode it.
  absl::StatusOr<Block> block(const WeightPtr &weight, int64_t block);
  /// All of a small weight.
  absl::StatusOr<Block> all(const WeightPtr &weight) { return fetch(weight, -1); }

private:
  using Key = std::pair<WeightPtr, int64_t>;
  struct Entry {
    Key key;
    Block block;
  };
  absl::StatusOr<Block> fetch(const WeightPtr &weight, int64_t block);

  const size_t capacity_;
  std::mutex mutex_;
  size_t bytes_ = 0;
  std::list<Entry> recent_; // the latest first
  std::map<Key, std::list<Entry>::iterator> index_;
};

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_REFERENCEWEIGHT_H
