#include "tests/fuzz/ArtifactParts.h"

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/Layout.h"

#include <cstring>

namespace quern::fuzz {
namespace {

using namespace artifact;
using Bytes = std::vector<uint8_t>;

/// Null where it is not one.
const Manifest *manifest_of(std::span<const uint8_t> bytes) {
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/16);
  return VerifyManifestBuffer(verifier) ? GetManifest(bytes.data()) : nullptr;
}

/// Where the numbers of a section lie, null where its table does not have one. Tables may overlap,
/// so all are looked up before any is written.
struct Fields {
  explicit Fields(const Section &section)
      : checksum(at(section, Section::VT_CHECKSUM)), offset(at(section, Section::VT_OFFSET)),
        size(at(section, Section::VT_SIZE)), bytes(at(section, Section::VT_BYTES)) {}

  static uint8_t *at(const Section &section, flatbuffers::voffset_t field) {
    const auto &table = reinterpret_cast<const flatbuffers::Table &>(section);
    return const_cast<uint8_t *>(table.GetAddressOf(field));
  }
  uint8_t *checksum, *offset, *size, *bytes;
};

void set(uint8_t *at, uint64_t value) {
  if (at)
    std::memcpy(at, &value, sizeof value);
}

} // namespace

std::vector<Bytes> take_apart(std::span<const uint8_t> file) {
  FileHeader header;
  if (file.size() < sizeof header)
    return {};
  std::memcpy(&header, file.data(), sizeof header);
  if (header.manifest_bytes > file.size() - sizeof header)
    return {};
  const auto bytes = file.subspan(sizeof header, header.manifest_bytes);
  const Manifest *manifest = manifest_of(bytes);
  if (!manifest)
    return {};
  std::vector<Bytes> parts = {Bytes(bytes.begin(), bytes.end())};
  for (const Section *section : items(manifest->sections())) {
    const bool inside =
        section->offset() <= file.size() && section->bytes() <= file.size() - section->offset();
    const auto used = inside ? file.subspan(section->offset(), section->bytes()) : file.first(0);
    parts.emplace_back(used.begin(), used.end());
    if (parts.size() > 64) // more than a reader takes
      return {};
  }
  return parts;
}

Bytes put_together(const std::vector<Bytes> &parts, bool place) {
  Bytes manifest = parts[0];
  FileHeader header{};
  header.magic = kMagic;
  header.version = kFormatVersion;
  header.header_bytes = sizeof header;
  header.manifest_bytes = manifest.size();
  header.manifest_size = padded_to_page(sizeof header + manifest.size()) - sizeof header;

  Bytes body;
  const uint64_t begin = sizeof header + header.manifest_size;
  const Manifest *described = manifest_of(manifest);
  std::vector<Fields> sections;
  for (const Section *section : items(described ? described->sections() : nullptr))
    sections.emplace_back(*section);
  for (size_t i = 1; i < parts.size(); ++i) {
    const uint64_t offset = body.size();
    body.insert(body.end(), parts[i].begin(), parts[i].end());
    body.resize(padded_to_page(body.size()));
    if (i > sections.size())
      continue;
    const Fields &section = sections[i - 1];
    set(section.checksum, checksum(body.data() + offset, body.size() - offset));
    if (!place)
      continue;
    set(section.offset, begin + offset);
    set(section.size, body.size() - offset);
    set(section.bytes, parts[i].size());
  }

  Bytes file(sizeof header);
  file.insert(file.end(), manifest.begin(), manifest.end());
  file.resize(begin);
  header.file_size = begin + body.size();
  header.manifest_checksum = checksum(&file[sizeof header], header.manifest_size);
  header.header_checksum = header_checksum(header);
  std::memcpy(file.data(), &header, sizeof header);
  file.insert(file.end(), body.begin(), body.end());
  return file;
}

} // namespace quern::fuzz
