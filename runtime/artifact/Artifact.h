// An opened .quern file: mapped, checked, and described by its manifest.
#ifndef QUERN_RUNTIME_ARTIFACT_ARTIFACT_H
#define QUERN_RUNTIME_ARTIFACT_ARTIFACT_H

#include "runtime/artifact/Layout.h"
#include "runtime/artifact/MappedRange.h"
#include "runtime/artifact/manifest_generated.h"
#include "runtime/artifact/proof_generated.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace quern::artifact {

/// A FlatBuffers vector as a range; an absent one is empty.
template <typename T> class Items {
public:
  using Vector = flatbuffers::Vector<T>;
  explicit Items(const Vector *vector) : vector_(vector) {}
  auto begin() const { return Iterator{vector_, 0}; }
  auto end() const { return Iterator{vector_, size()}; }
  uint32_t size() const { return vector_ ? vector_->size() : 0; }
  bool empty() const { return size() == 0; }
  auto operator[](uint32_t i) const { return vector_->Get(i); }

private:
  struct Iterator {
    const Vector *vector;
    uint32_t i;
    auto operator*() const { return vector->Get(i); }
    Iterator &operator++() {
      ++i;
      return *this;
    }
    bool operator!=(const Iterator &other) const { return i != other.i; }
  };
  const Vector *vector_;
};
template <typename T> Items<T> items(const flatbuffers::Vector<T> *vector) {
  return Items<T>(vector);
}

/// A FlatBuffers string; an absent one is empty.
inline std::string_view text(const flatbuffers::String *string) {
  return string ? std::string_view(string->data(), string->size()) : std::string_view();
}

/// Bytes of one element of `type`, as tensors have it in memory: those of less than a byte take
/// one.
uint64_t element_bytes(ElementType type);

class Artifact {
public:
  /// Maps `path` read-only and checks, before anything is used: the header and its checksum, the
  /// manifest's checksum and FlatBuffers structure, that the sections tile the file, the checksums
  /// of all sections but the weights, and every index, offset, size and limit that the runtime
  /// relies on.
  ///
  /// Errors: NotFound (no such file), InvalidArgument (not an artifact, or of another version),
  /// DataLoss (truncated or damaged; names the place).
  static absl::StatusOr<std::unique_ptr<Artifact>> open(const std::string &path);

  ~Artifact();
  Artifact(const Artifact &) = delete;
  Artifact &operator=(const Artifact &) = delete;

  const std::string &path() const { return path_; }
  const Manifest &manifest() const { return *manifest_; }
  uint64_t file_bytes() const { return size_; }

  /// Reads every byte of the weights and checks them too: with `open`, the whole file is then
  /// covered.
  absl::Status verify_all_checksums() const;

  /// The used bytes of a section; empty if the artifact has none. At most one section of each kind
  /// exists, but of code, of which there is one for each variant.
  std::span<const uint8_t> weights() const;
  /// Bytes of the weights as devices hold them. Where weights_are_made(), the section has some of
  /// them alone, and MadeWeights.h says how all are made; else they are the section's.
  uint64_t weights_bytes() const;
  bool weights_are_made() const;
  std::span<const uint8_t> tokenizer() const;
  std::span<const uint8_t> code(std::string_view variant) const;
  /// The proof, verified as a FlatBuffer; null if the artifact has none.
  const Proof *proof() const;

  /// The entry of that name; null if there is none.
  const Entry *entry(std::string_view name) const;

  /// Names what a sequence's state means: the model as it was read, its weights and their formats,
  /// and the states with theirs. A state that one artifact saved loads into those of the same
  /// identity alone, whatever code they have and whatever context and step they were compiled for.
  uint64_t identity() const;

private:
  Artifact() = default;
  absl::Status check();
  absl::Status check_section(const Section &section) const;
  const Section *section(SectionKind kind, std::string_view name = {}) const;
  std::span<const uint8_t> used_bytes(const Section *section) const;

  std::string path_;
  const uint8_t *data_ = nullptr;
  uint64_t size_ = 0;
  std::optional<MappedRange> range_;
  const Manifest *manifest_ = nullptr;
};

/// Checks what the manifest says against itself and against `weights_bytes`, the used size of the
/// weights section. Part of Artifact::open; apart so that tests can hand it manifests of their own.
/// The sections themselves must have been checked before.
absl::Status validate(const Manifest &manifest, uint64_t weights_bytes);

} // namespace quern::artifact

#endif // QUERN_RUNTIME_ARTIFACT_ARTIFACT_H
