// From ONNX's own tensors, and the files that their data are in, to ours.
#ifndef QUERN_FRONTENDS_ONNX_TENSORREADER_H
#define QUERN_FRONTENDS_ONNX_TENSORREADER_H

#include "frontends/onnx/Tensor.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>

namespace onnx {
class SparseTensorProto;
class TensorProto;
} // namespace onnx

namespace quern::onnx {

class TensorReader {
public:
  /// `files` holds the model's own file, at `path`; those that tensors lie in are added to it.
  TensorReader(const std::string &path, Files &files) : path_(path), files_(files) {}

  /// Checks everything that the tensor says against the bytes that there are. Errors name the
  /// tensor.
  absl::StatusOr<Tensor> read(const ::onnx::TensorProto &proto);
  absl::StatusOr<Tensor> read(const ::onnx::SparseTensorProto &proto);

  /// The tensor's name, type and shape, as far as they make sense, without its elements: what
  /// stands for one that cannot be read.
  static Tensor outline(const ::onnx::TensorProto &proto);
  static Tensor outline(const ::onnx::SparseTensorProto &) { return {}; }

private:
  absl::Status read_elements(const ::onnx::TensorProto &proto, Tensor &tensor);
  absl::Status refer_inline(const std::string &value, Tensor &tensor);
  absl::Status refer_external(const ::onnx::TensorProto &proto, Tensor &tensor);
  absl::StatusOr<int> open_beside(const std::string &location);

  std::string path_;
  Files &files_;
  std::map<std::string, int> opened_; ///< by location
};

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_TENSORREADER_H
