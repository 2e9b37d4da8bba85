#include "tests/ptx/truth/Builder.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::ptx {

Random::Random(std::string_view name) : state_(0xcbf29ce484222325) {
  for (const char c : name)
    state_ = (state_ ^ static_cast<u8>(c)) * 0x100000001b3;
}

// splitmix64
u64 Random::next() {
  u64 z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

namespace {

u64 integer(int bits, Random &random) {
  static constexpr u64 kEdges[] = {0,
                                   1,
                                   2,
                                   3,
                                   4,
                                   7,
                                   8,
                                   9,
                                   15,
                                   16,
                                   17,
                                   31,
                                   32,
                                   33,
                                   63,
                                   64,
                                   65,
                                   127,
                                   128,
                                   255,
                                   256,
                                   0x7fff,
                                   0x8000,
                                   0xffff,
                                   0x10000,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x100000000,
                                   0x7fffffffffffffff,
                                   0x8000000000000000};
  u64 value = 0;
  if (random.below(2) == 0) {
    value = kEdges[random.below(std::size(kEdges))];
    if (random.below(3) == 0)
      value = ~value; // and so -1, -2, ...
  } else {
    value = random.next() >> random.below(static_cast<u64>(bits));
    if (random.below(4) == 0)
      value = 0 - value;
  }
  return bits == 64 ? value : value & ((u64{1} << bits) - 1);
}

// A float of so many bits in all and of exponent.
u64 floating(int bits, int exponent_bits, Random &random) {
  const int mantissa = bits - 1 - exponent_bits;
  const u64 one = u64{1} << mantissa, most = (u64{1} << exponent_bits) - 1, bias = most / 2;
  const u64 sign = random.below(2) << (bits - 1);
  const auto power = [&](i64 e) { // 2^e, at the ends of the range where it is not
    return static_cast<u64>(
               std::clamp<i64>(static_cast<i64>(bias) + e, 1, static_cast<i64>(most) - 1))
           << mantissa;
  };
  const u64 fraction = random.next() & (one - 1);
  switch (random.below(8)) {
  case 0: { // zeros, infinities, NaNs, the ends of the subnormal and of the normal numbers
    const u64 edges[] = {
        0,   most << mantissa,      most << mantissa | one >> 1, most << mantissa | 1, 1, one - 1,
        one, (most << mantissa) - 1};
    return sign | edges[random.below(std::size(edges))];
  }
  case 1: { // small numbers and halves, powers of two where integers end, and what lies beside them
    const i64 powers[] = {-1, 0, 1, 2, 3, 7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 63, 64};
    return sign | (power(powers[random.below(std::size(powers))]) + random.below(3) * (one >> 1) -
                   random.below(2));
  }
  case 2: // subnormal
    return sign | fraction >> random.below(static_cast<u64>(mantissa));
  case 3: // any
    return sign | random.below(most) << mantissa | fraction;
  default: // about 1
    return sign | power(static_cast<i64>(random.below(21)) - 10) | fraction;
  }
}

} // namespace

u64 sample(Type type, Random &random) {
  switch (type) {
  case Type::Pred:
    return random.below(2);
  case Type::F16:
    return floating(16, 5, random);
  case Type::BF16:
    return floating(16, 8, random);
  case Type::F16x2: {
    const u64 high = floating(16, 5, random);
    return high << 16 | floating(16, 5, random);
  }
  case Type::BF16x2: {
    const u64 high = floating(16, 8, random);
    return high << 16 | floating(16, 8, random);
  }
  case Type::F32:
  case Type::TF32:
    return floating(32, 8, random);
  case Type::F64:
    return floating(64, 11, random);
  default:
    return integer(8 * bytes_of(type), random);
  }
}

std::string_view register_type(Type type) {
  if (type == Type::Pred)
    return "pred";
  const int bytes = bytes_of(type);
  return bytes <= 2 ? "b16" : bytes == 4 ? "b32" : "b64";
}

Builder::Builder(std::string name) { case_.name = std::move(name); }

std::string Builder::reg(Type type) {
  const std::string name = absl::StrCat("%x", count_++);
  absl::StrAppend(&registers_, "  .reg .", std::string(register_type(type)), " ", name, ";\n");
  return name;
}

std::string Builder::in(Type type) {
  return in(type, [type](u32, Random &random) { return sample(type, random); });
}

std::string Builder::in(Type type, const Values &values) {
  const u32 at = case_.operands++ * Case::kThreads * 8;
  values_.emplace_back(type, values);
  const std::string made = reg(type);
  if (type == Type::Pred) {
    const std::string bit = reg(Type::B32);
    line(absl::StrCat("ld.global.b32 ", bit, ", [%in+", at, "];"));
    line(absl::StrCat("setp.ne.s32 ", made, ", ", bit, ", 0;"));
  } else {
    line(absl::StrCat("ld.global.", std::string(register_type(type)), " ", made, ", [%in+", at,
                      "];"));
  }
  return made;
}

void Builder::out(const std::string &from, Type type) {
  const u32 at = static_cast<u32>(case_.result_bytes.size()) * Case::kThreads * 8;
  case_.result_bytes.push_back(type == Type::Pred ? 4
                                                  : static_cast<u32>(std::max(2, bytes_of(type))));
  std::string given = from;
  if (type == Type::Pred) {
    given = reg(Type::B32);
    line(absl::StrCat("selp.b32 ", given, ", 1, 0, ", from, ";"));
    type = Type::B32;
  }
  line(absl::StrCat("st.global.", std::string(register_type(type)), " [%out+", at, "], ", given,
                    ";"));
}

std::string Builder::shared(u32 bytes) {
  const std::string name = absl::StrCat("shared", count_++);
  absl::StrAppend(&registers_, "  .shared .align 16 .b8 ", name, "[", bytes, "];\n");
  return name;
}

Case Builder::finish(Judgement judgement) {
  Random random(case_.name);
  for (const auto &[type, values] : values_)
    for (u32 t = 0; t < Case::kThreads; ++t)
      case_.in.push_back(values(t, random));
  case_.judgement = judgement;
  case_.body = registers_ + R"(  .reg .b64 %in, %out, %at;
  .reg .b32 %t;
  ld.param.u64 %in, [in];
  ld.param.u64 %out, [out];
  cvta.to.global.u64 %in, %in;
  cvta.to.global.u64 %out, %out;
  mov.u32 %t, %tid.x;
  mul.wide.u32 %at, %t, 8;
  add.s64 %in, %in, %at;
  add.s64 %out, %out, %at;
)" + body_;
  return std::move(case_);
}

std::string Case::text(std::string_view target) const {
  return absl::StrCat(
      ".version 8.1\n.target ", std::string(target),
      "\n.address_size 64\n.visible .entry run(.param .u64 in, .param .u64 out)\n{\n", body,
      "  ret;\n}\n");
}

} // namespace quern::ptx
