// GGUF's tensor types: their numbers, names, block sizes, and the formats Quern reads them as.
// Source: the GGUF specification's ggml_type and the sizes in the `gguf` Python package.
#ifndef QUERN_FRONTENDS_GGUF_GGUFTYPES_H
#define QUERN_FRONTENDS_GGUF_GGUFTYPES_H

#include <cstdint>
#include <string_view>

namespace quern::gguf {

struct TensorType {
  uint32_t number;
  const char *name; ///< as other tools print it: Q4_K
  int block;        ///< elements in a block
  int block_bytes;
  const char *format; ///< the name in ir/formats/Format.h; empty if Quern does not read this type
};

/// The type of that number, or null: unknown, or never stored in files.
const TensorType *find_tensor_type(uint32_t number);

/// The type stored for a format's name, or null: the inverse of TensorType::format.
const TensorType *tensor_type_of(std::string_view format);

} // namespace quern::gguf

#endif // QUERN_FRONTENDS_GGUF_GGUFTYPES_H
