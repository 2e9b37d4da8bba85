#include "runtime/text/Trie.h"

#include <algorithm>

namespace quern::text {
namespace {

constexpr uint32_t kBytes = 256;
// Places tried for a node's children before they go to the array's end: few are left empty, and
// keys made to collide cost no more than a constant each.
constexpr uint32_t kTries = 128;

} // namespace

Trie::Trie(std::vector<Key> keys) {
  std::sort(keys.begin(), keys.end(), [](const Key &a, const Key &b) {
    const int order = a.text.compare(b.text);
    return order != 0 ? order < 0 : a.value < b.value;
  });
  cells_.resize(2 * kBytes);
  cells_[kRoot].parent = kRoot; // used, and no byte's child: children lie behind it

  struct Range {
    size_t begin, end, depth; ///< keys that share `depth` bytes
    uint32_t node;
  };
  std::vector<Range> open = {{0, keys.size(), 0, kRoot}};
  std::vector<std::pair<uint8_t, size_t>> children; // byte, first key
  uint32_t first_free = 1;                          // none before it
  while (!open.empty()) {
    const auto [begin, end, depth, node] = open.back();
    open.pop_back();
    children.clear();
    for (size_t i = begin; i < end; ++i) {
      if (keys[i].text.size() == depth) {
        if (depth > 0 && cells_[node].value < 0)
          cells_[node].value = keys[i].value;
        continue;
      }
      const auto byte = static_cast<uint8_t>(keys[i].text[depth]);
      if (children.empty() || children.back().first != byte)
        children.emplace_back(byte, i);
    }
    if (children.empty())
      continue;
    while (first_free < cells_.size() && cells_[first_free].parent != kNone)
      ++first_free;
    const uint32_t low = children.front().first;
    const auto fits = [&](uint32_t base) {
      return std::all_of(children.begin(), children.end(), [&](const auto &child) {
        return base + child.first < cells_.size() && cells_[base + child.first].parent == kNone;
      });
    };
    uint32_t place = std::max(first_free, low + 1); // the first child's; a base is at least 1
    const uint32_t last = place + kTries;
    while (place < last && !fits(place - low))
      ++place;
    if (place == last) {
      place = static_cast<uint32_t>(cells_.size());
      first_free = std::max(first_free, place - std::min(place, 4 * kBytes));
    }
    const uint32_t base = place - low;
    if (cells_.size() < size_t{base} + 2 * kBytes)
      cells_.resize(size_t{base} + 2 * kBytes);
    cells_[node].base = base;
    for (size_t c = 0; c < children.size(); ++c) {
      const auto [byte, first] = children[c];
      const size_t stop = c + 1 < children.size() ? children[c + 1].second : end;
      cells_[base + byte].parent = node;
      open.push_back({first, stop, depth + 1, base + byte});
    }
  }
}

size_t Trie::longest(std::string_view text) const {
  size_t size = 0;
  uint32_t node = kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = next(node, static_cast<uint8_t>(text[i]));
    if (node == kNone)
      break;
    if (value(node) >= 0)
      size = i + 1;
  }
  return size;
}

int32_t Trie::find(std::string_view text) const {
  const uint32_t node = next(kRoot, text);
  return node == kNone || node == kRoot ? -1 : value(node);
}

} // namespace quern::text
