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

/// Overwrites a field, if the table has it.
void set(const Section &section, flatbuffers::voffset_t field, uint64_t value) {
  const auto &table = reinterpret_cast<const flatbuffers::Table &>(section);
  if (const uint8_t *at = table.GetAddressOf(field))
    std::memcpy(const_cast<uint8_t *>(at), &value, sizeof value);
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
  const auto sections = items(described ? described->sections() : nullptr);
  for (size_t i = 1; i < parts.size(); ++i) {
    const uint64_t offset = body.size();
    body.insert(body.end(), parts[i].begin(), parts[i].end());
    body.resize(padded_to_page(body.size()));
    if (i > sections.size())
      continue;
    const Section &section = *sections[static_cast<uint32_t>(i - 1)];
    set(section, Section::VT_CHECKSUM, checksum(body.data() + offset, body.size() - offset));
    if (!place)
      continue;
    set(section, Section::VT_OFFSET, begin + offset);
    set(section, Section::VT_SIZE, body.size() - offset);
    set(section, Section::VT_BYTES, parts[i].size());
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
