// Products of small matrices by a warp: PTX ISA, section 9.7.14.5. Fragments of all shapes follow
// one rule: a register holds as many neighbours along k as fit into 32 bits; lane l has row (of A)
// or column (of B) l / 4, and its neighbours begin at l % 4 times their number; further registers
// are eight rows further, then four lanes' worth of k.
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Rounding.h"
#include "tests/ptx/Words.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string>

QUERN_PTX_BEGIN
namespace {

enum class Element : u8 { F16, BF16, TF32, S8, U8, S4, U4 };

struct Product {
  u8 m, k;
  Element a, b;
  bool half_sum;       ///< C and D are float16 pairs
  bool finite = false; ///< .satfinite of integers
};

constexpr int kColumns = 8;

constexpr int bits_of(Element element) {
  return element == Element::TF32                              ? 32
         : element == Element::F16 || element == Element::BF16 ? 16
         : element == Element::S8 || element == Element::U8    ? 8
                                                               : 4;
}

template <Element kElement> double real(u32 bits) {
  if constexpr (kElement == Element::F16)
    return static_cast<double>(static_cast<float>(f16_from(bits)));
  else if constexpr (kElement == Element::BF16)
    return std::bit_cast<float>(bits << 16);
  else
    return std::bit_cast<float>(bits & ~u32{0x1fff}); // the machine reads no more of a tf32
}
template <Element kElement> i32 whole(u32 bits) {
  if constexpr (kElement == Element::S8)
    return static_cast<i8>(bits);
  else if constexpr (kElement == Element::U8)
    return static_cast<u8>(bits);
  else if constexpr (kElement == Element::S4)
    return static_cast<i32>(bits << 28) >> 28;
  else
    return static_cast<i32>(bits & 15);
}

// A's or B's fragment to a matrix of `rows` times k.
template <Element kElement, class T, auto kValue>
void gather_as(Warp &warp, const u32 *slots, int rows, int k, T *into) {
  constexpr int kWidth = bits_of(kElement), kEach = 32 / kWidth;
  constexpr u32 kKeep = kWidth == 32 ? ~0u : (u32{1} << (kWidth % 32)) - 1;
  const int tall = rows / 8;
  for (int part = 0; part < k / (4 * kEach); ++part)
    for (int upper = 0; upper < tall; ++upper) {
      const u32 *lanes = warp.reg<u32>(slots[part * tall + upper]);
      for (int group = 0; group < 8; ++group) {
        T *to = into + (group + 8 * upper) * k + part * 4 * kEach;
        for (int within = 0; within < 4; ++within)
          for (int e = 0; e < kEach; ++e)
            to[within * kEach + e] =
                static_cast<T>(kValue(lanes[4 * group + within] >> (e * kWidth) & kKeep));
      }
    }
}
void gather(Warp &warp, const u32 *slots, int rows, int k, Element element, double *into) {
  if (element == Element::F16)
    gather_as<Element::F16, double, real<Element::F16>>(warp, slots, rows, k, into);
  else if (element == Element::BF16)
    gather_as<Element::BF16, double, real<Element::BF16>>(warp, slots, rows, k, into);
  else
    gather_as<Element::TF32, double, real<Element::TF32>>(warp, slots, rows, k, into);
}
void gather(Warp &warp, const u32 *slots, int rows, int k, Element element, float *into) {
  if (element == Element::S8)
    gather_as<Element::S8, float, whole<Element::S8>>(warp, slots, rows, k, into);
  else if (element == Element::U8)
    gather_as<Element::U8, float, whole<Element::U8>>(warp, slots, rows, k, into);
  else if (element == Element::S4)
    gather_as<Element::S4, float, whole<Element::S4>>(warp, slots, rows, k, into);
  else
    gather_as<Element::U4, float, whole<Element::U4>>(warp, slots, rows, k, into);
}

// Products here are exact, so it does not matter whether they are rounded before they are added.
template <class T> T fused(T a, T b, T c) {
#ifdef QUERN_PTX_AVX2
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// A times B, k ascending; B as its columns.
template <int kRows, int kDepth, class T>
void multiply(const T *a, const T *columns, T (*sums)[kColumns]) {
  T b[kDepth][kColumns];
  for (int n = 0; n < kColumns; ++n)
    for (int i = 0; i < kDepth; ++i)
      b[i][n] = columns[n * kDepth + i];
  for (int row = 0; row < kRows; ++row) {
    T sum[kColumns] = {};
    for (int i = 0; i < kDepth; ++i)
      for (int n = 0; n < kColumns; ++n)
        sum[n] = fused(a[row * kDepth + i], b[i][n], sum[n]);
    for (int n = 0; n < kColumns; ++n)
      sums[row][n] = sum[n];
  }
}

// The same in another order and in float32 that cuts off, as machines do in one way or another.
template <int kRows, int kDepth>
void multiply_perturbed(u32 seed, const double *a, const double *columns,
                        double (*sums)[kColumns]) {
  for (int row = 0; row < kRows; ++row)
    for (int n = 0; n < kColumns; ++n) {
      double sum = 0;
      for (u32 i = 0; i < kDepth; ++i) {
        const int at = static_cast<int>((i * (2 * (seed % 8) + 1) + seed) % kDepth);
        sum = narrowed<Round::Zero>(sum + a[row * kDepth + at] * columns[n * kDepth + at]);
      }
      sums[row][n] = sum;
    }
}

template <int kDepth> void float_product(Warp &warp, const Instr &instr, Mask mask) {
  if (mask != kAllLanes)
    throw Fault{"divergence", "mma without all lanes of the warp", std::countr_zero(mask)};
  const Product &how = *static_cast<const Product *>(instr.aux);
  constexpr int kRows = 16;
  alignas(64) double a[kRows * kDepth], b[kColumns * kDepth], sums[kRows][kColumns];
  const u32 d_slots = how.half_sum ? 2 : 4,
            a_slots = static_cast<u32>(kDepth * bits_of(how.a) / 64), b_slots = a_slots / 2;
  gather(warp, instr.o + d_slots, kRows, kDepth, how.a, a);
  gather(warp, instr.o + d_slots + a_slots, kColumns, kDepth, how.b, b);
  const u32 seed = warp.launch->numerics.perturbation;
  if (seed == 0)
    multiply<kRows, kDepth>(a, b, sums);
  else
    multiply_perturbed<kRows, kDepth>(seed, a, b, sums);
  const u32 c = d_slots + a_slots + b_slots;
  for (int l = 0; l < kLanes; ++l)
    for (int e = 0; e < 4; ++e) {
      const double value =
          how.half_sum
              ? real<Element::F16>(warp.reg<u32>(instr.o[c + static_cast<u32>(e / 2)])[l] >>
                                       (16 * (e & 1)) &
                                   0xffff)
              : warp.reg<float>(instr.o[c + static_cast<u32>(e)])[l];
      double &sum = sums[l / 4 + 8 * (e / 2)][2 * (l % 4) + (e & 1)];
      sum = seed == 0 ? add_odd(sum, value) : narrowed<Round::Zero>(sum + value);
    }
  for (int e = 0; e < 4; ++e)
    for (int l = 0; l < kLanes; ++l) {
      const double value = sums[l / 4 + 8 * (e / 2)][2 * (l % 4) + (e & 1)];
      if (!how.half_sum) {
        warp.reg<float>(instr.o[e])[l] = canonical(static_cast<float>(value));
        continue;
      }
      u32 &to = warp.reg<u32>(instr.o[e / 2])[l];
      const u32 bits = canonical_bits(f16_of(value));
      to = (e & 1) != 0 ? (to & 0xffff) | bits << 16 : bits;
    }
}

// Sums of bytes stay below 2^24, so float32 holds them exactly, and multiplies faster than
// integers.
template <int kRows, int kDepth> void integer_product(Warp &warp, const Instr &instr, Mask mask) {
  if (mask != kAllLanes)
    throw Fault{"divergence", "mma without all lanes of the warp", std::countr_zero(mask)};
  const Product &how = *static_cast<const Product *>(instr.aux);
  alignas(64) float a[kRows * kDepth], b[kColumns * kDepth], sums[kRows][kColumns];
  const u32 d_slots = kRows / 4,
            a_slots = static_cast<u32>(kDepth * bits_of(how.a) / 128 * (kRows / 8)),
            b_slots = a_slots / (kRows / 8);
  gather(warp, instr.o + d_slots, kRows, kDepth, how.a, a);
  gather(warp, instr.o + d_slots + a_slots, kColumns, kDepth, how.b, b);
  multiply<kRows, kDepth>(a, b, sums);
  const u32 c = d_slots + a_slots + b_slots;
  for (u32 e = 0; e < d_slots; ++e) {
    const i32 *from = warp.reg<i32>(instr.o[c + e]);
    i32 *to = warp.reg<i32>(instr.o[e]);
    for (u32 l = 0; l < kLanes; ++l) {
      const i64 sum =
          i64{from[l]} + static_cast<i64>(sums[l / 4 + 8 * (e / 2)][2 * (l % 4) + (e & 1)]);
      to[l] = how.finite ? static_cast<i32>(sum > 2147483647      ? 2147483647
                                            : sum < -2147483648LL ? -2147483648LL
                                                                  : sum)
                         : static_cast<i32>(static_cast<u32>(sum));
    }
  }
}

// m8n8k4 of float64: one number a lane of A and B, two of C.
void double_product(Warp &warp, const Instr &instr, Mask mask) {
  if (mask != kAllLanes)
    throw Fault{"divergence", "mma without all lanes of the warp", std::countr_zero(mask)};
  const double *a = warp.reg<double>(instr.o[2]), *b = warp.reg<double>(instr.o[3]);
  double sums[2][kLanes];
  for (int e = 0; e < 2; ++e)
    for (int l = 0; l < kLanes; ++l) {
      double sum = warp.reg<double>(instr.o[4 + e])[l];
      for (int i = 0; i < 4; ++i)
        sum = std::fma(a[l / 4 * 4 + i], b[(2 * (l % 4) + e) * 4 + i], sum);
      sums[e][l] = sum;
    }
  for (int e = 0; e < 2; ++e)
    store_lanes(warp, instr.o[e], mask, sums[e]);
}

// Of shapes whose depth fits their elements (decode_mma).
Handler product_handler(const Product &how, bool integers) {
  if (!integers)
    return how.k == 4 ? float_product<4> : how.k == 8 ? float_product<8> : float_product<16>;
  if (how.m == 8)
    return how.k == 16 ? integer_product<8, 16> : integer_product<8, 32>;
  return how.k == 16   ? integer_product<16, 16>
         : how.k == 32 ? integer_product<16, 32>
                       : integer_product<16, 64>;
}

struct ElementName {
  std::string_view name;
  Element element;
};
constexpr ElementName kElements[] = {
    {"f16", Element::F16}, {"bf16", Element::BF16}, {"tf32", Element::TF32}, {"s8", Element::S8},
    {"u8", Element::U8},   {"s4", Element::S4},     {"u4", Element::U4}};

// mma.sync.aligned.SHAPE.row.col{.satfinite}.D.A.B.C d, a, b, c
void decode_mma(Decoder &decoder, const Statement &statement, const Parts &all, Instr &instr) {
  Parts parts = all;
  Product how{};
  for (size_t n = 6; n < parts.size(); ++n)
    if (parts[n] == "satfinite") {
      how.finite = true;
      parts.erase(parts.begin() + static_cast<long>(n));
    }
  const auto unknown = [&] { decoder.refuse(concat("unknown form ", statement.opcode)); };
  if (parts.size() != 10 || parts[1] != "sync" || parts[2] != "aligned" || parts[4] != "row" ||
      parts[5] != "col")
    unknown();
  decoder.operands(statement, 4, 4);
  const std::string_view shape = parts[3], d = parts[6], c = parts[9];
  size_t counts[4] = {}; // registers of d, a, b, c
  Type types[4] = {Type::B32, Type::B32, Type::B32, Type::B32};
  if (shape == "m8n8k4" && d == "f64" && !how.finite && parts[7] == "f64" && parts[8] == "f64" &&
      c == "f64") {
    instr.fn = double_product;
    counts[0] = counts[3] = 2;
    counts[1] = counts[2] = 1;
    for (Type &type : types)
      type = Type::F64;
  } else {
    bool found[2] = {false, false};
    for (const ElementName &known : kElements)
      for (int n = 0; n < 2; ++n)
        if (known.name == parts[static_cast<size_t>(7 + n)]) {
          (n == 0 ? how.a : how.b) = known.element;
          found[n] = true;
        }
    const int width = bits_of(how.a);
    const bool integers = width < 16;
    const bool same_kind = integers ? bits_of(how.b) == width : how.a == how.b;
    if (!found[0] || !found[1] || !same_kind || (how.finite && !integers))
      unknown();
    how.m = shape.starts_with("m16n8k") ? 16 : shape.starts_with("m8n8k") ? 8 : 0;
    const std::string_view depth = shape.substr(shape.rfind('k') + 1);
    how.k = depth == "4"    ? 4
            : depth == "8"  ? 8
            : depth == "16" ? 16
            : depth == "32" ? 32
            : depth == "64" ? 64
                            : 0;
    // A register of four lanes is 128 bits of k; an instruction takes one or two of them.
    const int bits = how.k * width;
    if (how.m == 0 || how.k == 0 || (bits != 128 && bits != 256) ||
        (how.m == 8 && (!integers || bits != 128)))
      unknown();
    how.half_sum = d == "f16";
    if (integers ? d != "s32" || c != "s32"
                 : d != c || (d != "f32" && (d != "f16" || how.a != Element::F16)))
      unknown();
    counts[0] = counts[3] = how.m == 8 || how.half_sum ? 2 : 4;
    counts[2] = static_cast<size_t>(bits / 128);
    counts[1] = counts[2] * how.m / 8;
    types[0] = types[3] = how.half_sum || integers ? Type::B32 : Type::F32;
    instr.fn = product_handler(how, integers);
    instr.aux = decoder.keep(how);
  }
  u32 slot = static_cast<u32>(counts[0]);
  for (size_t n = 0; n < 4; ++n) {
    const Operand &operand = statement.operands[n];
    const bool vector = operand.kind == Operand::Kind::Vector;
    if (!vector || operand.parts.size() != counts[n])
      decoder.refuse(concat(statement.opcode, ": ", counts[n], " registers are wanted"));
    for (size_t e = 0; n != 0 && e < counts[n]; ++e)
      decoder.source(instr, slot++, operand.parts[e], types[n]);
  }
  const Operand &results = statement.operands[0];
  for (u32 e = 0; e < counts[0]; ++e)
    decoder.result(instr, e, results.parts[e], types[0]);
}

} // namespace

void add_mma_forms(FormTable &table) { table.add_family("mma", decode_mma); }

QUERN_PTX_END
