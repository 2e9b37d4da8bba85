#include "codegen/artifact/Writer.h"

#include "codegen/artifact/OmittedWeights.h"
#include "codegen/artifact/Plan.h"
#include "runtime/artifact/Layout.h"
#include "runtime/artifact/MadeWeights.h"

#include <absl/strings/str_cat.h>

namespace quern::artifact {
namespace {

// A section that is in memory already: its place in the list, and its bytes.
struct Blob {
  size_t section;
  std::string_view bytes;
};

uint64_t padded_checksum(std::string_view bytes) {
  Checksum sum;
  sum.add(bytes.data(), bytes.size());
  const std::string zeros(padded_to_page(bytes.size()) - bytes.size(), '\0');
  sum.add(zeros.data(), zeros.size());
  return sum.value();
}

// Header and manifest, which fill the file up to the first section.
std::string front(const std::string &manifest, uint64_t file_size) {
  const uint64_t size = padded_to_page(sizeof(FileHeader) + manifest.size()) - sizeof(FileHeader);
  std::string padded = manifest;
  padded.resize(size);
  FileHeader header{};
  header.magic = kMagic;
  header.version = kFormatVersion;
  header.header_bytes = sizeof header;
  header.manifest_bytes = manifest.size();
  header.manifest_size = size;
  header.file_size = file_size;
  header.manifest_checksum = checksum(padded.data(), padded.size());
  header.header_checksum = header_checksum(header);
  return std::string(reinterpret_cast<const char *>(&header), sizeof header) + padded;
}

} // namespace

absl::StatusOr<Written> write_artifact(const Contents &contents, const weights::WeightStore &store,
                                       AtomicFile &file, const PackOptions &options) {
  const auto sizes = planned_sizes(contents.planned.front());
  if (!sizes.ok())
    return sizes.status();
  if (contents.code.size() != contents.extras.variants.size())
    return absl::InternalError("there must be one code section for each variant");

  std::vector<SectionEntry> sections;
  std::vector<Blob> blobs;
  auto blob = [&](SectionKind kind, const std::string &name, std::string_view bytes) {
    blobs.push_back({sections.size(), bytes});
    sections.push_back({kind, name, 0, bytes.size(), padded_checksum(bytes)});
  };
  for (size_t i = 0; i < contents.code.size(); ++i)
    blob(SectionKind::code, contents.extras.variants[i].name, contents.code[i]);
  if (!contents.tokenizer.empty())
    blob(SectionKind::tokenizer, "", contents.tokenizer);
  // Large and looked at last: the weights; then the proof, which is computed from them.
  const bool has_weights = sizes->weights > 0 && !contents.omit_weights;
  const size_t weights = sections.size();
  ManifestExtras extras = contents.extras;
  OmittedWeights omitted;
  if (contents.omit_weights) {
    auto made = omit_weights(contents.planned.front(), store, sizes->weights);
    if (!made.ok())
      return made.status();
    omitted = *std::move(made);
    extras.weights_bytes = omitted.bytes;
    extras.made = omitted.made;
    extras.kept = omitted.kept;
    if (!omitted.section.empty())
      blob(SectionKind::weights, "", omitted.section);
  }
  if (has_weights)
    sections.push_back({SectionKind::weights, "", 0, sizes->weights, 0});
  // Last of all: how long its notes are is not known yet.
  sections.push_back({SectionKind::proof, "", 0, 1, 0});
  SectionEntry &proof = sections.back();

  const auto draft = build_manifest(contents.planned, extras, sections, {});
  if (!draft.ok())
    return draft.status();
  uint64_t end = padded_to_page(sizeof(FileHeader) + draft->size());
  for (SectionEntry &section : sections) {
    section.offset = end;
    end += padded_to_page(section.bytes);
  }

  // The last byte first: the file has its size, and what nobody writes reads as zeros.
  if (absl::Status status = file.write_at(end - 1, "", 1); !status.ok())
    return status;
  for (const Blob &b : blobs)
    if (absl::Status status =
            file.write_at(sections[b.section].offset, b.bytes.data(), b.bytes.size());
        !status.ok())
      return status;
  Written written;
  ProofContents proven = contents.proof;
  if (has_weights) {
    auto packed = pack_weights(contents.planned.front(), store, file, sections[weights].offset,
                               sections[weights].bytes, options);
    if (!packed.ok())
      return packed.status();
    sections[weights].checksum = packed->checksum;
    proven.notes = weight_notes(packed->findings);
    for (const Findings &found : packed->findings) {
      written.errors.push_back(found.error);
      written.errors_beside.push_back(found.error_beside);
    }
  }
  PackedRows rows = packed_rows(contents.planned.front(), file, sections[weights].offset);
  if (contents.omit_weights)
    rows = packed_rows(contents.planned.front(), [&](uint64_t offset, void *to, uint64_t bytes) {
      make_weights(
          omitted.made, omitted.kept,
          {reinterpret_cast<const uint8_t *>(omitted.section.data()), omitted.section.size()},
          offset, {static_cast<uint8_t *>(to), static_cast<size_t>(bytes)});
      return absl::OkStatus();
    });
  if (contents.compute_logits)
    if (absl::Status status = contents.compute_logits(proven, rows); !status.ok())
      return status;
  const std::string proof_bytes = build_proof(proven);
  proof.bytes = proof_bytes.size();
  proof.checksum = padded_checksum(proof_bytes);
  end = proof.offset + padded_to_page(proof.bytes);
  if (absl::Status status = file.write_at(proof.offset, proof_bytes.data(), proof_bytes.size());
      !status.ok())
    return status;
  if (absl::Status status = file.write_at(end - 1, "", 1); !status.ok())
    return status;

  const auto manifest = build_manifest(contents.planned, extras, sections, written.errors);
  if (!manifest.ok())
    return manifest.status();
  if (manifest->size() != draft->size())
    return absl::InternalError("the manifest changed its size while the artifact was written");
  const std::string head = front(*manifest, end);
  if (absl::Status status = file.write_at(0, head.data(), head.size()); !status.ok())
    return status;
  if (absl::Status status = file.commit(); !status.ok())
    return status;
  written.notes = std::move(proven.notes);
  return written;
}

} // namespace quern::artifact
