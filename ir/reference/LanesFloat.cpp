// Float ops and choices of arith.
#include "ir/reference/Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::reference {
namespace {

using mlir::arith::CmpFPredicate;

double minimum(double a, double b) { return -maximum(-a, -b); }

template <class F> absl::Status compare(const LaneCall &c, F holds) {
  const double *a = c.in[0]->floats.data(), *b = c.in[1]->floats.data();
  int64_t *y = c.out[0]->ints.data();
  for (size_t i = 0; i < c.count; ++i)
    y[i] = holds(a[i], b[i]) ? 1 : 0;
  return absl::OkStatus();
}

bool unordered(double a, double b) { return std::isnan(a) || std::isnan(b); }

absl::Status cmpf(const LaneCall &c) {
  switch (mlir::cast<mlir::arith::CmpFOp>(c.op).getPredicate()) {
  case CmpFPredicate::AlwaysFalse:
    return compare(c, [](double, double) { return false; });
  case CmpFPredicate::OEQ:
    return compare(c, [](double a, double b) { return a == b; });
  case CmpFPredicate::OGT:
    return compare(c, [](double a, double b) { return a > b; });
  case CmpFPredicate::OGE:
    return compare(c, [](double a, double b) { return a >= b; });
  case CmpFPredicate::OLT:
    return compare(c, [](double a, double b) { return a < b; });
  case CmpFPredicate::OLE:
    return compare(c, [](double a, double b) { return a <= b; });
  case CmpFPredicate::ONE:
    return compare(c, [](double a, double b) { return a < b || a > b; });
  case CmpFPredicate::ORD:
    return compare(c, [](double a, double b) { return !unordered(a, b); });
  case CmpFPredicate::UEQ:
    return compare(c, [](double a, double b) { return unordered(a, b) || a == b; });
  case CmpFPredicate::UGT:
    return compare(c, [](double a, double b) { return !(a <= b); });
  case CmpFPredicate::UGE:
    return compare(c, [](double a, double b) { return !(a < b); });
  case CmpFPredicate::ULT:
    return compare(c, [](double a, double b) { return !(a >= b); });
  case CmpFPredicate::ULE:
    return compare(c, [](double a, double b) { return !(a > b); });
  case CmpFPredicate::UNE:
    return compare(c, [](double a, double b) { return a != b; });
  case CmpFPredicate::UNO:
    return compare(c, [](double a, double b) { return unordered(a, b); });
  case CmpFPredicate::AlwaysTrue:
    return compare(c, [](double, double) { return true; });
  }
  llvm_unreachable("a predicate of arith.cmpf");
}

template <class T>
void choose(const LaneCall &c, const std::vector<T> &yes, const std::vector<T> &no,
            std::vector<T> &y) {
  const int64_t *condition = c.in[0]->ints.data();
  for (size_t i = 0; i < c.count; ++i)
    y[i] = condition[i] ? yes[i] : no[i];
}
absl::Status select(const LaneCall &c) {
  if (mlir::isa<mlir::FloatType>(c.out_type()))
    choose(c, c.in[1]->floats, c.in[2]->floats, c.out[0]->floats);
  else
    choose(c, c.in[1]->ints, c.in[2]->ints, c.out[0]->ints);
  return absl::OkStatus();
}

} // namespace

double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return std::numeric_limits<double>::quiet_NaN();
  if (a == b)
    return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

void add_float_lanes(LaneTable &table) {
  using D = double;
  table["arith.addf"] = float_binary<[](D a, D b) { return a + b; }>;
  table["arith.subf"] = float_binary<[](D a, D b) { return a - b; }>;
  table["arith.mulf"] = float_binary<[](D a, D b) { return a * b; }>;
  table["arith.divf"] = float_binary<[](D a, D b) { return a / b; }>;
  table["arith.remf"] = float_binary<[](D a, D b) { return std::fmod(a, b); }>;
  table["arith.negf"] = float_unary<[](D a) { return -a; }>;
  table["arith.maximumf"] = float_binary<maximum>;
  table["arith.minimumf"] = float_binary<minimum>;
  table["arith.maxnumf"] = float_binary<[](D a, D b) { return std::fmax(a, b); }>;
  table["arith.minnumf"] = float_binary<[](D a, D b) { return std::fmin(a, b); }>;
  table["arith.cmpf"] = cmpf;
  table["arith.select"] = select;
}

const LaneTable &lane_table() {
  static const LaneTable table = [] {
    LaneTable table;
    add_integer_lanes(table);
    add_float_lanes(table);
    add_cast_lanes(table);
    add_math_lanes(table);
    return table;
  }();
  return table;
}

} // namespace quern::reference
