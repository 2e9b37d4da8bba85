// A map from byte strings to numbers that finds all keys a text begins with in one walk. It is a
// double array (Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure",
// 1989): a step is one add, one load and one compare.
#ifndef QUERN_RUNTIME_TEXT_TRIE_H
#define QUERN_RUNTIME_TEXT_TRIE_H

#include <cstdint>
#include <string_view>
#include <vector>

namespace quern::text {

class Trie {
public:
  struct Key {
    std::string_view text; ///< need not outlive the constructor
    int32_t value;         ///< not negative
  };
  static constexpr uint32_t kRoot = 0;
  static constexpr uint32_t kNone = UINT32_MAX;

  /// Of equal keys the one with the lowest value wins; empty ones are passed over. Memory: 12 bytes
  /// a node and about a fifth more.
  explicit Trie(std::vector<Key> keys);

  /// The node that `byte` leads to; kNone: there is none.
  uint32_t next(uint32_t node, uint8_t byte) const {
    const uint32_t to = cells_[node].base + byte;
    return cells_[to].parent == node ? to : kNone;
  }
  /// The node that `text` leads to.
  uint32_t next(uint32_t node, std::string_view text) const {
    for (size_t i = 0; i < text.size() && node != kNone; ++i)
      node = next(node, static_cast<uint8_t>(text[i]));
    return node;
  }
  /// The value of the key that ends here; -1: none does.
  int32_t value(uint32_t node) const { return cells_[node].value; }

  /// Bytes of the longest key that `text` begins with, 0 if there is none.
  size_t longest(std::string_view text) const;
  /// The value of `text`, -1 if it is no key.
  int32_t find(std::string_view text) const;

private:
  struct Cell {
    uint32_t base = 0; ///< a child lies at base + its byte, always inside the array
    uint32_t parent = kNone;
    int32_t value = -1;
  };
  std::vector<Cell> cells_;
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_TRIE_H
