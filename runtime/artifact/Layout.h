// How a .quern file is laid out: shared by the reader here and the writer in codegen/artifact.
//
// The specification is codegen/artifact/FORMAT.md. In short: a 64-byte header; the FlatBuffers
// manifest, padded with zeros to the next page boundary; then page-aligned sections that tile the
// file to its very last byte. Every byte is covered by exactly one XXH3-64 checksum: the header's
// by its own last field, the manifest's (padding included) by the header, a section's (padding
// included) by the manifest. All integers are little-endian.
#ifndef QUERN_RUNTIME_ARTIFACT_LAYOUT_H
#define QUERN_RUNTIME_ARTIFACT_LAYOUT_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace quern::artifact {

/// Not text (NUL, Ctrl-Z), and damaged by newline conversion (\n), as PNG's is.
inline constexpr std::array<uint8_t, 8> kMagic = {'Q', 'U', 'E', 'R', 'N', 0, 0x1a, '\n'};

/// The layout's version. A reader refuses every version but its own: artifacts are cheap to remake.
inline constexpr uint32_t kFormatVersion = 2;

/// Sections start at multiples of this, so that each can be mapped alone.
inline constexpr uint64_t kPageBytes = 4096;

/// The first 64 bytes of the file.
struct FileHeader {
  std::array<uint8_t, 8> magic;
  uint32_t version;
  uint32_t header_bytes;   ///< sizeof(FileHeader)
  uint64_t manifest_bytes; ///< the FlatBuffer, from byte header_bytes on
  uint64_t
      manifest_size;  ///< with padding; header_bytes + manifest_size is a multiple of kPageBytes
  uint64_t file_size; ///< of the whole file
  uint64_t manifest_checksum; ///< of all manifest_size bytes
  uint64_t reserved;          ///< zero
  uint64_t header_checksum;   ///< of the 56 bytes before it
};
static_assert(sizeof(FileHeader) == 64);

/// The smallest multiple of kPageBytes that is not below `bytes`. Requires bytes <= 2^64 -
/// kPageBytes.
constexpr uint64_t padded_to_page(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// XXH3-64 with seed 0.
uint64_t checksum(const void *data, size_t size);

/// What FileHeader::header_checksum must be.
uint64_t header_checksum(const FileHeader &header);

/// The same XXH3-64 over bytes that come in pieces.
class Checksum {
public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum &) = delete;
  Checksum &operator=(const Checksum &) = delete;

  void add(const void *data, size_t size);
  /// The checksum of all that was added so far.
  uint64_t value() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_LAYOUT_H
