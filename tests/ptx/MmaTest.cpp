// mma.sync of every shape against plain sums; fragments are laid out as in the figures of the
// manual.
#include "tests/ptx/OpcodeRun.h"

#include <functional>

namespace quern::ptx {
namespace {

struct Case {
  const char *name;
  int m, k, bits; ///< of an element of A and B
  const char *a, *b, *d;
  bool finite = false;
};

struct Place {
  int row, col;
};
/// Element i of a thread's fragment, as the figures have it: group = lane / 4, within = lane % 4.
Place place_a(const Case &c, int group, int within, int i) {
  switch (c.bits * 1000 + c.k) {
  case 16016:
    return {i < 2 || (i >= 4 && i < 6) ? group : group + 8,
            within * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
  case 16008:
    return {i < 2 ? group : group + 8, within * 2 + (i & 1)};
  case 32008:
    return {i == 0 || i == 2 ? group : group + 8, within + (i >= 2 ? 4 : 0)};
  case 32004:
    return {i == 0 ? group : group + 8, within};
  case 8032:
    return {i < 4 || (i >= 8 && i < 12) ? group : group + 8,
            within * 4 + (i & 3) + (i >= 8 ? 16 : 0)};
  case 8016:
    return {i < 4 ? group : group + 8, within * 4 + (i & 3)};
  case 4064:
    return {i < 8 || (i >= 16 && i < 24) ? group : group + 8,
            within * 8 + (i & 7) + (i >= 16 ? 32 : 0)};
  default:
    return {i < 8 ? group : group + 8, within * 8 + (i & 7)};
  }
}
int row_b(const Case &c, int within, int i) {
  switch (c.bits * 1000 + c.k) {
  case 16016:
    return within * 2 + (i & 1) + (i >= 2 ? 8 : 0);
  case 16008:
    return within * 2 + i;
  case 32008:
    return within + (i >= 1 ? 4 : 0);
  case 32004:
    return within;
  case 8032:
    return within * 4 + (i & 3) + (i >= 4 ? 16 : 0);
  case 8016:
    return within * 4 + i;
  case 4064:
    return within * 8 + (i & 7) + (i >= 8 ? 32 : 0);
  default:
    return within * 8 + i;
  }
}

double real(const Case &c, std::string_view type, u32 bits) {
  if (type == "bf16")
    return std::bit_cast<float>(bits << 16);
  if (type == "f16")
    return static_cast<double>(static_cast<float>(std::bit_cast<_Float16>(static_cast<u16>(bits))));
  if (type == "tf32")
    return std::bit_cast<float>(bits & ~0x1fffu);
  if (type == "s8")
    return static_cast<i8>(bits);
  if (type == "s4")
    return static_cast<i32>(bits << 28) >> 28;
  return bits & ((1u << c.bits) - 1);
}

void check(const Case &c) {
  const int each = 32 / c.bits, a_registers = c.m * c.k * c.bits / 1024,
            b_registers = 8 * c.k * c.bits / 1024;
  const bool floating = c.bits >= 16, half = std::string_view(c.d) == "f16";
  const int d_registers = half ? 2 : c.m / 4;
  const auto list = [](char name, int count) {
    std::string made = "{";
    for (int n = 0; n < count; ++n)
      made += concat(n == 0 ? "%" : ", %", std::string(1, name), n);
    return made + "}";
  };
  std::string text = ".visible .entry k(.param .u64 io)\n{\n.reg .b64 %w<3>;\n.reg .b32 %t, %a<9>, "
                     "%b<9>, %c<9>, %d<9>;\nmov.u32 %t, %tid.x;\nld.param.u64 %w0, "
                     "[io];\nmul.wide.u32 %w1, %t, 64;\nadd.s64 %w0, %w0, %w1;\n";
  for (int n = 0; n < a_registers; ++n)
    text += concat("ld.global.b32 %a", n, ", [%w0+", 4 * n, "];\n");
  for (int n = 0; n < b_registers; ++n)
    text += concat("ld.global.b32 %b", n, ", [%w0+", 16 + 4 * n, "];\n");
  for (int n = 0; n < d_registers; ++n)
    text += concat("ld.global.b32 %c", n, ", [%w0+", 32 + 4 * n, "];\n");
  text += concat("mma.sync.aligned.m", c.m, "n8k", c.k, ".row.col", c.finite ? ".satfinite" : "",
                 ".", c.d, ".", c.a, ".", c.b, ".", c.d, " ", list('d', d_registers), ", ",
                 list('a', a_registers), ", ", list('b', b_registers), ", ", list('c', d_registers),
                 ";\n");
  for (int n = 0; n < d_registers; ++n)
    text += concat("st.global.b32 [%w0+", 48 + 4 * n, "], %d", n, ";\n");
  Device device;
  const auto module = device.load(module_text(text + "ret;\n}\n"));
  ASSERT_TRUE(module.ok()) << module.status();
  std::mt19937 random(static_cast<u32>(c.k * 100 + c.bits));
  std::vector<u32> words(32 * 16);
  for (size_t n = 0; n < words.size(); ++n) {
    // Floats of moderate size: exponents near 0; sums of C too.
    const auto single = [&] {
      return std::bit_cast<u32>(std::ldexp(static_cast<float>(static_cast<i32>(random())),
                                           -30 - static_cast<int>(random() % 4)));
    };
    const auto narrow = [&](std::string_view type) {
      return type == "bf16"
                 ? single() >> 16
                 : u32{std::bit_cast<u16>(static_cast<_Float16>(std::bit_cast<float>(single())))};
    };
    const bool sum = n % 16 >= 8;
    const std::string_view type = sum ? c.d : c.a;
    words[n] = !floating ? (c.finite && sum ? 0x7ffffff0u + random() % 16 : random())
               : type == "f32" || type == "tf32" ? single()
                                                 : narrow(type) << 16 | narrow(type);
  }
  const u64 io = device.put(words);
  Shape shape;
  shape.block[0] = 32;
  const auto report = device.launch(**module, "k", shape, Arguments().add(io));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->has_value()) << (*report)->text();
  const auto made = device.get<u32>(io, words.size());
  std::vector<double> a(static_cast<size_t>(c.m * c.k)), b(static_cast<size_t>(c.k * 8));
  const u32 keep = c.bits == 32 ? ~0u : (1u << c.bits) - 1;
  for (int l = 0; l < 32; ++l) {
    for (int i = 0; i < a_registers * each; ++i) {
      const Place at = place_a(c, l / 4, l % 4, i);
      a[static_cast<size_t>(at.row * c.k + at.col)] =
          real(c, c.a, words[static_cast<size_t>(16 * l + i / each)] >> (i % each * c.bits) & keep);
    }
    for (int i = 0; i < b_registers * each; ++i)
      b[static_cast<size_t>(row_b(c, l % 4, i) * 8 + l / 4)] = real(
          c, c.b, words[static_cast<size_t>(16 * l + 4 + i / each)] >> (i % each * c.bits) & keep);
  }
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < c.m / 4; ++i) {
      const int row = l / 4 + (i >= 2 ? 8 : 0), col = l % 4 * 2 + (i & 1);
      const auto part = [&](int from) {
        const u32 word =
            (from == 8 ? words : made)[static_cast<size_t>(16 * l + from + (half ? i / 2 : i))];
        return half       ? real(c, "f16", word >> (16 * (i & 1)) & 0xffff)
               : floating ? std::bit_cast<float>(word)
                          : static_cast<double>(static_cast<i32>(word));
      };
      long double sum = part(8);
      for (int k = 0; k < c.k; ++k)
        sum += static_cast<long double>(a[static_cast<size_t>(row * c.k + k)]) *
               b[static_cast<size_t>(k * 8 + col)];
      const double want =
          floating ? half ? static_cast<double>(
                                static_cast<float>(static_cast<_Float16>(static_cast<double>(sum))))
                          : static_cast<double>(static_cast<float>(sum))
          : c.finite
              ? std::clamp(static_cast<double>(sum), -2147483648.0, 2147483647.0)
              : static_cast<double>(static_cast<i32>(static_cast<u32>(static_cast<i64>(sum))));
      ASSERT_EQ(part(12), want) << c.name << " lane " << l << " element " << i;
    }
}

TEST(PtxMma, EveryShape) {
  for (const Case &c :
       {Case{"bf16", 16, 16, 16, "bf16", "bf16", "f32"},
        Case{"bf16 k8", 16, 8, 16, "bf16", "bf16", "f32"},
        Case{"f16", 16, 16, 16, "f16", "f16", "f32"},
        Case{"f16 k8", 16, 8, 16, "f16", "f16", "f32"},
        Case{"f16 sums", 16, 16, 16, "f16", "f16", "f16"},
        Case{"tf32", 16, 8, 32, "tf32", "tf32", "f32"},
        Case{"tf32 k4", 16, 4, 32, "tf32", "tf32", "f32"}, Case{"s8", 16, 32, 8, "s8", "s8", "s32"},
        Case{"u8 s8", 16, 32, 8, "u8", "s8", "s32"},
        Case{"s8 u8 k16", 16, 16, 8, "s8", "u8", "s32"}, Case{"s4", 16, 64, 4, "s4", "s4", "s32"},
        Case{"u4 s4 k32", 16, 32, 4, "u4", "s4", "s32"}, Case{"s8 m8", 8, 16, 8, "s8", "s8", "s32"},
        Case{"u4 m8", 8, 32, 4, "u4", "u4", "s32"},
        Case{"s8 satfinite", 16, 32, 8, "s8", "s8", "s32", true}})
    check(c);
}

} // namespace
} // namespace quern::ptx
