// GGUF files, versions 2 and 3, little-endian: metadata and where the tensors lie. Nothing is
// copied out of the file but names; values are read from the mapping when they are asked for.
//
// Layout (source: the GGUF specification): "GGUF", u32 version, u64 tensor count, u64 metadata
// count; metadata: string key, u32 type, value; tensor infos: string name, u32 dimensions, u64 each
// (fastest first), u32 type, u64 offset from the start of the data; padding to `general.alignment`
// (default 32); the tensors' data, each padded likewise, in any order and with any gaps; the last
// one's padding may be missing. A string is a u64 length and bytes. A model may be split over files
// NAME-00001-of-0000N.gguf, each a GGUF file with `split.*` keys; the first holds the metadata.
//
// Any bytes may be fed in: offsets and sizes are checked before use, and memory is bounded by the
// file's size.
#ifndef QUERN_FRONTENDS_GGUF_GGUFFILE_H
#define QUERN_FRONTENDS_GGUF_GGUFFILE_H

#include "frontends/gguf/GgufTypes.h"
#include "ir/weights/MappedFile.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::gguf {

enum class ValueType : uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};

/// A metadata value: its type and where it lies. An array's elements are all of `element` type,
/// never arrays.
struct Value {
  ValueType type;
  ValueType element;   ///< of an array; else equal to type
  uint64_t count;      ///< elements of an array; else 1
  uint64_t offset;     ///< of the first element in the file
  const std::byte *at; ///< the same, in memory; checked to lie inside, strings and all
};

struct Tensor {
  std::string name;
  std::vector<int64_t>
      shape; ///< row-major: the last dimension is contiguous (the reverse of GGUF's order)
  const TensorType *type; ///< type->format is empty if Quern does not read it
  int file;               ///< index into GgufFile::files()
  uint64_t offset;        ///< of the data in that file
  uint64_t bytes;
};

/// What one GGUF file says: the product of parsing, without the conveniences.
struct Shard {
  std::vector<std::string> keys; ///< in the file's order
  std::map<std::string, Value, std::less<>> metadata;
  std::vector<Tensor> tensors; ///< in the file's order, `file` 0
};

/// Parses one file's bytes. `path` is for messages. The Shard points into `bytes`.
absl::StatusOr<Shard> parse_shard(std::span<const std::byte> bytes, const std::string &path);

class GgufFile {
public:
  /// Opens a model: one file, or the first of a split model's files and with it all others.
  static absl::StatusOr<GgufFile> open(const std::string &path);

  const std::vector<std::shared_ptr<const weights::MappedFile>> &files() const { return files_; }
  /// All files' tensors, in order.
  const std::vector<Tensor> &tensors() const { return tensors_; }
  /// The tensor of that name, or null.
  const Tensor *find_tensor(std::string_view name) const;

  /// The metadata's keys in the order of the (first) file.
  const std::vector<std::string> &keys() const { return keys_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// The raw value, or null.
  const Value *find(std::string_view key) const;

  // Typed values. A missing key and a wrong type are errors that name the file, the key and its
  // place. Integers of every width are read by get_int, floats of both by get_float; strings are
  // views into the mapping.
  absl::StatusOr<int64_t> get_int(std::string_view key) const;
  absl::StatusOr<double> get_float(std::string_view key) const;
  absl::StatusOr<bool> get_bool(std::string_view key) const;
  absl::StatusOr<std::string_view> get_string(std::string_view key) const;
  absl::StatusOr<std::vector<int64_t>> get_ints(std::string_view key) const;
  absl::StatusOr<std::vector<float>> get_floats(std::string_view key) const;
  absl::StatusOr<std::vector<bool>> get_bools(std::string_view key) const;
  absl::StatusOr<std::vector<std::string_view>> get_strings(std::string_view key) const;

  /// The path of the (first) file, for messages.
  const std::string &path() const { return files_.front()->path(); }

private:
  absl::Status add_shard(std::shared_ptr<const weights::MappedFile> file, Shard shard);
  absl::Status open_other_shards();
  absl::StatusOr<const Value *> require(std::string_view key, bool array, const char *wanted,
                                        std::initializer_list<ValueType> types) const;

  std::vector<std::shared_ptr<const weights::MappedFile>> files_;
  std::vector<std::string> keys_;
  std::map<std::string, Value, std::less<>> metadata_;
  std::vector<Tensor> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
};

} // namespace quern::gguf

#endif // QUERN_FRONTENDS_GGUF_GGUFFILE_H
