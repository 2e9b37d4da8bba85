// One instruction on many operands, through PTX text: what tests of opcodes are written with.
#ifndef QUERN_TESTS_PTX_OPCODERUN_H
#define QUERN_TESTS_PTX_OPCODERUN_H

#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Words.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace quern::ptx {

inline std::string module_text(std::string_view body, int target = 80) {
  return concat(".version 8.0\n.target sm_", target, "\n.address_size 64\n", body);
}

/// Values that break things: the ends, their neighbours, zeros; then random ones.
template <class T> std::vector<T> operands(size_t count, u32 seed) {
  std::vector<T> made;
  std::mt19937_64 random(seed);
  if constexpr (std::is_floating_point_v<T>) {
    using limits = std::numeric_limits<T>;
    for (T value :
         {T(0), T(1), T(0.5), T(1.5), T(2.5), T(3), limits::infinity(), limits::quiet_NaN(),
          limits::max(), limits::min(), limits::denorm_min(), limits::min() / 2, limits::epsilon(),
          T(1) + limits::epsilon(), T(2147483648.0), T(4294967296.0), T(65504), T(1e-20)}) {
      made.push_back(value);
      made.push_back(-value);
    }
  } else {
    for (u64 value :
         {u64{0},       u64{1},      u64{2},      u64{7},          u64{31},         u64{32},
          u64{33},      u64{63},     u64{64},     u64{127},        u64{128},        u64{255},
          u64{0x7fff},  u64{0x8000}, u64{0xffff}, u64{0x7fffffff}, u64{0x80000000}, u64{0xffffffff},
          u64{1} << 63, ~u64{0},     ~u64{0} >> 1})
      made.push_back(static_cast<T>(value));
  }
  // Every special value meets every other.
  const size_t special = made.size();
  while (made.size() < special * special)
    made.push_back(made[seed % 2 == 0 ? made.size() % special : made.size() / special]);
  while (made.size() < count) {
    const u64 bits = random();
    if constexpr (sizeof(T) == 8) {
      made.push_back(std::bit_cast<T>(bits));
    } else {
      using Bits =
          std::conditional_t<sizeof(T) == 4, u32, std::conditional_t<sizeof(T) == 2, u16, u8>>;
      made.push_back(std::bit_cast<T>(static_cast<Bits>(bits)));
    }
  }
  return made;
}

/// A type as a register's and a load's suffix: "b16", "b32", "b64".
template <class T> std::string bits_name() { return concat("b", 8 * sizeof(T)); }

/// Runs `opcode d, a, b, ...` in a thread each. `extra` stands behind the sources: ", 7".
template <class R, class First, class... Rest>
std::vector<R> run_opcode(std::string_view opcode, std::string_view extra,
                          const std::vector<First> &first, const std::vector<Rest> &...rest) {
  constexpr size_t kSources = 1 + sizeof...(Rest);
  const size_t count = std::min({first.size(), rest.size()...});
  const std::string types[] = {bits_name<First>(), bits_name<Rest>()...};
  const size_t bytes[] = {sizeof(First), sizeof(Rest)...};
  std::string text = ".visible .entry k(.param .u64 out, .param .u32 n";
  for (size_t s = 0; s < kSources; ++s)
    text += concat(", .param .u64 in", s);
  text += concat(")\n{\n.reg .pred %p;\n.reg .b32 %i<5>;\n.reg .b64 %a<9>;\n.reg .", bits_name<R>(),
                 " %d;\n");
  for (size_t s = 0; s < kSources; ++s)
    text += concat(".reg .", types[s], " %s", s, ";\n");
  text += "mov.u32 %i0, %tid.x;\nmov.u32 %i1, %ctaid.x;\nmov.u32 %i2, %ntid.x;\nmad.lo.s32 %i3, "
          "%i1, %i2, %i0;\nld.param.u32 %i4, [n];\n"
          "setp.ge.u32 %p, %i3, %i4;\n@%p bra DONE;\n";
  std::string sources;
  for (size_t s = 0; s < kSources; ++s) {
    text += concat("ld.param.u64 %a0, [in", s, "];\nmul.wide.u32 %a1, %i3, ", bytes[s],
                   ";\nadd.s64 %a0, %a0, %a1;\nld.global.", types[s], " %s", s, ", [%a0];\n");
    sources += concat(", %s", s);
  }
  text +=
      concat(opcode, " %d", sources, extra, ";\nld.param.u64 %a0, [out];\nmul.wide.u32 %a1, %i3, ",
             sizeof(R), ";\nadd.s64 %a0, %a0, %a1;\nst.global.", bits_name<R>(),
             " [%a0], %d;\nDONE: ret;\n}\n");
  DeviceTraits traits;
  traits.memory = u64{1} << 28;
  Device device(traits);
  const auto module = device.load(module_text(text, 90));
  EXPECT_TRUE(module.ok()) << module.status() << "\n" << text;
  if (!module.ok())
    return {};
  const u64 out = device.allocate(count * sizeof(R));
  Arguments arguments;
  arguments.add(out).add(static_cast<u32>(count)).add(device.put(first));
  (arguments.add(device.put(rest)), ...);
  Shape shape;
  shape.block[0] = 96;
  shape.grid[0] = static_cast<u32>((count + 95) / 96);
  const auto report = device.launch(**module, "k", shape, arguments);
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok() && *report) {
    ADD_FAILURE() << (*report)->text();
  }
  return device.get<R>(out, count);
}

/// Whether two results are the same bits; any NaN is one as good as another unless `nan` gives its
/// bits.
template <class T> bool same_value(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (a != a || b != b)
      return a != a && b != b;
  return std::memcmp(&a, &b, sizeof a) == 0;
}

template <class T> std::string shown(T value) {
  u64 bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  if constexpr (std::is_floating_point_v<T>)
    return testing::PrintToString(value) + " (0x" + std::string(concat(absl::Hex(bits))) + ")";
  else
    return "0x" + concat(absl::Hex(bits));
}

/// Holds an opcode to a function of one lane, on edge and random operands.
template <class R, class First, class... Rest, class F>
void hold(std::string_view opcode, F expected, std::string_view extra = "") {
  const auto first = operands<First>(3000, 2);
  u32 seed = 3;
  const std::tuple<std::vector<Rest>...> rest{operands<Rest>(3000, seed++)...};
  const auto made = std::apply(
      [&](const auto &...others) { return run_opcode<R>(opcode, extra, first, others...); }, rest);
  int wrong = 0;
  for (size_t n = 0; n < made.size() && wrong < 3; ++n)
    std::apply(
        [&](const auto &...others) {
          const R want = expected(first[n], others[n]...);
          if (same_value(made[n], want))
            return;
          ++wrong;
          std::string from = shown(first[n]);
          ((from += ", " + shown(others[n])), ...);
          ADD_FAILURE() << opcode << "(" << from << ") = " << shown(made[n]) << ", want "
                        << shown(want);
        },
        rest);
}

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_OPCODERUN_H
