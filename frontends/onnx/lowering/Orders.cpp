// What depends on the order of elements.
#include "frontends/onnx/lowering/NodeLowering.h"

namespace quern::onnx {
namespace {

/// How many elements of its line stand before each: larger ones (or smaller), and equal ones in
/// front of it. NaN is larger than all.
Array ranks(Arrays &a, const Array &x, size_t axis, bool largest) {
  const size_t n = x.rank();
  std::vector<mlir::AffineExpr> own, other;
  for (size_t i = 0; i < n; ++i) {
    own.push_back(a.d(i));
    other.push_back(i == axis ? a.d(n) : a.d(i));
  }
  return a.contract({x, x}, {own, other}, n + 1, ElementType::Int64, x.shape, 0,
                    [&](const Scalar &count, const Scalars &e) {
                      Writer &w = *e[0].w;
                      Scalar before = largest ? less(e[0], e[1]) : less(e[1], e[0]);
                      Scalar same = equal(e[0], e[1]);
                      if (is_real(x.type)) {
                        const Scalar mine = is_nan(e[0]), its = is_nan(e[1]);
                        before = before | (largest ? its & !mine : mine & !its);
                        same = same | (mine & its);
                      }
                      const Scalar front = less(Arrays::place(w, n), Arrays::place(w, axis));
                      return count + cast(before | (same & front), ElementType::Int64);
                    });
}

void top_k(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", -1), x.rank());
  const size_t shaped = node.wants(0) ? 0 : 1;
  if (node.has(1) && !node.dims(1))
    node.note("how many it takes is an input of the run, and is taken to be as the file says");
  const Array order = ranks(a, x, axis, node.integer("largest", 1) != 0);
  const size_t n = x.rank();
  // The one of a line that has this rank.
  std::vector<mlir::AffineExpr> from;
  for (size_t i = 0; i < n; ++i)
    from.push_back(i == axis ? a.d(n) : a.d(i));
  const Array places =
      a.contract({order}, {from}, n + 1, ElementType::Int64, node.out_shape(shaped), 0,
                 [&](const Scalar &found, const Scalars &e) {
                   Writer &w = *e[0].w;
                   const Scalar wanted = from_index(Arrays::place(w, axis), ElementType::Int64);
                   return select(equal(e[0], wanted),
                                 from_index(Arrays::place(w, n), ElementType::Int64), found);
                 });
  node.set(1, places);
  if (!node.wants(0))
    return;
  node.set(0, a.generate(x.type, node.out_shape(0), [&](Writer &w, const Scalars &at) {
    Scalars where = at;
    where[axis] = to_index(Arrays::element(w, places, at));
    return Arrays::element(w, x, where);
  }));
}

constexpr LoweringRow kRows[] = {{"TopK", top_k, Takes::Numbers, 1}};

} // namespace

std::span<const LoweringRow> order_lowerings() { return kRows; }

} // namespace quern::onnx
