// An ONNX file without its weights, so that reading a file takes memory for its graph alone.
//
// libprotobuf copies every byte that it reads. So the file, which is mapped, is walked first as the
// wire format has it (protobuf.dev/programming-guides/encoding): a tensor's large data become a
// reference to where they lie in the file, comments and training are left out, and all else is kept
// as it is, for ONNX's own classes to read. Measured on 1 GiB of inline weights: see
// tests/frontends/onnx/OnnxFileTest.cpp.
#ifndef QUERN_FRONTENDS_ONNX_WIREFILTER_H
#define QUERN_FRONTENDS_ONNX_WIREFILTER_H

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace quern::onnx {

/// Where a tensor's data lie in the file, and which of TensorProto's fields they are.
struct InlineData {
  int field = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// A field of at least so many bytes becomes a reference.
inline constexpr uint64_t kReferencedBytes = 64;

/// The messages of a file without its large data: TensorProtos have, in the place of such a field,
/// an entry in external_data that inline_data reads. Bounded: at most kMostStructure bytes, of at
/// most kMostMessages nodes, attributes, tensors and graphs, kMostNesting deep.
inline constexpr size_t kMostStructure = size_t{256} << 20;
inline constexpr int64_t kMostMessages = 4'000'000;
inline constexpr int kMostNesting = 60;
absl::StatusOr<std::string> without_data(std::span<const std::byte> file);

/// What an entry of external_data says, if it is one that without_data made. A file cannot have any
/// of its own: without_data refuses it.
bool is_inline_data(const std::string &key);
std::optional<InlineData> inline_data(const std::string &value);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_WIREFILTER_H
