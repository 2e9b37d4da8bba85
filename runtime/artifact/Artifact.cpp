#include "runtime/artifact/Artifact.h"

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/cuda_code_generated.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quern::artifact {
namespace {

constexpr uint32_t kMaxSections = 64;
constexpr size_t kLeastFlatBuffer = 8; // its root's offset and its identifier

absl::Status damaged(std::string what) {
  return absl::DataLossError(
      absl::StrCat(what, "\nhint: the file is damaged or was cut short; copy or compile it again"));
}

// Closes a file descriptor at the end of a scope.
struct FileDescriptor {
  int fd;
  ~FileDescriptor() {
    if (fd >= 0)
      close(fd);
  }
};

absl::Status check_header(const FileHeader &header, uint64_t file_size) {
  if (header.magic != kMagic)
    return absl::InvalidArgumentError(
        "not a Quern artifact (it does not begin with QUERN)\n"
        "hint: compile the model first: quern compile MODEL -o FILE.quern");
  if (header_checksum(header) != header.header_checksum)
    return damaged("the header's checksum does not match");
  if (header.version != kFormatVersion)
    return absl::InvalidArgumentError(
        absl::StrCat("artifact format version ", header.version, ", and this build reads version ",
                     kFormatVersion, "\nhint: compile the model again with this build's quern"));
  if (header.header_bytes != sizeof(FileHeader) || header.reserved != 0)
    return damaged("the header contradicts its version");
  if (header.file_size != file_size)
    return damaged(
        absl::StrCat("the file has ", file_size, " bytes, and should have ", header.file_size));
  if (header.manifest_size > file_size - sizeof(FileHeader) ||
      header.manifest_bytes > header.manifest_size ||
      (sizeof(FileHeader) + header.manifest_size) % kPageBytes != 0)
    return damaged("the manifest's place lies outside the file");
  return absl::OkStatus();
}

// A verifier for `bytes` bytes at `data`: tables are bounded by what could fit, so that no honest
// manifest meets a limit and no hostile one costs more than its size.
flatbuffers::Verifier verifier(const uint8_t *data, uint64_t bytes) {
  const auto max_tables = static_cast<flatbuffers::uoffset_t>(bytes / 4 + 1);
  return flatbuffers::Verifier(data, bytes, /*max_depth=*/16, max_tables);
}

} // namespace

uint64_t element_bytes(ElementType type) {
  switch (type) {
  case ElementType::f32:
  case ElementType::i32:
  case ElementType::u32:
    return 4;
  case ElementType::i64:
  case ElementType::f64:
  case ElementType::u64:
    return 8;
  case ElementType::f16:
  case ElementType::bf16:
  case ElementType::i16:
  case ElementType::u16:
    return 2;
  case ElementType::i8:
  case ElementType::u8:
  case ElementType::boolean:
  case ElementType::i4:
  case ElementType::u4:
  case ElementType::i2:
  case ElementType::u2:
  case ElementType::f8e4m3fn:
  case ElementType::f8e4m3fnuz:
  case ElementType::f8e5m2:
  case ElementType::f8e5m2fnuz:
  case ElementType::f8e8m0:
  case ElementType::f4e2m1:
  case ElementType::f6e2m3:
  case ElementType::f6e3m2:
    return 1;
  }
  return 0;
}

absl::StatusOr<std::unique_ptr<Artifact>> Artifact::open(const std::string &path) {
  auto at = [&](const absl::Status &status) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  };
  // O_NONBLOCK: opening a named pipe must fail below, not wait for its writer.
  FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    const int error = errno;
    return at(absl::ErrnoToStatus(error, "cannot open"));
  }
  struct stat info;
  if (fstat(file.fd, &info) != 0)
    return at(absl::ErrnoToStatus(errno, "cannot read its size"));
  if (!S_ISREG(info.st_mode))
    return at(absl::InvalidArgumentError("not a regular file"));
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size < kPageBytes)
    return at(absl::InvalidArgumentError(
        absl::StrCat("too short for a Quern artifact (", size, " bytes)")));
  void *data = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED)
    return at(absl::ErrnoToStatus(errno, "cannot map it"));

  auto artifact = std::unique_ptr<Artifact>(new Artifact());
  artifact->path_ = path;
  artifact->data_ = static_cast<const uint8_t *>(data);
  artifact->size_ = size;
  artifact->range_.emplace(data, size, artifact->path_);
  if (absl::Status status = artifact->check(); !status.ok())
    return at(status);
  return artifact;
}

Artifact::~Artifact() {
  if (data_)
    munmap(const_cast<uint8_t *>(data_), size_);
}

absl::Status Artifact::check() {
  FileHeader header;
  std::memcpy(&header, data_, sizeof header);
  if (absl::Status status = check_header(header, size_); !status.ok())
    return status;

  const uint8_t *manifest = data_ + sizeof header;
  if (checksum(manifest, header.manifest_size) != header.manifest_checksum)
    return damaged("the manifest's checksum does not match");
  flatbuffers::Verifier manifest_verifier = verifier(manifest, header.manifest_bytes);
  if (!VerifyManifestBuffer(manifest_verifier))
    return damaged("the manifest is not well-formed");
  manifest_ = GetManifest(manifest);
  if (manifest_->abi_version() != QUERN_ABI_VERSION)
    return absl::InvalidArgumentError(absl::StrCat(
        "its code follows step ABI ", manifest_->abi_version(), ", and this build has ",
        QUERN_ABI_VERSION, "\nhint: compile the model again with this build's quern"));

  // Sections tile the rest of the file: each begins where the last one ended. There are few (four
  // kinds, one code section a variant), so looking them up by walking the list is right.
  if (items(manifest_->sections()).size() > kMaxSections)
    return damaged("the manifest lists too many sections");
  uint64_t end = sizeof header + header.manifest_size;
  for (const Section *s : items(manifest_->sections())) {
    if (s->offset() != end || s->size() % kPageBytes != 0 || s->size() > size_ - end ||
        s->bytes() > s->size())
      return damaged(absl::StrCat("section '", EnumNameSectionKind(s->kind()),
                                  "' does not follow the one before it"));
    end += s->size();
    if (s->kind() < SectionKind::MIN || s->kind() > SectionKind::MAX)
      return damaged("a section is of no known kind");
    // Equal kind and name: `section` finds the first of them.
    if (section(s->kind(), text(s->name())) != s ||
        (s->kind() != SectionKind::code && s->name() && s->name()->size() != 0))
      return damaged(absl::StrCat("section '", EnumNameSectionKind(s->kind()), "' is there twice"));
    if (s->kind() != SectionKind::weights)
      if (absl::Status status = check_section(*s); !status.ok())
        return status;
  }
  if (end != size_)
    return damaged(absl::StrCat("sections end at byte ", end, " of ", size_));

  if (const Section *s = section(SectionKind::proof)) {
    std::span<const uint8_t> bytes = used_bytes(s);
    flatbuffers::Verifier proof_verifier = verifier(bytes.data(), bytes.size());
    if (!VerifyProofBuffer(proof_verifier))
      return damaged("the proof is not well-formed");
  }
  for (const Variant *variant : items(manifest_->variants())) {
    const Section *code = section(SectionKind::code, text(variant->name()));
    if (!code)
      return damaged("a variant has no code");
    // What is in it, the device checks that runs it.
    if (text(variant->target()) != "cuda")
      continue;
    const std::span<const uint8_t> bytes = used_bytes(code);
    flatbuffers::Verifier code_verifier = verifier(bytes.data(), bytes.size());
    if (bytes.size() < kLeastFlatBuffer || !VerifyCudaCodeBuffer(code_verifier))
      return damaged(absl::StrCat("the code of variant ", std::string(text(variant->name())),
                                  " is not well-formed"));
  }
  return validate(*manifest_, weights().size());
}

absl::Status Artifact::check_section(const Section &s) const {
  if (checksum(data_ + s.offset(), s.size()) == s.checksum())
    return absl::OkStatus();
  return damaged(absl::StrCat("the checksum of section '", EnumNameSectionKind(s.kind()),
                              s.name() && s.name()->size() ? " " : "",
                              s.name() ? s.name()->str() : "", "' does not match"));
}

absl::Status Artifact::verify_all_checksums() const {
  for (const Section *s : items(manifest_->sections()))
    if (absl::Status status = check_section(*s); !status.ok())
      return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
  return absl::OkStatus();
}

const Section *Artifact::section(SectionKind kind, std::string_view name) const {
  for (const Section *s : items(manifest_->sections()))
    if (s->kind() == kind && text(s->name()) == name)
      return s;
  return nullptr;
}

std::span<const uint8_t> Artifact::used_bytes(const Section *s) const {
  return s ? std::span<const uint8_t>(data_ + s->offset(), s->bytes()) : std::span<const uint8_t>();
}

std::span<const uint8_t> Artifact::weights() const {
  return used_bytes(section(SectionKind::weights));
}
uint64_t Artifact::weights_bytes() const {
  return weights_are_made() ? manifest_->weights_bytes() : weights().size();
}
bool Artifact::weights_are_made() const { return manifest_->weights_bytes() != 0; }
std::span<const uint8_t> Artifact::tokenizer() const {
  return used_bytes(section(SectionKind::tokenizer));
}
std::span<const uint8_t> Artifact::code(std::string_view variant) const {
  return used_bytes(section(SectionKind::code, variant));
}

const Proof *Artifact::proof() const {
  const Section *s = section(SectionKind::proof);
  return s ? GetProof(data_ + s->offset()) : nullptr;
}

const Entry *Artifact::entry(std::string_view name) const {
  for (const Entry *entry : items(manifest_->entries()))
    if (text(entry->name()) == name)
      return entry;
  return nullptr;
}

} // namespace quern::artifact
