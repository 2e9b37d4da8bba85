// Byte-pair encoding of one word: adjacent tokens are merged, lowest rank first and leftmost of
// equals, until no merge applies (Sennrich et al., "Neural Machine Translation of Rare Words with
// Subword Units", 2016).
#ifndef QUERN_RUNTIME_TEXT_BYTEPAIRENCODER_H
#define QUERN_RUNTIME_TEXT_BYTEPAIRENCODER_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <span>
#include <vector>

namespace quern::text {

class BytePairEncoder {
public:
  /// Takes the merges of `spec`; of equal ones the first wins.
  explicit BytePairEncoder(const TokenizerSpec &spec);

  /// Merges `symbols` (ids; negative ones never merge) and appends what is left to `out`.
  /// O(n log n) in the number of symbols.
  void encode(std::span<const int32_t> symbols, std::vector<int32_t> &out) const;

private:
  struct Product {
    uint32_t rank;
    int32_t id;
  };
  const Product *find(int32_t left, int32_t right) const;
  void encode_short(std::span<const int32_t> symbols, std::vector<int32_t> &out) const;
  void encode_long(std::span<const int32_t> symbols, std::vector<int32_t> &out) const;

  absl::flat_hash_map<uint64_t, Product> products_; ///< by left << 32 | right
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_BYTEPAIRENCODER_H
