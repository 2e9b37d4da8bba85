// How streamed products (device/StreamedShape.h) are cut for shapes that were measured on a GPU: of
// a table in the compiler, which benchmarks/gpu/run's results are made into. Any other shape is cut
// by the built-in rule.
//
// A line of the table is
//   q4.g32.z0.min.u8.row,2048,128,1,8192,NVIDIA H200
// packing, inputs and panels of the product, then panels that a block computes together, bytes of
// weights on their way to a warp, and where that was the fastest. How many rows are computed at
// once is no part of it, for a row's bits must not depend on that.
#ifndef QUERN_CODEGEN_CUDA_TUNING_PRODUCTTABLE_H
#define QUERN_CODEGEN_CUDA_TUNING_PRODUCTTABLE_H

#include "codegen/cuda/device/StreamedShape.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

namespace quern::cuda {

class ProductTable {
public:
  /// Errors: InvalidArgument, naming the line (a packing that is unknown, a cut that the panels are
  /// no multiple of, rings that a block of some GPU has no shared memory for, a shape that came
  /// before).
  static absl::StatusOr<ProductTable> parse(std::string_view text);

  /// The table of the environment's QUERN_CUDA_TUNING, a file; else the compiler's own. Read once.
  static const absl::StatusOr<ProductTable> &current();

  /// How a product is cut; the default for shapes that are not in the table.
  StreamedCut cut(const formats::Packing &packing, int64_t panels, int64_t inputs) const;
  size_t size() const { return cuts_.size(); }

private:
  using Shape = std::tuple<std::string, int64_t, int64_t>; ///< packing's name, panels, inputs
  std::map<Shape, StreamedCut> cuts_;
};

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_TUNING_PRODUCTTABLE_H
