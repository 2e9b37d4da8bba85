// Synthetic weights that an artifact does not hold, so that one of an 8B model is a few megabytes:
// they are made when it is opened, on any device, the same bytes everywhere.
//
// A made weight is a run of panels (ir/formats/PackingLayout.h), and every 8 bytes of one are of
// one kind: codes or floats (0), scales (1), mins (2), super-scales (3) or super-mins (4). The word
// of number i, counted from the weight's begin, of a kind k is
//
//   (mix(key + (i + 1) * 0x9e3779b97f4a7c15) & mask[k]) | bits[k]
//
// with splitmix64's mix, in unsigned 64-bit numbers that wrap: which of a float's or a code's bits
// are random and which are set was chosen when the artifact was written, so that no float is
// computed here. Weights that are neither made nor kept, and gaps, are zeros.
#ifndef QUERN_RUNTIME_ARTIFACT_MADEWEIGHTS_H
#define QUERN_RUNTIME_ARTIFACT_MADEWEIGHTS_H

#include "runtime/artifact/manifest_generated.h"

#include <cstdint>
#include <span>
#include <vector>

namespace quern::artifact {

/// Kinds of 8 bytes.
enum MadeKind : int { kCodes, kScales, kMins, kSuperScales, kSuperMins };

/// A FlatBuffers vector of structs, which may lie anywhere, as numbers that can be read.
std::vector<MadeWeight> made_weights(const Manifest &manifest);
std::vector<KeptWeight> kept_weights(const Manifest &manifest);

/// Which of a weight's words are what: of word number `word`.
MadeKind kind_of_word(const MadeWeight &weight, uint64_t word);

/// Word number `word` of a weight.
uint64_t made_word(const MadeWeight &weight, uint64_t word);

/// Writes the bytes from `begin` on of all weights to `out`. `section`: the weights section, which
/// has those that are kept. The tables hold what Validate.cpp checks: places inside, in order.
void make_weights(std::span<const MadeWeight> made, std::span<const KeptWeight> kept,
                  std::span<const uint8_t> section, uint64_t begin, std::span<uint8_t> out);

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_MADEWEIGHTS_H
