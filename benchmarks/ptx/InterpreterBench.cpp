// How fast the interpreter of PTX is, by kind of instruction: millions of instructions of a warp in
// a second of processor time, on one core. `ptx_bench [FILE.ptx]` also loads a file, to time
// parsing.
#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Words.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using namespace quern::ptx;

struct Loop {
  const char *name;
  const char *body; ///< of 8 instructions; the loop adds 3
};
constexpr Loop kLoops[] = {
    {"float32", "fma.rn.f32 %f0, %f0, %f1, %f2; mul.f32 %f3, %f0, %f1; add.f32 %f0, %f3, %f2; "
                "fma.rn.f32 %f0, %f0, %f1, %f2;"
                "fma.rn.f32 %f0, %f0, %f1, %f2; mul.f32 %f3, %f0, %f1; add.f32 %f0, %f3, %f2; "
                "fma.rn.f32 %f0, %f0, %f1, %f2;"},
    {"integer", "mad.lo.s32 %r4, %r1, %r0, 7; shl.b32 %r5, %r4, 3; and.b32 %r6, %r5, 255; xor.b32 "
                "%r4, %r6, %r0;"
                "mul.wide.u32 %d3, %r4, 4; add.s64 %d4, %d3, %d0; cvt.u32.u64 %r5, %d4; "
                "dp4a.s32.s32 %r6, %r4, %r5, %r6;"},
    {"global, rows", "ld.global.f32 %f0, [%d2]; ld.global.f32 %f1, [%d2+1024]; ld.global.f32 %f2, "
                     "[%d2+2048]; ld.global.f32 %f3, [%d2+3072];"
                     "st.global.f32 [%d2], %f1; st.global.f32 [%d2+1024], %f2; st.global.f32 "
                     "[%d2+2048], %f3; st.global.f32 [%d2+3072], %f0;"},
    {"global, 16 bytes", "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d5]; ld.global.v4.u32 {%r4, "
                         "%r5, %r6, %r7}, [%d5+512]; ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d5];"
                         "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d5]; ld.global.v4.u32 {%r4, "
                         "%r5, %r6, %r7}, [%d5+512]; ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d5];"
                         "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d5]; ld.global.v4.u32 {%r4, "
                         "%r5, %r6, %r7}, [%d5+512];"},
    {"shared", "st.shared.f32 [%d6], %f0; ld.shared.f32 %f0, [%d6]; st.shared.f32 [%d6], %f0; "
               "ld.shared.f32 %f0, [%d6];"
               "st.shared.f32 [%d6], %f0; ld.shared.f32 %f0, [%d6]; st.shared.f32 [%d6], %f0; "
               "ld.shared.f32 %f0, [%d6];"},
    {"shuffles", "shfl.sync.bfly.b32 %r4, %r0, 16, 31, -1; shfl.sync.bfly.b32 %r5, %r4, 8, 31, -1; "
                 "shfl.sync.bfly.b32 %r4, %r5, 4, 31, -1; shfl.sync.bfly.b32 %r5, %r4, 2, 31, -1;"
                 "shfl.sync.bfly.b32 %r4, %r0, 16, 31, -1; shfl.sync.bfly.b32 %r5, %r4, 8, 31, -1; "
                 "shfl.sync.bfly.b32 %r4, %r5, 4, 31, -1; shfl.sync.bfly.b32 %r5, %r4, 2, 31, -1;"},
    {"barriers", "bar.sync 0; bar.sync 0; bar.sync 0; bar.sync 0; bar.sync 0; bar.sync 0; bar.sync "
                 "0; bar.sync 0;"},
    {"divergence",
     "and.b32 %r4, %r1, 1; setp.eq.u32 %p1, %r4, 0; and.b32 %r4, %r0, 1; setp.eq.u32 %p1, %r4, 0; "
     "@%p1 bra A; mov.u32 %r5, 1; bra B; A: mov.u32 %r5, 2; B: mov.u32 %r6, %r5;"},
    {"mma bf16", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0, %f1, %f2, %f3}, {%r0, "
                 "%r0, %r0, %r0}, {%r0, %r0}, {%f0, %f1, %f2, %f3};"
                 "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0, %f1, %f2, %f3}, {%r0, "
                 "%r0, %r0, %r0}, {%r0, %r0}, {%f0, %f1, %f2, %f3};"},
    {"mma int8", "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r4, %r5, %r6, %r7}, {%r0, %r0, "
                 "%r0, %r0}, {%r0, %r0}, {%r4, %r5, %r6, %r7};"
                 "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r4, %r5, %r6, %r7}, {%r0, %r0, "
                 "%r0, %r0}, {%r0, %r0}, {%r4, %r5, %r6, %r7};"},
    {"exponentials", "ex2.approx.ftz.f32 %f0, %f1; ex2.approx.ftz.f32 %f0, %f1; ex2.approx.ftz.f32 "
                     "%f0, %f1; ex2.approx.ftz.f32 %f0, %f1;"},
};

double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

} // namespace

int main(int argc, char **argv) {
  Device device;
  if (argc > 1) {
    std::ifstream file(argv[1], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const double begin = seconds();
    const auto module = device.load(text);
    std::printf("%s: %s, %zu bytes in %.1f ms\n", argv[1],
                module.ok() ? "loaded" : std::string(module.status().message()).c_str(),
                text.size(), 1e3 * (seconds() - begin));
  }
  const u64 memory = device.put(std::vector<float>(1 << 20, 1.0f));
  std::printf("%-20s %10s\n", "instructions", "M a second");
  for (const Loop &loop : kLoops) {
    const auto module = device.load(concat(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 a, .param "
        ".u32 n)\n{\n.reg .b32 %r<9>; .reg .b64 %d<9>; .reg .f32 %f<9>; .reg .pred %p<4>;\n"
        ".shared .align 16 .b8 tile[4096];\nld.param.u64 %d0, [a]; ld.param.u32 %r2, [n]; mov.u32 "
        "%r0, %tid.x; mul.wide.u32 %d1, %r0, 4; add.s64 %d2, %d0, %d1; mul.wide.u32 %d5, %r0, 16; "
        "add.s64 %d5, %d5, %d0;\n"
        "mov.u64 %d6, tile; add.s64 %d6, %d6, %d1; mov.u32 %r1, 0; mov.u32 %r4, 0; mov.u32 %r5, 0; "
        "mov.u32 %r6, 0; mov.u32 %r7, 0; mov.f32 %f0, 0f3F000000; mov.f32 %f1, 0f3F7FFFFF; mov.f32 "
        "%f2, 0f3F000000; mov.f32 %f3, 0f00000000;\n"
        "LOOP:\n",
        loop.body, "\nadd.s32 %r1, %r1, 1; setp.lt.u32 %p0, %r1, %r2; @%p0 bra LOOP;\nret;\n}\n"));
    if (!module.ok()) {
      std::printf("%s: %s\n", loop.name, std::string(module.status().message()).c_str());
      return 1;
    }
    Shape shape;
    shape.block[0] = 256;
    shape.grid[0] = 4;
    u32 rounds = 100;
    double best = 0;
    for (double took = 0; took < 0.3; rounds *= 4) {
      const double begin = seconds();
      const u64 before = device.executed();
      const auto report = device.launch(**module, "k", shape, Arguments().add(memory).add(rounds));
      took = seconds() - begin;
      if (!report.ok() || *report) {
        std::printf("%s: %s\n", loop.name,
                    report.ok() ? (*report)->text().c_str()
                                : std::string(report.status().message()).c_str());
        return 1;
      }
      best = static_cast<double>(device.executed() - before) / took;
    }
    std::printf("%-20s %10.1f\n", loop.name, best / 1e6);
  }
  return 0;
}
