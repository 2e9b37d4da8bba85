#include "runtime/artifact/MadeWeights.h"

#include <algorithm>
#include <cstring>

namespace quern::artifact {
namespace {

constexpr uint64_t kWord = sizeof(uint64_t);

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

template <typename T> std::vector<T> copy_of(const flatbuffers::Vector<const T *> *vector) {
  std::vector<T> items(vector ? vector->size() : 0);
  if (!items.empty())
    std::memcpy(static_cast<void *>(items.data()), vector->Data(), items.size() * sizeof(T));
  return items;
}

// The part of [offset, offset + bytes) that lies in [begin, end).
struct Overlap {
  uint64_t from, to;
  Overlap(uint64_t offset, uint64_t bytes, uint64_t begin, uint64_t end)
      : from(std::max(offset, begin)), to(std::min(offset + bytes, end)) {}
  bool empty() const { return from >= to; }
};

} // namespace

std::vector<MadeWeight> made_weights(const Manifest &manifest) { return copy_of(manifest.made()); }
std::vector<KeptWeight> kept_weights(const Manifest &manifest) { return copy_of(manifest.kept()); }

MadeKind kind_of_word(const MadeWeight &weight, uint64_t word) {
  const uint64_t in_run = word * kWord % weight.panel() % weight.run();
  if (in_run < weight.super())
    return in_run < weight.super_min() ? kSuperScales : kSuperMins;
  const uint64_t in_record = (in_run - weight.super()) % weight.record();
  return in_record < weight.code() ? kCodes : in_record < weight.min() ? kScales : kMins;
}

uint64_t made_word(const MadeWeight &weight, uint64_t word) {
  const auto kind = static_cast<flatbuffers::uoffset_t>(kind_of_word(weight, word));
  return (mix(weight.key() + (word + 1) * 0x9e3779b97f4a7c15) & weight.mask()->Get(kind)) |
         weight.bits()->Get(kind);
}

void make_weights(std::span<const MadeWeight> made, std::span<const KeptWeight> kept,
                  std::span<const uint8_t> section, uint64_t begin, std::span<uint8_t> out) {
  const uint64_t end = begin + out.size();
  if (!out.empty())
    std::memset(out.data(), 0, out.size());
  for (const MadeWeight &weight : made) {
    const Overlap part(weight.offset(), weight.bytes(), begin, end);
    if (part.empty())
      continue;
    for (uint64_t word = (part.from - weight.offset()) / kWord;
         weight.offset() + word * kWord < part.to; ++word) {
      const uint64_t value = made_word(weight, word);
      const uint64_t at = weight.offset() + word * kWord;
      const Overlap bytes(at, kWord, part.from, part.to); // less than a word at a border
      std::memcpy(&out[bytes.from - begin],
                  reinterpret_cast<const uint8_t *>(&value) + (bytes.from - at),
                  bytes.to - bytes.from);
    }
  }
  for (const KeptWeight &weight : kept) {
    const Overlap part(weight.offset(), weight.bytes(), begin, end);
    if (!part.empty())
      std::memcpy(&out[part.from - begin], &section[weight.at() + (part.from - weight.offset())],
                  part.to - part.from);
  }
}

} // namespace quern::artifact
