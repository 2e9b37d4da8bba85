// What is computed of square matrices.
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/lowering/Reductions.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {
namespace {

/// Each row that is eliminated is a step of its own.
constexpr int64_t kMostRows = 64;

/// By Gaussian elimination; the largest number of a column leads.
void determinant(NodeLowering &node) {
  Arrays &a = node.arrays();
  const ElementType type =
      node.type(0) == ElementType::Float64 ? ElementType::Float64 : ElementType::Float32;
  const Array x = a.cast(node.in(0), type);
  const auto rows = x.shape[x.rank() - 2].constant();
  if (!rows || *rows > kMostRows)
    return node.refuse(absl::StrCat("its matrices are not of a fixed size of up to ", kMostRows),
                       "give them a fixed size when exporting, or compute this outside the model");
  a.demand(x.shape.back(), *rows);
  Dim batch = 1;
  for (size_t i = 0; i + 2 < x.rank(); ++i)
    batch *= x.shape[i];
  Array left = a.reshape(x, {batch, *rows, *rows});
  Array all = a.filled(type, {batch}, 1);
  for (int64_t size = *rows; size > 0; --size) {
    const Array column = a.reshape(a.part(left, 2, 0, 1), {batch, size});
    const Array sizes = a.map({column}, type, [](const Scalars &e) { return abs(e[0]); });
    const Array lead = place_of_extreme(a, sizes, 1, true, false);
    const auto row_of_lead = [&](Writer &w, const Scalar &b) {
      const Scalar row = to_index(Arrays::element(w, lead, {b}));
      return max(min(row, static_cast<double>(size - 1)), 0.0);
    };
    const Array before = left;
    all = a.generate(type, {batch}, [&](Writer &w, const Scalars &at) {
      const Scalar row = row_of_lead(w, at[0]);
      const Scalar by = Arrays::element(w, before, {at[0], row, index(w, 0)});
      const Scalar now = Arrays::element(w, all, at) * by;
      return select(equal(row, 0.0), now, -now); // rows that change places change the sign
    });
    if (size == 1)
      break;
    left = a.generate(type, {batch, size - 1, size - 1}, [&](Writer &w, const Scalars &at) {
      const Scalar lead_row = row_of_lead(w, at[0]);
      const Scalar own = at[1] + 1.0, column_at = at[2] + 1.0, first = index(w, 0);
      // The first row stands where the one that leads was.
      const Scalar row = select(equal(own, lead_row), first, own);
      const Scalar by = Arrays::element(w, before, {at[0], lead_row, first});
      const Scalar safe = select(equal(by, 0.0), number_like(by, 1), by);
      const Scalar factor = Arrays::element(w, before, {at[0], row, first}) / safe;
      return Arrays::element(w, before, {at[0], row, column_at}) -
             factor * Arrays::element(w, before, {at[0], lead_row, column_at});
    });
  }
  node.set(a.cast(a.reshape(all, node.out_shape()), node.type(0)));
}

constexpr LoweringRow kRows[] = {{"Det", determinant, Takes::Reals, 2}};

} // namespace

std::span<const LoweringRow> matrix_lowerings() { return kRows; }

} // namespace quern::onnx
