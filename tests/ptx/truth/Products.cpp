// mma.sync: integer products, float products of whole numbers (whose sums are exact in any order),
// and float products of any numbers.
#include "tests/ptx/truth/Builder.h"

#include <absl/strings/str_cat.h>

#include <bit>

namespace quern::ptx {
namespace {

struct Element {
  const char *name;
  int bits;
};

// A register of the fragment, of numbers that `one` makes.
template <class One> u64 packed(int bits, Random &random, One one) {
  u64 word = 0;
  for (int at = 0; at < 32; at += bits)
    word |= (one(random) & (bits == 32 ? 0xffffffff : (u64{1} << bits) - 1)) << at;
  return word;
}

u64 float_bits(const Element &of, float value) {
  const u32 bits = std::bit_cast<u32>(value);
  if (of.bits == 32)
    return bits;
  if (of.name[0] == 'b')
    return bits >> 16;
  // Numbers that float16 has exactly.
  const u32 sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 255;
  return value == 0 ? sign : sign | (exponent - 112) << 10 | (bits >> 13 & 0x3ff);
}

enum class Numbers { whole, near, wide };

u64 number(const Element &of, Numbers kind, Random &random) {
  const float sign = random.below(2) == 0 ? 1.0f : -1.0f;
  if (kind == Numbers::whole)
    return float_bits(of, sign * static_cast<float>(random.below(16)));
  // A mantissa that each of them has, and exponents close to each other or far apart.
  const int reach = kind == Numbers::near ? 4 : of.name[0] == 'f' ? 20 : 40;
  const int exponent = static_cast<int>(random.below(static_cast<u64>(reach))) - reach / 2;
  const float value = static_cast<float>(128 + random.below(128)) / 128;
  return float_bits(of,
                    sign * std::bit_cast<float>(static_cast<u32>(127 + exponent) << 23) * value);
}

void floats(std::vector<Case> &to, const std::string &shape, int k, const Element &of,
            bool half_sum, Numbers kind) {
  const std::string sum = half_sum ? "f16" : "f32";
  const std::string form = absl::StrCat("mma.sync.aligned.", shape, ".row.col.", sum, ".", of.name,
                                        ".", of.name, ".", sum);
  constexpr const char *kKinds[] = {"whole", "near", "wide"};
  Builder builder(absl::StrCat(form, " ", kKinds[static_cast<int>(kind)]));
  const int b_count = k * of.bits / 128, c_count = half_sum ? 2 : 4;
  const auto list = [&](int count, Type type, const Builder::Values &values) {
    std::string made;
    for (int n = 0; n < count; ++n)
      absl::StrAppend(&made, n == 0 ? "{" : ", ", builder.in(type, values));
    return made + "}";
  };
  const Builder::Values elements = [&of, kind](u32, Random &random) {
    return packed(of.bits, random, [&](Random &r) { return number(of, kind, r); });
  };
  const Element half{"f16", 16}, single{"f32", 32};
  const Builder::Values sums = [&](u32, Random &random) {
    return half_sum ? packed(16, random, [&](Random &r) { return number(half, kind, r); })
                    : number(single, kind, random);
  };
  const std::string a = list(2 * b_count, Type::B32, elements),
                    b = list(b_count, Type::B32, elements), c = list(c_count, Type::B32, sums);
  std::string d;
  std::vector<std::string> made;
  for (int n = 0; n < c_count; ++n) {
    made.push_back(builder.reg(Type::B32));
    absl::StrAppend(&d, n == 0 ? "{" : ", ", made.back());
  }
  builder.line(absl::StrCat(form, " ", d, "}, ", a, ", ", b, ", ", c, ";"));
  for (const std::string &piece : made)
    builder.out(piece, Type::B32);
  Judgement judgement;
  if (kind != Numbers::whole)
    judgement = {Judgement::product, half_sum ? Type::F16x2 : Type::F32,
                 half_sum ? 0x1p-10 : 0x1p-21, half_sum ? 0x1p-14 : 0x1p-126};
  to.push_back(builder.finish(judgement));
}

void integers(std::vector<Case> &to, const std::string &shape, int m, int k, const Element &a_of,
              const Element &b_of, bool finite) {
  const std::string form =
      absl::StrCat("mma.sync.aligned.", shape, ".row.col", finite ? ".satfinite" : "", ".s32.",
                   a_of.name, ".", b_of.name, ".s32");
  Builder builder(form);
  const int b_count = k * b_of.bits / 128, a_count = b_count * m / 8, c_count = m / 4;
  const auto list = [&](int count) {
    std::string made;
    for (int n = 0; n < count; ++n)
      absl::StrAppend(&made, n == 0 ? "{" : ", ", builder.in(Type::B32, [](u32, Random &random) {
        return random.next() & 0xffffffff;
      }));
    return made + "}";
  };
  // Some sums run over.
  const auto sums = [](u32 thread, Random &random) {
    return thread % 4 == 0 ? 0x7fffff00 + random.below(512) : random.next() >> 40;
  };
  const std::string a = list(a_count), b = list(b_count);
  std::string c, d;
  std::vector<std::string> made;
  for (int n = 0; n < c_count; ++n) {
    absl::StrAppend(&c, n == 0 ? "{" : ", ", builder.in(Type::S32, sums));
    made.push_back(builder.reg(Type::B32));
    absl::StrAppend(&d, n == 0 ? "{" : ", ", made.back());
  }
  builder.line(absl::StrCat(form, " ", d, "}, ", a, ", ", b, ", ", c, "};"));
  for (const std::string &piece : made)
    builder.out(piece, Type::B32);
  to.push_back(builder.finish());
}

} // namespace

void add_products(std::vector<Case> &to) {
  static constexpr Element kHalf{"f16", 16}, kBrain{"bf16", 16}, kTf32{"tf32", 32};
  for (const Numbers kind : {Numbers::whole, Numbers::near, Numbers::wide}) {
    for (const Element *of : {&kHalf, &kBrain}) {
      floats(to, "m16n8k8", 8, *of, false, kind);
      floats(to, "m16n8k16", 16, *of, false, kind);
    }
    if (kind != Numbers::wide) { // which overflows
      floats(to, "m16n8k8", 8, kHalf, true, kind);
      floats(to, "m16n8k16", 16, kHalf, true, kind);
    }
    floats(to, "m16n8k4", 4, kTf32, false, kind);
    floats(to, "m16n8k8", 8, kTf32, false, kind);
  }
  static constexpr Element kBytes[] = {{"s8", 8}, {"u8", 8}}, kNibbles[] = {{"s4", 4}, {"u4", 4}};
  for (const Element &a : kBytes)
    for (const Element &b : kBytes) {
      integers(to, "m8n8k16", 8, 16, a, b, false);
      integers(to, "m16n8k16", 16, 16, a, b, false);
      integers(to, "m16n8k32", 16, 32, a, b, false);
      integers(to, "m16n8k32", 16, 32, a, b, true);
    }
  for (const Element &a : kNibbles)
    for (const Element &b : kNibbles) {
      integers(to, "m8n8k32", 8, 32, a, b, false);
      integers(to, "m16n8k32", 16, 32, a, b, false);
      integers(to, "m16n8k64", 16, 64, a, b, true);
    }
  Builder doubles("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64");
  const Builder::Values moderate = [](u32, Random &random) {
    return random.below(2) << 63 | (1015 + random.below(16)) << 52 | random.next() >> 12;
  };
  std::string a = doubles.in(Type::F64, moderate), b = doubles.in(Type::F64, moderate),
              c0 = doubles.in(Type::F64, moderate), c1 = doubles.in(Type::F64, moderate),
              d0 = doubles.reg(Type::F64), d1 = doubles.reg(Type::F64);
  doubles.line(absl::StrCat("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {", d0, ", ", d1,
                            "}, {", a, "}, {", b, "}, {", c0, ", ", c1, "};"));
  doubles.out(d0, Type::F64);
  doubles.out(d1, Type::F64);
  to.push_back(doubles.finish());
}

} // namespace quern::ptx
