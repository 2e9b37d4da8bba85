// An artifact's file taken apart, so that a mutation of one part leaves the others readable.
#ifndef QUERN_TESTS_FUZZ_ARTIFACTPARTS_H
#define QUERN_TESTS_FUZZ_ARTIFACTPARTS_H

#include <cstdint>
#include <span>
#include <vector>

namespace quern::fuzz {

/// The manifest and the used bytes of each section, in the manifest's order; empty where the file's
/// header or manifest cannot be read.
std::vector<std::vector<uint8_t>> take_apart(std::span<const uint8_t> file);

/// A file of these parts: header, padding and all checksums are right. `place`: so are the
/// sections' offsets and sizes, else they stay as the manifest has them.
std::vector<uint8_t> put_together(const std::vector<std::vector<uint8_t>> &parts, bool place);

} // namespace quern::fuzz

#endif // QUERN_TESTS_FUZZ_ARTIFACTPARTS_H
