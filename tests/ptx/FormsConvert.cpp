// Conversions: PTX ISA, section 9.7.9.21. The common ones by name, lane by lane in vectors; every
// other one by one general function.
#include "tests/ptx/Conversion.h"
#include "tests/ptx/Decode.h"
#include "tests/ptx/LevelForms.h"
#include "tests/ptx/Rounding.h"
#include "tests/ptx/Words.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

QUERN_PTX_BEGIN
namespace {

// float to integer: what does not fit is clamped, NaN is 0 (the least number of 64 bits, as the
// machine has it).
template <class T> T integer_of(double rounded, bool nan) {
  if (nan)
    return sizeof(T) == 8 ? static_cast<T>(u64{1} << 63) : T{0};
  constexpr double most = static_cast<double>(std::numeric_limits<T>::max());
  constexpr double least = static_cast<double>(std::numeric_limits<T>::min());
  if (rounded >= most)
    return std::numeric_limits<T>::max();
  if (rounded <= least)
    return std::numeric_limits<T>::min();
  return static_cast<T>(rounded);
}

double rounded_whole(double value, Whole whole) {
  switch (whole) {
  case Whole::Nearest:
    return std::nearbyint(value);
  case Whole::Zero:
    return std::trunc(value);
  case Whole::Down:
    return std::floor(value);
  case Whole::Up:
    return std::ceil(value);
  case Whole::None:
    break;
  }
  return value;
}

u64 load_bits(const u8 *lanes, int bytes, int lane) {
  u64 bits = 0;
  std::memcpy(&bits, lanes + bytes * lane, static_cast<size_t>(bytes));
  return bits;
}

// A number of any type: a float64 that holds it exactly, or an integer.
struct Number {
  bool floating = false;
  double real = 0;
  __int128 whole = 0;
};

Number number_of(u64 bits, Type type, bool flush) {
  Number made;
  made.floating = is_float(type);
  switch (type) {
  case Type::U8:
  case Type::B8:
    made.whole = static_cast<u8>(bits);
    break;
  case Type::S8:
    made.whole = static_cast<i8>(bits);
    break;
  case Type::U16:
  case Type::B16:
    made.whole = static_cast<u16>(bits);
    break;
  case Type::S16:
    made.whole = static_cast<i16>(bits);
    break;
  case Type::U32:
  case Type::B32:
    made.whole = static_cast<u32>(bits);
    break;
  case Type::S32:
    made.whole = static_cast<i32>(bits);
    break;
  case Type::S64:
    made.whole = static_cast<i64>(bits);
    break;
  case Type::F16:
    made.real = static_cast<double>(static_cast<float>(f16_from(static_cast<u32>(bits))));
    break;
  case Type::BF16:
    made.real = float_of(Bf16{static_cast<u16>(bits)});
    break;
  case Type::F32: {
    const float value = std::bit_cast<float>(static_cast<u32>(bits));
    made.real = flush ? flushed(value) : value;
    break;
  }
  case Type::F64:
    made.real = std::bit_cast<double>(bits);
    break;
  default:
    made.whole = bits;
    break;
  }
  return made;
}

// An integer of up to 64 bits as a float64 rounded to odd: exact below 2^53.
double odd_of(__int128 value) {
  const double nearest = static_cast<double>(value);
  const __int128 back = static_cast<__int128>(nearest);
  return to_odd(nearest, value > back ? 1.0 : value < back ? -1.0 : 0.0);
}

u64 single_bits(float value, const Conversion &how) {
  if (how.relu && !(value > 0) && value == value)
    value = 0;
  if (how.flush)
    value = flushed(value);
  if (how.saturate)
    value = saturated(value);
  return std::bit_cast<u32>(canonical(value));
}

float round_single(double odd, Round round) {
  switch (round) {
  case Round::Zero:
    return narrowed<Round::Zero>(odd);
  case Round::Down:
    return narrowed<Round::Down>(odd);
  case Round::Up:
    return narrowed<Round::Up>(odd);
  default:
    return narrowed<Round::Nearest>(odd);
  }
}

// Narrow formats with another rounding: the nearest, and a step back where it went the wrong way.
template <class Wide> u16 round_half(double odd, Round round, u16 nearest, Wide wide) {
  if (round == Round::Nearest || odd != odd)
    return nearest;
  const double back = wide(nearest);
  if (back == odd || (std::isinf(odd) && std::isinf(back)))
    return nearest;
  const bool toward_zero =
      round == Round::Zero || (round == Round::Down && odd > 0) || (round == Round::Up && odd < 0);
  const bool larger = std::fabs(back) > std::fabs(odd);
  if (toward_zero && larger)
    return static_cast<u16>(nearest - 1);
  if (!toward_zero && !larger)
    return static_cast<u16>(nearest + 1);
  return nearest;
}

u64 bits_from(const Number &number, const Conversion &how) {
  if (!is_float(how.to)) {
    if (number.floating) {
      const double whole = rounded_whole(number.real, how.whole);
      const bool nan = number.real != number.real;
      switch (how.to) {
      case Type::U8:
        return integer_of<u8>(whole, nan);
      case Type::S8:
        return static_cast<u64>(i64{integer_of<i8>(whole, nan)});
      case Type::U16:
        return integer_of<u16>(whole, nan);
      case Type::S16:
        return static_cast<u64>(i64{integer_of<i16>(whole, nan)});
      case Type::U32:
        return integer_of<u32>(whole, nan);
      case Type::S32:
        return static_cast<u64>(i64{integer_of<i32>(whole, nan)});
      case Type::U64:
        return integer_of<u64>(whole, nan);
      default:
        return static_cast<u64>(integer_of<i64>(whole, nan));
      }
    }
    __int128 value = number.whole;
    const int bits = 8 * bytes_of(how.to);
    if (how.saturate) {
      const __int128 most =
          is_signed(how.to) ? (__int128{1} << (bits - 1)) - 1 : (__int128{1} << bits) - 1;
      const __int128 least = is_signed(how.to) ? -(__int128{1} << (bits - 1)) : 0;
      value = value > most ? most : value < least ? least : value;
    }
    const u64 low = static_cast<u64>(value);
    if (bits == 64)
      return low;
    // A wider register holds the number extended by its sign.
    const u64 cut = low & ((u64{1} << bits) - 1);
    return is_signed(how.to) && (cut >> (bits - 1)) != 0 ? cut | ~((u64{1} << bits) - 1) : cut;
  }
  const double value =
      number.floating ? rounded_whole(number.real, how.whole) : odd_of(number.whole);
  switch (how.to) {
  case Type::F64:
    if (!number.floating) {
      // Integers to float64 with one rounding.
      const double nearest = static_cast<double>(number.whole);
      const __int128 back = static_cast<__int128>(nearest);
      const double infinity = std::numeric_limits<double>::infinity();
      const bool down = how.round == Round::Down || (how.round == Round::Zero && number.whole > 0);
      if (how.round != Round::Nearest && back > number.whole && down)
        return std::bit_cast<u64>(std::nextafter(nearest, -infinity));
      if (how.round != Round::Nearest && back < number.whole && !down)
        return std::bit_cast<u64>(std::nextafter(nearest, infinity));
      return std::bit_cast<u64>(nearest);
    }
    return std::bit_cast<u64>(how.saturate ? saturated(value) : value);
  case Type::TF32: {
    u32 bits = std::bit_cast<u32>(static_cast<float>(value));
    if ((bits & 0x7fffffffu) > 0x7f800000u)
      return 0x7fffffff;
    if (how.relu && (bits >> 31) != 0)
      return 0;
    if (how.away)
      bits += 0x1000;
    else if (how.round == Round::Nearest)
      bits += 0xfff + (bits >> 13 & 1);
    return bits & ~u32{0x1fff};
  }
  case Type::F16: {
    u16 bits = round_half(value, how.round, canonical_bits(f16_of(value)), [](u16 made) {
      return static_cast<double>(static_cast<float>(f16_from(made)));
    });
    const bool nan = (bits & 0x7fff) > 0x7c00;
    if (how.relu && !nan && (bits & 0x8000) != 0)
      bits = 0;
    if (how.finite && (bits & 0x7fff) == 0x7c00)
      bits = static_cast<u16>(bits - 1);
    if (how.saturate)
      bits = nan || (bits & 0x8000) != 0 ? u16{0} : std::min<u16>(bits, 0x3c00);
    return bits;
  }
  case Type::BF16: {
    u16 bits = round_half(value, how.round, bf16_of_odd(value),
                          [](u16 made) { return static_cast<double>(float_of(Bf16{made})); });
    const bool nan = (bits & 0x7fff) > 0x7f80;
    if (how.relu && !nan && (bits & 0x8000) != 0)
      bits = 0;
    if (how.finite && (bits & 0x7fff) == 0x7f80)
      bits = static_cast<u16>(bits - 1);
    if (how.saturate)
      bits = nan || (bits & 0x8000) != 0 ? u16{0} : std::min<u16>(bits, 0x3f80);
    return bits;
  }
  default:
    return single_bits(round_single(value, how.round), how);
  }
}

// Any conversion: widths of the registers in count (source) and bytes (result).
void convert(Warp &warp, const Instr &instr, Mask mask) {
  const Conversion &how = *static_cast<const Conversion *>(instr.aux);
  const u8 *from = warp.reg<u8>(instr.o[1]);
  u8 *to = warp.reg<u8>(instr.o[0]);
  u64 made[kLanes];
  for (int l = 0; l < kLanes; ++l)
    made[l] = (mask >> l & 1) == 0
                  ? 0
                  : bits_from(number_of(load_bits(from, instr.count, l), how.from, how.flush), how);
  for (int l = 0; l < kLanes; ++l)
    if ((mask >> l & 1) != 0)
      std::memcpy(to + instr.bytes * l, &made[l], instr.bytes);
}

// Two float32 to a pair; the first operand is the upper half.
void convert_pair(Warp &warp, const Instr &instr, Mask mask) {
  const Conversion &how = *static_cast<const Conversion *>(instr.aux);
  const float *high = warp.reg<float>(instr.o[1]), *low = warp.reg<float>(instr.o[2]);
  u32 made[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    Number upper, lower;
    upper.floating = lower.floating = true;
    upper.real = high[l];
    lower.real = low[l];
    made[l] = static_cast<u32>(bits_from(upper, how) << 16 | bits_from(lower, how));
  }
  store_lanes(warp, instr.o[0], mask, made);
}

// cvt.pack.sat: two s32 clamped to narrow integers; the older content of c moves up.
template <class T> u32 packed(i32 a, i32 b, u32 c) {
  const auto clamp = [](i32 value) {
    const i64 most = std::numeric_limits<T>::max(), least = std::numeric_limits<T>::min();
    return static_cast<u32>(static_cast<std::make_unsigned_t<T>>(value > most    ? most
                                                                 : value < least ? least
                                                                                 : value));
  };
  const u32 both = clamp(a) << 8 * sizeof(T) | clamp(b);
  return sizeof(T) == 2 ? both : c << 16 | both;
}

void decode_cvt(Decoder &decoder, const Statement &statement, const Parts &parts, Instr &instr) {
  const std::optional<Conversion> read = conversion_of(parts);
  if (!read)
    decoder.refuse(concat("unknown form ", statement.opcode));
  const Conversion &how = *read;
  if (how.pair) {
    decoder.operands(statement, 3, 3);
    instr.fn = convert_pair;
    decoder.source(instr, 1, statement.operands[1], Type::F32);
    decoder.source(instr, 2, statement.operands[2], Type::F32);
    decoder.result(instr, 0, statement.operands[0], Type::B32);
  } else {
    decoder.operands(statement, 2, 2);
    instr.fn = convert;
    const Operand &to = statement.operands[0], &from = statement.operands[1];
    const Type register_of[] = {Type::None, Type::None, Type::B16,  Type::None, Type::B32,
                                Type::None, Type::None, Type::None, Type::B64};
    instr.count = static_cast<u8>(decoder.width(from, how.from));
    instr.bytes = static_cast<u8>(decoder.width(to, how.to));
    const bool same = from.kind != Operand::Kind::Register;
    decoder.source(instr, 1, from, same ? how.from : register_of[instr.count]);
    decoder.result(instr, 0, to, register_of[instr.bytes]);
  }
  instr.aux = decoder.keep(how);
}

template <class To, class From> Form plain_cast() {
  return lanes<[](From a) { return static_cast<To>(a); }>();
}

} // namespace

void add_convert_forms(FormTable &table) {
  table.add("cvt.s64.s32 cvt.u64.s32", plain_cast<i64, i32>());
  table.add("cvt.u64.u32 cvt.s64.u32", plain_cast<u64, u32>());
  table.add("cvt.u32.u64 cvt.s32.u64 cvt.s32.s64 cvt.u32.s64", plain_cast<u32, u64>());
  table.add("cvt.u16.u32 cvt.s16.s32 cvt.u16.s32 cvt.s16.u32", plain_cast<u16, u32>());
  table.add("cvt.u16.u64 cvt.s16.s64 cvt.u16.s64 cvt.s16.u64", plain_cast<u16, u64>());
  table.add("cvt.u32.u16 cvt.s32.u16", plain_cast<u32, u16>());
  table.add("cvt.s32.s16 cvt.u32.s16", plain_cast<i32, i16>());
  table.add("cvt.u64.u16 cvt.s64.u16", plain_cast<u64, u16>());
  table.add("cvt.s64.s16 cvt.u64.s16", plain_cast<i64, i16>());
  table.add("cvt.s32.s8 cvt.u32.s8", lanes<[](i32 a) { return i32{static_cast<i8>(a)}; }>());
  table.add("cvt.u32.u8 cvt.s32.u8", lanes<[](u32 a) { return u32{static_cast<u8>(a)}; }>());
  table.add("cvt.s16.s8 cvt.u16.s8",
            lanes<[](i16 a) { return static_cast<i16>(static_cast<i8>(a)); }>());
  table.add("cvt.u16.u8 cvt.s16.u8",
            lanes<[](u16 a) { return static_cast<u16>(static_cast<u8>(a)); }>());
  table.add("cvt.rn.f32.s32", plain_cast<float, i32>());
  table.add("cvt.rn.f32.u32", plain_cast<float, u32>());
  table.add("cvt.rn.f32.u16", plain_cast<float, u16>());
  table.add("cvt.rn.f32.s16", plain_cast<float, i16>());
  table.add("cvt.f32.f16", lanes<[](_Float16 a) { return canonical(static_cast<float>(a)); }>());
  table.add("cvt.f32.bf16", lanes<[](Bf16 a) { return canonical(float_of(a)); }>());
  table.add("cvt.f64.f32", lanes<[](float a) { return static_cast<double>(a); }>());
  table.add("cvt.rn.f32.f64", lanes<[](double a) { return canonical(static_cast<float>(a)); }>());
  table.add("cvt.rn.f16.f32", lanes<[](float a) {
              return std::bit_cast<_Float16>(canonical_bits(static_cast<_Float16>(a)));
            }>());
  table.add("cvt.rn.bf16.f32", lanes<[](float a) { return Bf16{bf16_of(a)}; }>());
  table.add(
      "cvt.rn.bf16x2.f32",
      lanes<[](float a, float b) { return static_cast<u32>(bf16_of(a)) << 16 | bf16_of(b); }>());
  table.add("cvt.rn.f16x2.f32", lanes<[](float a, float b) {
              return static_cast<u32>(canonical_bits(static_cast<_Float16>(a))) << 16 |
                     canonical_bits(static_cast<_Float16>(b));
            }>());
  table.add("cvt.rni.s32.f32", lanes<[](float a) {
              const float whole = std::nearbyint(a);
              return a != a                   ? 0
                     : whole >= 2147483648.0f ? 2147483647
                     : whole < -2147483648.0f ? -2147483647 - 1
                                              : static_cast<i32>(whole);
            }>());
  table.add("cvt.rzi.s32.f32", lanes<[](float a) {
              return a != a               ? 0
                     : a >= 2147483648.0f ? 2147483647
                     : a < -2147483648.0f ? -2147483647 - 1
                                          : static_cast<i32>(a);
            }>());
  table.add(
      "cvt.rzi.u32.f32",
      lanes<[](float a) { return integer_of<u32>(std::trunc(static_cast<double>(a)), a != a); }>());
  table.add("cvt.rni.f32.f32", lanes<[](float a) { return canonical(std::nearbyint(a)); }>());
  table.add("cvt.rmi.f32.f32", lanes<[](float a) { return canonical(std::floor(a)); }>());
  table.add("cvt.rpi.f32.f32", lanes<[](float a) { return canonical(std::ceil(a)); }>());
  table.add("cvt.rzi.f32.f32", lanes<[](float a) { return canonical(std::trunc(a)); }>());
  table.add("cvt.pack.sat.s16.s32", lanes<[](i32 a, i32 b) { return packed<i16>(a, b, 0); }>());
  table.add("cvt.pack.sat.u16.s32", lanes<[](i32 a, i32 b) { return packed<u16>(a, b, 0); }>());
  table.add("cvt.pack.sat.s8.s32.b32",
            lanes<[](i32 a, i32 b, u32 c) { return packed<i8>(a, b, c); }>());
  table.add("cvt.pack.sat.u8.s32.b32",
            lanes<[](i32 a, i32 b, u32 c) { return packed<u8>(a, b, c); }>());
  table.add_family("cvt", decode_cvt);
}

QUERN_PTX_END
