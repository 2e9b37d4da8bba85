#include "tests/ptx/OpcodeRun.h"

namespace quern::ptx {
namespace {

TEST(PtxInteger, SumsAndProductsWrap) {
  hold<u32, u32, u32>("add.s32", [](u32 a, u32 b) { return a + b; });
  hold<u32, u32, u32>("sub.u32", [](u32 a, u32 b) { return a - b; });
  hold<u16, u16, u16>("add.u16", [](u16 a, u16 b) { return static_cast<u16>(a + b); });
  hold<u64, u64, u64>("sub.s64", [](u64 a, u64 b) { return a - b; });
  hold<u16, u16, u16>("mul.lo.s16", [](u16 a, u16 b) { return static_cast<u16>(a * b); });
  hold<u32, u32, u32>("mul.lo.s32", [](u32 a, u32 b) { return a * b; });
  hold<u64, u64, u64>("mul.lo.u64", [](u64 a, u64 b) { return a * b; });
  hold<u32, i32, i32>("mul.hi.s32", [](i64 a, i64 b) { return static_cast<u32>((a * b) >> 32); });
  hold<u32, u32, u32>("mul.hi.u32", [](u64 a, u64 b) { return static_cast<u32>((a * b) >> 32); });
  hold<u64, u64, u64>("mul.hi.u64", [](u64 a, u64 b) {
    return static_cast<u64>((static_cast<unsigned __int128>(a) * b) >> 64);
  });
  hold<u64, i64, i64>("mul.hi.s64", [](i64 a, i64 b) {
    return static_cast<u64>((static_cast<__int128>(a) * b) >> 64);
  });
  hold<u32, u16, u16>("mul.wide.u16", [](u32 a, u32 b) { return a * b; });
  hold<u32, i16, i16>("mul.wide.s16", [](i32 a, i32 b) { return static_cast<u32>(a * b); });
  hold<u64, i32, i32>("mul.wide.s32", [](i64 a, i64 b) { return static_cast<u64>(a * b); });
  hold<u64, u32, u32>("mul.wide.u32", [](u64 a, u64 b) { return a * b; });
  hold<u32, u32, u32, u32>("mad.lo.s32", [](u32 a, u32 b, u32 c) { return a * b + c; });
  hold<u32, i32, i32, u32>("mad.hi.s32",
                           [](i64 a, i64 b, u32 c) { return static_cast<u32>((a * b) >> 32) + c; });
  hold<u64, i32, i32, u64>("mad.wide.s32",
                           [](i64 a, i64 b, u64 c) { return static_cast<u64>(a * b) + c; });
  hold<u64, u32, u32, u64>("mad.wide.u32", [](u64 a, u64 b, u64 c) { return a * b + c; });
  hold<i32, i32, i32>("add.sat.s32", [](i64 a, i64 b) {
    return static_cast<i32>(std::clamp<i64>(a + b, -2147483648LL, 2147483647));
  });
  hold<i32, i32, i32>("sub.sat.s32", [](i64 a, i64 b) {
    return static_cast<i32>(std::clamp<i64>(a - b, -2147483648LL, 2147483647));
  });
}

TEST(PtxInteger, DivisionTruncates) {
  const auto signed_quotient = [](i64 a, i64 b) { return b == 0 ? i64{-1} : a / b; };
  hold<i32, i32, i32>("div.s32",
                      [&](i32 a, i32 b) { return static_cast<i32>(signed_quotient(a, b)); });
  hold<u32, u32, u32>("div.u32", [](u32 a, u32 b) { return b == 0 ? ~0u : a / b; });
  hold<i32, i32, i32>("rem.s32", [](i64 a, i64 b) { return static_cast<i32>(b == 0 ? a : a % b); });
  hold<u64, u64, u64>("rem.u64", [](u64 a, u64 b) { return b == 0 ? a : a % b; });
  hold<i64, i64, i64>("div.s64", [](i64 a, i64 b) {
    return b == 0 ? i64{-1} : b == -1 ? static_cast<i64>(0 - static_cast<u64>(a)) : a / b;
  });
}

TEST(PtxInteger, OrderAndSign) {
  hold<i32, i32, i32>("min.s32", [](i32 a, i32 b) { return std::min(a, b); });
  hold<u32, u32, u32>("max.u32", [](u32 a, u32 b) { return std::max(a, b); });
  hold<i64, i64, i64>("max.s64", [](i64 a, i64 b) { return std::max(a, b); });
  hold<u16, u16, u16>("min.u16", [](u16 a, u16 b) { return std::min(a, b); });
  hold<u32, i32>("abs.s32",
                 [](i32 a) { return a < 0 ? 0 - static_cast<u32>(a) : static_cast<u32>(a); });
  hold<u64, u64>("neg.s64", [](u64 a) { return 0 - a; });
  hold<u16, u16>("neg.s16", [](u16 a) { return static_cast<u16>(0 - a); });
  hold<u32, u32, u32, u32>("sad.u32",
                           [](u32 a, u32 b, u32 c) { return c + (a > b ? a - b : b - a); });
}

TEST(PtxInteger, DotsOfBytes) {
  const auto dot = [](auto first, auto second, u32 a, u32 b, u32 c) {
    for (int n = 0; n < 4; ++n)
      c += static_cast<u32>(static_cast<i32>(static_cast<decltype(first)>(a >> 8 * n)) *
                            static_cast<i32>(static_cast<decltype(second)>(b >> 8 * n)));
    return c;
  };
  hold<u32, u32, u32, u32>("dp4a.u32.s32",
                           [&](u32 a, u32 b, u32 c) { return dot(u8{}, i8{}, a, b, c); });
  hold<u32, u32, u32, u32>("dp4a.s32.s32",
                           [&](u32 a, u32 b, u32 c) { return dot(i8{}, i8{}, a, b, c); });
  hold<u32, u32, u32, u32>("dp4a.u32.u32",
                           [&](u32 a, u32 b, u32 c) { return dot(u8{}, u8{}, a, b, c); });
  hold<u32, u32, u32, u32>("dp2a.hi.s32.u32", [](u32 a, u32 b, u32 c) {
    for (int n = 0; n < 2; ++n)
      c += static_cast<u32>(static_cast<i32>(static_cast<i16>(a >> 16 * n)) *
                            static_cast<i32>(static_cast<u8>(b >> (16 + 8 * n))));
    return c;
  });
  hold<u32, u32, u32, u32>("dp2a.lo.u32.s32", [](u32 a, u32 b, u32 c) {
    for (int n = 0; n < 2; ++n)
      c += static_cast<u32>(static_cast<i32>(static_cast<u16>(a >> 16 * n)) *
                            static_cast<i32>(static_cast<i8>(b >> 8 * n)));
    return c;
  });
}

TEST(PtxBits, LogicAndShifts) {
  hold<u32, u32, u32>("xor.b32", [](u32 a, u32 b) { return a ^ b; });
  hold<u64, u64, u64>("and.b64", [](u64 a, u64 b) { return a & b; });
  hold<u16, u16, u16>("or.b16", [](u16 a, u16 b) { return static_cast<u16>(a | b); });
  hold<u32, u32>("not.b32", [](u32 a) { return ~a; });
  hold<u32, u32>("cnot.b32", [](u32 a) { return a == 0 ? 1u : 0u; });
  hold<u32, u32, u32>("shl.b32", [](u32 a, u32 n) { return n > 31 ? 0 : a << n; });
  hold<u32, u32, u32>("shr.u32", [](u32 a, u32 n) { return n > 31 ? 0 : a >> n; });
  hold<i32, i32, u32>("shr.s32", [](i32 a, u32 n) { return a >> std::min(n, 31u); });
  hold<u64, u64, u32>("shl.b64", [](u64 a, u32 n) { return n > 63 ? 0 : a << n; });
  hold<i64, i64, u32>("shr.s64", [](i64 a, u32 n) { return a >> std::min(n, 63u); });
  hold<u16, u16, u32>("shl.b16",
                      [](u16 a, u32 n) { return static_cast<u16>(n > 15 ? 0 : a << n); });
  hold<i16, i16, u32>("shr.s16",
                      [](i16 a, u32 n) { return static_cast<i16>(a >> std::min(n, 15u)); });
  hold<u32, u32, u32, u32>("shf.l.wrap.b32", [](u32 a, u32 b, u32 n) {
    return static_cast<u32>((u64{b} << 32 | a) << (n & 31) >> 32);
  });
  hold<u32, u32, u32, u32>("shf.r.clamp.b32", [](u32 a, u32 b, u32 n) {
    return static_cast<u32>((u64{b} << 32 | a) >> std::min(n, 32u));
  });
  hold<u32, u32, u32, u32>("shf.r.wrap.b32", [](u32 a, u32 b, u32 n) {
    return static_cast<u32>((u64{b} << 32 | a) >> (n & 31));
  });
}

// Bit by bit, as the manual's pseudo code has it.
template <class T> T extracted(T a, u32 b, u32 c, bool is_signed) {
  const int msb = 8 * sizeof(T) - 1;
  const u32 pos = b & 0xff, len = c & 0xff;
  bool sign = false;
  if (is_signed && len != 0)
    sign = (a >> std::min<u32>(pos + len - 1, static_cast<u32>(msb)) & 1) != 0;
  T d = 0;
  for (u32 i = 0; i <= static_cast<u32>(msb); ++i) {
    const bool bit = i < len && pos + i <= static_cast<u32>(msb) ? (a >> (pos + i) & 1) != 0 : sign;
    d |= static_cast<T>(bit) << i;
  }
  return d;
}
template <class T> T inserted(T a, T b, u32 c, u32 d) {
  const u32 msb = 8 * sizeof(T) - 1, pos = c & 0xff, len = d & 0xff;
  T f = b;
  for (u32 i = 0; i < len && pos + i <= msb; ++i)
    f = static_cast<T>((f & ~(T{1} << (pos + i))) | (a >> i & 1) << (pos + i));
  return f;
}

TEST(PtxBits, Fields) {
  hold<u32, u32, u32, u32>("bfe.u32",
                           [](u32 a, u32 b, u32 c) { return extracted(a, b, c, false); });
  hold<u32, u32, u32, u32>("bfe.s32", [](u32 a, u32 b, u32 c) { return extracted(a, b, c, true); });
  hold<u64, u64, u32, u32>("bfe.u64",
                           [](u64 a, u32 b, u32 c) { return extracted(a, b, c, false); });
  hold<u64, u64, u32, u32>("bfe.s64", [](u64 a, u32 b, u32 c) { return extracted(a, b, c, true); });
  hold<u32, u32, u32, u32, u32>("bfi.b32",
                                [](u32 a, u32 b, u32 c, u32 d) { return inserted(a, b, c, d); });
  hold<u64, u64, u64, u32, u32>("bfi.b64",
                                [](u64 a, u64 b, u32 c, u32 d) { return inserted(a, b, c, d); });
  hold<u32, u32>("popc.b32", [](u32 a) { return static_cast<u32>(std::popcount(a)); });
  hold<u32, u64>("popc.b64", [](u64 a) { return static_cast<u32>(std::popcount(a)); });
  hold<u32, u64>("clz.b64", [](u64 a) { return static_cast<u32>(std::countl_zero(a)); });
  hold<u32, u32>("clz.b32", [](u32 a) { return static_cast<u32>(std::countl_zero(a)); });
  hold<u32, u32>("brev.b32", [](u32 a) {
    u32 made = 0;
    for (int n = 0; n < 32; ++n)
      made |= (a >> n & 1) << (31 - n);
    return made;
  });
  hold<u32, u32>("bfind.u32",
                 [](u32 a) { return a == 0 ? ~0u : 31 - static_cast<u32>(std::countl_zero(a)); });
  hold<u32, i32>("bfind.s32", [](i32 a) {
    const u32 bits = static_cast<u32>(a < 0 ? ~a : a);
    return bits == 0 ? ~0u : 31 - static_cast<u32>(std::countl_zero(bits));
  });
}

TEST(PtxBits, Permutations) {
  hold<u32, u32, u32, u32>("prmt.b32", [](u32 a, u32 b, u32 c) {
    u8 bytes[8], made[4];
    std::memcpy(bytes, &a, 4);
    std::memcpy(bytes + 4, &b, 4);
    for (int n = 0; n < 4; ++n) {
      const u32 which = c >> 4 * n & 15;
      made[n] = which < 8 ? bytes[which]
                          : static_cast<u8>(static_cast<i8>(bytes[which - 8]) < 0 ? 0xff : 0);
    }
    u32 all;
    std::memcpy(&all, made, 4);
    return all;
  });
  for (u32 table : {0xeau, 0x96u, 0x6au, 0x01u, 0xc0u, 0x00u, 0xffu})
    hold<u32, u32, u32, u32>(
        "lop3.b32",
        [&](u32 a, u32 b, u32 c) {
          u32 made = 0;
          for (int n = 0; n < 32; ++n)
            made |= (table >> ((a >> n & 1) * 4 + (b >> n & 1) * 2 + (c >> n & 1)) & 1) << n;
          return made;
        },
        concat(", ", table));
}

// 128-bit sums out of carries.
TEST(PtxInteger, Carries) {
  const std::string text = module_text(R"(
.visible .entry k(.param .u64 io)
{
  .reg .b64 %a<9>;
  ld.param.u64 %a0, [io];
  ld.global.v2.u64 {%a1, %a2}, [%a0];
  ld.global.v2.u64 {%a3, %a4}, [%a0+16];
  add.cc.u64 %a5, %a1, %a3;
  addc.u64 %a6, %a2, %a4;
  st.global.v2.u64 [%a0+32], {%a5, %a6};
  sub.cc.u64 %a5, %a1, %a3;
  subc.u64 %a6, %a2, %a4;
  st.global.v2.u64 [%a0+48], {%a5, %a6};
  mad.lo.cc.u64 %a5, %a1, %a3, %a2;
  madc.hi.u64 %a6, %a1, %a3, %a4;
  st.global.v2.u64 [%a0+64], {%a5, %a6};
  ret;
})");
  Device device;
  const auto module = device.load(text);
  ASSERT_TRUE(module.ok()) << module.status();
  using Wide = unsigned __int128;
  for (u64 low : {u64{0}, u64{1}, ~u64{0}, u64{1} << 63})
    for (u64 other : {u64{0}, u64{1}, ~u64{0}, u64{77}}) {
      const u64 at = device.put(std::vector<u64>{low, 5, other, 9, 0, 0, 0, 0, 0, 0});
      const auto report = device.launch(**module, "k", {}, Arguments().add(at));
      ASSERT_TRUE(report.ok() && !*report);
      const auto made = device.get<u64>(at, 10);
      const Wide a = Wide{5} << 64 | low, b = Wide{9} << 64 | other;
      EXPECT_TRUE((Wide{made[5]} << 64 | made[4]) == a + b) << low << " " << other;
      EXPECT_TRUE((Wide{made[7]} << 64 | made[6]) == a - b) << low << " " << other;
      EXPECT_TRUE((Wide{made[9]} << 64 | made[8]) == Wide{low} * other + (Wide{9} << 64 | 5))
          << low << " " << other;
    }
}

} // namespace
} // namespace quern::ptx
