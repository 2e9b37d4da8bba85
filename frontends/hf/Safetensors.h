// Safetensors files: named tensors with a JSON header, one file or several with an index.
//
// Layout (source: the safetensors format description): u64 header length; the header, a JSON object
// that maps names to {"dtype", "shape", "data_offsets": [begin, end]} and "__metadata__" to
// strings; then the data, which the tensors' ranges cover exactly, without gaps or overlaps. All of
// this is required here, so any truncation of a file is noticed. Sharded models have
// NAME.safetensors.index.json with a "weight_map" from tensor to file.
#ifndef QUERN_FRONTENDS_HF_SAFETENSORS_H
#define QUERN_FRONTENDS_HF_SAFETENSORS_H

#include "ir/weights/MappedFile.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::hf {

struct SafeTensor {
  std::string name;
  std::string dtype;  ///< as in the file: F32, BF16, I64, ...
  std::string format; ///< the name in ir/formats/Format.h; empty if Quern has no such weights
  std::vector<int64_t> shape; ///< row-major
  int file = 0;               ///< index into Safetensors::files()
  uint64_t offset = 0;        ///< of the data in that file
  uint64_t bytes = 0;
};

/// Parses one file's bytes. `path` is for messages. The tensors have file 0 and are in the order of
/// their data.
absl::StatusOr<std::vector<SafeTensor>> parse_safetensors(std::span<const std::byte> bytes,
                                                          const std::string &path);

class Safetensors {
public:
  /// Opens one .safetensors file, an .index.json with its shards, or a folder: what
  /// choose_weights (WeightFiles.h) finds in it.
  static absl::StatusOr<Safetensors> open(const std::string &path);
  /// The same, with an error for each file that is not as it should be; the tensors are complete if
  /// there is none.
  static Safetensors open(const std::string &path, std::vector<absl::Status> &errors);

  const std::vector<std::shared_ptr<const weights::MappedFile>> &files() const { return files_; }
  /// All tensors, sorted by name.
  const std::vector<SafeTensor> &tensors() const { return tensors_; }
  /// The tensor of that name, or null.
  const SafeTensor *find(std::string_view name) const;
  /// The same, with an error that names the file(s).
  absl::StatusOr<const SafeTensor *> require(std::string_view name) const;
  /// What was opened, for messages.
  const std::string &path() const { return path_; }
  /// What a user should know though it is no error: what else lies in the folder.
  const std::vector<std::string> &notes() const { return notes_; }

private:
  absl::Status open_file(const std::string &path);
  void open_index(const std::string &path, std::vector<absl::Status> &errors);
  void sort();

  std::string path_;
  std::vector<std::shared_ptr<const weights::MappedFile>> files_;
  std::vector<SafeTensor> tensors_;
  std::vector<std::string> notes_;
};

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_SAFETENSORS_H
