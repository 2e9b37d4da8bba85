#include "ir/reference/Combiner.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

namespace arith = mlir::arith;

template <class T, class F>
void fold(std::vector<T> &to, const std::vector<T> &numbers, const std::vector<int64_t> &places,
          F f) {
  for (size_t i = 0; i < places.size(); ++i) {
    T &at = to[static_cast<size_t>(places[i])];
    at = f(at, numbers[i]);
  }
}

} // namespace

bool combines(mlir::Operation *op) {
  return mlir::isa<arith::AddFOp, arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp,
                   arith::MaxNumFOp, arith::MinNumFOp, arith::AddIOp, arith::MulIOp, arith::MaxSIOp,
                   arith::MinSIOp, arith::MaxUIOp, arith::MinUIOp, arith::AndIOp, arith::OrIOp,
                   arith::XOrIOp>(op);
}

void combine(mlir::Operation *op, Tensor &to, const Lanes &numbers,
             const std::vector<int64_t> &places) {
  using D = double;
  using I = int64_t;
  const auto floats = [&](auto f) { fold(to.floats, numbers.floats, places, f); };
  const auto ints = [&](auto f) { fold(to.ints, numbers.ints, places, f); };
  const unsigned width = to.is_float() ? 64 : width_of(to.element);
  if (mlir::isa<arith::AddFOp>(op))
    floats([](D a, D b) { return a + b; });
  else if (mlir::isa<arith::MulFOp>(op))
    floats([](D a, D b) { return a * b; });
  else if (mlir::isa<arith::MaximumFOp>(op))
    floats(maximum);
  else if (mlir::isa<arith::MinimumFOp>(op))
    floats([](D a, D b) { return -maximum(-a, -b); });
  else if (mlir::isa<arith::MaxNumFOp>(op))
    floats([](D a, D b) { return std::fmax(a, b); });
  else if (mlir::isa<arith::MinNumFOp>(op))
    floats([](D a, D b) { return std::fmin(a, b); });
  else if (mlir::isa<arith::AddIOp>(op))
    ints([width](I a, I b) {
      return wrapped(static_cast<I>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)), width);
    });
  else if (mlir::isa<arith::MulIOp>(op))
    ints([width](I a, I b) {
      return wrapped(static_cast<I>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)), width);
    });
  else if (mlir::isa<arith::MaxSIOp>(op))
    ints([width](I a, I b) { return as_signed(a, width) > as_signed(b, width) ? a : b; });
  else if (mlir::isa<arith::MinSIOp>(op))
    ints([width](I a, I b) { return as_signed(a, width) < as_signed(b, width) ? a : b; });
  else if (mlir::isa<arith::MaxUIOp>(op))
    ints([width](I a, I b) { return as_unsigned(a, width) > as_unsigned(b, width) ? a : b; });
  else if (mlir::isa<arith::MinUIOp>(op))
    ints([width](I a, I b) { return as_unsigned(a, width) < as_unsigned(b, width) ? a : b; });
  else if (mlir::isa<arith::AndIOp>(op))
    ints([](I a, I b) { return a & b; });
  else if (mlir::isa<arith::OrIOp>(op))
    ints([](I a, I b) { return a | b; });
  else
    ints([](I a, I b) { return a ^ b; });
}

} // namespace quern::reference
