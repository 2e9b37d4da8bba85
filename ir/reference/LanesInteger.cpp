// Integer ops of arith and math, and affine.apply, which fusion writes into bodies.
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Describe.h"
#include "ir/reference/Lanes.h"
#include "ir/reference/Loops.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <bit>

namespace quern::reference {
namespace {

using mlir::arith::CmpIPredicate;

/// Divisors are not 0, and a signed quotient fits.
template <bool Signed> absl::Status check_division(const LaneCall &c) {
  const int64_t *a = c.in[0]->ints.data(), *b = c.in[1]->ints.data();
  const unsigned width = width_of(c.in_type(0));
  const int64_t least = width == 64 ? INT64_MIN : -(int64_t{1} << (width - 1));
  for (size_t i = 0; i < c.count; ++i) {
    if (b[i] == 0)
      return absl::InvalidArgumentError("a division by zero");
    if (Signed && as_signed(b[i], width) == -1 && as_signed(a[i], width) == least)
      return absl::InvalidArgumentError("a quotient that the type does not hold");
  }
  return absl::OkStatus();
}
template <auto F> absl::Status signed_division(const LaneCall &c) {
  if (absl::Status status = check_division<true>(c); !status.ok())
    return status;
  return signed_binary<F>(c);
}
template <auto F> absl::Status unsigned_division(const LaneCall &c) {
  if (absl::Status status = check_division<false>(c); !status.ok())
    return status;
  return unsigned_binary<F>(c);
}

/// A shift by the width or more is poison, which a select may throw away: the number that stands
/// for it is none that a program would expect.
constexpr uint64_t kPoison = 0x5a5a5a5a5a5a5a5a;

template <auto F> absl::Status shift(const LaneCall &c) {
  const int64_t *a = c.in[0]->ints.data(), *b = c.in[1]->ints.data();
  int64_t *y = c.out[0]->ints.data();
  const unsigned width = width_of(c.in_type(0));
  for (size_t i = 0; i < c.count; ++i) {
    const uint64_t by = as_unsigned(b[i], width);
    y[i] = wrapped(static_cast<int64_t>(by < width ? F(a[i], by, width) : kPoison), width);
  }
  return absl::OkStatus();
}

template <class F> absl::Status compare(const LaneCall &c, F holds) {
  const int64_t *a = c.in[0]->ints.data(), *b = c.in[1]->ints.data();
  int64_t *y = c.out[0]->ints.data();
  for (size_t i = 0; i < c.count; ++i)
    y[i] = holds(a[i], b[i]) ? 1 : 0;
  return absl::OkStatus();
}

absl::Status cmpi(const LaneCall &c) {
  const unsigned w = width_of(c.in_type(0));
  switch (mlir::cast<mlir::arith::CmpIOp>(c.op).getPredicate()) {
  case CmpIPredicate::eq:
    return compare(c, [](int64_t a, int64_t b) { return a == b; });
  case CmpIPredicate::ne:
    return compare(c, [](int64_t a, int64_t b) { return a != b; });
  case CmpIPredicate::slt:
    return compare(c, [w](int64_t a, int64_t b) { return as_signed(a, w) < as_signed(b, w); });
  case CmpIPredicate::sle:
    return compare(c, [w](int64_t a, int64_t b) { return as_signed(a, w) <= as_signed(b, w); });
  case CmpIPredicate::sgt:
    return compare(c, [w](int64_t a, int64_t b) { return as_signed(a, w) > as_signed(b, w); });
  case CmpIPredicate::sge:
    return compare(c, [w](int64_t a, int64_t b) { return as_signed(a, w) >= as_signed(b, w); });
  case CmpIPredicate::ult:
    return compare(c, [w](int64_t a, int64_t b) { return as_unsigned(a, w) < as_unsigned(b, w); });
  case CmpIPredicate::ule:
    return compare(c, [w](int64_t a, int64_t b) { return as_unsigned(a, w) <= as_unsigned(b, w); });
  case CmpIPredicate::ugt:
    return compare(c, [w](int64_t a, int64_t b) { return as_unsigned(a, w) > as_unsigned(b, w); });
  case CmpIPredicate::uge:
    return compare(c, [w](int64_t a, int64_t b) { return as_unsigned(a, w) >= as_unsigned(b, w); });
  }
  llvm_unreachable("a predicate of arith.cmpi");
}

/// Two results: the low half, and the high half or the carry.
template <class F> absl::Status extended(const LaneCall &c, F halves) {
  const unsigned width = width_of(c.in_type(0)),
                 high_width = width_of(mlir::getElementTypeOrSelf(c.op->getResult(1).getType()));
  for (size_t i = 0; i < c.count; ++i) {
    const auto [low, high] = halves(c.in[0]->ints[i], c.in[1]->ints[i], width);
    c.out[0]->ints[i] = wrapped(static_cast<int64_t>(low), width);
    c.out[1]->ints[i] = wrapped(static_cast<int64_t>(high), high_width);
  }
  return absl::OkStatus();
}
using Halves = std::pair<uint64_t, uint64_t>;
absl::Status addui_extended(const LaneCall &c) {
  return extended(c, [](int64_t a, int64_t b, unsigned w) -> Halves {
    const auto sum = static_cast<unsigned __int128>(as_unsigned(a, w)) + as_unsigned(b, w);
    return {static_cast<uint64_t>(sum), static_cast<uint64_t>(sum >> w)};
  });
}
absl::Status mului_extended(const LaneCall &c) {
  return extended(c, [](int64_t a, int64_t b, unsigned w) -> Halves {
    const auto product = static_cast<unsigned __int128>(as_unsigned(a, w)) * as_unsigned(b, w);
    return {static_cast<uint64_t>(product), static_cast<uint64_t>(product >> w)};
  });
}
absl::Status mulsi_extended(const LaneCall &c) {
  return extended(c, [](int64_t a, int64_t b, unsigned w) -> Halves {
    const auto product = static_cast<__int128>(as_signed(a, w)) * as_signed(b, w);
    return {static_cast<uint64_t>(product), static_cast<uint64_t>(product >> w)};
  });
}

template <auto F> absl::Status integer_unary(const LaneCall &c) {
  const int64_t *a = c.in[0]->ints.data();
  int64_t *y = c.out[0]->ints.data();
  const unsigned width = width_of(c.in_type(0));
  for (size_t i = 0; i < c.count; ++i)
    y[i] = wrapped(static_cast<int64_t>(F(a[i], width)), width);
  return absl::OkStatus();
}

/// a to the power b, wrapped; to a negative power what C's division makes of 1 / a^-b.
absl::Status ipowi(const LaneCall &c) {
  const unsigned width = width_of(c.in_type(0));
  for (size_t i = 0; i < c.count; ++i) {
    const int64_t a = as_signed(c.in[0]->ints[i], width), b = as_signed(c.in[1]->ints[i], width);
    if (b < 0 && a == 0)
      return absl::InvalidArgumentError("zero to a negative power");
    uint64_t power = 1, base = static_cast<uint64_t>(a);
    if (b < 0)
      power = a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? UINT64_MAX : 0;
    else
      for (auto rest = static_cast<uint64_t>(b); rest; rest >>= 1, base *= base)
        if (rest & 1)
          power *= base;
    c.out[0]->ints[i] = wrapped(static_cast<int64_t>(power), width);
  }
  return absl::OkStatus();
}

absl::Status affine_apply(const LaneCall &c) {
  const mlir::AffineMap map = mlir::cast<mlir::affine::AffineApplyOp>(c.op).getAffineMap();
  std::vector<int64_t> at(c.in.size());
  for (size_t i = 0; i < c.count; ++i) {
    for (size_t operand = 0; operand < at.size(); ++operand)
      at[operand] = c.in[operand]->ints[i];
    const llvm::ArrayRef<int64_t> operands(at);
    const std::optional<int64_t> value =
        affine_value(map.getResult(0), operands.take_front(map.getNumDims()),
                     operands.drop_front(map.getNumDims()));
    if (!value)
      return absl::InvalidArgumentError("a division by what is not positive");
    c.out[0]->ints[i] = *value;
  }
  return absl::OkStatus();
}

absl::Status check_index(const LaneCall &c) {
  const int64_t *index = c.in[0]->ints.data(), *size = c.in[1]->ints.data();
  const bool from_end = mlir::cast<CheckIndexOp>(c.op).getFromEnd();
  for (size_t i = 0; i < c.count; ++i) {
    const int64_t at = from_end && index[i] < 0 ? index[i] + size[i] : index[i];
    if (at < 0 || at >= size[i])
      return absl::OutOfRangeError(absl::StrCat(
          describe(c.op), ": index ", index[i],
          size[i] > 0
              ? absl::StrCat(" is not within ", from_end ? -size[i] : 0, " to ", size[i] - 1)
              : " into what has no elements"));
    c.out[0]->ints[i] = at;
  }
  return absl::OkStatus();
}

absl::Status check_divisor(const LaneCall &c) {
  for (size_t i = 0; i < c.count; ++i) {
    if (c.in[0]->ints[i] == 0)
      return absl::OutOfRangeError(absl::StrCat(describe(c.op), ": an integer is divided by 0"));
    c.out[0]->ints[i] = c.in[0]->ints[i];
  }
  return absl::OkStatus();
}

} // namespace

void add_integer_lanes(LaneTable &table) {
  using U = uint64_t;
  using I = int64_t;
  table["arith.addi"] = unsigned_binary<[](U a, U b) { return a + b; }>;
  table["arith.subi"] = unsigned_binary<[](U a, U b) { return a - b; }>;
  table["arith.muli"] = unsigned_binary<[](U a, U b) { return a * b; }>;
  table["arith.andi"] = unsigned_binary<[](U a, U b) { return a & b; }>;
  table["arith.ori"] = unsigned_binary<[](U a, U b) { return a | b; }>;
  table["arith.xori"] = unsigned_binary<[](U a, U b) { return a ^ b; }>;
  table["arith.maxui"] = unsigned_binary<[](U a, U b) { return std::max(a, b); }>;
  table["arith.minui"] = unsigned_binary<[](U a, U b) { return std::min(a, b); }>;
  table["arith.maxsi"] = signed_binary<[](I a, I b) { return std::max(a, b); }>;
  table["arith.minsi"] = signed_binary<[](I a, I b) { return std::min(a, b); }>;

  table["arith.divui"] = unsigned_division<[](U a, U b) { return a / b; }>;
  table["arith.remui"] = unsigned_division<[](U a, U b) { return a % b; }>;
  table["arith.ceildivui"] = unsigned_division<[](U a, U b) { return a / b + (a % b != 0); }>;
  table["arith.divsi"] = signed_division<[](I a, I b) { return a / b; }>;
  table["arith.remsi"] = signed_division<[](I a, I b) { return a % b; }>;
  table["arith.floordivsi"] =
      signed_division<[](I a, I b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }>;
  table["arith.ceildivsi"] =
      signed_division<[](I a, I b) { return a / b + (a % b != 0 && (a % b < 0) == (b < 0)); }>;

  table["arith.shli"] = shift<[](I a, U by, unsigned) { return static_cast<U>(a) << by; }>;
  table["arith.shrui"] =
      shift<[](I a, U by, unsigned width) { return as_unsigned(a, width) >> by; }>;
  table["arith.shrsi"] =
      shift<[](I a, U by, unsigned width) { return static_cast<U>(as_signed(a, width) >> by); }>;

  table["arith.cmpi"] = cmpi;
  table["arith.addui_extended"] = addui_extended;
  table["arith.mului_extended"] = mului_extended;
  table["arith.mulsi_extended"] = mulsi_extended;

  table["math.absi"] = integer_unary<[](I a, unsigned width) {
    a = as_signed(a, width);
    return a < 0 ? -static_cast<U>(a) : static_cast<U>(a);
  }>;
  table["math.ctlz"] = integer_unary<[](I a, unsigned width) {
    return static_cast<U>(std::countl_zero(as_unsigned(a, width))) - (64 - width);
  }>;
  table["math.cttz"] = integer_unary<[](I a, unsigned width) {
    return std::min<U>(static_cast<U>(std::countr_zero(as_unsigned(a, width))), width);
  }>;
  table["math.ctpop"] =
      integer_unary<[](I a, unsigned width) { return std::popcount(as_unsigned(a, width)); }>;
  table["math.ipowi"] = ipowi;
  table["affine.apply"] = affine_apply;
  table["quern.check_index"] = check_index;
  table["quern.check_divisor"] = check_divisor;
}

} // namespace quern::reference
